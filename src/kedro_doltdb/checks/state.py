"""Checks of the state: what must hold of a table whole. They read it, all but those that the key answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import as_dicts
from ..dolt.sql import identifier
from ..journal.blame import writers
from .comparable import are_alike, misfit
from .finding import Finding, failed, judged, passed
from .tables import MOST_ROWS, NOW, WRITTEN_BY, counted, plain_rows

if TYPE_CHECKING:
    from .definitions import Check
    from .tables import CheckedTable

# Tables have aliases, so that none is hidden by the alias of another, whatever they are called.
_CHECKED = "`table checked`"


def _not_null(check: Check, table: CheckedTable, _: Mapping[str, CheckedTable]) -> Finding:
    if (column := table.column(check.of)) is None:
        return _no_column(check.of)
    return _rows_where(table, [column], f"{identifier(column)} IS NULL", [])


def _accepted_values(check: Check, table: CheckedTable, _: Mapping[str, CheckedTable]) -> Finding:
    if (column := table.column(check.of)) is None:
        return _no_column(check.of)
    if why := misfit(column, table.types[column], check.bound):
        return failed(why)
    allowed = ", ".join(["%s"] * len(check.bound))
    return _rows_where(table, [column], f"{identifier(column)} NOT IN ({allowed})", check.bound)


def _between(check: Check, table: CheckedTable, _: Mapping[str, CheckedTable]) -> Finding:
    if (column := table.column(check.of)) is None:
        return _no_column(check.of)
    ends = [(sign, end) for sign, end in zip("<>", check.bound, strict=True) if end is not None]
    if why := misfit(column, table.types[column], [end for _, end in ends]):
        return failed(why)
    condition = " OR ".join(f"{identifier(column)} {sign} %s" for sign, _ in ends)
    return _rows_where(table, [column], condition, [end for _, end in ends])


def _references(check: Check, table: CheckedTable, tables: Mapping[str, CheckedTable]) -> Finding:
    if (column := table.column(check.of)) is None:
        return _no_column(check.of)
    name, _, there = check.bound.rpartition(".")
    other = tables.get(name.lower())
    if other is None or not other.is_now:
        return failed(f"there is no table {name}")
    if (referred := other.column(there)) is None:
        return failed(f"{name} has no column {there}")
    types = table.types[column], other.types[referred]
    if not are_alike(*types):
        return failed(f"{column} is {types[0]}, and {name}.{referred} is {types[1]}: they cannot be compared")
    mine = f"{_CHECKED}.{identifier(column)}"
    condition = (
        f"{mine} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {identifier(other.name)} `table referred to` "
        f"WHERE `table referred to`.{identifier(referred)} = {mine})"
    )
    return _rows_where(table, [column], condition, [])


def _rows_where(table: CheckedTable, columns: list[str], condition: str, values: list[Any]) -> Finding:
    source = f"FROM {identifier(table.name)} {_CHECKED} WHERE {condition}"
    number = counted(table.cursor, source, values)

    def rows() -> tuple[dict[str, Any], ...]:
        names = list(dict.fromkeys([*table.keys, *columns])) if table.keys else list(table.columns)
        selected = ", ".join(map(identifier, names))
        order = f" ORDER BY {', '.join(map(identifier, table.keys))}" if table.keys else ""
        table.cursor.execute(f"SELECT {selected} {source}{order} LIMIT {MOST_ROWS}", values)
        return plain_rows(_with_writers(table, as_dicts(table.cursor)))

    return judged(number == 0, f"{number} such rows", rows)


def _with_writers(table: CheckedTable, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each row what last wrote it, where it has a key to be known by."""
    if not table.keys:
        return rows
    keys = [tuple(row[name] for name in table.keys) for row in rows]
    found = writers(table.cursor, table.name, list(table.columns), table.keys, keys)
    return [{**row, WRITTEN_BY: found.get(key, "")} for row, key in zip(rows, keys, strict=True)]


def _unique(check: Check, table: CheckedTable, _: Mapping[str, CheckedTable]) -> Finding:
    columns = []
    for name in check.bound:
        if (column := table.column(name)) is None:
            return _no_column(name)
        columns.append(column)
    if table.keys and set(table.keys) <= set(columns):
        return passed("the primary key")
    names = ", ".join(map(identifier, columns))
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    groups = f"FROM {identifier(table.name)} WHERE {there} GROUP BY {names} HAVING COUNT(*) > 1"
    number = counted(table.cursor, f"FROM (SELECT 1 {groups}) twice")

    def rows() -> tuple[dict[str, Any], ...]:
        table.cursor.execute(f"SELECT {names} {groups} ORDER BY {names} LIMIT {MOST_ROWS}", ())
        return plain_rows(as_dicts(table.cursor))

    return judged(number == 0, f"{number} values more than once", rows)


def _row_count(check: Check, table: CheckedTable, _: Mapping[str, CheckedTable]) -> Finding:
    number = table.rows_at(NOW)
    lowest, highest = check.bound
    good = (lowest is None or number >= lowest) and (highest is None or number <= highest)
    return passed(f"{number} rows") if good else failed(f"{number} rows")


def _no_column(name: str) -> Finding:
    return failed(f"it has no column {name}")


STATE_CHECKS: dict[str, Callable[[Check, CheckedTable, Mapping[str, CheckedTable]], Finding]] = {
    "not_null": _not_null,
    "unique": _unique,
    "accepted_values": _accepted_values,
    "between": _between,
    "row_count": _row_count,
    "references": _references,
}
# Not worth remembering: they cost nothing.
CHEAP = {"row_count"}


def tables_read(check: Check, table: CheckedTable, tables: Mapping[str, CheckedTable]) -> list[CheckedTable]:
    """Return the tables that a check reads whole."""
    other = tables.get(check.bound.rpartition(".")[0].lower()) if check.kind == "references" else None
    return [table, *([other] if other is not None and other.is_now else [])]
