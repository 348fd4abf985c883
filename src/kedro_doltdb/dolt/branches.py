"""Branches, made so that Dolt's own background work does not get in the way."""

from __future__ import annotations

import pymysql
from pymysql.cursors import Cursor

from . import answers

_ATTEMPTS = 20


def make_branch(cursor: Cursor, branch: str, commit: str = "HEAD", *, force: bool = False) -> None:
    """Make a branch.

    Dolt writes a branch's head first and its working set next, and refuses when something else has made the
    working set in between, its statistics for example. Dolt tries again by itself in versions that have
    https://github.com/dolthub/dolt/pull/11343.

    Args:
        cursor: on the repository.
        branch: its name, which nobody else uses.
        commit: what it is to point at.
        force: whether to move a branch of that name.

    Raises:
        pymysql.err.Error: Dolt does not allow the name, or it is taken, or there is no such commit.
    """
    for attempt in range(_ATTEMPTS):
        # A refused attempt has left the head: the next has to move it.
        options = ("-f",) if force or attempt else ()
        try:
            cursor.execute(f"CALL DOLT_BRANCH({'%s, ' * len(options)}%s, %s)", (*options, branch, commit))
            return
        except pymysql.err.Error as error:
            if attempt == _ATTEMPTS - 1 or not answers.is_overtaken(error):
                raise
