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
from .columns import arrow_type, to_fields
from .delta import Delta, by_key, compare
from .rows import read_rows
from .table_build import replace_table
from .table_plan import Plan, plan
from .table_sql import committed, content_hash, definition
from .table_write import Standing, write_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_cache import TableCache

_COLLATION = "utf8mb4_0900_bin"
_ATTEMPTS = 3


def read_table(
    connection: pymysql.Connection[Cursor], table: str, cache: TableCache | None
) -> pa.Table | None:
    """Return all rows of a table, in the order in which Dolt gives them.

    Args:
        connection: on the branch of the table.
        table: its name.
        cache: where a copy may be, and is put.

    Returns:
        None for what is no table, and for tables with a type that we do not read.
    """
    connection.begin()
    with connection.cursor() as cursor:
        if (found := content_hash(cursor, table)) is None:
            return None
        if cache and (rows := cache.get(found)) is not None:
            return rows
        columns, _ = definition(cursor, quote(table))
    types = {name: arrow_type(column.type) for name, column in columns.items()}
    return None if None in types.values() else _read(connection, table, found, pa.schema(types), cache)


def _read(
    connection: pymysql.Connection[Cursor],
    table: str,
    content: str,
    schema: pa.Schema,
    cache: TableCache | None,
) -> pa.Table | None:
    names = ", ".join(map(quote, schema.names))
    try:
        rows = read_rows(connection, f"SELECT {names} FROM {quote(table)}", schema)
    except pa.ArrowInvalid:
        # For example 0000-00-00: what it becomes is left to the driver.
        return None
    if cache:
        cache.put(content, rows)
    return rows


def save_frame(
    connection: pymysql.Connection[Cursor],
    table: str,
    frame: pd.DataFrame,
    method: BulkLoad,
    dtype: Mapping[Any, Any],
    cache: TableCache | None,
    indexes: Sequence[str] = (),
    *,
    grows: bool = False,
) -> None:
    """Make a table equal a frame, with as little writing as it takes.

    Args:
        connection: on the branch of the table; it is of no use afterwards.
        table: its name.
        frame: what it is to hold; the index is not saved.
        method: how it is saved in full, which knows its key.
        dtype: SQLAlchemy types by column, as for ``to_sql``.
        cache: where a copy may be, and is put.
        indexes: the columns that get an index of their own, if the table is made.
        grows: other rows are to be added to it, whose texts may be longer.

    Raises:
        BulkLoadError: a value cannot be stored exactly, the key is missing, NULL or duplicate somewhere, or
            Dolt refuses the table; nothing was changed.
    """

    def planned_for(standing: Standing | None) -> Plan:
        stands = {str(name): "longtext" for name in frame.columns} if grows else {}
        if standing:
            stands = {column.name: column.type for column in standing.columns.values()}
        return plan(frame, method, dtype, table, stands, indexes)

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
    return replace_table(cursor, name, planned, to_fields(planned.rows, planned.columns), stood)


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
            old = _read(connection, standing.name, standing.content_hash, planned.rows.schema, cache)
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
            "values are not compared: only integers, text, bytes and dates are. Give it a key of these, or "
            "drop the foreign key."
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
