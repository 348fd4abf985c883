"""``kedro dolt compare --csv``: every row that differs, in files that anything can read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers import new_repository

from kedro_doltdb.cli.compare_csv import write_csv
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.errors import DoltError
from kedro_doltdb.journal.revision import find
from kedro_doltdb.queries.compare import Comparison, compare, streamed_rows

STATEMENTS = """
CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b INT);
INSERT INTO t VALUES (1, 'x', 1), (2, NULL, 2), (3, 'gone', 3);
CREATE TABLE keyless (a INT, b DECIMAL(10, 2)); INSERT INTO keyless VALUES (1, 1.5), (1, 1.5);
CREATE TABLE other_key (a INT PRIMARY KEY, b INT NOT NULL); INSERT INTO other_key VALUES (1, 1);
CREATE TABLE dropped (a INT PRIMARY KEY);
CALL DOLT_COMMIT('-Am', 'One');
UPDATE t SET a = '' WHERE id = 1; UPDATE t SET a = '=1+1' WHERE id = 2; DELETE FROM t WHERE id = 3;
INSERT INTO t VALUES (4, 'line\nbreak, "and" more', -4);
DELETE FROM keyless LIMIT 1;
ALTER TABLE other_key DROP PRIMARY KEY, ADD PRIMARY KEY (b);
DROP TABLE dropped;
CREATE TABLE `../T` (a INT PRIMARY KEY); INSERT INTO `../T` VALUES (1);
CREATE TABLE `=cmd()` (a INT PRIMARY KEY, `old_a` INT); INSERT INTO `=cmd()` VALUES (1, 2);
CREATE TABLE tables (a INT PRIMARY KEY); INSERT INTO tables VALUES (1);
CALL DOLT_COMMIT('-Am', 'Two');
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with new_repository(tmp_path_factory.mktemp("csv")) as (repository, _):
        with repository.on() as cursor:
            for statement in STATEMENTS.split(";\n")[:-1]:
                for part in statement.split("; "):
                    cursor.execute(part)
        yield repository


def comparison(repository: Repository, old: str = "HEAD~1", new: str = "HEAD") -> Comparison:
    points = find(repository, old), find(repository, new)
    return compare(repository, *points, [], Path("/nowhere"), limit=0)


def read(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_every_row_that_differs_is_there_once(repository: Repository, tmp_path: Path) -> None:
    write_csv(repository, comparison(repository), tmp_path / "out")
    assert read(tmp_path / "out" / "t.csv") == [
        ["diff_type", "id", "old_a", "new_a", "old_b", "new_b"],
        ["modified", "1", "x", "", "1", "1"],
        ["modified", "2", "", "'=1+1", "2", "2"],
        ["removed", "3", "gone", "", "3", ""],
        ["added", "4", "", 'line\\nbreak, "and" more', "", "-4"],
    ]
    assert read(tmp_path / "out" / "keyless.csv")[1:] == [["removed", "1", "", "1.50", ""]]


def test_null_and_empty_text_are_told_apart(repository: Repository, tmp_path: Path) -> None:
    write_csv(repository, comparison(repository), tmp_path / "out")
    lines = (tmp_path / "out" / "t.csv").read_text("utf-8").splitlines()
    assert lines[1:3] == ['"modified",1,"x","",1,1', '"modified",2,,"\'=1+1",2,2']


def test_names_of_tables_reach_no_other_file(repository: Repository, tmp_path: Path) -> None:
    names = write_csv(repository, comparison(repository), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    tables = pd.read_csv(tmp_path / "out" / "tables.csv", index_col="table")
    assert tables["file"].dropna().nunique() == 5 and tables.loc["tables", "file"] == "tables-2.csv"
    assert read(tmp_path / "out" / tables.loc["../T", "file"])[1:] == [["added", "1"]]
    assert tables.loc["dropped", "schema"] == "dropped" and pd.isna(tables.loc["other_key", "file"])


def test_what_is_in_the_way_is_left_alone(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    found = comparison(repository)
    for place in (tmp_path, tmp_path / "mine" / "out"):
        with pytest.raises(DoltError, match=r"holds something already|cannot be written to"):
            write_csv(repository, found, place)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_the_rows_of_a_large_change_are_not_in_memory_at_once(repository: Repository) -> None:
    with repository.on() as cursor:
        cursor.execute("CREATE TABLE many (a INT PRIMARY KEY)")
        cursor.execute(f"INSERT INTO many VALUES {', '.join(f'({number})' for number in range(5000))}")
        cursor.execute("CALL DOLT_COMMIT('-Am', 'Many')")
    found = comparison(repository)
    (table,) = found.tables
    assert (table.rows, table.old_count, table.new_count) == ([], None, 5000)
    with streamed_rows(repository, found, table) as rows:
        assert not isinstance(rows, list) and next(rows).kind == "added"
        assert sum(1 for _ in rows) == 4999
