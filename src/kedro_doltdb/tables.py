"""Tables as they were at a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_NOT_FOUND = {1105, 1146}


def identifier(name: str) -> str:
    """A name as it stands in a statement with bound values, whatever is in it: PyMySQL fills those in with
    Python's ``%``."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def columns_at(cursor: Cursor, table: str, ref: str) -> dict[str, bool]:
    """The columns of a table in their order, and whether they are part of its primary key.

    Args:
        cursor: a cursor on any branch.
        table: its name.
        ref: a commit or branch.

    Returns:
        Nothing if the table is not there.
    """
    try:
        cursor.execute(f"SHOW COLUMNS FROM {identifier(table)} AS OF %s", (ref,))
    except pymysql.err.Error as error:
        if _is_missing(error):
            return {}
        raise
    return {row[0]: row[3] == "PRI" for row in cursor.fetchall()}


def read_at(cursor: Cursor, table: str, ref: str) -> list[dict[str, Any]]:
    """The rows of a table at a commit or branch, by the names of their columns; none if it is not there."""
    try:
        cursor.execute(f"SELECT * FROM {identifier(table)} AS OF %s", (ref,))
    except pymysql.err.Error as error:
        if _is_missing(error):
            return []
        raise
    return as_dicts(cursor)


def as_dicts(cursor: Cursor) -> list[dict[str, Any]]:
    """What the last statement has found, by the names of the columns."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _is_missing(error: pymysql.err.Error) -> bool:
    return error.args[0] in _NOT_FOUND and "table not found" in str(error.args[-1])
