"""The statements about one table: its definition, its creation with a key, the sending of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..dolt.local_infile import load_local
from ..dolt.sql import quote
from ..errors import BulkLoadError
from ..terminal import get_logger
from .encoding import FIELD_END, NULL, ROW_END, Column, Rows

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

_SHOWN_WARNINGS = 3
_REFUSED = re.compile("local_infile|command denied")
_STATEMENT_CHARACTERS, _STATEMENT_VALUES = 1 << 20, 10_000


def joined(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence."""
    return ", ".join(names)


def definition(cursor: Cursor, table: str) -> tuple[dict[str, Column], tuple[str, ...]]:
    """Return the columns of a table and its primary key, empty when it has none.

    Args:
        cursor: a cursor on the branch of the table.
        table: its quoted name.
    """
    cursor.execute(f"SHOW COLUMNS FROM {table}")
    rows = cursor.fetchall()
    columns = {row[0]: Column(row[0], row[1]) for row in rows}
    primary_key = tuple(row[0] for row in rows if row[3] == "PRI")
    if len(primary_key) < 2:
        return columns, primary_key
    # The columns' order within the key may be another one.
    primary = sorted(
        (key["Seq_in_index"], key["Column_name"])
        for key in _keys(cursor, table)
        if key["Key_name"] == "PRIMARY"
    )
    return columns, tuple(name for _, name in primary)


def types_at_head(cursor: Cursor, table: str) -> dict[str, str]:
    """Return the types of a table's columns as the last commit of the branch has it; none if it is not there.

    A table that was dropped to be made again is still there.

    Args:
        cursor: a cursor on the branch.
        table: its quoted name.
    """
    import pymysql

    from ..dolt.answers import is_missing_table

    try:
        cursor.execute(f"SHOW COLUMNS FROM {table} AS OF 'HEAD'")
    except pymysql.err.Error as error:
        if is_missing_table(error):
            return {}
        raise
    return {row[0]: row[1] for row in cursor.fetchall()}


def column_indexes(cursor: Cursor, table: str) -> dict[str, str]:
    """Return the columns that have an index of their own, by the name of that.

    Args:
        cursor: a cursor on the branch of the table.
        table: its quoted name.
    """
    keys = [key for key in _keys(cursor, table) if key["Non_unique"]]
    names = [key["Key_name"] for key in keys]
    return {key["Key_name"]: key["Column_name"] for key in keys if names.count(key["Key_name"]) == 1}


def _keys(cursor: Cursor, table: str) -> list[dict[str, Any]]:
    cursor.execute(f"SHOW KEYS FROM {table}")
    assert cursor.description is not None
    names = [item[0] for item in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def is_empty(cursor: Cursor, table: str) -> bool:
    """Return whether the table of that quoted name has no row."""
    cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
    return cursor.fetchone() is None


def count_rows(cursor: Cursor, table: str) -> int:
    """Return how many rows the table of that quoted name has; Dolt knows that without reading them."""
    cursor.execute(f"SELECT COUNT(*) FROM {table}")
    [row] = cursor.fetchall()
    return int(row[0])


def content_hash(cursor: Cursor, table: str) -> str | None:
    """Return the content hash of a table as this session sees it.

    Args:
        cursor: a cursor on the branch of the table.
        table: its name.

    Returns:
        None if there is no table of exactly that name.
    """
    import pymysql

    try:
        cursor.execute("SELECT dolt_hashof_table(%s)", (table,))
    except pymysql.err.Error:
        return None
    row = cursor.fetchone()
    return str(row[0]) if row else None


def committed(connection: pymysql.Connection[Cursor]) -> bool:
    """Commit, unless somebody else has committed what cannot be merged with it.

    Args:
        connection: a connection in a transaction.

    Returns:
        False if it was rolled back.
    """
    import pymysql

    from ..dolt import answers

    try:
        connection.commit()
    except pymysql.err.OperationalError as error:
        if not answers.is_conflict(error):
            raise
        connection.rollback()
        return False
    return True


def committed_unmixed(cursor: Cursor, table: str) -> str | None:
    """Commit; return a table's content hash, None if somebody else has changed it at the same moment.

    Args:
        cursor: a cursor in a transaction.
        table: the table's name.
    """
    saved = content_hash(cursor, table)
    # What somebody else commits at the same moment, Dolt merges row by row.
    if not committed(cursor.connection) or content_hash(cursor, table) != saved:
        return None
    return saved


def refuse_key_types(table: str, columns: Iterable[Column], primary_key: Sequence[str]) -> None:
    """Refuse columns of a key whose type has no length.

    Args:
        table: the table's quoted name.
        columns: its columns.
        primary_key: the columns of the key.

    Raises:
        BulkLoadError: with the first such column.
    """
    for column in columns:
        if column.name in primary_key and re.match(r"\w*(text|blob)", column.type):
            raise BulkLoadError(
                f"Column {column.name!r} ({column.type}) of {table} cannot be in a primary key: "
                "choose a type with a length in `save_args: dtype`, or leave the type to the bulk load."
            )


def create_table(
    cursor: Cursor,
    table: str,
    columns: Iterable[Column],
    primary_key: Sequence[str],
    indexes: Mapping[str, str] | None = None,
) -> None:
    """Put an empty table with a primary key in the place of the one that may be there.

    Args:
        cursor: a cursor on the branch of the table.
        table: its quoted name.
        columns: its columns.
        primary_key: the columns of the key, in their order.
        indexes: the columns that get an index of their own, by the name of that.

    Raises:
        BulkLoadError: a column cannot be in a key, or Dolt refused the table.
    """
    import pymysql

    refuse_key_types(table, columns, primary_key)
    lines = [
        f"{quote(column.name)} {column.type}{' NOT NULL' if column.name in primary_key else ''}"
        for column in columns
    ]
    if primary_key:
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, primary_key))})")
    lines += [f"KEY {quote(index)} ({quote(name)})" for index, name in (indexes or {}).items()]
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    try:
        cursor.execute(f"CREATE TABLE {table} ({', '.join(lines)})")
    except pymysql.err.Error as error:
        raise BulkLoadError(
            f"Table {table} cannot be created with the primary key {joined(primary_key)}: {error.args[-1]}."
        ) from error


def load_rows(cursor: Cursor, table: str, rows: Rows, replaces: int | None = None) -> int:
    """Send rows to a table.

    Args:
        cursor: a cursor in a transaction.
        table: the table's quoted name.
        rows: what is to be added to it.
        replaces: how many of the rows take the place of one with the same key; None if there is no such row.

    Returns:
        How many rows were sent.

    Raises:
        BulkLoadError: not every row arrived as it was sent; the transaction is to be rolled back.
    """
    import pymysql

    try:
        try:
            loaded = _load_data(cursor, table, rows, replaces is not None)
        except pymysql.err.OperationalError as error:
            if not _REFUSED.search(str(error.args[-1])):
                raise
            _say_refused(cursor.connection.host, error.args[-1])
            loaded = _insert(cursor, table, rows, replaces is not None)
    except Exception as error:
        raise BulkLoadError(f"Dolt did not load the rows of {table}: {error}.") from error
    cursor.execute("SHOW WARNINGS")
    warnings = [row[2] for row in cursor.fetchall()]
    # A row that takes the place of another one is counted twice.
    loaded -= replaces or 0
    if warnings or loaded != len(rows):
        raise BulkLoadError(
            f"Dolt would not store the rows of {table} as they are, {loaded} of {len(rows)} arrived: "
            f"{'; '.join(warnings[:_SHOWN_WARNINGS])}. Nothing was kept of them."
        )
    return len(rows)


def _load_data(cursor: Cursor, table: str, rows: Rows, replace: bool) -> int:
    targets, assignments = [], []
    for number, field in enumerate(rows.fields):
        name = quote(field.column.name)
        if field.decode:
            targets.append(f"@kedro_{number}")
            assignments.append(f"{name} = {field.decode.format(targets[-1])}")
        else:
            targets.append(name)
    statement = (
        f"LOAD DATA LOCAL INFILE 'rows' {'REPLACE ' if replace else ''}INTO TABLE {table} "
        f"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '{FIELD_END}' ESCAPED BY '' "
        f"LINES TERMINATED BY '{ROW_END}' "
        f"({', '.join(targets)}){' SET ' + ', '.join(assignments) if assignments else ''}"
    )
    return load_local(cursor.connection, statement, rows.lines())


def _insert(cursor: Cursor, table: str, rows: Rows, replace: bool) -> int:
    """Send the same texts in INSERT statements, to a server that takes no ``LOAD DATA LOCAL``."""
    return _send(cursor, "REPLACE" if replace else "INSERT", table, rows)


def update_rows(cursor: Cursor, table: str, rows: Rows, primary_key: Sequence[str]) -> None:
    """Give rows that are there other values, in place: none is removed, not even for a moment.

    Args:
        cursor: a cursor in a transaction.
        table: the table's quoted name.
        rows: the new values, with those of the key.
        primary_key: the columns of the key.

    Raises:
        pymysql.err.Error: Dolt refused a value; the transaction is to be rolled back.
    """
    names = [quote(field.column.name) for field in rows.fields if field.column.name not in primary_key]
    if names:
        assignments = ", ".join(f"{name} = VALUES({name})" for name in names)
        _send(cursor, "INSERT", table, rows, f" ON DUPLICATE KEY UPDATE {assignments}")


def _send(cursor: Cursor, verb: str, table: str, rows: Rows, end: str = "") -> int:
    fields = rows.fields
    names = ", ".join(quote(field.column.name) for field in fields)
    start, end = f"{verb} INTO {table} ({names}) VALUES ".replace("%", "%%"), end.replace("%", "%%")
    placeholders = "(" + ", ".join((field.decode or "{}").format("%s") for field in fields) + ")"
    loaded, values, size = 0, list[str | None](), 0

    def send() -> int:
        nonlocal values, size
        if not values:
            return 0
        count = len(values) // len(fields)
        affected = cursor.execute(start + ", ".join([placeholders] * count) + end, values)
        values, size = [], 0
        return affected

    for row in rows.tuples():
        values += [None if text == NULL else text for text in row]
        size += sum(map(len, row))
        if size > _STATEMENT_CHARACTERS or len(values) > _STATEMENT_VALUES:
            loaded += send()
    return loaded + send()


_refusing: set[str] = set()


def _say_refused(host: str, words: str) -> None:
    if host in _refusing:
        return
    _refusing.add(host)
    get_logger(__name__).warning(
        "%s refuses LOAD DATA LOCAL (%s): rows are sent in INSERT statements, which takes longer. "
        "`SET GLOBAL local_infile = 1` and `GRANT FILE` there end that.",
        host,
        words,
    )
