"""The disk stays bounded, whatever runs leave and delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import dolt

from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ServerError
from kedro_doltdb.server.garbage import Garbage
from kedro_doltdb.server.managed import ManagedServer

ROWS = 1000
KEPT = 3


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    initialise(tmp_path / "data", [])
    return tmp_path / "data"


def fill(data_dir: Path, number: int, *statements: str) -> None:
    """Write a table of new rows on a branch of its own, with a server that stops afterwards."""
    lease = ManagedServer(data_dir).acquire("writer")
    try:
        with lease.address.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CALL DOLT_CHECKOUT('-b', %s)", (f"run{number}",))
            cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, x CHAR(64))")
            cursor.execute(
                "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
                "SELECT i, SHA2(CONCAT(i, ' ', %s), 256) FROM n",
                (ROWS, number),
            )
            cursor.execute("CALL DOLT_COMMIT('-Am', %s)", (f"run {number}",))
            for statement in statements:
                cursor.execute(statement)
    finally:
        lease.release()


def test_what_deleted_branches_held_is_given_back(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(
        data_dir,
        0,
        "CALL DOLT_TAG('v1', 'run0')",
        "CALL DOLT_CHECKOUT('main')",
        "CALL DOLT_BRANCH('-D', 'run0')",
    )
    garbage, start = Garbage(data_dir), Garbage(data_dir).size()
    monkeypatch.setattr("kedro_doltdb.server.garbage.GARBAGE_BYTES", start)

    sizes = []
    for number in range(1, 15):
        old = number - KEPT
        fill(data_dir, number, *([f"CALL DOLT_BRANCH('-D', 'run{old}')"] if old > 0 else []))
        sizes.append(garbage.size())

    # What is reached, and as much again; the journal; what was written since.
    reached = (1 + KEPT) * start
    assert max(sizes) < 2 * (reached + start) + 2 * start
    assert sizes[-1] < max(sizes)
    # Tagged data, and that of the branches that are left, is there to the last row.
    for ref in ("v1", "run12", "run14"):
        count = dolt(data_dir.parent, "sql", "-r", "csv", "-q", f"SELECT COUNT(*) AS n FROM t AS OF '{ref}'")
        assert count.split() == ["n", str(ROWS)]


def test_a_repository_without_garbage_is_seldom_looked_through(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(data_dir, 0)
    monkeypatch.setattr("kedro_doltdb.server.garbage.GARBAGE_BYTES", Garbage(data_dir).size() // 2)
    collect, full = Garbage.collect, []

    def noting(self: Garbage, *args: Any, **kwargs: Any) -> Any:
        full.append(kwargs["full"])
        return collect(self, *args, **kwargs)

    monkeypatch.setattr(Garbage, "collect", noting)
    for number in range(1, 9):
        fill(data_dir, number)

    # As often as the repository has doubled.
    assert len(full) == 8 and 1 <= sum(full) <= 3


def test_a_collection_that_takes_too_long_is_given_up(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro_doltdb.server.garbage.GARBAGE_BYTES", 10_000)
    monkeypatch.setattr("kedro_doltdb.server.garbage._PATIENCE", 1e-6)
    fill(data_dir, 1)

    assert not ManagedServer(data_dir).is_running
    # Not tried again at once.
    assert int((data_dir / ".dolt" / "kedro" / "collected").read_text()) > 20_000


def test_nobody_else_may_use_the_server_meanwhile(data_dir: Path) -> None:
    server = ManagedServer(data_dir)
    mine = server.acquire("mine")
    try:
        with server.alone(mine) as garbage:
            assert garbage.collect(mine.address, full=True).after > 0
        other = ManagedServer(data_dir).acquire("other")
        try:
            with pytest.raises(ServerError, match=r"Others use the server.*other"), server.alone(mine):
                pass
        finally:
            other.release()
    finally:
        mine.release()
