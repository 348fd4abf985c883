"""A branch that is moved forward arrives whole, whatever happens to the server meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import branches, hashes, messages, new_repository, query

from kedro_doltdb.dolt.fast_forward import EditedError, fast_forward, finish_moves
from kedro_doltdb.dolt.repository import Repository

HALF_MOVED = """
    CALL DOLT_BRANCH('kedro/moving/main', 'main');
    CALL DOLT_RESET('--soft', 'new');
"""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with new_repository(tmp_path) as (found, _):
        run(
            found,
            "CREATE TABLE changed (id INT PRIMARY KEY, value INT)",
            "CREATE TABLE rekeyed (id INT PRIMARY KEY, value INT)",
            "CREATE TABLE `dropped``table` (id INT PRIMARY KEY)",
            "CREATE TABLE notes (id INT PRIMARY KEY, text TEXT)",
            "INSERT INTO changed VALUES (1, 1)",
            "CALL DOLT_COMMIT('-Am', 'Old')",
            "CALL DOLT_BRANCH('new')",
        )
        run(
            found,
            "UPDATE changed SET value = 2",
            "ALTER TABLE rekeyed DROP PRIMARY KEY",
            "DROP TABLE `dropped``table`",
            "CREATE TABLE added (id INT PRIMARY KEY)",
            "INSERT INTO added VALUES (7)",
            "CREATE VIEW seen AS SELECT 1",
            "CALL DOLT_COMMIT('-Am', 'New')",
            branch="new",
        )
        yield found


def run(repository: Repository, *statements: str, branch: str = "main") -> None:
    with repository.on(branch) as cursor:
        for statement in filter(str.strip, statements):
            cursor.execute(statement)


def test_a_half_moved_branch_is_finished(repository: Repository) -> None:
    run(repository, *HALF_MOVED.split(";"))
    assert {"changed", "rekeyed", "dropped`table", "added"} < set(repository.uncommitted("main"))
    finish_moves(repository)
    assert repository.uncommitted("main") == []
    assert repository.head("main") == repository.head("new")
    assert repository.branches() == {"main", "new"}
    with repository.on("main") as cursor:
        cursor.execute("SELECT value FROM changed JOIN added ON added.id = 7 JOIN seen")
        assert cursor.fetchall() == ((2,),)


def test_edits_of_the_user_outlive_a_half_moved_branch(repository: Repository) -> None:
    run(repository, "INSERT INTO notes VALUES (1, 'mine')", *HALF_MOVED.split(";"))
    finish_moves(repository)
    assert repository.uncommitted("main") == ["notes"]
    # What was edited after the server was killed is an edit of the old table: it is not thrown away either.
    run(repository, "CALL DOLT_COMMIT('-Am', 'Notes')", "CALL DOLT_BRANCH('-f', 'new', 'main')")
    run(repository, "UPDATE changed SET value = 3", "CALL DOLT_COMMIT('-Am', 'Newer')", branch="new")
    run(repository, *HALF_MOVED.split(";"), "INSERT INTO changed VALUES (2, 2)")
    finish_moves(repository)
    assert repository.uncommitted("main") == ["changed"]


@pytest.mark.parametrize("moved", [False, True])
def test_a_branch_that_was_not_moved_or_wholly_is_left_alone(repository: Repository, moved: bool) -> None:
    run(repository, "CALL DOLT_BRANCH('kedro/moving/main', 'main')", "INSERT INTO notes VALUES (1, 'mine')")
    if moved:
        run(repository, "CALL DOLT_MERGE('--ff-only', 'new')")
    head = repository.head("main")
    finish_moves(repository)
    assert repository.head("main") == head
    assert repository.uncommitted("main") == ["notes"]
    assert repository.branches() == {"main", "new"}


def test_a_branch_that_was_deleted_since_is_not_missed(repository: Repository) -> None:
    run(repository, "CALL DOLT_BRANCH('kedro/moving/gone', 'main')")
    finish_moves(repository)
    assert repository.branches() == {"main", "new"}


def test_edits_that_stand_in_the_way_are_named(repository: Repository) -> None:
    run(repository, "INSERT INTO changed VALUES (2, 2)")
    head = repository.head("main")
    with pytest.raises(EditedError) as raised:
        fast_forward(repository, "main", "new")
    assert raised.value.tables == ["changed"]
    assert repository.head("main") == head
    assert repository.uncommitted("main") == ["changed"]
    assert repository.branches() == {"main", "new"}


def test_a_run_after_a_server_that_was_killed_in_a_publication(project: Path) -> None:
    run_kedro(project, "run", "--params", "dolt_branch=new,example_test_data_ratio=0.3")
    published = hashes(project, "new")
    dolt(project, "sql", "-q", "CREATE TABLE notes (id INT PRIMARY KEY)")
    dolt(project, "sql", "-q", HALF_MOVED)
    assert "example_metrics" in dolt(project, "status")
    done = run_kedro(project, "run", "--params", "example_test_data_ratio=0.2")
    assert "Committed the uncommitted edits of notes on main apart." in done.stdout + done.stderr
    assert messages(project)[1].startswith("Uncommitted edits found")
    edited = query(project, "SELECT to_table_name AS name FROM dolt_diff_summary('HEAD~2', 'HEAD~1')")
    assert [row["name"] for row in edited] == ["notes"]
    assert query(project, "SELECT COUNT(*) AS n FROM kedro_runs AS OF 'HEAD~1'") == [{"n": "1"}]
    assert hashes(project, "new") == published
    assert branches(project) == ["main", "new"]
