"""The hash of a Python value, the same in every process; code in it is followed, not pickled."""

from __future__ import annotations

import copyreg
import hashlib
import logging
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from .source import UntoldError

_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, type(...), type(NotImplemented))
_CODE = (FunctionType, BuiltinFunctionType, BuiltinMethodType, MethodType, ModuleType, type)
# A value of more parts is data, and data belongs into the catalog.
MOST_PARTS = 200_000


def value_hash(value: Any, follow: Callable[[Any], str]) -> str:
    """Return the hash of a value.

    Args:
        value: any value.
        follow: gives the text that stands for a function, a class or a module.

    Raises:
        UntoldError: it holds something that cannot be compared with what it is in another process.
    """
    return _Hasher(follow).hash(value)


class _Hasher:
    def __init__(self, follow: Callable[[Any], str]) -> None:
        self._follow = follow
        # The values that the present one is inside of, and how many were looked at.
        self._around: list[Any] = []
        self._count = 0

    def hash(self, value: Any) -> str:
        digest = hashlib.sha256()
        try:
            for text in self._texts(value):
                digest.update(text)
        except RecursionError:
            raise UntoldError("a value is nested too deep") from None
        return digest.hexdigest()

    def _texts(self, value: Any) -> Iterator[bytes]:
        self._count += 1
        if self._count > MOST_PARTS:
            raise UntoldError("a value is too large: data belongs into the catalog")
        kind = type(value)
        if kind in _PLAIN:
            text = (
                bytes(value) if kind in (bytes, bytearray) else repr(value).encode(errors="backslashreplace")
            )
            yield f"{kind.__name__} {len(text)} ".encode() + text
        elif isinstance(value, _CODE):
            yield f"code {self._follow(value)}\n".encode()
        elif isinstance(value, logging.Logger):
            yield f"logger {value.name}\n".encode()
        else:
            yield from self._inside(value, kind)

    def _inside(self, value: Any, kind: type[Any]) -> Iterator[bytes]:
        for depth, other in enumerate(reversed(self._around)):
            if other is value:
                yield f"again {depth}\n".encode()
                return
        self._around.append(value)
        if kind in (list, tuple):
            yield f"{kind.__name__} {len(value)}\n".encode()
            for item in value:
                yield from self._texts(item)
        elif kind is dict:
            yield f"dict {len(value)}\n".encode()
            for key, item in list(value.items()):
                yield from self._texts(key)
                yield from self._texts(item)
        elif kind in (set, frozenset):
            yield f"{kind.__name__} {len(value)}\n".encode()
            yield "".join(sorted(self.hash(item) for item in value)).encode()
        else:
            yield from self._reduced(value, kind)
        self._around.pop()

    def _reduced(self, value: Any, kind: type[Any]) -> Iterator[bytes]:
        yield f"object {self._follow(kind)}\n".encode()
        if kind is object:
            return
        if (wrapped := getattr(value, "__wrapped__", None)) is not None and callable(value):
            # What `functools.lru_cache` gives, for example.
            yield from self._texts(wrapped)
        try:
            reducer = copyreg.dispatch_table.get(kind)
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
        # Classes may do there what they like.
        except Exception as error:
            raise UntoldError(f"a value of type {kind.__qualname__} cannot be compared") from error
        if isinstance(reduced, str) and callable(value) and wrapped is None:
            yield f"code {self._follow(value)}\n".encode()
        elif isinstance(reduced, str):
            yield f"name {getattr(value, '__module__', '')}.{reduced}\n".encode()
        for part in () if isinstance(reduced, str) else reduced:
            # What is in a list or a mapping of its own comes as an iterator.
            yield from self._texts(list(part) if isinstance(part, Iterator) else part)
