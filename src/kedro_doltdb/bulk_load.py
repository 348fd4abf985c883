"""Save a data frame into a table with a primary key, so that Dolt's diffs show changed cells.

In the catalog, with a stock ``pandas.SQLTableDataset``::

    save_args:
      if_exists: replace
      method: ${dolt.bulk_load:sample_id}

pandas creates the table without a key. We drop that empty table and create it with its key, rather than
ALTER it: adding a key makes other nodes that save on the same branch at that moment fail.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from .errors import BulkLoadError, ConfigError
from .load_file import FIELD_END, NULL, ROW_END, Column, Field, describe, encode
from .local_infile import load_local

if TYPE_CHECKING:
    from pymysql.cursors import Cursor
    from sqlalchemy import Connection

# A length that followed the longest value would change the schema from run to run.
KEY_LENGTHS = (255, 1023, 4095)
_SHOWN_WARNINGS = 3
_REFUSED = re.compile("local_infile|command denied")
_STATEMENT_CHARACTERS, _STATEMENT_VALUES = 1 << 20, 10_000


def bulk_load(*primary_key: str) -> BulkLoad:
    """The resolver ``dolt.bulk_load``: make the ``method`` of ``to_sql`` that saves a table with a key.

    Args:
        primary_key: the columns of the key, in their order.

    Raises:
        ConfigError: no column is named, or one is named twice.
    """
    names = tuple(str(name) for name in primary_key)
    if not names or not all(names) or len(set(names)) < len(names):
        raise ConfigError(
            f"dolt.bulk_load:{','.join(names)} does not name the columns of a primary key: write, for "
            "example, ${dolt.bulk_load:sample_id} or ${dolt.bulk_load:day,shop}."
        )
    return BulkLoad(names)


@dataclass(frozen=True, repr=False)
class BulkLoad:
    """What pandas calls to insert a frame's rows: create the table with its key, load the rows in one go.

    Args:
        primary_key: the columns of the key, in their order.
    """

    primary_key: tuple[str, ...]

    def __repr__(self) -> str:
        return f"bulk_load({', '.join(map(repr, self.primary_key))})"

    def __call__(
        self, pd_table: Any, conn: Connection, keys: list[str], data_iter: Iterable[Sequence[Any]]
    ) -> int:
        """Insert rows, all of them or none.

        Args:
            pd_table: pandas' SQLTable; the table is there.
            conn: a connection to Dolt in a transaction, which is rolled back when the rows are refused.
            keys: the columns' names.
            data_iter: the rows.

        Returns:
            How many rows were inserted.

        Raises:
            BulkLoadError: the key is missing, NULL or duplicate somewhere, a value cannot be stored exactly,
                the table has another key, or Dolt did not load every row as it is.
        """
        table = quote(*filter(None, (pd_table.schema, pd_table.name)))
        refuse_names(pd_table.name, keys)
        _refuse_decorated_types(pd_table)
        values = dict(zip(keys, zip(*data_iter, strict=True), strict=True))
        cursor = cast("Cursor", conn.connection.cursor())
        try:
            columns, primary_key = definition(cursor, table)
            self.check_key(table, primary_key or self.primary_key, values)
            create = not primary_key
            if create:
                if not _is_empty(cursor, table):
                    raise BulkLoadError(
                        f"Table {table} has rows but no primary key: save it once with `if_exists: replace`."
                    )
                given = {str(name) for name in pd_table.dtype or ()}
                columns = {
                    name: column if name in given else self._improve(column, values.get(name, ()))
                    for name, column in columns.items()
                }
            if unknown := [name for name in keys if name not in columns]:
                raise BulkLoadError(
                    f"Table {table} has no column {unknown[0]!r}: save with `if_exists: replace`."
                )
            fields = [encode(columns[name], values[name]) for name in keys]
            self.check_unique(table, fields, values)
            if create:
                create_table(cursor, table, columns.values(), self.primary_key)
            # PyMySQL believes that it is off already, because Dolt does not report it; but it is on.
            cursor.execute("SET autocommit = 0")
            return load_fields(cursor, table, fields)
        except BaseException:
            # pandas commits what there is whether we raise or not, and earlier chunks are part of it.
            if cursor.connection.open:
                cursor.connection.rollback()
            raise
        finally:
            cursor.close()

    def check_key(self, table: str, primary_key: tuple[str, ...], values: dict[str, Any]) -> None:
        """Refuse another key than the table has, and values that no key can have.

        Args:
            table: the table's quoted name.
            primary_key: the key that it has.
            values: the columns' values, by name.

        Raises:
            BulkLoadError: a column of the key is missing, or NULL somewhere.
        """
        if primary_key != self.primary_key:
            raise BulkLoadError(
                f"Table {table} has the primary key {_join(primary_key)}, not {_join(self.primary_key)}: "
                "name that one in dolt.bulk_load, or save with `if_exists: replace`."
            )
        for name in self.primary_key:
            if name not in values:
                raise BulkLoadError(
                    f"Table {table} cannot have the primary key {_join(self.primary_key)}: "
                    f"the data has no column {name!r}, it has {_join(values)}. "
                    "An index is not saved: make it a column with .reset_index()."
                )
            rows = [row for row, value in enumerate(values[name]) if value is None]
            if rows:
                raise BulkLoadError(
                    f"Column {name!r} is in the primary key of {table} and must have a value in every row: "
                    f"{describe(rows, values[name])}. Drop or fill these rows, or choose another key."
                )

    def check_unique(self, table: str, fields: list[Field], values: dict[str, Any]) -> None:
        """Refuse rows with the same key.

        Args:
            table: the table's quoted name.
            fields: the columns' values as they are stored, those of the key at least.
            values: the same as they were given, by name.

        Raises:
            BulkLoadError: with the rows' numbers.
        """
        texts = {field.column.name: field.texts for field in fields}
        encoded: list[Any] = texts[self.primary_key[0]]
        if len(self.primary_key) > 1:
            encoded = list(zip(*(texts[name] for name in self.primary_key), strict=True))
        if len(set(encoded)) == len(encoded):
            return
        first: dict[Any, int] = {}
        rows = [row for row, key in enumerate(encoded) if first.setdefault(key, row) != row]
        keys = list(zip(*(values[name] for name in self.primary_key), strict=True))
        shown = [key[0] if len(key) == 1 else key for key in keys]
        raise BulkLoadError(
            f"The primary key {_join(self.primary_key)} of {table} is not unique: {describe(rows, shown)} "
            f"(the first of them also in row {first[encoded[rows[0]]]}). "
            "Drop the duplicates, or add a column to the key."
        )

    def _improve(self, column: Column, values: Sequence[Any]) -> Column:
        """The column with a better type than the one that pandas chooses by default."""
        return Column(column.name, _improved_type(column, values, column.name in self.primary_key))


def add_missing_key(cursor: Cursor, table: str, primary_key: Sequence[str]) -> bool:
    """Give an empty table its primary key, as a bulk load would have done.

    pandas does not call ``method`` for a frame without rows, so such a table is left without its key.

    Args:
        cursor: a cursor on the branch of the table.
        table: its name.
        primary_key: the columns of the key, in their order.

    Returns:
        Whether the table was recreated: not when it has a key or rows.

    Raises:
        BulkLoadError: the table lacks a column of the key.
    """
    quoted = quote(table)
    columns, existing = definition(cursor, quoted)
    if existing or not _is_empty(cursor, quoted):
        return False
    if missing := [name for name in primary_key if name not in columns]:
        raise BulkLoadError(
            f"Table {quoted} cannot have the primary key {_join(primary_key)}: "
            f"the data has no column {missing[0]!r}, it has {_join(columns)}."
        )
    improve = BulkLoad(tuple(primary_key))._improve
    create_table(cursor, quoted, [improve(column, ()) for column in columns.values()], primary_key)
    return True


def refuse_names(table: str, columns: Iterable[str]) -> None:
    """Refuse names with which SQLAlchemy does not find a table or a column again."""
    for name in (table, *columns):
        if "\n" in name or "`" in name:
            raise BulkLoadError(
                f"The name {name!r} has a line break or a backtick in it, with which it could not be read "
                "back: rename the table or the column."
            )


def _refuse_decorated_types(pd_table: Any) -> None:
    """Refuse types that have SQLAlchemy store another value than the one that it is given."""
    from sqlalchemy.types import TypeDecorator

    for column in pd_table.table.columns:
        if isinstance(column.type, TypeDecorator):
            raise BulkLoadError(
                f"Column {column.name!r} has the type {type(column.type).__name__}, which a bulk load does "
                "not fill: choose another type in `save_args: dtype`, or leave `method` out of save_args."
            )


def _improved_type(column: Column, values: Sequence[Any], is_key: bool) -> str:
    if column.type == "text":
        classes = {type(value) for value in values if value is not None}
        binary = bool(classes) and all(issubclass(cls, bytes) for cls in classes)
        if not is_key:
            return "longblob" if binary else "longtext"
        longest = max((len(value if binary else str(value)) for value in values), default=0)
        length = next((length for length in KEY_LENGTHS if length >= longest), KEY_LENGTHS[-1])
        return f"{'varbinary' if binary else 'varchar'}({length})"
    if column.type in ("datetime", "timestamp"):
        return "datetime(6)"
    return column.type


def definition(cursor: Cursor, table: str) -> tuple[dict[str, Column], tuple[str, ...]]:
    """The columns of a table and its primary key, empty when it has none.

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
    cursor.execute(f"SHOW KEYS FROM {table}")
    assert cursor.description is not None
    names = [item[0] for item in cursor.description]
    keys = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    primary = sorted(
        (key["Seq_in_index"], key["Column_name"]) for key in keys if key["Key_name"] == "PRIMARY"
    )
    return columns, tuple(name for _, name in primary)


def _is_empty(cursor: Cursor, table: str) -> bool:
    cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
    return cursor.fetchone() is None


def create_table(cursor: Cursor, table: str, columns: Iterable[Column], primary_key: Sequence[str]) -> None:
    """Put an empty table with a primary key in the place of the one that may be there.

    Args:
        cursor: a cursor on the branch of the table.
        table: its quoted name.
        columns: its columns.
        primary_key: the columns of the key, in their order.

    Raises:
        BulkLoadError: a column cannot be in a key, or Dolt refused the table.
    """
    import pymysql

    for column in columns:
        if column.name in primary_key and re.match(r"\w*(text|blob)", column.type):
            raise BulkLoadError(
                f"Column {column.name!r} ({column.type}) of {table} cannot be in a primary key: "
                "choose a type with a length in `save_args: dtype`, or leave the type to the bulk load."
            )
    lines = [
        f"{quote(column.name)} {column.type}{' NOT NULL' if column.name in primary_key else ''}"
        for column in columns
    ]
    lines.append(f"PRIMARY KEY ({', '.join(map(quote, primary_key))})")
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    try:
        cursor.execute(f"CREATE TABLE {table} ({', '.join(lines)})")
    except pymysql.err.Error as error:
        raise BulkLoadError(
            f"Table {table} cannot be created with the primary key {_join(primary_key)}: {error.args[-1]}."
        ) from error


def load_fields(cursor: Cursor, table: str, fields: list[Field], replaces: int | None = None) -> int:
    """Send the fields to a table.

    Args:
        cursor: a cursor in a transaction.
        table: the table's quoted name.
        fields: its columns' values, all of ``load_file.encode`` or all of ``columns.to_fields``.
        replaces: how many of the rows take the place of one with the same key; None if there is no such row.

    Raises:
        BulkLoadError: not every row arrived as it was sent; the transaction is to be rolled back.
    """
    import pymysql

    rows = len(fields[0].texts)
    try:
        try:
            loaded = _load_data(cursor, table, fields, replaces is not None)
        except pymysql.err.OperationalError as error:
            if not _REFUSED.search(str(error.args[-1])):
                raise
            _say_refused(cursor.connection.host, error.args[-1])
            loaded = _insert(cursor, table, fields, replaces is not None)
    except Exception as error:
        raise BulkLoadError(f"Dolt did not load the rows of {table}: {error}.") from error
    cursor.execute("SHOW WARNINGS")
    warnings = [row[2] for row in cursor.fetchall()]
    # A row that takes the place of another one is counted twice.
    loaded -= replaces or 0
    if warnings or loaded != rows:
        raise BulkLoadError(
            f"Dolt would not store the rows of {table} as they are, {loaded} of {rows} arrived: "
            f"{'; '.join(warnings[:_SHOWN_WARNINGS])}. Nothing was kept of them."
        )
    return rows


def _load_data(cursor: Cursor, table: str, fields: list[Field], replace: bool) -> int:
    targets, assignments = [], []
    for number, field in enumerate(fields):
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
    return load_local(cursor.connection, statement, _lines(fields))


def _insert(cursor: Cursor, table: str, fields: list[Field], replace: bool) -> int:
    """The same texts in INSERT statements, for a server that takes no ``LOAD DATA LOCAL``."""
    names = ", ".join(quote(field.column.name) for field in fields)
    start = f"{'REPLACE' if replace else 'INSERT'} INTO {table} ({names}) VALUES ".replace("%", "%%")
    row = "(" + ", ".join((field.decode or "{}").format("%s") for field in fields) + ")"
    loaded, values, size = 0, list[str | None](), 0

    def send() -> int:
        nonlocal values, size
        if not values:
            return 0
        count = len(values) // len(fields)
        affected = cursor.execute(start + ", ".join([row] * count), values)
        values, size = [], 0
        return affected

    for piece in _lines(fields):
        for line in bytes(piece).decode().split(ROW_END)[:-1]:
            values += [None if text == NULL else text for text in line.split(FIELD_END)]
            size += len(line)
            if size > _STATEMENT_CHARACTERS or len(values) > _STATEMENT_VALUES:
                loaded += send()
    return loaded + send()


@cache
def _say_refused(host: str, words: str) -> None:
    logging.getLogger(__name__).warning(
        "%s refuses LOAD DATA LOCAL (%s): rows are sent in INSERT statements, which takes longer. "
        "`SET GLOBAL local_infile = 1` and `GRANT FILE` there end that.",
        host,
        words,
    )


def _lines(fields: list[Field]) -> Iterable[bytes | memoryview]:
    """The rows as ``LOAD DATA`` reads them."""
    if isinstance(fields[0].texts, list):
        rows = zip(*(field.texts for field in fields), strict=True)
        return ((FIELD_END.join(row) + ROW_END).encode() for row in rows)
    from .columns import lines

    return lines(fields)


def quote(*names: str) -> str:
    """A name as it stands in a statement without bound values."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
