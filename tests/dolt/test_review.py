"""``kedro dolt report`` on what a repository can hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from helpers import new_repository

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.journal.revision import find
from kedro_doltdb.queries.compare import compare
from kedro_doltdb.queries.review import Review, review
from kedro_doltdb.report.page import page

EVIL = "</script><script>document.title='pwned'</script>"
TABLE = "</script><b>t"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Two commits between which every kind of change has happened."""
    with new_repository(tmp_path_factory.mktemp("review")) as (repository, _):
        with repository.on() as cursor:
            cursor.execute(f'CREATE TABLE `{TABLE}` (`id"><i>` INT PRIMARY KEY, `<s>v` LONGTEXT, n INT)')
            values = [(1, EVIL, None), (2, "שלום", 2), (3, "\u202e\0\x1b", 3), (4, "", 4)]
            cursor.executemany(f"INSERT INTO `{TABLE}` VALUES (%s, %s, %s)", values)
            cursor.execute("CREATE TABLE gone (a INT PRIMARY KEY)")
            cursor.execute("INSERT INTO gone VALUES (1)")
            cursor.execute("CREATE TABLE other_key (a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a))")
            cursor.execute("CREATE TABLE keyless (a INT)")
            cursor.execute("INSERT INTO keyless VALUES (1), (1)")
            cursor.execute("CREATE TABLE columns_of (a INT PRIMARY KEY, b INT)")
            cursor.execute("CALL DOLT_COMMIT('-Am', 'One')")
            cursor.execute(f"UPDATE `{TABLE}` SET `<s>v` = CONCAT(`<s>v`, %s)", (EVIL,))
            cursor.execute("DROP TABLE gone")
            cursor.execute("ALTER TABLE other_key DROP PRIMARY KEY, ADD PRIMARY KEY (b)")
            cursor.execute("DELETE FROM keyless LIMIT 1")
            cursor.execute("ALTER TABLE columns_of DROP COLUMN b")
            cursor.execute("CREATE TABLE fresh (a INT PRIMARY KEY, b DOUBLE)")
            cursor.execute("INSERT INTO fresh VALUES (1, 1e308), (2, -1e308), (3, NULL)")
            cursor.execute("CALL DOLT_COMMIT('-Am', %s)", (EVIL,))
        yield repository


def reviewed(repository: Repository, old: str = "HEAD~1", new: str = "HEAD") -> Review:
    points = find(repository, old), find(repository, new)
    return review(repository, compare(repository, *points, [], Path("/nowhere"), limit=0))


def test_every_kind_of_change_is_told(repository: Repository) -> None:
    found = {table.diff.change.table: table for table in reviewed(repository).tables}
    assert len(found[TABLE].rows) == 4 and set(found[TABLE].writers) == {(1,), (2,), (3,), (4,)}
    assert all(text.startswith("commit ") for text in found[TABLE].writers.values())
    assert [change.breaking for change in found["gone"].schema] == [True]
    assert found["other_key"].rows == [] and not found["other_key"].diff.comparable
    assert [row.kind for row in found["keyless"].rows] == ["removed"]
    assert [(change.what, change.breaking) for change in found["columns_of"].schema] == [("b", True)]
    assert found["fresh"].profile.columns["b"].new.bounds == (-1e308, 1e308)


def test_nothing_is_nothing(repository: Repository) -> None:
    html = page(reviewed(repository, "HEAD", "HEAD"), datetime(2026, 1, 1), "HEAD HEAD")
    assert "No difference in the data." in html and 'class="rows"' not in html


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
def test_a_browser_shows_the_rows_and_obeys_no_value(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text(page(reviewed(repository), datetime(2026, 1, 1), "a b"), "utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}",
        "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "r.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"<title>HEAD~1 → HEAD</title>", done.stdout)
    assert done.stdout.count("Page 1 of 1, 4 of 4 rows") == 1
    assert len(re.findall('<tr class="(?:add|del|mod)">', done.stdout)) == 4 + 1 + 3
    assert "CONSOLE" not in done.stderr
