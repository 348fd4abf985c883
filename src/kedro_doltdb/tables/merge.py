"""The rows that a table is to hold when a frame is added to it, or brought into it by key."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .delta import at, by_key
from .table_plan import Plan, in_order
from .table_write import Standing

UPSERT, APPEND = "upsert", "append"


def check_mergeable(standing: Standing, planned: Plan, mode: str) -> None:
    """Check that the rows of a frame can be compared with those of a table, by key, and stand beside them.

    Args:
        standing: the table.
        planned: what the frame alone would be.
        mode: ``upsert`` or ``append``.

    Raises:
        BulkLoadError: they cannot; nothing was changed.
    """
    name = quote(standing.name)
    if standing.primary_key != planned.primary_key:
        raise BulkLoadError(
            f"{name} has the primary key {', '.join(standing.primary_key) or '(none)'}, and the entry in the "
            f"catalog {', '.join(planned.primary_key)}: nothing can be saved with `mode: {mode}`."
        )
    wanted = {column.name: column.type for column in planned.columns}
    differ = [
        f"{quote(column)} is {stands.type} and would be {wanted.get(column, 'missing')}"
        for column, stands in standing.columns.items()
        if wanted.get(column) != stands.type
    ]
    differ += [f"{quote(column)} is new" for column in wanted if column not in standing.columns]
    if differ:
        raise BulkLoadError(
            f"The frame does not fit {name}, to which `mode: {mode}` adds rows: {'; '.join(differ)}. Cast "
            "its columns with .astype(), or ALTER TABLE, or save all rows with `mode: replace`."
        )
    if not planned.comparable or not standing.plain:
        raise BulkLoadError(
            f"{name} has columns whose values are not compared (a key of floats, a default, a trigger): "
            f"nothing can be saved with `mode: {mode}`. Save all rows with `mode: replace`."
        )


def merged(standing: Standing, old: pa.Table, planned: Plan, gone: pa.Table | None, mode: str) -> Plan:
    """Return the plan of a table with the rows of a frame in it.

    Args:
        standing: the table.
        old: the rows that stand, with the columns of ``planned``.
        planned: the frame alone.
        gone: the keys of the rows that are to go.
        mode: ``upsert`` or ``append``.

    Raises:
        BulkLoadError: ``append``, and a key is there already; nothing was changed.
    """
    key = planned.primary_key
    if gone is not None and len(gone):
        old = at(old, by_key(old.select(key), gone.select(key), key).removed)
    delta = by_key(old.select(key), planned.rows.select(key), key)
    if mode == APPEND and len(delta.modified):
        rows = at(planned.rows.select(key), delta.modified[:3]).to_pylist()
        shown = ", ".join("/".join(str(value) for value in row.values()) for row in rows)
        raise BulkLoadError(
            f"{quote(standing.name)} has rows with these keys already, so they cannot be appended: {shown}"
            f"{', and more' if len(delta.modified) > 3 else ''}. Nothing was saved. Save them with "
            "`mode: upsert` to change them."
        )
    rows = in_order(pa.concat_tables([at(old, delta.removed), planned.rows]), key)
    assert rows is not None
    return replace(planned, rows=rows)
