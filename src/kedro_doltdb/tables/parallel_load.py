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
from threading import Lock
from typing import TYPE_CHECKING

import pymysql

from ..dolt.sql import quote
from ..dolt.wire import cut
from ..errors import BulkLoadError, DoltError
from .columns import to_rows
from .table_sql import count_rows, load_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from pymysql.cursors import Cursor

    from .table_plan import Plan

    Connection = pymysql.Connection[Cursor]

# To open a connection and to merge take as long as some hundred rows.
ROWS_EACH = 25_000
_MOST = 4


def load_new_table(cursor: Cursor, table: str, plan: Plan, connect: Callable[[], Connection] | None) -> None:
    """Send all rows to a table that is empty, and commit them.

    Args:
        cursor: a cursor on the branch of the table, which nobody else writes to.
        table: the table's quoted name.
        plan: the rows, whose keys differ, and the table's columns.
        connect: opens another connection to the same database; None if one has to do.

    Raises:
        BulkLoadError: not every row arrived as it was sent. Some may have been committed.
    """
    count = len(plan.rows)
    more = min(_MOST, os.cpu_count() or 1, count // ROWS_EACH) - 1
    if connect is None or not plan.primary_key or more < 1:
        load_rows(cursor, table, to_rows(plan.rows, plan.columns))
        return cursor.connection.commit()
    with _more_cursors(cursor, connect, more) as others:
        cursors = [cursor, *others]
        bounds = [count * number // len(cursors) for number in range(len(cursors) + 1)]
        parts = [plan.rows.slice(start, end - start) for start, end in pairwise(bounds)]
        committing = Lock()

        def load(cursor: Cursor, rows: pa.Table) -> None:
            load_rows(cursor, table, to_rows(rows, plan.columns))
            # Of many that commit at the same moment, Dolt gives up some.
            with committing:
                cursor.connection.commit()

        with ThreadPoolExecutor(more) as pool:
            loading = [pool.submit(load, *each) for each in zip(others, parts[1:], strict=True)]
            try:
                load(cursor, parts[0])
                for one in loading:
                    one.result()
            except BaseException:
                for other in others:
                    cut(other.connection)
                raise
    # A transaction sees what was there when it began.
    cursor.connection.rollback()
    if (found := count_rows(cursor, table)) != count:
        raise BulkLoadError(f"Dolt did not load the rows of {table}: it has {found} in place of {count}.")


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
