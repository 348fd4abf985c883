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
from .columns import arrow_type, to_rows
from .delta import Delta, by_key, compare
from .merge import check_mergeable, merged
from .rows import read_rows
from .table_build import replace_table
from .table_plan import Plan, added, plan
from .table_read import read_known
from .table_sql import committed, content_hash, definition, load_rows, update_rows
from .table_write import Standing, write_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_cache import TableCache

_COLLATION = "utf8mb4_0900_bin"
_ATTEMPTS = 3


def append_frame(
    connection: pymysql.Connection[Cursor], standing: Standing, frame: pa.Table, method: BulkLoad
) -> None:
    """Add rows to a table, all of them or none.

    Args:
        connection: on the branch of the table; it is of no use afterwards.
        standing: the table.
        frame: the rows, as ``arrow_frames.arrow_table`` gives them.
        method: how they are saved, which knows the key.

    Raises:
        BulkLoadError: the table cannot hold a row exactly, or has its key already; nothing was changed.
    """
    if method.primary_key and not standing.primary_key:
        raise BulkLoadError(
            f"Table {quote(standing.name)} has no primary key: save it once with `if_exists: replace`."
        )
    columns, rows = added(frame, method, standing.name, standing.columns, standing.primary_key)
    if not len(rows):
        return
    connection.begin()
    with connection.cursor() as cursor:
        load_rows(cursor, quote(standing.name), to_rows(rows, columns))
    _commit(connection, standing)


def upsert_frame(
    connection: pymysql.Connection[Cursor], standing: Standing, frame: pa.Table, method: BulkLoad
) -> None:
    """Add rows to a table; one whose key is there takes the place of its values. All of them or none.

    Args:
        connection: on the branch of the table; it is of no use afterwards.
        standing: the table.
        frame: the rows, as ``arrow_frames.arrow_table`` gives them.
        method: how they are saved, which knows the key.

    Raises:
        BulkLoadError: the table cannot hold a row exactly, has another key, or nothing beside it, or somebody
            else has changed the same rows; nothing was changed.
    """
    columns, rows = added(frame, method, standing.name, standing.columns, standing.primary_key)
    if len(columns) == len(method.primary_key):
        raise BulkLoadError(
            f"Table {quote(standing.name)} has no value to update: the frame has only its key. Append it."
        )
    if not len(rows):
        return
    connection.begin()
    try:
        with connection.cursor() as cursor:
            update_rows(cursor, quote(standing.name), to_rows(rows, columns), method.primary_key)
    except pymysql.err.Error:
        connection.rollback()
        raise
    _commit(connection, standing)


def _commit(connection: pymysql.Connection[Cursor], standing: Standing) -> None:
    if not committed(connection):
        raise BulkLoadError(
            f"Table {quote(standing.name)} was changed by somebody else at the same moment: save again."
        )


def save_frame(
    connection: pymysql.Connection[Cursor],
    table: str,
    frame: pd.DataFrame | pa.Table,
    method: BulkLoad,
    dtype: Mapping[Any, Any],
    cache: TableCache | None,
    indexes: Sequence[str] = (),
    *,
    grows: bool = False,
    mode: str = "replace",
    gone: pd.DataFrame | pa.Table | None = None,
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
        grows: other rows are to be added to it, whose texts may be longer.
        mode: ``replace``; ``upsert`` leaves other rows as they are; ``append`` refuses keys that are there.
        gone: rows whose keys are to be removed from the table.

    Raises:
        BulkLoadError: a value cannot be stored exactly, the key is missing, NULL or duplicate somewhere, or
            Dolt refuses the table; nothing was changed.
    """

    def planned_for(standing: Standing | None) -> Plan:
        names = frame.column_names if isinstance(frame, pa.Table) else frame.columns
        stands = {str(name): "longtext" for name in names} if grows else {}
        if standing:
            stands = {column.name: column.type for column in standing.columns.values()}
        planned = plan(frame, method, dtype, table, stands, indexes)
        if mode == "replace" or standing is None:
            return planned
        check_mergeable(standing, planned, mode)
        removed = None
        if gone is not None and len(gone):
            removed = plan(gone, method, dtype, table, stands).rows.select(planned.primary_key)
            removed = removed.cast(planned.rows.select(planned.primary_key).schema)
        old = cache.get(standing.content_hash) if cache else None
        if old is None:
            old = read_known(connection, standing.name, standing.content_hash, planned.rows.schema, cache)
        if old is None:
            raise BulkLoadError(
                f"The rows of {quote(standing.name)} cannot be read exactly, so none can be added with "
                f"`mode: {mode}`: save all rows with `mode: replace`."
            )
        return merged(standing, old, planned, removed, mode)

    try:
        done = any(_saved(connection, table, planned_for, cache) for _ in range(_ATTEMPTS))
    finally:
        if cache:
            cache.close()
    if not done:
        raise BulkLoadError(
            f"Table {quote(table)} was changed by somebody else at the same moment, {_ATTEMPTS} times in "
            "a row: save again."
        )


def _saved(
    connection: pymysql.Connection[Cursor],
    table: str,
    planned_for: Callable[[Standing | None], Plan],
    cache: TableCache | None,
) -> bool:
    """Save once; False if somebody else has changed the table meanwhile."""
    with connection.cursor() as cursor:
        connection.begin()
        standing = look_at(cursor, table)
        planned = planned_for(standing)
        if standing is None or not _fits(standing, planned):
            done = _replace(cursor, table, planned, standing)
        else:
            done = _write(connection, cursor, standing, planned, cache)
        if not done:
            return False
        name = standing.name if standing else table
        saved = content_hash(cursor, name)
        # What somebody else commits at the same moment, Dolt merges row by row.
        if not committed(connection) or content_hash(cursor, name) != saved:
            return False
        if cache and saved and planned.comparable:
            cache.put(saved, planned.rows, standing.content_hash if standing else None)
        return True


def _replace(cursor: Cursor, table: str, planned: Plan, standing: Standing | None) -> bool:
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
    return replace_table(cursor, name, planned, to_rows(planned.rows, planned.columns), stood)


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
    return write_rows(cursor, standing, planned, old, delta)


def _keys(connection: pymysql.Connection[Cursor], standing: Standing, planned: Plan) -> pa.Table:
    schema = planned.rows.select(planned.primary_key).schema
    if any(
        arrow_type(key.type) is None or pa.types.is_floating(schema.field(key.name).type)
        for key in (standing.keys)
    ):
        raise BulkLoadError(
            f"Table {quote(standing.name)}, to which {standing.references} refers, has a key of a type whose "
            "values are not compared: only integers, text, bytes, DECIMAL, dates and times are. Give it a "
            "key of these, or drop the foreign key."
        )
    names = ", ".join(map(quote, schema.names))
    return read_rows(connection, f"SELECT {names} FROM {quote(standing.name)}", schema)


def look_at(cursor: Cursor, table: str) -> Standing | None:
    """Say how a table stands.

    Args:
        cursor: a cursor on the branch of the table.
        table: its name; upper and lower case are the same in SQL.

    Returns:
        None if there is none.

    Raises:
        BulkLoadError: it is a view.
    """
    name = table
    if (found := content_hash(cursor, table)) is None:
        cursor.execute("SHOW FULL TABLES")
        alike = [row for row in cursor.fetchall() if row[0].lower() == table.lower()]
        if not alike:
            return None
        name, kind = alike[0]
        if (found := content_hash(cursor, name)) is None:
            raise BulkLoadError(
                f"{quote(name)} is a {kind.lower()}, to which nothing can be saved: choose another "
                "table_name."
            )
    quoted = quote(name)
    columns, primary_key = definition(cursor, quoted)
    cursor.execute(f"SHOW CREATE TABLE {quoted}")
    unique = "UNIQUE" in str(cursor.fetchone()[1])  # type: ignore[index]
    plain = _is_plain(cursor, name)
    cursor.execute(
        "SELECT constraint_name, table_name FROM information_schema.referential_constraints "
        "WHERE constraint_schema = DATABASE() AND LOWER(referenced_table_name) = %s",
        (name.lower(),),
    )
    return Standing(name, found, columns, primary_key, plain, unique, tuple(cursor.fetchall()))


def _is_plain(cursor: Cursor, table: str) -> bool:
    cursor.execute(f"SHOW FULL COLUMNS FROM {quote(table)}")
    for _, _, collation, nullable, key, _, extra, *_ in cursor.fetchall():
        if (nullable != "YES" and key != "PRI") or extra or collation not in (None, _COLLATION):
            return False
    cursor.execute("SHOW TRIGGERS")
    return all(row[2].lower() != table.lower() for row in cursor.fetchall())


def _fits(standing: Standing, planned: Plan) -> bool:
    same = standing.primary_key == planned.primary_key
    return same and tuple(standing.columns.values()) == planned.columns and standing.plain
