"""The section ``checks`` of ``dolt.yml``: which checks there are, and what each may be given."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from ..errors import ConfigError, suggestion

ERROR, WARN = "error", "warn"

# What max_change may measure besides metrics.
AGGREGATE = re.compile(r"(avg|sum|min|max|count)\((.+)\)", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) *%")
_SCALARS = (str, int, float, Decimal, date, datetime)


@dataclass(frozen=True)
class Check:
    """One check of the tables of one entry.

    Attributes:
        tables: the table, or a pattern with ``*``, ``?`` and ``[...]``, as in ``dolt.yml``.
        kind: which check it is.
        of: the column, columns, metric or query that it is of; empty if it is of the whole table.
        bound: what it allows; False turns off what an earlier entry asks for.
        severity: ``error`` or ``warn``.
    """

    tables: str
    kind: str
    of: str
    bound: Any
    severity: str = ERROR

    @property
    def name(self) -> str:
        """Its name among the checks of a table: ``max_rows_changed``, ``not_null.species``."""
        return f"{self.kind}.{self.of}" if self.of else self.kind

    @property
    def bound_text(self) -> str:
        """What it allows, as text."""
        if isinstance(self.bound, str):
            return self.bound
        if self.kind == "max_change":
            return ", ".join(f"{way} {limit}" for way, limit in self.bound.items())
        return json.dumps(self.bound, ensure_ascii=False, default=str)


def parse(section: object) -> tuple[Check, ...]:
    """Read the section ``checks``.

    Args:
        section: a mapping from tables to their checks; None is none.

    Returns:
        The checks in their order.

    Raises:
        ConfigError: an unknown key (the nearest right one is named) or a value that cannot be a bound.
    """
    found: list[Check] = []
    for tables, checks in _mapping("checks", section or {}).items():
        where = f"checks.{tables}"
        for kind, value in _mapping(where, checks or {}).items():
            if kind not in KINDS:
                raise ConfigError(
                    f"conf/*/dolt.yml: `{where}.{kind}` is not a check: "
                    f"{suggestion(kind, KINDS, where + '.')}"
                )
            found += _checks(str(tables), str(kind), value)
    return tuple(found)


def accepted_names(names: Iterable[str], checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the names of checks whose failure is accepted.

    Args:
        names: ``max_rows_changed``, ``not_null.species``, each with or without ``table.`` before it, or a
            test of Dolt's, ``dolt_tests.name``.
        checks: those of ``dolt.yml``.

    Raises:
        ConfigError: one is not a check's; the nearest right one is named.
    """
    names, checks = tuple(names), tuple(checks)
    for name in names:
        parts = name.split(".")
        if may_be_accepted(name, checks):
            continue
        if not set(parts) & set(KINDS):
            raise ConfigError(f"{name} is not a check that could be accepted: {suggestion(parts[-1], KINDS)}")
        known = list(
            dict.fromkeys(f"{check.tables}.{check.name}" for check in checks if check.bound is not False)
        )
        reason = suggestion(name, known) if known else "there are none under `checks` in dolt.yml."
        raise ConfigError(f"{name} is not a check that could be accepted: {reason}")
    return names


def may_be_accepted(name: str, checks: Iterable[Check]) -> bool:
    """Return whether the failure of a check, or of a test of Dolt's, may have a name."""
    return name.lower().startswith("dolt_tests.") or any(_may_be(name, check) for check in checks)


def _may_be(name: str, check: Check) -> bool:
    """Return whether the result of a check may have a name."""
    if check.bound is False:
        return False
    for end in (check.kind, check.name):
        table = name.removesuffix(f".{end}")
        if name == end or (table != name and _is_of(table, check)):
            return True
    return False


def _is_of(table: str, check: Check) -> bool:
    name, pattern = table.lower(), check.tables.lower()
    return name == pattern or fnmatchcase(name, pattern)


def checks_of(table: str, checks: Iterable[Check]) -> list[Check]:
    """Return the checks of a table: of those of one name, the last one counts."""
    found: dict[str, Check] = {}
    for check in checks:
        if not _is_of(table, check):
            continue
        if check.bound is False:
            found = {key: other for key, other in found.items() if other.kind != check.kind}
        else:
            found[check.name] = check
    return list(found.values())


def _checks(tables: str, kind: str, value: Any) -> list[Check]:
    where = f"checks.{tables}.{kind}"
    severity = ERROR
    if isinstance(value, Mapping) and "limit" in value and set(value) <= {"limit", "severity"}:
        severity, value = value.get("severity", ERROR), value["limit"]
        if severity not in (ERROR, WARN):
            _refuse(f"{where}.severity", f"`{ERROR}` or `{WARN}`", severity)
    elif isinstance(value, Mapping) and "severity" in value:
        _refuse(where, "a mapping with `limit` and `severity`, if it is to have a severity", dict(value))
    if value is False or value is None:
        return [Check(tables, kind, "", False)]
    return [Check(tables, kind, of, bound, severity) for of, bound in KINDS[kind](where, value)]


_Bounds = list[tuple[str, Any]]


def _rows(where: str, value: Any) -> _Bounds:
    expected = "a whole number of rows, or a percentage of the rows before, `5%`"
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        return [("", f"{match[1]}%")]
    if not _is_whole(value) or value < 0:
        _refuse(where, expected, value)
    return [("", value)]


def _true(where: str, value: Any) -> _Bounds:
    if value is not True:
        _refuse(where, "true or false", value)
    return [("", True)]


def _columns(where: str, value: Any) -> _Bounds:
    names = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(name, str) and name for name in names):
        _refuse(where, "a column or a list of columns", value)
    return [("", list(names))]


def _each_column(where: str, value: Any) -> _Bounds:
    [(_, names)] = _columns(where, value)
    return [(name, True) for name in names]


def _unique(where: str, value: Any) -> _Bounds:
    found: _Bounds = []
    for item in value if isinstance(value, list | tuple) else [value]:
        names = [item] if isinstance(item, str) else item
        good = isinstance(names, list | tuple) and names
        if not good or not all(isinstance(name, str) and name for name in names):
            _refuse(where, "a column, or a list of columns and lists of columns, `[id, [day, shop]]`", value)
        found.append((",".join(names), list(names)))
    return found


def _by_column(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        _refuse(where, "a mapping from columns", value)
    return dict(value)


def _accepted(where: str, value: Any) -> _Bounds:
    found: _Bounds = []
    for column, values in _by_column(where, value).items():
        if not isinstance(values, list | tuple) or not values:
            _refuse(f"{where}.{column}", "a list of values", values)
        if not all(_is_value(item) for item in values):
            _refuse(f"{where}.{column}", "a list of texts, numbers and dates", values)
        found.append((column, list(values)))
    return found


def _ranges(where: str, value: Any) -> _Bounds:
    return [(column, _range(f"{where}.{column}", pair)) for column, pair in _by_column(where, value).items()]


def _range(where: str, value: Any) -> list[Any]:
    ends = list(value) if isinstance(value, list | tuple) else []
    if len(ends) != 2 or ends == [None, None] or not all(_is_end(end) for end in ends):
        _refuse(where, "a list of the lowest and the highest value, of which one may be null", value)
    return ends


def _is_end(value: object) -> bool:
    return value is None or (_is_value(value) and not isinstance(value, bool))


def _is_value(value: object) -> bool:
    # YAML's .inf and .nan are numbers that SQL has no word for.
    return isinstance(value, _SCALARS) and (not isinstance(value, float) or math.isfinite(value))


def _row_count(where: str, value: Any) -> _Bounds:
    if _is_whole(value):
        return [("", [value, value])]
    ends = _range(where, value)
    if not all(end is None or _is_whole(end) for end in ends):
        _refuse(where, "a whole number, or a list of the lowest and the highest", value)
    return [("", ends)]


def _references(where: str, value: Any) -> _Bounds:
    found: _Bounds = []
    for column, target in _by_column(where, value).items():
        parts = target.rsplit(".", 1) if isinstance(target, str) else []
        if len(parts) != 2 or not all(parts):
            _refuse(f"{where}.{column}", "another table and its column, `table.column`", target)
        found.append((column, target))
    return found


def _max_change(where: str, value: Any) -> _Bounds:
    if not isinstance(value, Mapping) or not value:
        _refuse(where, "a mapping from metrics, or `avg(column)` and the like, to numbers", value)
    return [(str(name), _change(f"{where}.{name}", bound)) for name, bound in value.items()]


def _change(where: str, value: Any) -> dict[str, Any]:
    ways = dict(value) if isinstance(value, Mapping) else {"fall": value, "rise": value}
    if unknown := [way for way in ways if way not in ("fall", "rise")]:
        raise ConfigError(
            f"conf/*/dolt.yml: `{where}.{unknown[0]}` is not a direction: "
            f"{suggestion(unknown[0], ['fall', 'rise'], where + '.')}"
        )
    if not ways or not all(_is_number(bound) and bound >= 0 for bound in ways.values()):
        _refuse(where, "a number, at least 0, or one for `fall` and `rise`", value)
    return ways


def _queries(where: str, value: Any) -> _Bounds:
    if isinstance(value, str):
        value = {"": value}
    if not isinstance(value, Mapping) or not value:
        _refuse(where, "a SELECT, or a mapping from names to SELECTs", value)
    for name, text in value.items():
        if not isinstance(text, str) or not text.strip():
            _refuse(f"{where}.{name}", "a SELECT that finds the rows that must not be there", text)
    return [(str(name), text.strip().rstrip(";")) for name, text in value.items()]


# Of the change, then of the state.
KINDS: dict[str, Callable[[str, Any], _Bounds]] = {
    "max_rows_added": _rows,
    "max_rows_removed": _rows,
    "max_rows_modified": _rows,
    "max_rows_changed": _rows,
    "append_only": _true,
    "unchanged": _true,
    "frozen_schema": _true,
    "columns_changed_within": _columns,
    "max_change": _max_change,
    "not_null": _each_column,
    "unique": _unique,
    "accepted_values": _accepted,
    "between": _ranges,
    "row_count": _row_count,
    "references": _references,
    "sql": _queries,
}


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_value(value)


def _mapping(where: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        _refuse(where, "a mapping from tables to their checks" if where == "checks" else "a mapping", value)
    return value


def _refuse(key: str, expected: str, value: object) -> NoReturn:
    raise ConfigError(f"conf/*/dolt.yml: `{key}` must be {expected}, not {value!r}.")
