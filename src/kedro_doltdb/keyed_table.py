"""Bring a table with a primary key to equal a frame by writing the rows that differ.

The rows that stand are known from a copy under the table's content hash, or are read. All comparing happens
in Arrow, on exactly the values that Dolt stores; what is written goes through ``LOAD DATA``, as in a full
save, so that Dolt ends up with the same bits. A table that cannot be kept in place is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pymysql

from .bulk_load import KEY_LENGTHS, BulkLoad
from .columns import BYTES, arrow_type, longest, python_values, to_arrow, to_fields
from .delta import Delta, at, compare
from .errors import BulkLoadError
from .load_file import Column, encode
from .rows import read_rows
from .table_sql import create_table, definition, load_fields, quote

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_cache import TableCache

SHORT_TEXT = 255
# Dolt allows a row 65,504 bytes, at four bytes a character: this leaves room for a key and for other columns.
_MAX_SHORT_TEXTS = 40
_COLLATION = "utf8mb4_0900_bin"
_ATTEMPTS = 3
_OLD_KEYS = "`kedro-dolt removed keys`"


@dataclass(frozen=True)
class Standing:
    """A table as it stands.

    Attributes:
        content_hash: of its schema and rows.
        columns: its columns by name, in their order.
        primary_key: the columns of its key, in their order.
        plain: what is written to it is stored so, and nothing else follows from writing it.
        unique: it has other unique columns than its key.
    """

    content_hash: str
    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    plain: bool
    unique: bool


def content_hash(cursor: Cursor, table: str) -> str | None:
    """The content hash of a table as this session sees it; None if there is no table of exactly that name."""
    try:
        cursor.execute("SELECT dolt_hashof_table(%s)", (table,))
    except pymysql.err.Error:
        return None
    row = cursor.fetchone()
    return str(row[0]) if row else None


def read_table(
    connection: pymysql.Connection[Cursor], table: str, cache: TableCache | None
) -> pa.Table | None:
    """All rows of a table, in the order in which Dolt gives them.

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
        # 0000-00-00, for one: what it becomes is the driver's affair.
        return None
    if cache:
        cache.put(content, rows)
    return rows


def save_frame(
    connection: pymysql.Connection[Cursor],
    table: str,
    frame: pd.DataFrame,
    method: BulkLoad,
    dtype: Mapping[str, Any],
    cache: TableCache | None,
) -> bool:
    """Make a table equal a frame, with as little writing as it takes.

    Args:
        connection: on the branch of the table; it is of no use afterwards.
        table: its name.
        frame: what it is to hold; the index is not saved.
        method: how it is saved in full, which knows its key.
        dtype: SQLAlchemy types by column, as for ``to_sql``.
        cache: where a copy may be, and is put.

    Returns:
        False if the frame has to be saved in another way; then nothing was changed.

    Raises:
        BulkLoadError: a value cannot be stored exactly, or the key is missing, NULL or duplicate somewhere;
            nothing was changed.
    """
    with connection.cursor() as cursor:
        for _ in range(_ATTEMPTS):
            connection.begin()
            standing = _look_at(cursor, table)
            if standing is None and _is_there(cursor, table):
                return False
            new = _plan(frame, method, dtype, standing, table)
            if new is None:
                return False
            columns, rows = new
            old = None
            if standing and _fits(standing, columns, method.primary_key):
                old = _standing_rows(connection, table, standing, rows.schema, cache)
            if standing is None or old is None:
                if not connection.open:
                    return False
                _rebuild(cursor, table, columns, rows, method.primary_key)
                break
            delta = compare(old, rows, method.primary_key)
            if not len(delta):
                return True
            if _write(cursor, table, standing, old, rows, delta):
                break
        else:
            return False
        saved = content_hash(cursor, table)
        connection.commit()
        if cache and saved:
            cache.put(saved, rows, standing.content_hash if standing else None)
    return True


def _is_there(cursor: Cursor, table: str) -> bool:
    """Whether there is a table or view of that name, upper and lower case being the same."""
    try:
        return bool(definition(cursor, quote(table))[0])
    except pymysql.err.Error:
        return False


def _look_at(cursor: Cursor, table: str) -> Standing | None:
    if (found := content_hash(cursor, table)) is None:
        return None
    quoted = quote(table)
    columns, primary_key = definition(cursor, quoted)
    cursor.execute(f"SHOW CREATE TABLE {quoted}")
    unique = "UNIQUE" in str(cursor.fetchone()[1])  # type: ignore[index]
    return Standing(found, columns, primary_key, _is_plain(cursor, table), unique)


def _is_plain(cursor: Cursor, table: str) -> bool:
    cursor.execute(f"SHOW FULL COLUMNS FROM {quote(table)}")
    for _, _, collation, nullable, key, _, extra, *_ in cursor.fetchall():
        if (nullable != "YES" and key != "PRI") or extra or collation not in (None, _COLLATION):
            return False
    cursor.execute("SHOW TRIGGERS")
    if any(row[2].lower() == table.lower() for row in cursor.fetchall()):
        return False
    cursor.execute(
        "SELECT COUNT(*) FROM information_schema.referential_constraints "
        "WHERE LOWER(referenced_table_name) = %s",
        (table.lower(),),
    )
    return cursor.fetchone() == (0,)


def _plan(
    frame: pd.DataFrame, method: BulkLoad, dtype: Mapping[str, Any], standing: Standing | None, table: str
) -> tuple[list[Column], pa.Table] | None:
    """The columns that a full save makes, and the rows in the order of their key; None if we do not know."""
    names = [str(name) for name in frame.columns]
    if not names or len({name.lower() for name in names}) < len(names):
        return None
    series = {name: frame.iloc[:, position] for position, name in enumerate(names)}
    types = _types(frame, dtype)
    label = quote(table)
    method.check_key(label, method.primary_key, dict.fromkeys(names, ()))
    columns, arrays = {}, {}
    for name in names:
        given = name in dtype
        column = Column(name, types[name])
        if types[name] == "text" and not given:
            arrays[name] = _text(series[name], name, name in method.primary_key)
            columns[name] = Column(name, _text_type(arrays[name], name in method.primary_key, standing, name))
            continue
        if types[name] in ("datetime", "timestamp") and not given:
            column = Column(name, "datetime(6)")
        if arrow_type(column.type) is None:
            return None
        columns[name], arrays[name] = column, to_arrow(series[name], column)
    short = [name for name in names if columns[name].type == f"varchar({SHORT_TEXT})"]
    if len(short) > _MAX_SHORT_TEXTS:
        for name in short:
            if name not in dtype and name not in method.primary_key:
                columns[name] = Column(name, "longtext")
    if any(arrays[name].null_count for name in method.primary_key):
        method.check_key(label, method.primary_key, {name: python_values(series[name]) for name in names})
    for name in method.primary_key:
        # Keys that are equal in SQL and not in Arrow, and texts that are too long for a key.
        if pa.types.is_floating(arrays[name].type) or columns[name].type.endswith(("text", "blob")):
            return None
    rows = pa.table(arrays, schema=pa.schema({name: array.type for name, array in arrays.items()}))
    ordered = _in_order(rows, method.primary_key)
    if ordered is None:
        values = {name: python_values(series[name]) for name in method.primary_key}
        method.check_unique(label, [encode(columns[name], values[name]) for name in values], values)
        return None
    return list(columns.values()), ordered


def _types(frame: pd.DataFrame, dtype: Mapping[str, Any]) -> dict[str, str]:
    """The types that pandas chooses, mostly as ``SHOW COLUMNS`` writes them."""
    from pandas.io.sql import SQLTable
    from sqlalchemy.dialects import mysql

    nowhere: Any = SimpleNamespace(meta=SimpleNamespace(schema=None))
    table = SQLTable("frame", nowhere, frame=frame, index=False, dtype=dict(dtype) or None)
    dialect = mysql.dialect()
    shown = {"integer": "int", "bool": "tinyint(1)", "float(53)": "double", "float(23)": "float"}
    types = {column.name: column.type.compile(dialect).lower() for column in table.table.columns}
    return {name: shown.get(compiled, compiled) for name, compiled in types.items()}


def _text(series: pd.Series[Any], name: str, is_key: bool) -> pa.Array:
    """Text, or bytes where there is nothing else."""
    binary = series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) == "bytes"
    if not is_key:
        return to_arrow(series, Column(name, "longblob" if binary else "longtext"))
    longest_key = f"{'varbinary' if binary else 'varchar'}({KEY_LENGTHS[-1]})"
    return to_arrow(series, Column(name, longest_key))


def _text_type(array: pa.Array, is_key: bool, standing: Standing | None, name: str) -> str:
    """The type for texts of that length: a column that has held longer ones keeps its type."""
    stands = standing.columns[name].type if standing and name in standing.columns else ""
    if is_key:
        kind = "varbinary" if array.type == BYTES else "varchar"
        choices = [f"{kind}({length})" for length in KEY_LENGTHS if length >= longest(array)]
    elif array.type == BYTES:
        choices = ["longblob"]
    else:
        choices = [f"varchar({SHORT_TEXT})"] * (longest(array) <= SHORT_TEXT) + ["longtext"]
    return stands if stands in choices else choices[0]


def _fits(standing: Standing, columns: Sequence[Column], primary_key: tuple[str, ...]) -> bool:
    same = standing.primary_key == primary_key and list(standing.columns.values()) == list(columns)
    return same and standing.plain


def _standing_rows(
    connection: pymysql.Connection[Cursor],
    table: str,
    standing: Standing,
    schema: pa.Schema,
    cache: TableCache | None,
) -> pa.Table | None:
    if cache and (rows := cache.get(standing.content_hash)) is not None:
        return rows
    return _read(connection, table, standing.content_hash, schema, cache)


def _in_order(rows: pa.Table, primary_key: Sequence[str]) -> pa.Table | None:
    """The rows in Dolt's order; None if two of them have the same key."""
    if len(rows) < 2:
        return rows
    if len(primary_key) == 1:
        key = rows.column(primary_key[0])
        if pc.all(pc.less(key.slice(0, len(key) - 1), key.slice(1))).as_py():
            return rows
    rows = rows.take(pc.sort_indices(rows, [(name, "ascending") for name in primary_key]))
    same: Any = True
    for name in primary_key:
        key = rows.column(name)
        same = pc.and_(pc.equal(key.slice(0, len(key) - 1), key.slice(1)), same)
    return None if pc.any(same).as_py() else rows


def _write(
    cursor: Cursor, table: str, standing: Standing, old: pa.Table, rows: pa.Table, delta: Delta
) -> bool:
    """Write a difference; False if the table has changed meanwhile."""
    quoted, connection = quote(table), cursor.connection
    columns = list(standing.columns.values())
    keys = [standing.columns[name] for name in standing.primary_key]
    replaces = len(delta.modified) or None
    removed = at(old.select(standing.primary_key), delta.removed)
    if standing.unique:
        # REPLACE would remove rows that are equal in another unique column as well.
        replaces = None
        removed = pa.concat_tables([removed, at(rows.select(standing.primary_key), delta.modified)])
    # To replace a row costs twice as much as to add one to an empty table.
    anew = 2 * len(delta) > len(rows)
    if len(removed) and not anew:
        # It ends the transaction, hence a new one below.
        lines = [f"{quote(key.name)} {key.type} NOT NULL" for key in keys]
        lines.append(f"PRIMARY KEY ({', '.join(quote(key.name) for key in keys)})")
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {_OLD_KEYS} ({', '.join(lines)})")
    connection.begin()
    if content_hash(cursor, table) != standing.content_hash:
        return False
    try:
        if anew:
            cursor.execute(f"DELETE FROM {quoted}")
            written, replaces = rows, None
        else:
            written = at(rows, np.sort(np.concatenate([delta.added, delta.modified])))
        if len(removed) and not anew:
            load_fields(cursor, _OLD_KEYS, to_fields(removed, keys))
            same = " AND ".join(f"old.{quote(key.name)} = gone.{quote(key.name)}" for key in keys)
            cursor.execute(f"DELETE old FROM {quoted} old JOIN {_OLD_KEYS} gone ON {same}")
        if len(written):
            load_fields(cursor, quoted, to_fields(written, columns), replaces)
        cursor.execute(f"SELECT COUNT(*) FROM {quoted}")
        if (found := cursor.fetchone()) != (len(rows),):
            raise BulkLoadError(
                f"The rows that have changed could not be written to {quoted}, it would have {found} rows in "
                f"place of {len(rows)}. Nothing was kept of them; drop the table and save again."
            )
    except BaseException:
        connection.rollback()
        raise
    return True


def _rebuild(
    cursor: Cursor, table: str, columns: list[Column], rows: pa.Table, primary_key: tuple[str, ...]
) -> None:
    quoted = quote(table)
    create_table(cursor, quoted, columns, primary_key)
    if len(rows):
        try:
            load_fields(cursor, quoted, to_fields(rows, columns))
        except BaseException:
            cursor.connection.rollback()
            raise
