"""A query that a user wrote: its values bound, and, where it is only to read, nothing but reading."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pymysql.err import Error, ProgrammingError

from ..errors import QueryError
from . import select
from .address import NO_LIMIT
from .answers import is_read_only_transaction

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

# What MySQL runs although it looks like a comment, /*! ... */, is none here.
_COMMENTS = re.compile(r"(?:\s+|--(?=\s|$)[^\n]*|#[^\n]*|/\*(?!!).*?\*/)*", re.DOTALL)
_READING = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "TABLE", "VALUES"}
_EXPLAINING = re.compile(r"(EXPLAIN|DESCRIBE|DESC|PLAN|ANALYZE|FORMAT\s*=\s*\w+)\b", re.IGNORECASE)
_TEXTS = r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`"""
_QUOTED = re.compile(rf"{_TEXTS}|--(?=\s|$)[^\n]*|#[^\n]*|/\*(?!!).*?\*/", re.DOTALL)
_CONDITION = re.compile(r"\bWHERE\b", re.IGNORECASE)
_ORDER = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)
_CHANGING = re.compile(r"\b(INTO|INSERT|REPLACE|UPDATE|DELETE)\b", re.IGNORECASE)
_MISFITS = (KeyError, TypeError, ValueError, ProgrammingError)


def read(cursor: Cursor, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> None:
    """Execute a query that writes nothing.

    Dolt's read-only transactions refuse INSERT, UPDATE and DELETE alone. What makes and drops tables,
    and the procedures, are refused here, by the statement's first word; INTO by preparing a derived table.

    Args:
        cursor: a cursor in no transaction; the caller fetches what was found.
        query: the query.
        parameters: its values.

    Raises:
        QueryError: it would write, it does not fit its values, or Dolt answers it without columns.
        pymysql.err.Error: Dolt refused it.
    """
    begin = _COMMENTS.match(query)
    statement = query[begin.end() if begin else 0 :]
    rest = statement.lstrip("( \t\r\n")
    if _first_word(rest) not in _READING:
        raise _refusal(rest)
    if _may_have_into(statement):
        _refuse_into(cursor, statement, parameters)
    cursor.execute("START TRANSACTION READ ONLY")
    try:
        execute(cursor, query, parameters)
    except Error as error:
        if not is_read_only_transaction(error):
            raise
        raise _refusal(rest) from error
    if cursor.description is None:
        raise QueryError(
            "Dolt answers this query without columns, as Dolt 1.83 does with a LIMIT around a derived table "
            "or WITH: write WHERE TRUE before the LIMIT, or name the columns that you select from it."
        )


def _may_have_into(statement: str) -> bool:
    """Return whether a statement may be a SELECT with INTO, or explain one, so that it must be looked at."""
    selects = re.compile(r"(SELECT|WITH|TABLE|VALUES)\b|\(|/\*!", re.IGNORECASE)
    return "into" in statement.lower() and selects.match(_explained(statement)) is not None


def _explained(statement: str) -> str:
    """Return a statement without the words that ask for its plan."""
    while begin := _EXPLAINING.match(statement):
        statement = statement[begin.end() :]
        comments = _COMMENTS.match(statement)
        statement = statement[comments.end() if comments else 0 :]
    return statement


def _refuse_into(
    cursor: Cursor, statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None
) -> None:
    # Dolt's read-only transactions let INTO write files and variables; a derived table cannot have it.
    text = _explained(statement)
    if parameters:
        with suppress(*_MISFITS):
            text = cursor.mogrify(text, parameters)
    try:
        select.check(cursor, text.strip().rstrip(";"))
    except QueryError as error:
        raise _refusal(statement, f" Dolt says: {error.message}") from error


def _refusal(statement: str, words: str = "") -> QueryError:
    return QueryError(
        f"Only queries can be sent here, and this writes, or is none: {statement[:60]!r}. Write to tables in "
        f"a run, or in `kedro dolt sql`.{words}"
    )


def execute(cursor: Any, statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None) -> None:
    """Execute a statement whose percent signs, if it takes no values, need not be doubled.

    Args:
        cursor: PyMySQL's.
        statement: the statement, with ``%s`` or ``%(name)s`` for values.
        parameters: the values.

    Raises:
        QueryError: the statement and its values do not fit.
        pymysql.err.Error: Dolt refused it.
    """
    limited = select_limit(cursor.connection, statement)
    _execute(cursor, statement, parameters or ())
    if limited and cursor.description is None and not _CHANGING.search(statement):
        # A limit around a derived table without a condition loses its columns.
        _set_limit(cursor.connection, NO_LIMIT)
        _execute(cursor, statement, parameters or ())


def select_limit(connection: Any, statement: str) -> bool:
    """Set a limit that no result reaches, if a query has a condition, and else none.

    Over a server, Dolt 1.83 gives of ``SELECT * FROM t WHERE x <= 2`` the rows where ``x`` is NULL, too, and
    so it does with ``BETWEEN`` columns; rows are missing where a column is the condition. With any limit it
    takes another way, which is right.

    Args:
        connection: PyMySQL's.
        statement: what is to be sent over it.

    Returns:
        Whether there is a limit now.
    """
    limited = _is_filtered(statement)
    _set_limit(connection, NO_LIMIT - 1 if limited else NO_LIMIT)
    return limited


def _is_filtered(statement: str) -> bool:
    """Return whether a query has a condition and no order."""
    # A save's INSERT may be long.
    if not _CONDITION.search(statement):
        return False
    words = _QUOTED.sub(" ", statement)
    if _first_word(words.lstrip("( \t\r\n")) not in {"SELECT", "WITH"}:
        return False
    # What is sorted does not go that way, and for its limit Dolt would reserve memory: it ends.
    return bool(_CONDITION.search(words)) and not _ORDER.search(words)


def _first_word(statement: str) -> str:
    first = re.match(r"\w*", statement)
    return first[0].upper() if first else ""


def _set_limit(connection: Any, limit: int) -> None:
    # Each connection of ours begins without a limit.
    if getattr(connection, "kedro_select_limit", NO_LIMIT) != limit:
        connection.query(f"SET sql_select_limit = {limit}")
        connection.kedro_select_limit = limit


def _execute(cursor: Any, statement: str, bound: Sequence[Any] | Mapping[str, Any]) -> None:
    try:
        cursor.execute(statement, None if not bound and _has_single_signs(statement) else bound)
    except _MISFITS as error:
        if not (reason := _misfit(cursor, statement, bound)):
            raise
        raise QueryError(
            f"The query and its `params` do not fit ({reason}): write a percent sign that stands for no "
            "value as `%%`, and give a value for each `%s` or `%(name)s`."
        ) from error


def _has_single_signs(statement: str) -> bool:
    """Return whether a statement has percent signs that are not doubled, so that none stands for another."""
    if "%" not in statement:
        return False
    try:
        statement % ()
    except (TypeError, ValueError):
        return True
    return False


def _misfit(cursor: Any, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> str:
    """Why the values cannot be put into the statement; nothing if they can."""
    if not parameters:
        return ""
    try:
        cursor.mogrify(statement, parameters)
    except _MISFITS as error:
        return f"no value for {error}" if isinstance(error, KeyError) else str(error)
    return ""
