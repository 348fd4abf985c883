"""A run's parameters as the journal keeps them: JSON without secrets, and the types that JSON lacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from typing import Any

# They say where a run happens, not what it computes.
RUN_KEYS = ("dolt_branch", "dolt_from", "dolt_run_group", "dolt_accept", "dolt_force")

MASK = "***"

# Dolt keeps JSON numbers as 64-bit floats, which hold whole numbers exactly up to here.
_EXACT = 2**53

# A shorter secret would be found inside half of all words; it is masked where it is the whole value.
_SHORTEST_PART = 4

# What a value's type is called, and how it is made of its text.
_FROM_TEXT: dict[Any, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
}
_FROM_LIST: dict[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_KEYS_FROM_TEXT: dict[Any, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda text: text == "True",
}
_SECRET, _OBJECT, _TWICE = "secret", "object", "not unique"
_KEY, _ORDER = "key ", "order "
_NOTHING = object()


def plain(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return ``value`` as JSON can hold it, with every secret in it masked.

    Mappings and sequences stay what they are; sets become sorted lists. What JSON or Dolt cannot hold exactly
    (dates, numbers beyond 2**53, NaN, infinity, objects) becomes text.

    Args:
        value: a parameter's value, however deeply nested.
        secrets: texts that must not appear in the result, as values, keys or parts of them.
    """
    return typed(value, secrets)[0]


def typed(value: Any, secrets: Iterable[str] = ()) -> tuple[Any, dict[str, Any]]:
    """Return what :func:`plain` does, and what JSON does not say of it.

    Returns:
        The value, and by JSON pointer (RFC 6901) the type of what is there; with ``key `` before it, that
        of the key that it has; with ``order `` before it, the keys of a mapping as they were, for Dolt sorts
        them. What JSON says exactly is not named.
    """
    types: dict[str, Any] = {}
    return _plain(value, tuple(secrets), "", types), types


def pointer(parent: str, key: object) -> str:
    """Return the JSON pointer to what ``parent`` has under ``key``."""
    return f"{parent}/" + str(key).replace("~", "~0").replace("/", "~1")


def _plain(value: Any, secrets: tuple[str, ...], here: str, types: dict[str, Any]) -> Any:
    # What Kedro has made of parameters with typed nodes: its mapping is what the configuration holds.
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif callable(dump := getattr(type(value), "model_dump", None)):
        value = dump(value)
    if isinstance(value, Mapping):
        return _plain_mapping(value, secrets, here, types)
    if isinstance(value, set | frozenset):
        types[here] = "set" if isinstance(value, set) else "frozenset"
        value = sorted(value, key=repr)
    elif isinstance(value, tuple):
        types[here] = "tuple"
    if isinstance(value, list | tuple):
        return [_plain(item, secrets, pointer(here, number), types) for number, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    is_number = isinstance(value, int | float)
    masked = mask(text, secrets) if not is_number else MASK if text in secrets else text
    known = type(value).__name__ if type(value) in (str, int, float, date, datetime, time) else _OBJECT
    # JSON tells 1.0 from 1 as little as Dolt does, and has neither NaN nor -0.0.
    exact = is_number and math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0)
    exact = exact and (isinstance(value, float) or abs(value) <= _EXACT)
    if masked != text:
        types[here] = _SECRET
        return masked
    if known != "str" and not (exact and (known == "int" or (known == "float" and not value.is_integer()))):
        types[here] = known
    return value if exact else text


def _plain_mapping(
    value: Mapping[Any, Any], secrets: tuple[str, ...], here: str, types: dict[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = mask(str(key), secrets)
        there = pointer(here, name)
        kind = None
        if name in found:
            kind = _TWICE
        elif name != str(key):
            kind = _SECRET
        elif type(key) is not str:
            kind = type(key).__name__ if type(key) in (int, float, bool) else _OBJECT
        if kind:
            types[f"{_KEY}{there}"] = kind
        found[name] = _plain(item, secrets, there, types)
    if list(found) != sorted(found):
        types[f"{_ORDER}{here}"] = list(found)
    return found


def restored(
    value: Any, types: Mapping[str, Any] | None, today: Any, secrets: Iterable[str] = ()
) -> tuple[Any, list[str]]:
    """Return what :func:`typed` was given.

    Args:
        value: as JSON holds it.
        types: what JSON does not say of it; None if a journal of an older version does not tell.
        today: the parameters as they are now; what the journal does not hold is taken from there if it is the
            same.
        secrets: those that may have been masked.

    Returns:
        The value, and the dotted names of what could not be restored.
    """
    lost: list[str] = []
    return _restored(value, "", types, today, tuple(secrets), lost), lost


def _restored(
    value: Any,
    here: str,
    types: Mapping[str, Any] | None,
    today: Any,
    secrets: tuple[str, ...],
    lost: list[str],
) -> Any:
    kind = None if types is None else types.get(here)
    if isinstance(value, dict):
        found = {}
        for name in _in_order(value, here, types):
            item = value[name]
            there = pointer(here, name)
            key = _restored_key(name, there, types, today, secrets, lost)
            inner = today.get(key, _NOTHING) if isinstance(today, Mapping) else _NOTHING
            found[key] = _restored(item, there, types, inner, secrets, lost)
        return found
    try:
        if isinstance(value, list):
            now = sorted(today, key=repr) if isinstance(today, set | frozenset) else today
            now = now if isinstance(now, list | tuple) and len(now) == len(value) else [_NOTHING] * len(value)
            items = [
                _restored(item, pointer(here, number), types, other, secrets, lost)
                for number, (item, other) in enumerate(zip(value, now, strict=True))
            ]
            return _FROM_LIST.get(str(kind), list)(items)
        if kind in _FROM_TEXT:
            return _FROM_TEXT[kind](value)
    except (TypeError, ValueError):
        lost.append(_dotted(here))
        return value
    if kind is None and types is not None:
        return value
    if today is not _NOTHING:
        now, its_types = typed(today, secrets)
        if same(now, value) and (types is None or its_types == {"": kind}):
            return today
    if kind is not None or MASK in str(value):
        lost.append(_dotted(here))
    return value


def _in_order(value: dict[str, Any], here: str, types: Mapping[str, Any] | None) -> Iterable[str]:
    if types is None:
        return value
    names = types.get(f"{_ORDER}{here}")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names if sorted(names) == sorted(value) else sorted(value)
    return sorted(value)


def _restored_key(
    name: str,
    there: str,
    types: Mapping[str, Any] | None,
    today: Any,
    secrets: tuple[str, ...],
    lost: list[str],
) -> Any:
    kind = None if types is None else types.get(f"{_KEY}{there}")
    if kind in _KEYS_FROM_TEXT:
        try:
            return _KEYS_FROM_TEXT[kind](name)
        except ValueError:
            pass
    elif kind is None and types is not None:
        return name
    alike = [key for key in today if mask(str(key), secrets) == name] if isinstance(today, Mapping) else []
    if len(alike) == 1 and kind != _TWICE:
        return alike[0]
    if kind is not None or MASK in name:
        lost.append(_dotted(there))
    return name


def _dotted(there: str) -> str:
    return there.removeprefix("/").replace("/", ".").replace("~1", "/").replace("~0", "~")


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with the secrets in it replaced by ``***``."""
    # The longest first: one secret may be part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if text == secret:
            return MASK
        if len(secret) >= _SHORTEST_PART:
            text = text.replace(secret, MASK)
    return text


def secrets_in(credentials: Any) -> set[str]:
    """Return the texts and numbers in parsed credentials, as text."""
    if isinstance(credentials, Mapping):
        return secrets_in(list(credentials.values()))
    if isinstance(credentials, list | tuple):
        return {secret for item in credentials for secret in secrets_in(item)}
    if isinstance(credentials, bytes):
        return {credentials.decode(errors="replace")}
    if isinstance(credentials, str | int | float) and not isinstance(credentials, bool):
        return {str(credentials)} - {""}
    return set()


def without_run_keys(params: Mapping[str, Any]) -> dict[str, Any]:
    """``params`` without those that only say where a run happens."""
    return {key: value for key, value in params.items() if key not in RUN_KEYS}


def leaves(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings flattened: ``{"model": {"depth": 3}}`` becomes ``{"model.depth": 3}``."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat.update(leaves(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same to JSON, where 1 is 1.0 but not true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the leaves that differ, by dotted name, as (old, new); a missing one is None.

    Args:
        old: nested parameters as the journal keeps them.
        new: the same of another run.
    """
    before, after = leaves(old), leaves(new)
    return {
        key: (before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if (key in before) != (key in after) or not same(before[key], after[key])
    }
