"""A query that somebody wrote: run so that it can do nothing but read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

from ..errors import QueryError
from .answers import is_answer, words

if TYPE_CHECKING:
    from pymysql.cursors import Cursor


def count(cursor: Cursor, query: str) -> int:
    """Return how many rows a SELECT finds.

    Raises:
        QueryError: it is no SELECT alone, or Dolt cannot run it.
    """
    _execute(cursor, query, "SELECT COUNT(*) FROM (\n{}\n) AS found")
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def first(cursor: Cursor, query: str, limit: int) -> None:
    """Execute a SELECT for its first rows, which the caller fetches; errors as for :func:`count`."""
    # Without a condition, and of all columns of a table, Dolt 1.83 gives rows of no column.
    _execute(cursor, query, f"SELECT * FROM (\n{{}}\n) AS found WHERE TRUE LIMIT {int(limit)}")


def check(cursor: Cursor, query: str) -> None:
    """Refuse what is no SELECT alone, without running it; errors as for :func:`count`."""
    _prepare(cursor, query, "SELECT COUNT(*) FROM (\n{}\n) AS found")


def _execute(cursor: Cursor, query: str, around: str) -> None:
    _prepare(cursor, query, around)
    try:
        cursor.execute("EXECUTE kedro_query")
    except pymysql.err.Error as error:
        if not is_answer(error):
            raise
        raise QueryError(words(error)) from error


def _prepare(cursor: Cursor, query: str, around: str) -> None:
    # Dolt's read-only transactions let CALL, CREATE and INTO OUTFILE pass. A statement that can be prepared,
    # and as a derived table as well, is one SELECT, whose parentheses nothing in it closes, without INTO.
    for statement in (query, around.format(query)):
        try:
            cursor.execute("PREPARE kedro_query FROM %s", (statement,))
        except pymysql.err.Error as error:
            if not is_answer(error):
                raise
            raise QueryError(words(error)) from error
