"""What Dolt answers when something on the target goes away under a run: plain words, and the data is kept."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from conftest import dolt
from helpers import branches, break_node, let_go, new_repository, start_slow_run

from kedro_doltdb.dolt import answers
from kedro_doltdb.dolt.repository import Repository, dolt_errors
from kedro_doltdb.dolt_cli import find_dolt, initialise
from kedro_doltdb.errors import DoltError, ServerError
from kedro_doltdb.run.publish import Publisher
from kedro_doltdb.run.record_store import records_of
from kedro_doltdb.run.records import Record
from kedro_doltdb.run.transaction import Transaction
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.server.process import _free_port

MERGE = (
    "CALL DOLT_BRANCH('other')",
    "UPDATE t SET b = 5",
    "CALL DOLT_COMMIT('-am', 'here')",
    "USE `data/other`",
    "UPDATE t SET b = 6",
    "CALL DOLT_COMMIT('-am', 'there')",
    "USE `data/main`",
    "SET autocommit = 0",
    "SET dolt_allow_commit_conflicts = 1",
    "CALL DOLT_MERGE('other')",
    "COMMIT",
)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Repository, ManagedServer]]:
    with new_repository(tmp_path) as (repository, server):
        execute(
            repository,
            "CREATE TABLE t (a INT PRIMARY KEY, b INT)",
            "INSERT INTO t VALUES (1, 1)",
            "CALL DOLT_COMMIT('-Am', 't')",
        )
        yield repository, server


def execute(repository: Repository, *statements: str) -> None:
    with repository.on() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (("DROP TABLE t",), "t has uncommitted edits on main: commit it with"),
        (("DROP TABLE t", "CALL DOLT_COMMIT('-Am', 'drop')"), "t, which it read or wrote, changed on main"),
        (("CALL DOLT_BRANCH('-m', '-f', 'main', 'other')",), "The branch main is gone"),
        (MERGE, "A merge on the target branch is not finished: `dolt merge --abort`"),
    ],
    ids=["a table dropped", "and committed", "the branch renamed", "a merge with conflicts"],
)
def test_what_goes_on_the_target_during_a_run(
    repository: tuple[Repository, ManagedServer], statements: tuple[str, ...], words: str
) -> None:
    here, server = repository
    records = records_of(server, here._address)
    reads = [] if statements is MERGE else ["t"]
    transaction = Transaction(Publisher(here, records, Record("run", "main", here.head("main"), [], reads)))
    transaction.begin()
    with here.on("kedro/run") as cursor:
        cursor.execute("CREATE TABLE n (a INT PRIMARY KEY)")
    execute(here, *statements)
    with pytest.raises(DoltError) as caught, dolt_errors():
        transaction.publish("n")
    assert words in caught.value.message and "chunk" not in caught.value.message
    with dolt_errors():
        assert transaction.keep("could not be published")
    assert here.table_hashes("kedro/run", ["n"]) and records.all()[0].status == "kept"


@pytest.mark.thorough
def test_a_target_that_is_renamed_during_a_run(project: Path) -> None:
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run")
    dolt(project, "branch", "-m", "-f", "main", "renamed")
    output = " ".join(let_go(project, process).split())
    assert process.returncode == 1
    assert "The branch that was checked out was renamed or deleted" in output
    (kept,) = [branch for branch in branches(project) if branch.startswith("kedro/")]
    assert f"what the run wrote is kept on {kept}" in output


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (1105, "database server is set to read only mode", "The Dolt server is read-only"),
        (1040, "Too many connections", "as many as its `max_connections` allows"),
        (2013, "Lost connection to MySQL server during query (timed out)", "`max_connections` allows"),
        (2013, "Lost connection to MySQL server during query", "has ended, or does not answer"),
        (1105, "cannot resolve default branch head for database 'data': 'main'", "was renamed or deleted"),
        (1105, "malformed database: chunk 000 required but not found\nstack", "Dolt lacks data"),
        (1105, "@autocommit must be disabled so that merge conflicts can be resolved", "is not finished"),
        (1105, "something else\nstack", "Dolt refused: something else"),
    ],
)
def test_plain_words(code: int, said: str, words: str) -> None:
    message = answers.plain(pymysql.err.OperationalError(code, said)).message
    assert words in message and "stack" not in message and "\n" not in message


def test_a_read_only_server_is_said_to_be_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    initialise(data, [])
    config = tmp_path / "config.yaml"
    config.write_text(f"listener: {{host: 127.0.0.1, port: {_free_port()}}}\nbehavior: {{read_only: true}}\n")
    process = subprocess.Popen(
        [find_dolt(), "sql-server", "--config", str(config)],
        cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        server = ManagedServer(data)
        while not server._process._running():
            assert process.poll() is None
        lease = server.acquire("test")
        address = lease.address
        repository = Repository(address, "Ada <ada@localhost>")
        with pytest.raises(ServerError, match="is read-only, and a run writes"), dolt_errors():
            repository.create_branch("kedro/x", "main")
        lease.release()
    finally:
        process.terminate()
        process.wait(30)


def test_a_name_that_no_branch_can_have(repository: tuple[Repository, ManagedServer]) -> None:
    with pytest.raises(DoltError, match="is not a valid branch name"), dolt_errors():
        repository[0].create_branch("a b", "main")
