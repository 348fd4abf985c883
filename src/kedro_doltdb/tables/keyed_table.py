"""Bring a table with a primary key to equal a frame by writing the rows that differ.

The rows that stand are known from a copy under the table's content hash, or are read. All comparing happens
in Arrow, on exactly the values that Dolt stores. Where it cannot, all rows are written; a table that cannot
be kept in place is replaced. Which of these it is decides how long a save takes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pymysql

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .bulk_load import BulkLoad
from .delta import Delta, by_key, compare
from .row_changes import append_rows, upsert_rows
from .rows import read_rows
from .standing import Standing, look_at, refuse_uncompared
from .table_build import replace_table
from .table_plan import Plan, plan
from .table_read import read_known
from .table_sql import committed, committed_unmixed
from .table_write import write_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_cache import TableCache

_ATTEMPTS = 3
_ADDING = ("append", "upsert")


def save_frame(
    connection: pymysql.Connection[Cursor],
    table: str,
    frame: pd.DataFrame | pa.Table,
    method: BulkLoad,
    dtype: Mapping[Any, Any],
    cache: TableCache | None,
    indexes: Sequence[str] = (),
    *,
    mode: str = "replace",
    gone: pd.DataFrame | pa.Table | None = None,
    connect: Callable[[], pymysql.Connection[Cursor]] | None = None,
) -> None:
    """Make a table equal a frame, or bring the frame into it, with as little writing as it takes.

    Args:
        connection: on the branch of the table; it is of no use afterwards.
        table: its name.
        frame: what it is to hold, without an index, or as ``arrow_frames.arrow_table`` gives it.
        method: how it is saved in full, which knows its key.
        dtype: SQLAlchemy types by column, as for ``to_sql``.
        cache: where a copy may be, and is put.
        indexes: the columns that get an index of their own, if the table is made.
        mode: ``replace``; ``upsert`` leaves rows with other keys as they are; ``append`` refuses keys that
            are there; ``fail`` refuses a table that is there.
        gone: rows whose keys ``upsert`` removes from the table.
        connect: opens another connection to the same branch, to load many rows quicker.

    Raises:
        BulkLoadError: a value cannot be stored exactly, the key is missing, NULL or duplicate somewhere, or
            Dolt refuses the table; nothing was changed.
    """

    def saved() -> bool:
        """Save once; False if somebody else has changed the table meanwhile."""
        with connection.cursor() as cursor:
            connection.begin()
            standing = look_at(cursor, table)
            if standing is None or mode == "replace":
                planned = _planned(table, frame, method, dtype, indexes, standing, grows=mode in _ADDING)
                return _made_equal(cursor, table, standing, planned, cache, connect)
            if mode == "fail":
                raise BulkLoadError(
                    f"Table {quote(standing.name)} is there already, and `if_exists: fail` is set."
                )
            if mode == "append":
                append_rows(cursor, standing, frame, method)
                return committed(connection)
            return upsert_rows(cursor, standing, frame, method, gone)

    try:
        done = any(saved() for _ in range(_ATTEMPTS))
    finally:
        if cache:
            cache.close()
    if not done:
        raise BulkLoadError(
            f"Table {quote(table)} was changed by somebody else at the same moment, {_ATTEMPTS} times in "
            "a row: save again."
        )


def _planned(
    table: str,
    frame: pd.DataFrame | pa.Table,
    method: BulkLoad,
    dtype: Mapping[Any, Any],
    indexes: Sequence[str],
    standing: Standing | None,
    *,
    grows: bool,
) -> Plan:
    stands = {}
    if standing:
        stands = {column.name: column.type for column in standing.columns.values()}
    elif grows:
        # Rows are to follow, whose texts may be longer.
        names = frame.column_names if isinstance(frame, pa.Table) else frame.columns
        stands = {str(name): "longtext" for name in names}
    return plan(frame, method, dtype, table, stands, indexes)


def _made_equal(
    cursor: Cursor,
    table: str,
    standing: Standing | None,
    planned: Plan,
    cache: TableCache | None,
    connect: Callable[[], pymysql.Connection[Cursor]] | None,
) -> bool:
    if standing is None or not _fits(standing, planned):
        done = _replace(cursor, table, planned, standing, connect)
    else:
        done = _write(cursor.connection, cursor, standing, planned, cache)
    saved = committed_unmixed(cursor, standing.name if standing else table) if done else None
    if cache and saved and planned.comparable:
        cache.put(saved, planned.rows, standing.content_hash if standing else None)
    return saved is not None


def _replace(
    cursor: Cursor,
    table: str,
    planned: Plan,
    standing: Standing | None,
    connect: Callable[[], pymysql.Connection[Cursor]] | None,
) -> bool:
    others = [key for key in standing.referred_by if key[1] != standing.name] if standing else []
    if standing and others:
        name, wanted = quote(standing.name), {column.name: column.type for column in planned.columns}
        differ = [
            f"{quote(column)} is {stands.type}, not {wanted.get(column, 'there')}"
            for column, stands in standing.columns.items()
            if wanted.get(column) != stands.type
        ]
        differ += [f"{quote(column)} is missing" for column in wanted if column not in standing.columns]
        raise BulkLoadError(
            f"Table {name} cannot be replaced, because {standing.references} refers to it, and does not fit "
            f"the frame: {'; '.join(differ) or 'its key, its order of columns or their rules are others'}. "
            f"ALTER TABLE {name} so that it fits, or drop the foreign key."
        )
    name, stood = (standing.name, standing.content_hash) if standing else (table, None)
    return replace_table(cursor, name, planned, stood, connect)


def _write(
    connection: pymysql.Connection[Cursor],
    cursor: Cursor,
    standing: Standing,
    planned: Plan,
    cache: TableCache | None,
) -> bool:
    old = delta = None
    if planned.comparable and cache:
        places = cache.changed(standing.content_hash, planned.rows, planned.primary_key)
        if places is not None:
            # The keys are the same, row by row.
            none = np.empty(0, np.int64)
            old, delta = planned.rows, Delta(none, none, places)
    if planned.comparable and old is None:
        old = cache.get(standing.content_hash) if cache else None
        if old is None:
            old = read_known(connection, standing.name, standing.content_hash, planned.rows.schema, cache)
    if old is None and standing.referred_by:
        # To remove a row is forbidden, or takes others with it: so the keys at least are compared.
        old = _keys(connection, standing, planned)
        delta = by_key(old, planned.rows, planned.primary_key)
    elif old is not None:
        if delta is None:
            delta = compare(old, planned.rows, planned.primary_key)
        if not len(delta):
            return True
    return write_rows(cursor, standing, planned.rows, old, delta)


def _keys(connection: pymysql.Connection[Cursor], standing: Standing, planned: Plan) -> pa.Table:
    schema = planned.rows.select(planned.primary_key).schema
    refuse_uncompared(standing, f"to which {standing.references} refers")
    names = ", ".join(map(quote, schema.names))
    return read_rows(connection, f"SELECT {names} FROM {quote(standing.name)}", schema)


def _fits(standing: Standing, planned: Plan) -> bool:
    same = standing.primary_key == planned.primary_key
    same = same and tuple(standing.columns.values()) == planned.columns
    return same and standing.faithful and standing.optional
