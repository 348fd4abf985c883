"""Load the rows of a new table over several connections at once.

Dolt loads the rows of one ``LOAD DATA`` on one core. Where several transactions have added rows to a table,
it merges them as they are committed, for next to nothing if each has a range of keys of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pymysql

from ..dolt.answers import is_conflict
from ..dolt.sql import quote
from ..dolt.wire import cut
from ..errors import DoltError
from .table_sql import count_rows, load_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .encoding import Rows

    Connection = pymysql.Connection[Cursor]

# To open a connection and to merge take as long as some hundred rows.
ROWS_EACH = 25_000
_MOST = 4


def load_new_table(cursor: Cursor, table: str, rows: Rows, connect: Callable[[], Connection] | None) -> None:
    """Send rows to a table that is empty; the caller commits.

    Of many rows, the transaction of each connection is committed here, once all of them have arrived.

    Args:
        cursor: a cursor on the branch of the table, which nobody else writes to.
        table: the table's quoted name.
        rows: the rows, best in the order of the key.
        connect: opens another connection to the same database, over which some of the rows go if no two rows
            have the same key; None if one has to do.

    Raises:
        BulkLoadError: not every row arrived as it was sent. None is kept, unless the server went away while
            they were committed.
    """
    more = min(_MOST, os.cpu_count() or 1, len(rows) // ROWS_EACH) - 1
    if connect is None or more < 1:
        load_rows(cursor, table, rows)
        return
    with _more_cursors(cursor, connect, more) as others:
        cursors = [cursor, *others]
        bounds = [len(rows) * number // len(cursors) for number in range(len(cursors) + 1)]
        parts = [rows.part(start, end) for start, end in pairwise(bounds)]
        with ThreadPoolExecutor(more) as pool:
            loading = [
                pool.submit(load_rows, other, table, part)
                for other, part in zip(others, parts[1:], strict=True)
            ]
            try:
                load_rows(cursor, table, parts[0])
                for one in loading:
                    one.result()
            except BaseException:
                for other in others:
                    cut(other.connection)
                raise
        try:
            # One after another: of many that commit at the same moment, Dolt gives up some.
            for each in cursors:
                each.connection.commit()
        except pymysql.err.OperationalError as error:
            if not is_conflict(error):
                raise
    # A transaction sees what was there when it began.
    cursor.connection.rollback()
    if count_rows(cursor, table) != len(rows):
        # A collation makes keys of different parts the same: one connection says which.
        cursor.execute(f"DELETE FROM {table}")
        cursor.connection.commit()
        load_rows(cursor, table, rows)


@contextmanager
def _more_cursors(cursor: Cursor, connect: Callable[[], Connection], most: int) -> Iterator[list[Cursor]]:
    """Yield cursors on the branch of another one, as many as the server has connections for."""
    cursor.execute("SELECT DATABASE()")
    [row] = cursor.fetchall()
    connections: list[Connection] = []
    try:
        try:
            while len(connections) < most:
                connections.append(connect())
                with connections[-1].cursor() as other:
                    other.execute(f"USE {quote(row[0])}")
                    # PyMySQL believes that it is off, because Dolt does not report it; but it is on.
                    other.execute("SET autocommit = 0")
        except (pymysql.err.Error, DoltError):
            # One is enough.
            for connection in connections:
                connection.close()
            connections = []
        yield [connection.cursor() for connection in connections]
    finally:
        for connection in connections:
            if connection.open:
                connection.close()
