"""The rows that differ, as the page's script reads them: JSON that no value can break out of."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ..terminal import printable

if TYPE_CHECKING:
    from ..queries.review import TableReview

LONGEST = 200
# Of the whole page, so that it opens at once.
MOST_BYTES = 3_000_000
# Of a table; beyond the key.
MOST_COLUMNS = 40
# An integer that JavaScript keeps as it is.
_EXACT = 2**53
# Of long texts, how much that is the same stays before what differs.
_BEFORE = 20
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def embedded(value: Any) -> str:
    """Return ``value`` as ASCII JSON that can stand in a ``script`` element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)


def cell(value: Any) -> Any:
    """Return a value as JSON: a number that JavaScript keeps, text as it is shown, or None for NULL."""
    if value is None or (isinstance(value, int) and -_EXACT < value < _EXACT):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return _short(f"0x{value[: LONGEST + 1].hex()}")
    if isinstance(value, datetime | date):
        return value.isoformat(*[" "] * isinstance(value, datetime))
    return _short(printable(str(value)[: LONGEST + 1]))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _around(old: Any, new: Any) -> tuple[Any, Any]:
    """Return two values that differ; of long texts, what begins shortly before they do."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return old, new
    same = next((place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    start = (min(len(old), len(new)) if same is None else same) - _BEFORE
    if start + _BEFORE < LONGEST // 2 or max(len(old), len(new)) <= LONGEST:
        return old, new
    return f"…{old[start:]}", f"…{new[start:]}"


def table_rows(table: TableReview, room: int) -> tuple[dict[str, Any], int]:
    """Return the rows of a table for the page, as many as there is room for.

    Args:
        table: the table.
        room: how many bytes of JSON they may take.

    Returns:
        The columns, how many of them are the key, which are ``gone`` or ``new``, and the rows: ``+``, ``-``
        or ``~``, the key, the cells, and what wrote the old values. A cell of a modified row is
        ``[old, new]``, or 0 where it is the same. And how many bytes that takes.
    """
    keys = list(table.diff.keys)
    names = [name for name in table.diff.columns if name not in keys]
    differing = {name for row in table.rows for name in row.cells}
    names = [name for name in names if name in differing]
    left_out = len(names[MOST_COLUMNS:])
    names = names[:MOST_COLUMNS]
    gone, new = set(table.diff.gone), set(table.diff.new)
    rows, size = [], 0
    for row in table.rows:
        key = tuple(row.key.values())
        made = [_SIGNS[row.kind], *map(cell, key), *(_cells(row, name) for name in names)]
        made.append(table.writers.get(key, "") if row.kind != "added" else "")
        size += len(embedded(made)) + 1
        if size > room:
            break
        rows.append(made)
    columns = [cell(name) for name in (*keys, *names)]
    states = ["gone" if name in gone else "new" if name in new else "" for name in (*keys, *names)]
    found = {
        "columns": columns, "keys": len(keys), "states": states, "rows": rows, "left_out": left_out,
    }  # fmt: skip
    return found, min(size, room)


_SIGNS = {"added": "+", "removed": "-", "modified": "~"}


def _cells(row: Any, name: str) -> Any:
    if name not in row.cells:
        return 0
    old, new = row.cells[name]
    if row.kind == "modified":
        return [cell(value) for value in _around(old, new)]
    return cell(new if row.kind == "added" else old)
