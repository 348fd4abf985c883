"""Which code is the project's own: neither Python's nor an installed package's."""

from __future__ import annotations

import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


class Owned:
    """Tells the project's own code from that of others.

    Args:
        package: the project's package, which may be installed like any other.
    """

    def __init__(self, package: str | None = None) -> None:
        self.package = package
        module = sys.modules.get(package or "")
        places = getattr(module, "__path__", None) or ()
        self._own = tuple(f"{Path(place)}/" for place in places)
        self._files: dict[str, bool] = {}

    def file(self, filename: str) -> bool:
        """Return whether a source file, as code objects name it, is the project's."""
        if filename not in self._files:
            found = filename.startswith(self._own) if self._own else False
            if not found:
                # What a notebook's cell defines has a name of that kind, too.
                generated = filename.startswith("<") and not filename.startswith("<ipython")
                found = not generated and not filename.startswith(_others())
            self._files[filename] = found
        return self._files[filename]

    def module(self, module: object) -> bool:
        """Return whether something is a module of the project."""
        if not isinstance(module, ModuleType):
            return False
        if module.__name__ == "__main__":
            return True
        if file := getattr(module, "__file__", None):
            return self.file(file)
        # A package without an __init__.py.
        return any(self.file(f"{Path(place)}/__init__.py") for place in getattr(module, "__path__", ()))

    def code(self, value: object) -> bool:
        """Return whether a function, a method or a class is the project's."""
        if isinstance(value, type):
            return self.class_(value)
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        return isinstance(code, CodeType) and self.file(code.co_filename)

    def class_(self, kind: type[Any]) -> bool:
        """Return whether a class is the project's."""
        return self.module(sys.modules.get(kind.__module__))


@cache
def _others() -> tuple[str, ...]:
    """Return the directories of what is installed, and of this package."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places: Iterable[str | None] = (
        *(sysconfig.get_paths().get(name) for name in names),
        *site.getsitepackages(),
        site.getusersitepackages(),
        str(Path(__file__).resolve().parents[1]),
    )
    found = {place for place in places if place}
    return tuple(sorted(f"{place}/" for one in found for place in (one, str(Path(one).resolve()))))
