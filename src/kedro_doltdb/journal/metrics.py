"""The metrics of a run: the numbers in the tables that ``metrics:`` in dolt.yml names."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at, read_at, views

if TYPE_CHECKING:
    from pymysql.cursors import Cursor


# A table of metrics has a few rows, and this one may be a stranger's.
MOST_ROWS = 1000


def metrics_at(cursor: Cursor, wanted: Iterable[tuple[str, Iterable[str]]]) -> list[dict[str, float]]:
    """Return the metrics as they were at each of several commits, by name.

    A metric's name is the values of the row's key joined by dots (of its text columns where the table has no
    key), and the name of the column where there are several columns of numbers. The number that keys the only
    row of a table says nothing and is left out.

    Args:
        cursor: a cursor on any branch.
        wanted: commits or branches, each with the tables whose metrics count; one that is not there at a
            commit, or is a view, has none.
    """
    not_tables = {name.lower() for name in views(cursor)}
    # Of a thousand commits nearly all have the same columns, and to ask for the key takes as long as to read.
    keys: dict[tuple[str, ...], list[str]] = {}
    found = []
    for ref, tables in wanted:
        metrics: dict[str, float] = {}
        for table in (table for table in tables if table.lower() not in not_tables):
            rows = read_at(cursor, table, ref, MOST_ROWS)
            if rows:
                asked = (table, *rows[0])
                if asked not in keys:
                    columns = columns_at(cursor, table, ref)
                    keys[asked] = [name for name, is_key in columns.items() if is_key]
                metrics |= _metrics(rows, keys[asked])
        found.append(metrics)
    return found


def _metrics(rows: list[dict[str, Any]], keys: list[str]) -> dict[str, float]:
    numbers = [name for name in rows[0] if name not in keys and any(_is_number(row[name]) for row in rows)]
    names = keys or [name for name in rows[0] if name not in numbers]
    metrics = {}
    for row in rows:
        parts = [str(row[name]) for name in names if len(rows) > 1 or isinstance(row[name], str)]
        for column in numbers:
            if _is_number(row[column]):
                name = ".".join([*parts, column] if len(numbers) > 1 or not parts else parts)
                metrics[name] = float(row[column])
    return metrics


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
