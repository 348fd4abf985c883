"""A run's parameters as the journal keeps them: JSON values without secrets, comparable leaf by leaf."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

# They say where a run happens, not what it computes.
RUN_KEYS = ("dolt_branch", "dolt_from", "dolt_run_group")

MASK = "***"

# Dolt keeps JSON numbers as 64-bit floats, which hold whole numbers exactly up to here.
_EXACT = 2**53

# A shorter secret would be found inside half of all words; it is masked where it is the whole value.
_SHORTEST_PART = 4


def plain(value: Any, secrets: Iterable[str] = ()) -> Any:
    """``value`` as JSON can hold it, with every secret in it masked.

    Mappings and sequences stay what they are; sets become sorted lists. What JSON or Dolt cannot hold exactly
    (dates, numbers beyond 2**53, NaN, infinity, objects) becomes text.

    Args:
        value: a parameter's value, however deeply nested.
        secrets: texts that must not appear in the result, as values, keys or parts of them.
    """
    secrets = tuple(secrets)
    if isinstance(value, Mapping):
        return {mask(str(key), secrets): plain(item, secrets) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, secrets) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(item, secrets) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and str(value) not in secrets:
        exact = math.isfinite(value) and (isinstance(value, float) or abs(value) <= _EXACT)
        return value if exact else str(value)
    return mask(str(value), secrets)


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with the secrets in it replaced by ``***``."""
    # The longest first: one secret may be part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if text == secret:
            return MASK
        if len(secret) >= _SHORTEST_PART:
            text = text.replace(secret, MASK)
    return text


def secrets_in(credentials: Any) -> set[str]:
    """The texts and numbers in parsed credentials, as text."""
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
    """Whether two values are the same to JSON, where 1 is 1.0 but not true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The leaves that differ, by dotted name, as (old, new); a missing one is None.

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
