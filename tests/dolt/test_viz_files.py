"""What Kedro-Viz reads of a run, from Dolt; `check_plugins.py` has Kedro-Viz itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import new_repository

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.journal.store import Edge
from kedro_doltdb.run.viz_files import CHANGED, NEW, VizFiles

EDGES = [
    Edge("n", "kept", "load", "kept"),
    Edge("n", "grown@pandas", "save", "grown"),
    Edge("n", "fresh", "save", "fresh"),
    Edge("n", "seen", "load", "seen"),
    Edge("n", "old", "load", "grown", read_at="a" * 32),
    Edge("n", "file", "save", file="data/file.csv"),
]


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, str, str]]:
    """Two commits: a table that grows, one that is new, one that stays, a view."""
    with new_repository(tmp_path_factory.mktemp("viz")) as (repository, _):
        with repository.on() as cursor:
            for table in ("kept", "grown"):
                cursor.execute(f"CREATE TABLE {table} (a INT PRIMARY KEY, b INT)")
                cursor.execute(f"INSERT INTO {table} VALUES (1, 1), (2, 2)")
            cursor.execute("CREATE VIEW seen AS SELECT * FROM kept")
            cursor.execute("CALL DOLT_COMMIT('-Am', 'One')")
            cursor.execute("INSERT INTO grown VALUES (3, 3)")
            cursor.execute("CREATE TABLE fresh (a INT PRIMARY KEY)")
            cursor.execute("CALL DOLT_COMMIT('-Am', 'Two')")
        head = repository.head("main")
        with repository.on() as cursor:
            cursor.execute("SELECT hashof('HEAD~1')")
            [base] = cursor.fetchone() or ()
        yield repository, str(base), head


def written(
    project: Path, commits: tuple[Repository, str, str], before: Any = None, styles: Any = None
) -> tuple[Any, Any]:
    """The stats and the styles after a run, with what was there before it and what is its user's own."""
    repository, base, head = commits
    directory = project / ".viz"
    directory.mkdir()
    (directory / "stats.json").write_text(json.dumps(before))
    (directory / "styles.json").write_text(json.dumps(styles))
    files = VizFiles(project)
    # Kedro-Viz's own hook: what a parallel run has not passed through its process is gone.
    (directory / "stats.json").write_text("{}")
    files.write(repository, EDGES, base, head, repository.changes(base, head))
    return tuple(json.loads((directory / name).read_text()) for name in ("stats.json", "styles.json"))


def test_each_table_has_its_rows_and_what_was_changed_its_change(
    tmp_path: Path, commits: tuple[Repository, str, str]
) -> None:
    stats, styles = written(tmp_path, commits)
    assert stats == {
        "kept": {"rows": 2, "columns": 2},
        "grown": {"rows": "3 (+1)", "columns": 2},
        "fresh": {"rows": "0 (schema)", "columns": 1},
    }
    assert styles == {"grown": CHANGED, "fresh": NEW}


def test_what_other_runs_and_the_user_have_noted_stays(
    tmp_path: Path, commits: tuple[Repository, str, str]
) -> None:
    before = {"other": {"rows": "30 (+15)", "columns": 1}, "odd": 3, "kept": {"rows": 9}}
    mine = {"grown": {"fill": "red"}, "node": {"fill": "blue"}, "other": CHANGED}
    stats, styles = written(tmp_path, commits, before, mine)
    assert stats["other"] == {"rows": 30, "columns": 1} and stats["odd"] == 3
    assert stats["kept"] == {"rows": 2, "columns": 2}
    assert styles == {"grown": {"fill": "red"}, "node": {"fill": "blue"}, "fresh": NEW}


@pytest.mark.parametrize("damaged", [[1], "text", None])
def test_files_that_are_damaged_are_made_again(
    tmp_path: Path, commits: tuple[Repository, str, str], damaged: Any
) -> None:
    stats, styles = written(tmp_path, commits, damaged, damaged)
    assert set(stats) == {"kept", "grown", "fresh"} and set(styles) == {"grown", "fresh"}


def test_a_directory_that_cannot_be_written_is_a_warning(
    tmp_path: Path, commits: tuple[Repository, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    repository, base, head = commits
    (tmp_path / ".viz").write_text("a file")
    VizFiles(tmp_path).write(repository, EDGES, base, head, [])
    assert "Kedro-Viz will not show this run" in caplog.text
