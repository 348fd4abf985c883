"""Put a table in the place of another one, whole or not at all.

Every statement that makes, drops or renames a table commits, so a table that is dropped and made again
is missing and then empty for a while, and stays so if its rows are refused. So it is made under its own name
on a branch of its own, which nobody else looks at, and taken over from there in one transaction. To rename a
table into its place would do as well, but its columns would keep the tags of the other name: another content
hash than a full save's, and a change that Dolt's own summary leaves out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pymysql

from ..dolt.answers import is_conflict
from ..dolt.branches import make_branch
from ..dolt.names import BUILDING_PREFIX
from ..dolt.repository import lock_name
from ..dolt.sql import quote
from .parallel_load import load_new_table
from .table_sql import content_hash, create_table

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository
    from .table_plan import Plan

# Of commits that never reach another branch.
_AUTHOR = "kedro-dolt <kedro-dolt@localhost>"


def replace_table(
    cursor: Cursor,
    table: str,
    plan: Plan,
    stood: str | None,
    connect: Callable[[], pymysql.Connection[Cursor]] | None = None,
) -> bool:
    """Put a new table in the place of the one that may be there.

    Args:
        cursor: a cursor on the branch of the table, in no transaction.
        table: its name.
        plan: its columns, key, indexes and rows.
        stood: the content hash of the table that it takes the place of; None if there is none.
        connect: opens another connection to the same database, to load many rows quicker.

    Returns:
        False if somebody else has changed that one meanwhile. If True, nothing is left to commit.

    Raises:
        BulkLoadError: Dolt refused the table or its rows; nothing is changed.
    """
    connection, quoted = cursor.connection, quote(table)
    with _branch(cursor) as (home, branch):
        create_table(cursor, quoted, plan.columns, plan.primary_key, plan.indexes)
        if len(plan.rows):
            # Every run and command imports this module, also where there is no PyArrow.
            from .columns import to_rows

            several = connect if plan.primary_key else None
            load_new_table(cursor, quoted, to_rows(plan.rows, plan.columns), several)
            connection.commit()
        # With -A an ignored table would stay out.
        cursor.execute("CALL DOLT_ADD('--force', %s)", (table,))
        cursor.execute(
            "CALL DOLT_COMMIT('--allow-empty', '--skip-verification', '--author', %s, '-m', 'A table')",
            (_AUTHOR,),
        )
        built = content_hash(cursor, table)
        cursor.execute(f"USE {quote(home)}")
        connection.begin()
        if content_hash(cursor, table) != stood:
            return False
        staged = _status(cursor, "WHERE staged")
        cursor.execute("CALL DOLT_CHECKOUT(%s, '--', %s)", (branch, table))
        # That has staged every table. The reset commits the transaction.
        try:
            cursor.execute("CALL DOLT_RESET()")
        except pymysql.err.OperationalError as error:
            if not is_conflict(error):
                raise
            connection.rollback()
            return False
        if staged := staged & _status(cursor):
            cursor.execute(f"CALL DOLT_ADD({', '.join(['%s'] * len(staged))})", tuple(staged))
            connection.commit()
        # What somebody else has committed at the same moment, Dolt has merged row by row.
        return content_hash(cursor, table) == built


def discard_unfinished(repository: Repository) -> None:
    """Delete the branches of tables that nobody builds any more.

    Args:
        repository: where they are.
    """
    for branch in repository.branches():
        if branch.startswith(BUILDING_PREFIX) and repository.is_free(branch):
            repository.delete_branch(branch)


def _status(cursor: Cursor, where: str = "") -> set[str]:
    cursor.execute(f"SELECT table_name FROM dolt_status {where}")
    return {row[0] for row in cursor.fetchall()}


@contextmanager
def _branch(cursor: Cursor) -> Iterator[tuple[str, str]]:
    """Put the cursor on a new branch for a while; yield where it was before, and the branch."""
    cursor.execute("SELECT DATABASE()")
    home = str(cursor.fetchone()[0])  # type: ignore[index]
    branch = BUILDING_PREFIX + uuid.uuid4().hex
    lock = lock_name(home.partition("/")[0], branch)
    # Whoever finds the branch can tell by the lock whether somebody still builds.
    cursor.execute("SELECT GET_LOCK(%s, 0)", (lock,))
    try:
        make_branch(cursor, branch)
        cursor.execute(f"USE {quote(home.partition('/')[0] + '/' + branch)}")
        yield home, branch
    finally:
        # Of a connection that is gone, the next run deletes the branch.
        with suppress(pymysql.err.Error):
            cursor.connection.rollback()
            cursor.execute(f"USE {quote(home)}")
            cursor.execute("CALL DOLT_BRANCH('-D', %s)", (branch,))
            cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))
