"""Read the rows of a table into Arrow, from a copy under its content hash if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pymysql

from ..dolt.sql import quote
from ..errors import ConfigError
from .columns import arrow_type, readable_type
from .rows import read_rows
from .table_sql import content_hash, definition, joined

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_cache import TableCache


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
    return None if None in types.values() else read_known(connection, table, found, pa.schema(types), cache)


def read_known(
    connection: pymysql.Connection[Cursor],
    table: str,
    content: str,
    schema: pa.Schema,
    cache: TableCache | None,
) -> pa.Table | None:
    """Return all rows of a table whose types are known, in the order in which Dolt gives them.

    Args:
        connection: on the branch of the table.
        table: its name.
        content: its content hash.
        schema: its columns, with the types of ``columns.arrow_type``.
        cache: where a copy is put.

    Returns:
        None if there is a value that is none of its column's type.
    """
    names = ", ".join(map(quote, schema.names))
    try:
        rows = read_rows(connection, f"SELECT {names} FROM {quote(table)}", schema)
    except pa.ArrowInvalid:
        # For example 0000-00-00: what it becomes is left to the driver.
        return None
    if cache:
        cache.put(content, rows)
    return rows


def read_exactly(
    connection: pymysql.Connection[Cursor],
    table: str,
    columns: Sequence[str] | None,
    cache: TableCache | None,
) -> pa.Table:
    """Return the rows of a table or view, each column with an Arrow type that holds its values exactly.

    Args:
        connection: on the branch of the table.
        table: its name.
        columns: the columns to read, in their order; None is all of them.
        cache: where a copy may be, and is put.

    Raises:
        ConfigError: there is no such column, or Arrow has no type for one.
        pymysql.err.Error: there is no such table.
    """
    rows = read_table(connection, table, cache)
    with connection.cursor() as cursor:
        standing, _ = definition(cursor, quote(table))
    names = list(standing) if columns is None else list(columns)
    if wrong := [name for name in names if name not in standing or names.count(name) > 1] or not names:
        raise ConfigError(
            f"Table {quote(table)} cannot be read with `columns: {columns}`: it has {joined(standing)}."
        )
    if rows is not None:
        return rows.select(names)
    types = {name: readable_type(standing[name].type) for name in names}
    if wrong := [f"{quote(name)} is {standing[name].type}" for name, kind in types.items() if kind is None]:
        raise ConfigError(
            f"Table {quote(table)} has a type that Arrow cannot hold ({joined(wrong)}): remove `as` from "
            "load_args, or name the other columns there, as `columns`."
        )
    selected = ", ".join(map(quote, names))
    try:
        return read_rows(connection, f"SELECT {selected} FROM {quote(table)}", pa.schema(types))
    except pa.ArrowInvalid as error:
        words = str(error).splitlines()[0]
        raise ConfigError(
            f"Table {quote(table)} has a value that Arrow cannot hold ({words}): remove `as` from load_args, "
            "or name the other columns there, as `columns`."
        ) from error
