"""One connection on a branch answers a row of questions, and nothing of one asker reaches the next."""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.repository import Repository


@pytest.fixture
def repository(database: Database) -> Iterator[Repository]:
    with database.serving() as repository:
        yield repository


def session(repository: Repository, branch: str | None = None, *, own: bool = False) -> int:
    with repository.on(branch, own=own) as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        return int(cursor.fetchone()[0])  # type: ignore[index]


def test_a_connection_is_used_again_in_the_context_alone(repository: Repository) -> None:
    with repository.reusing():
        first = session(repository)
        assert session(repository) == first
        with repository.on():
            assert session(repository) != first
    assert session(repository) != first


def test_a_context_within_another_one_ends_with_that(repository: Repository) -> None:
    with repository.reusing():
        with repository.reusing():
            first = session(repository)
        assert session(repository) == first


def test_no_connection_is_left_open(repository: Repository) -> None:
    with repository.reusing(), repository.on() as cursor:
        session(repository)
        connection = cursor.connection
    assert not connection.open


def test_a_connection_of_its_own_is_used_by_nobody_else(repository: Repository) -> None:
    with repository.reusing():
        shared = session(repository)
        own = session(repository, own=True)
        assert own != shared and session(repository) == shared


def test_a_connection_on_which_something_failed_is_not_used_again(repository: Repository) -> None:
    with repository.reusing():
        first = session(repository)
        with pytest.raises(pymysql.err.Error), repository.on() as cursor:
            cursor.execute("SELECT * FROM nowhere")
        assert session(repository) != first


def test_a_lock_is_free_after_its_holder_failed(repository: Repository) -> None:
    with repository.reusing():
        with pytest.raises(pymysql.err.Error), repository.locked("it"), repository.on() as cursor:
            cursor.execute("SELECT * FROM nowhere")
        assert repository.is_free("it")


def test_a_branch_that_is_made_again_is_not_the_one_before(repository: Repository) -> None:
    with repository.reusing():
        base = repository.head(repository.checked_out())
        repository.create_branch("again", base)
        with repository.on("again") as cursor:
            cursor.execute("CREATE TABLE only_there (id INT PRIMARY KEY)")
            cursor.execute("CALL DOLT_COMMIT('-A', '-m', 'only there')")
        repository.delete_branch("again")
        repository.create_branch("again", base)
        with repository.on("again") as cursor:
            cursor.execute("SHOW TABLES LIKE 'only_there'")
            assert cursor.fetchall() == ()
        repository.delete_branch("again")


def test_an_open_connection_sees_what_others_commit(repository: Repository) -> None:
    with repository.reusing():
        branch = repository.checked_out()
        session(repository, branch)
        before = repository.head(branch)
        with repository.on(branch, own=True) as cursor:
            cursor.execute("CALL DOLT_COMMIT('--allow-empty', '-m', 'another')")
        after = repository.head(branch)
        assert after != before and repository.contains(branch, after)
