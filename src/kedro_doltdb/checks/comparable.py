"""What can be compared with a column: SQL makes 0 of a text where it compares it with a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

_TEXT, _NUMBER, _TIME = "text", "a number", "a time"
_BOOLEAN, _DATE = "a boolean", "a date"
_FAMILIES = {
    _TEXT: re.compile(r"\w*(char|text|binary|blob)|enum|set\b"),
    _NUMBER: re.compile(r"\w*int\b|decimal|numeric|float|double|real|bit|year|bool"),
    _TIME: re.compile(r"date|time"),
}
_FITTING = {_TEXT: {_TEXT, _DATE}, _NUMBER: {_NUMBER, _BOOLEAN}, _TIME: {_TEXT, _DATE}}


def misfit(column: str, type_: str, values: Iterable[object]) -> str:
    """Return why a value cannot be compared with a column; nothing if all can be.

    Args:
        column: its name.
        type_: its type, as ``SHOW COLUMNS`` has it.
        values: of a check in ``dolt.yml``.
    """
    fitting = _FITTING.get(_family(type_))
    for value in values:
        kind = _kind(value)
        if fitting is None or kind in fitting:
            continue
        shown = str(value).lower() if kind == _BOOLEAN else repr(value) if kind == _TEXT else str(value)
        why = f"{column} is {type_}, which cannot be compared with {shown}, {kind}"
        if kind == _BOOLEAN:
            return f"{why}: YAML makes booleans of yes, no, on and off that have no quotes"
        return f"{why}: write it {'without' if kind == _TEXT else 'in'} quotes in dolt.yml, if that is meant"
    return ""


def are_alike(type_: str, other: str) -> bool:
    """Return whether columns of two types can be compared: not a text with a number."""
    return {_TEXT, _NUMBER} != {_family(type_), _family(other)}


def _family(type_: str) -> str:
    return next((name for name, pattern in _FAMILIES.items() if pattern.match(type_.lower())), "")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, int | float | Decimal):
        return _NUMBER
    return _DATE if isinstance(value, date) else _TEXT
