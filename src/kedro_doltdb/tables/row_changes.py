"""Add the rows of a frame to a table, or put them in by key, at a cost that follows the frame.

The types are the table's: a value that one of them does not hold exactly is refused. Of the table only the
rows are read whose keys the frame has.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .columns import to_rows
from .delta import at, by_key, compare, matching
from .rows import read_rows
from .standing import look_at, refuse_uncompared
from .table_plan import added
from .table_sql import committed_unmixed, count_rows, joined, load_rows
from .table_write import KEYS, begin_writing, same_keys, send_keys, write_difference, written_or_refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymysql.cursors import Cursor

    from .bulk_load import BulkLoad
    from .standing import Standing

_DUPLICATE = re.compile(r"duplicate primary key given: \[(.*?)\](?:;|\.|'|\n|$)")


def append_rows(cursor: Cursor, standing: Standing, frame: pd.DataFrame | pa.Table, method: BulkLoad) -> None:
    """Add rows to a table; the caller commits. A column that the frame lacks has its default.

    Args:
        cursor: a cursor on the branch of the table, in a transaction.
        standing: the table.
        frame: the rows, as for ``save_frame``.
        method: how they are saved, which knows the key.

    Raises:
        BulkLoadError: the table cannot hold a row exactly, has its key already, or has another key or none;
            nothing is changed.
    """
    table = quote(standing.name)
    columns, rows, _ = added(frame, method, standing)
    if not len(rows):
        return
    try:
        load_rows(cursor, table, to_rows(rows, columns))
    except BulkLoadError as error:
        cursor.connection.rollback()
        # Dolt names those of the last rows, the last one first.
        if not (keys := _DUPLICATE.findall(str(error))):
            raise
        raise BulkLoadError(
            f"{table} has rows with these keys already, so they cannot be appended: "
            f"{joined(reversed(keys))}. Nothing was saved. Save them with `mode: upsert` to change them."
        ) from error


def upsert_rows(
    cursor: Cursor,
    standing: Standing,
    frame: pd.DataFrame | pa.Table,
    method: BulkLoad,
    gone: pd.DataFrame | pa.Table | None,
) -> bool:
    """Put rows into a table, in the place of those with the same key, and remove others.

    Args:
        cursor: a cursor on the branch of the table.
        standing: the table.
        frame: the rows, as for ``save_frame``.
        method: how they are saved, which knows the key.
        gone: rows whose keys are to be removed, unless ``frame`` has them, too.

    Returns:
        False if somebody else has changed the table meanwhile, so that it is to be called again.

    Raises:
        BulkLoadError: the table cannot hold a row exactly, its rows are not told apart by key exactly, or
            Dolt refused a row; nothing is changed.
    """
    key, table = method.primary_key, quote(standing.name)
    _, rows, comparable = added(frame, method, standing)
    if missing := [name for name in standing.columns if name not in rows.column_names]:
        raise BulkLoadError(
            f"The frame does not fit {table}, whose rows it is to replace by key: it has no column "
            f"{joined(map(quote, missing))}. Give it all columns of the table, or append its rows."
        )
    refuse_uncompared(standing, "by which rows are to be replaced")
    if not standing.faithful:
        raise BulkLoadError(
            f"{table} has a collation, a generated value or a trigger, which can make another row of the one "
            "that is sent: nothing can be saved with `mode: upsert`. Save all rows with `mode: replace`."
        )
    keys = rows.select(key)
    if gone is not None and len(gone):
        _, removed, _ = added(_only(gone, key), method, standing)
        keys = pa.concat_tables([keys, at(removed, by_key(keys, removed, key).added)])
    if not len(keys):
        return True
    if not begin_writing(cursor, standing, keys=True):
        # Other rows do no harm: those that count are read now.
        now = look_at(cursor, standing.name)
        if now is None or replace(now, content_hash=standing.content_hash) != standing:
            return False
    stood = count_rows(cursor, table)
    old = None
    if comparable:
        old = _rows_with(cursor, standing, keys, rows.schema, whole=2 * len(keys) > stood)
    if old is not None:
        delta = compare(old, rows, key)
    else:
        # What cannot be compared, for example JSON or 0000-00-00, is written.
        old = _rows_with(cursor, standing, keys, keys.schema, whole=False)
        assert old is not None
        delta = by_key(old, rows, key)
    if not len(delta):
        return True
    with written_or_refused(cursor, standing, stood + len(delta.added) - len(delta.removed)):
        write_difference(cursor, standing, rows, old, delta)
    return committed_unmixed(cursor, standing.name) is not None


def _rows_with(
    cursor: Cursor, standing: Standing, keys: pa.Table, schema: pa.Schema, *, whole: bool
) -> pa.Table | None:
    """Return the rows with these keys; None if one has a value that is none of its column's type."""
    names = ", ".join(f"old.{quote(name)}" for name in schema.names)
    query = f"SELECT {names} FROM {quote(standing.name)} old"
    if not whole:
        send_keys(cursor, standing, keys)
        query += f" JOIN {KEYS} ON {same_keys(standing)}"
    try:
        found = read_rows(cursor.connection, query, schema)
    except pa.ArrowInvalid:
        return None
    # Dolt may give the rows of a temporary table several times.
    return matching(found, keys, keys.column_names)


def _only(frame: pd.DataFrame | pa.Table, names: Collection[str]) -> pd.DataFrame | pa.Table:
    if isinstance(frame, pa.Table):
        return frame.select([name for name in frame.column_names if name in names])
    return frame.loc[:, [str(name) in names for name in frame.columns]]
