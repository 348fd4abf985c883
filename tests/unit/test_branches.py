"""A branch that Dolt refuses to make because something else wrote meanwhile: no test can bring that about."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from kedro_doltdb.dolt.branches import make_branch

OVERTAKEN = pymysql.err.OperationalError(
    1105, "fatal: Unexpected error creating branch 'b' : optimistic lock failed on database Root update"
)


class Cursor:
    """A cursor that gives these answers, one a statement."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.statements: list[str] = []

    def execute(self, sql: str, parameters: tuple[str, ...]) -> None:
        self.statements.append(sql % parameters)
        if answer := self.answers.pop(0):
            raise answer


def make(cursor: Any, **options: bool) -> None:
    make_branch(cursor, "b", "c", **options)


def test_an_overtaken_branch_is_moved_where_it_belongs() -> None:
    cursor = Cursor(OVERTAKEN, OVERTAKEN, None)
    make(cursor)
    assert cursor.statements == ["CALL DOLT_BRANCH(b, c)"] + ["CALL DOLT_BRANCH(-f, b, c)"] * 2


def test_a_name_that_is_taken_is_refused_at_once() -> None:
    cursor = Cursor(pymysql.err.OperationalError(1105, "fatal: A branch named 'b' already exists."))
    with pytest.raises(pymysql.err.OperationalError, match="already exists"):
        make(cursor)


def test_one_that_is_always_overtaken_gives_up() -> None:
    with pytest.raises(pymysql.err.OperationalError, match="optimistic lock"):
        make(Cursor(*[OVERTAKEN] * 99))
