"""What a user may call a commit, and what it costs to find it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.names import BUILDING_PREFIX, MOVING_PREFIX, STATE_BRANCH
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.journal import store
from kedro_doltdb.journal.history import last_run, list_runs, public_branches
from kedro_doltdb.journal.revision import find
from kedro_doltdb.journal.store import Run
from kedro_doltdb.settings import Settings


@pytest.fixture(scope="module")
def repository(dolt_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    path = tmp_path_factory.mktemp("history")
    initialise(path / "data", [])
    with Database(path, Settings()).serving() as repository:
        yield repository


def commit_run(repository: Repository, run_id: str, branch: str = "main", verb: str = "Update data") -> str:
    with repository.on(branch) as cursor:
        store.write(cursor, Run(run_id, started=store.now(), status="succeeded", branch=branch), [])
    commit = repository.commit_all(branch, f"{verb} from Kedro run {run_id} with params {{}}")
    assert commit
    return commit


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Count the connections that are opened, and the statements that are sent."""
    found = {"connections": 0, "statements": 0}

    def counting(what: str, original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            found[what] += 1
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(
            pymysql.connections.Connection, "connect",
            counting("connections", pymysql.connections.Connection.connect),
        )  # fmt: skip
        patch.setattr(
            pymysql.cursors.Cursor, "execute", counting("statements", pymysql.cursors.Cursor.execute)
        )
        yield found


def test_what_a_name_costs_does_not_grow_with_the_branches(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit_run(repository, "2026-11-27T10.00.00.000Z")
    last = commit_run(repository, "2026-11-27T11.00.00.000Z")
    with repository.on() as cursor:
        cursor.execute("CALL DOLT_TAG('v1', %s)", (first,))
    names = ("HEAD", "HEAD~1", "main", "side-0", "v1", first, first[:10], "2026-11-27T10.00.00.000Z")

    def cost() -> list[tuple[str, dict[str, int]]]:
        costs = []
        for name in names:
            with counted(monkeypatch) as found:
                assert find(repository, name).commit in (first, last)
            costs.append((name, dict(found)))
        return costs

    repository.create_branch("side-0", last)
    before = cost()
    assert all(found["connections"] and found["statements"] for _, found in before)
    for number in range(1, 30):
        repository.create_branch(f"side-{number}", last)
        repository.create_branch(f"kedro/2026-11-27T12.00.{number:02}.000Z", first)
    assert cost() == before


@pytest.mark.thorough
def test_branches_that_are_not_of_runs(repository: Repository) -> None:
    for branch in (STATE_BRANCH, f"{MOVING_PREFIX}main", f"{BUILDING_PREFIX}5"):
        repository.create_branch(branch, "main")
        # As if a run had this name.
        run_id = branch.removeprefix("kedro/")
        commit_run(repository, run_id, branch, "Kept")
        assert run_id not in {
            entry.run.run_id for entry in list_runs(repository, public_branches(repository), None)
        }
        with pytest.raises(ConfigError, match="names no run, commit, branch or tag"):
            find(repository, run_id)
        # The branch itself can be named.
        assert find(repository, branch).commit == repository.head(branch)
    kept = "2026-11-27T13.00.00.000Z"
    repository.create_branch(f"kedro/{kept}", "main")
    commit = commit_run(repository, kept, f"kedro/{kept}", "Kept")
    assert find(repository, kept).commit == find(repository, kept[:-3]).commit == commit


def test_the_last_run_is_the_last_in_the_log_that_is_in_the_journal(repository: Repository) -> None:
    with repository.on() as cursor:
        cursor.execute("CALL DOLT_BRANCH('clock', HASHOF('main'))")
    before = "2026-12-01T00.00.00.000Z"
    commit_run(repository, before, "clock")
    with repository.on() as cursor:
        found = last_run(cursor, "clock")
        assert found is not None and found.run_id == before
    # The clock has been set back.
    commit_run(repository, "2026-01-01T00.00.00.000Z", "clock")
    with repository.on("clock") as cursor:
        found = last_run(cursor, "clock")
        assert found is not None and found.run_id == "2026-01-01T00.00.00.000Z"
        cursor.execute("DELETE FROM kedro_runs WHERE run_id = %s", (found.run_id,))
        cursor.execute("CALL DOLT_COMMIT('-am', 'Revert it')")
        found = last_run(cursor, "clock")
        assert found is not None and found.run_id == before
        cursor.execute("SELECT commit_hash FROM dolt_log ORDER BY commit_order LIMIT 1")
        (first,) = cursor.fetchone() or ("",)
        assert last_run(cursor, first) is None
