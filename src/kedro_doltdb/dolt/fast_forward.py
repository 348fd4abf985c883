"""Move a branch forward to a commit, whole or not at all, even if the server is killed meanwhile.

``DOLT_MERGE`` moves the branch first and its working set second. Killed in between, Dolt shows the inverse of
all that the branch has just got as uncommitted edits, and the next commit would undo it. So for the time of
the move another branch says where the first one was, and whoever comes next finishes the move.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pymysql

from . import answers
from .branches import make_branch
from .names import JOURNAL_TABLES, MOVING_PREFIX
from .repository import changed_names
from .sql import quote

if TYPE_CHECKING:
    from .repository import Repository


_ATTEMPTS = 20


class EditedError(Exception):
    """Uncommitted edits of tables that would change stand in the way; nothing was changed.

    Attributes:
        tables: their names, in their order.
    """

    def __init__(self, tables: Iterable[str]) -> None:
        self.tables = sorted(tables)
        super().__init__(*self.tables)


def fast_forward(repository: Repository, branch: str, to: str) -> None:
    """Move a branch that the caller has locked. Uncommitted edits of tables that stay the same stay.

    Args:
        repository: where the branch is.
        branch: its name.
        to: the commit, or the branch, that it is to point at.

    Raises:
        EditedError: it cannot, for the sake of uncommitted edits.
        DoltError: a merge on the branch is not finished.
        pymysql.err.Error: Dolt's own words, for example because somebody who knows no lock of ours has
            committed meanwhile.
    """
    tip = repository.head(branch)
    for attempt in range(_ATTEMPTS):
        try:
            return _move(repository, branch, tip, to)
        except pymysql.err.Error:
            if attempt == _ATTEMPTS - 1 or repository.head(branch) != tip:
                raise
            # Dolt says now and then that edits would be stomped where there are none.
            time.sleep(0.05)


def _move(repository: Repository, branch: str, tip: str, to: str) -> None:
    moving = MOVING_PREFIX + branch
    with repository.on(branch) as cursor:
        make_branch(cursor, moving, tip, force=True)
        try:
            cursor.execute("CALL DOLT_MERGE('--ff-only', %s)", (to,))
        except pymysql.err.Error as error:
            if answers.is_gone(error):
                raise
            cursor.execute("CALL DOLT_BRANCH('-D', %s)", (moving,))
            if answers.is_merging(error):
                raise answers.plain(error) from error
            if repository.head(branch) != tip or repository.merge_base(tip, to) != tip:
                # Somebody who knows no lock of ours has committed meanwhile: no edit is in the way.
                raise
            edited = set(repository.uncommitted(branch, ignored=True))
            # A table that was dropped and not committed.
            if edited and answers.is_missing_data(error):
                raise EditedError(edited) from error
            if edited := edited & (repository.changed_tables(tip, to) | JOURNAL_TABLES):
                raise EditedError(edited) from error
            raise
        cursor.execute("CALL DOLT_BRANCH('-D', %s)", (moving,))


def finish_moves(repository: Repository) -> None:
    """Finish what killed servers have left of :func:`fast_forward`."""
    for moving in sorted(repository.branches()):
        if not moving.startswith(MOVING_PREFIX):
            continue
        branch = moving.removeprefix(MOVING_PREFIX)
        # A move that is under way holds the lock.
        with repository.locked(branch):
            branches = repository.branches()
            if moving in branches and branch in branches:
                _finish(repository, branch, moving)
            if moving in branches:
                repository.delete_branch(moving)


def _finish(repository: Repository, branch: str, old: str) -> None:
    with repository.on(branch, own=True) as cursor:
        arrived = changed_names(cursor, old, "HEAD")
        # What differs from the old tip as well is a user's edit.
        edited = {name for names in changed_names(cursor, old, "WORKING") for name in names}
        late = {name for names in arrived for name in names if name} - edited
        if not late:
            return
        there = {name for _, name in arrived}
        cursor.execute("SET foreign_key_checks = 0")
        for table in sorted(late):
            if table in there:
                cursor.execute("CALL DOLT_CHECKOUT('HEAD', '--', %s)", (table,))
            else:
                cursor.execute(f"DROP TABLE IF EXISTS {quote(table)}")
        # That has staged everything, where a merge leaves nothing staged.
        cursor.execute("CALL DOLT_RESET()")
