"""Tables as they were at a commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from .answers import is_missing_table
from .sql import identifier

if TYPE_CHECKING:
    from pymysql.cursors import Cursor


def views(cursor: Cursor) -> set[str]:
    """Return the names of the views that statements on the cursor's branch see, even ``AS OF`` a commit."""
    cursor.execute("SHOW FULL TABLES WHERE Table_type = 'VIEW'")
    return {row[0] for row in cursor.fetchall()}


def columns_at(cursor: Cursor, table: str, ref: str | None) -> dict[str, bool]:
    """Return the columns of a table in their order, and whether they are part of its primary key.

    Args:
        cursor: a cursor on any branch.
        table: its name.
        ref: a commit or branch; None is the cursor's own, uncommitted edits included.

    Returns:
        Nothing if the table is not there.
    """
    return {row[0]: row[3] == "PRI" for row in _columns(cursor, table, ref)}


@dataclass(frozen=True)
class ColumnInfo:
    """A column as its table's definition has it."""

    type: str
    null: bool
    is_key: bool

    @property
    def text(self) -> str:
        """Its type and whether it may be NULL, as SQL says it."""
        return self.type if self.null else f"{self.type} NOT NULL"


def described_at(cursor: Cursor, table: str, ref: str) -> dict[str, ColumnInfo]:
    """Return the columns of a table at a commit or branch; nothing if the table is not there."""
    return {
        row[0]: ColumnInfo(str(row[1]), row[2] == "YES", row[3] == "PRI")
        for row in _columns(cursor, table, ref)
    }


def column_types(cursor: Cursor, table: str) -> dict[str, str]:
    """Return the types of a table's columns on the cursor's branch; nothing if it is not there."""
    return {row[0]: str(row[1]) for row in _columns(cursor, table, None)}


def _columns(cursor: Cursor, table: str, ref: str | None) -> tuple[tuple[Any, ...], ...]:
    at, values = (" AS OF %s", (ref,)) if ref else ("", ())
    try:
        cursor.execute(f"SHOW COLUMNS FROM {identifier(table)}{at}", values)
    except pymysql.err.Error as error:
        if is_missing_table(error):
            return ()
        raise
    return tuple(cursor.fetchall())


def count_at(cursor: Cursor, table: str, ref: str) -> int | None:
    """Return how many rows a table, which is no view, has at a commit; None if it is not there.

    Dolt keeps the number, so it costs the same for tables of any size.
    """
    try:
        cursor.execute(f"SELECT COUNT(*) FROM {identifier(table)} AS OF %s", (ref,))
    except pymysql.err.Error as error:
        if is_missing_table(error):
            return None
        raise
    row = cursor.fetchone()
    return int(row[0]) if row else None


def read_at(cursor: Cursor, table: str, ref: str, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the rows of a table at a commit or branch, by their columns' names; none if it is not there."""
    end = "" if limit is None else f" LIMIT {limit}"
    try:
        cursor.execute(f"SELECT * FROM {identifier(table)} AS OF %s{end}", (ref,))
    except pymysql.err.Error as error:
        if is_missing_table(error):
            return []
        raise
    return as_dicts(cursor)


def as_dicts(cursor: Cursor) -> list[dict[str, Any]]:
    """Return what the last statement has found, by the names of the columns."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
