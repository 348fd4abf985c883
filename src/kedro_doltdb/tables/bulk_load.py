"""Save a data frame into a table with a primary key, so that Dolt's diffs show changed cells.

In the catalog, with a stock ``pandas.SQLTableDataset``::

    save_args:
      if_exists: replace
      method: ${dolt.bulk_load:sample_id}

pandas creates the table without a key. We drop that empty table and create it with its key, rather than
ALTER it: adding a key makes other nodes that save on the same branch at that moment fail.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from ..dolt.sql import quote
from ..errors import BulkLoadError, ConfigError, DoltError
from .encoding import Column, TextRows, describe, encode
from .table_sql import (
    column_indexes,
    create_table,
    definition,
    is_empty,
    joined,
    load_rows,
    types_at_head,
)
from .text_types import text_type, within_a_row

if TYPE_CHECKING:
    from pymysql.cursors import Cursor
    from sqlalchemy import Connection


def bulk_load(*primary_key: str) -> BulkLoad:
    """Return the ``method`` of ``to_sql`` that saves a table with a key: the resolver ``dolt.bulk_load``.

    Args:
        primary_key: the columns of the key, in their order.

    Raises:
        ConfigError: no column is named, or one is named twice.

    Example:
        >>> bulk_load("day", "shop")
        bulk_load('day', 'shop')
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
        refuse_decorated_types(pd_table)
        values = dict(zip(keys, zip(*data_iter, strict=True), strict=True))
        cursor = cast("Cursor", conn.connection.cursor())
        try:
            columns, primary_key = definition(cursor, table)
            self.check_key(table, primary_key or self.primary_key, values)
            create = not primary_key
            # pandas has made it just now.
            is_new = create and pd_table.if_exists == "replace"
            if create:
                if not is_new and not is_empty(cursor, table):
                    raise BulkLoadError(
                        f"Table {table} has rows but no primary key: save it once with `if_exists: replace`."
                    )
                free = columns.keys() - _given_types(pd_table)
                stands = _stands(cursor, pd_table, keys)
                columns = self._improved(columns, free, _all_values(pd_table, values), stands)
            if unknown := [name for name in keys if name not in columns]:
                raise BulkLoadError(
                    f"Table {table} has no column {unknown[0]!r}: save with `if_exists: replace`."
                )
            rows = encode([columns[name] for name in keys], [values[name] for name in keys])
            self.check_unique(table, rows, values)
            if create:
                # pandas makes one on each column that was the frame's index.
                plain = is_new and pd_table.index is None
                indexes = {} if plain else column_indexes(cursor, table)
                kept = {name: column for name, column in indexes.items() if column != self.primary_key[0]}
                create_table(cursor, table, columns.values(), self.primary_key, kept)
            # PyMySQL believes that it is off already, because Dolt does not report it; but it is on.
            cursor.execute("SET autocommit = 0")
            if not is_new or len(rows) < len(pd_table.frame):
                return load_rows(cursor, table, rows)
            # The resolver comes with every start of Kedro, which then needs no driver yet.
            from .parallel_load import load_new_table

            ordered = _in_order(rows, [values[name] for name in self.primary_key])
            load_new_table(cursor, table, ordered, _opener(conn))
            return len(rows)
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
                f"Table {table} has the primary key {joined(primary_key)}, not {joined(self.primary_key)}: "
                "name that one in dolt.bulk_load, or save with `if_exists: replace`."
            )
        for name in self.primary_key:
            if name not in values:
                raise BulkLoadError(
                    f"Table {table} cannot have the primary key {joined(self.primary_key)}: "
                    f"the data has no column {name!r}, it has {joined(values)}. "
                    "An index is not saved: make it a column with .reset_index()."
                )
            rows = [row for row, value in enumerate(values[name]) if value is None]
            if rows:
                raise BulkLoadError(
                    f"Column {name!r} is in the primary key of {table} and must have a value in every row: "
                    f"{describe(rows, values[name])}. Drop or fill these rows, or choose another key."
                )

    def check_unique(self, table: str, rows: TextRows, values: dict[str, Any]) -> None:
        """Refuse rows with the same key.

        Args:
            table: the table's quoted name.
            rows: the columns' values as they are stored, those of the key at least.
            values: the same as they were given, by name.

        Raises:
            BulkLoadError: with the rows' numbers.
        """
        texts = {
            field.column.name: _key_texts(field.column, texts)
            for field, texts in zip(rows.fields, rows.texts, strict=True)
        }
        encoded: list[Any] = texts[self.primary_key[0]]
        if len(self.primary_key) > 1:
            encoded = list(zip(*(texts[name] for name in self.primary_key), strict=True))
        if len(set(encoded)) == len(encoded):
            return
        first: dict[Any, int] = {}
        again = [row for row, key in enumerate(encoded) if first.setdefault(key, row) != row]
        keys = list(zip(*(values[name] for name in self.primary_key), strict=True))
        shown = [key[0] if len(key) == 1 else key for key in keys]
        raise BulkLoadError(
            f"The primary key {joined(self.primary_key)} of {table} is not unique: {describe(again, shown)} "
            f"(the first of them also in row {first[encoded[again[0]]]}). "
            "Drop the duplicates, or add a column to the key."
        )

    def _improved(
        self,
        columns: Mapping[str, Column],
        free: Collection[str],
        values: Mapping[str, Sequence[Any]],
        stands: Mapping[str, str],
    ) -> dict[str, Column]:
        """Return the columns, those of ``free`` with better types than pandas chooses by default."""
        texts, found = [], dict(columns)
        for name in free:
            if columns[name].type in ("datetime", "timestamp"):
                found[name] = Column(name, "datetime(6)")
            elif columns[name].type == "text":
                is_key, given = name in self.primary_key, values.get(name, ())
                found[name] = Column(name, _text_type(given, is_key, stands.get(name, "")))
                if not is_key:
                    texts.append(name)
        return within_a_row(found, texts)


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
    if existing or not is_empty(cursor, quoted):
        return False
    if missing := [name for name in primary_key if name not in columns]:
        raise BulkLoadError(
            f"Table {quoted} cannot have the primary key {joined(primary_key)}: "
            f"the data has no column {missing[0]!r}, it has {joined(columns)}."
        )
    improved = BulkLoad(tuple(primary_key))._improved(columns, columns, {}, types_at_head(cursor, quoted))
    indexes = column_indexes(cursor, quoted)
    kept = {name: column for name, column in indexes.items() if column != primary_key[0]}
    create_table(cursor, quoted, improved.values(), primary_key, kept)
    return True


def refuse_names(table: str, columns: Iterable[str]) -> None:
    """Refuse names with which SQLAlchemy does not find a table or a column again."""
    for name in (table, *columns):
        if "\n" in name or "`" in name:
            raise BulkLoadError(
                f"The name {name!r} has a line break or a backtick in it, with which it could not be read "
                "back: rename the table or the column."
            )


def refuse_decorated_types(pd_table: Any) -> None:
    """Refuse types that have SQLAlchemy store another value than the one that it is given."""
    from sqlalchemy.types import TypeDecorator

    for column in pd_table.table.columns:
        if isinstance(column.type, TypeDecorator):
            raise BulkLoadError(
                f"Column {column.name!r} has the type {type(column.type).__name__}, which a bulk load does "
                "not fill: choose another type in `save_args: dtype`, or leave `method` out of save_args."
            )


def _key_texts(column: Column, texts: list[str]) -> list[str]:
    """Return the texts of a key's values, the same for values that are equal in SQL."""
    if column.type in ("double", "float"):
        return ["0.0" if text == "-0.0" else text for text in texts]
    return texts


def _in_order(rows: TextRows, key: Sequence[Sequence[Any]]) -> TextRows:
    """Return the rows in the order of the key, which Dolt loads sooner; as they are if there is none."""
    keys: Sequence[Any] = key[0] if len(key) == 1 else list(zip(*key, strict=True))
    try:
        if all(map(operator.lt, keys, islice(keys, 1, None))):
            return rows
        order = sorted(range(len(keys)), key=keys.__getitem__)
    except TypeError:
        return rows
    return TextRows(rows.fields, [[texts[row] for row in order] for texts in rows.texts])


def _opener(connection: Connection) -> Callable[[], Any] | None:
    """Return what opens another connection to the same database; None if it might have to wait for one."""
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    if not isinstance(connection.engine.pool, NullPool):
        return None

    def open_another() -> Any:
        try:
            pooled = connection.engine.raw_connection()
        except SQLAlchemyError as error:
            raise DoltError(str(error)) from error
        another = pooled.dbapi_connection
        pooled.detach()
        return another

    return open_another


def _given_types(pd_table: Any) -> set[str]:
    """Return the columns whose type pandas took from ``save_args: dtype``."""
    dtype, frame = pd_table.dtype or {}, pd_table.frame
    labels = [(str(label), label) for label in frame.columns]
    # pandas looks the levels of an index up by their own names, whatever it calls their columns.
    labels += zip(map(str, pd_table.index or ()), frame.index.names, strict=False)
    return {name for name, label in labels if label in dtype}


def _all_values(pd_table: Any, values: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """Return the values of all rows, if those given are only the first chunk of them."""
    if len(next(iter(values.values()), ())) == len(pd_table.frame):
        return values
    return dict(zip(*pd_table.insert_data(), strict=True))


def _stands(cursor: Cursor, pd_table: Any, keys: Iterable[str]) -> Mapping[str, str]:
    """Return the types of the table that is replaced, by column, as far as they are known."""
    if pd_table.if_exists == "append":
        # Rows are to follow, whose texts may be longer.
        return dict.fromkeys(keys, "longtext")
    return types_at_head(cursor, quote(*filter(None, (pd_table.schema, pd_table.name))))


def _text_type(values: Sequence[Any], is_key: bool, stands: str) -> str:
    there = [value for value in values if value is not None]
    binary = bool(there) and all(isinstance(value, bytes) for value in there)
    longest = max(
        (len(value if isinstance(value, str | bytes) else str(value)) for value in there), default=0
    )
    return text_type(longest, binary=binary, is_key=is_key, stands=stands)
