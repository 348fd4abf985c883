"""The run or commit that last changed each row, whatever the table's columns are called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt.sql import identifier
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.queries.blame import blame
from kedro_doltdb.settings import Settings

# What Dolt's own tables of blame, history and differences add, and what breaks statements.
NAMES = (
    "email", "message", "committer", "date", "commit", "commit_date", "commit_hash", "author", "diff_type",
    "to_commit", "from_commit", "table_name", "data_change", "order", "100%", "a`b", "key with space", "é",
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(dolt_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    path = tmp_path_factory.mktemp("blame")
    initialise(path / "data", [])
    with Database(path, Settings()).serving() as repository:
        yield repository


def commit(repository: Repository, message: str, *statements: str, branch: str | None = None) -> str:
    with repository.on(branch) as cursor:
        for statement in statements:
            cursor.execute(statement, ())
        cursor.execute("CALL DOLT_COMMIT('-Am', %s)", (message,))
        return str(cursor.fetchone()[0])  # type: ignore[index]


def test_every_column_name_is_possible(repository: Repository) -> None:
    tables = [(f"t{number}", name) for number, name in enumerate(NAMES)]
    first = commit(
        repository,
        "Update data from Kedro run one with params {}",
        *(
            f"CREATE TABLE {table} ({identifier(name)} VARCHAR(20) PRIMARY KEY, x INT)"
            for table, name in tables
        ),
        *(f"INSERT INTO {table} VALUES ('a', 1), ('b', 1)" for table, _ in tables),
        f"CREATE TABLE wide ({', '.join(f'{identifier(name)} INT' for name in NAMES)}, "
        f"PRIMARY KEY ({', '.join(map(identifier, NAMES[:8]))}))",
        f"INSERT INTO wide VALUES ({', '.join(['1'] * len(NAMES))}), ({', '.join(['2'] * len(NAMES))})",
    )
    second = commit(
        repository,
        "Correct b by hand\n\nAt length.",
        *(f"UPDATE {table} SET x = 2 WHERE {identifier(name)} = 'b'" for table, name in tables),
        "UPDATE wide SET `diff_type` = 3 WHERE `email` = 2",
    )
    for table, name in tables:
        a, b = blame(repository, table, {}, None)
        assert (a.key, a.commit, a.run_id) == ({name: "a"}, first, "one"), name
        assert (b.key, b.commit, b.run_id, b.message) == ({name: "b"}, second, None, "Correct b by hand"), (
            name
        )
        assert [row.key for row in blame(repository, table, {name: "b"}, None)] == [{name: "b"}]
    one, two = blame(repository, "wide", {}, None)
    assert (one.commit, two.commit) == (first, second) and set(two.key.values()) == {2}
    assert len(blame(repository, "wide", {}, 1)) == 1


def test_the_commit_that_brought_the_row_is_named(repository: Repository) -> None:
    make = commit(
        repository,
        "Make",
        "CREATE TABLE s (id INT PRIMARY KEY, x INT)",
        "INSERT INTO s VALUES (1, 1), (2, 1), (3, 1)",
    )
    commit(repository, "Away", "UPDATE s SET x = 5 WHERE id = 2")
    back = commit(repository, "Back", "UPDATE s SET x = 1 WHERE id = 2")
    repository.create_branch("side", back)
    side = commit(repository, "Side", "UPDATE s SET x = 7 WHERE id = 3", branch="side")
    commit(repository, "Other table", "CREATE TABLE other (id INT PRIMARY KEY)")
    with repository.on() as cursor:
        cursor.execute("CALL DOLT_MERGE('side', '--no-ff', '-m', 'Merge')")
    wider = commit(repository, "Wider", "ALTER TABLE s ADD COLUMN y INT", "INSERT INTO s VALUES (4, 1, 1)")
    with repository.on() as cursor:
        cursor.execute("UPDATE s SET x = 99 WHERE id = 1")
    found = {row.key["id"]: row.commit for row in blame(repository, "s", {}, None)}
    assert found == {1: make, 2: back, 3: side, 4: wider}
    commit(repository, "Settle", "ALTER TABLE s RENAME COLUMN id TO new_id")
    again = blame(repository, "s", {"new_id": "2"}, None)
    assert [row.message for row in again] == ["Settle"]


def test_many_rows_are_asked_for_in_parts(repository: Repository) -> None:
    values = ", ".join(f"({number}, {number % 7}, 0)" for number in range(1300))
    make = commit(
        repository,
        "Many",
        "CREATE TABLE many (a INT, b INT, x INT, PRIMARY KEY (a, b))",
        f"INSERT INTO many VALUES {values}",
    )
    edit = commit(repository, "Edit", "UPDATE many SET x = 1 WHERE a >= 1000")
    rows = blame(repository, "many", {}, None)
    assert [row.commit for row in rows] == [make] * 1000 + [edit] * 300
