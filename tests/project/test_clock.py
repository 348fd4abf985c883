"""The clock is set back, between runs and during them: what came first is told by the commits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import run_kedro
from helpers import branches, break_node, let_go, messages, query, start_slow_run

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.run.publish import Publisher
from kedro_doltdb.run.record_store import records_of
from kedro_doltdb.run.records import Record
from kedro_doltdb.run.recovery import KEPT_BRANCHES, recover, resumable
from kedro_doltdb.run.transaction import Transaction
from kedro_doltdb.server.managed import ManagedServer

pytestmark = pytest.mark.thorough

# The file `clock` holds by how many seconds the clock goes wrong, or the time at which it stands still.
CLOCK = """
from datetime import datetime, timedelta
from pathlib import Path

import kedro.io.core
from kedro_doltdb.journal import store


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        wrong = Path("clock").read_text()
        if "T" in wrong:
            return datetime.fromisoformat(wrong).replace(tzinfo=tz)
        return datetime.now(tz) + timedelta(seconds=float(wrong))


kedro.io.core.datetime = store.datetime = Clock
"""
BACK = str(-2 * 60 * 60)


@pytest.fixture
def project(project: Path) -> Path:
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(CLOCK)
    set_clock(project, "0")
    break_node(project, "report_accuracy")
    return project


def set_clock(project: Path, wrong: str) -> None:
    (project / "clock").write_text(wrong)


def run(project: Path, ratio: float, *args: str, code: int = 0, **env: str) -> str:
    done = run_kedro(
        project, "run", "--params", f"example_test_data_ratio={ratio}", *args, check=False, **env
    )
    assert done.returncode == code, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def told(project: Path, *args: str) -> Any:
    return json.loads(run_kedro(project, "dolt", *args, "--json").stdout.splitlines()[-1])


def ratio_of(run: dict[str, Any]) -> float:
    return float(run["params"]["example_test_data_ratio"])


def test_the_clock_is_set_back_between_runs(project: Path) -> None:
    run(project, 0.1)
    run(project, 0.2)
    set_clock(project, BACK)
    run(project, 0.1)
    # What the first of them read and what the last one reads is the same; what they made, too.
    assert [ratio_of(listed) for listed in told(project, "runs")] == [0.1, 0.2, 0.1]
    log = [row["commit_hash"] for row in query(project, "SELECT commit_hash FROM dolt_log")]
    assert [listed["commit"] for listed in told(project, "runs")] == log[:3]
    last = told(project, "runs")[0]["run_id"]
    assert f"Last run {last}" in " ".join(run_kedro(project, "dolt", "status").stdout.split())
    assert told(project, "compare")["params"] == {"example_test_data_ratio": {"old": 0.2, "new": 0.1}}
    lineage = run_kedro(project, "dolt", "lineage", "example_metrics").stdout
    assert f"report_accuracy in run {last}" in " ".join(lineage.split())

    # The message says what differs from the run before, not from the one that the clock has last.
    run_kedro(project, "run")
    assert '{"example_test_data_ratio": 0.2}' in messages(project)[0]
    run(project, 0.1)

    output = run(project, 0.3, code=1, BREAK="raise ValueError('broken')")
    kept = re.findall(r"kept on kedro/(\S+?)\. ", output)
    assert [ratio_of(listed) for listed in told(project, "runs")][:3] == [0.3, 0.1, 0.2]
    output = run(project, 0.3, "--from-nodes=report_accuracy")
    assert f"Resuming run {kept[0]}" in output and "Committed" in output
    assert [ratio_of(listed) for listed in told(project, "runs")] == [0.3, 0.3, 0.1, 0.2, 0.1, 0.2, 0.1]
    assert told(project, "compare", "HEAD~1")["new"]["run"]["status"] == "succeeded"


def test_the_clock_is_set_back_during_a_run(project: Path) -> None:
    process = start_slow_run(project, "run", "--params", "example_test_data_ratio=0.3")
    set_clock(project, BACK)
    assert "Committed" in let_go(project, process)
    (listed,) = told(project, "runs")
    assert listed["finished"] < listed["started"] and listed["seconds"] is None
    assert " -7" not in run_kedro(project, "dolt", "runs").stdout
    run(project, 0.2)
    assert [ratio_of(listed) for listed in told(project, "runs")] == [0.2, 0.3]


def test_a_clock_that_stands_still(project: Path) -> None:
    set_clock(project, "2026-11-27T12:00:00")
    for ratio in (0.1, 0.2):
        run(project, ratio)
    for _ in range(2):
        output = run(project, 0.3, code=1, BREAK="raise ValueError('broken')")
    assert "kept on kedro/2026-11-27T12.00.00.000Z-4." in output
    assert "Resuming run" in run(project, 0.3, "--from-nodes=report_accuracy")
    listed = told(project, "runs")
    assert [run["run_id"].partition("Z")[2] for run in listed[2:]] == ["-3", "-2", ""]
    assert len(messages(project)) == 5 and len(branches(project)) == 3


def test_the_last_ten_are_kept_and_the_last_one_is_resumed(tmp_path: Path) -> None:
    initialise(tmp_path / "data", [])
    server = ManagedServer(tmp_path / "data")
    lease = server.acquire("test")
    try:
        address = lease.address
        repository = Repository(address, "tester <tester@localhost>")
        records = records_of(server, address)
        names = [f"2026-11-27T{hour:02}.00.00.000Z" for hour in (*range(9, 16), *range(14, 0, -1))]
        names = list(dict.fromkeys(names))
        for name in names:
            record = Record(name, "main", repository.head("main"), ["__default__"])
            transaction = Transaction(Publisher(repository, records, record))
            transaction.begin()
            with repository.on(record.branch) as cursor:
                cursor.execute("CREATE TABLE t (id INT PRIMARY KEY)")
            assert transaction.keep("failed: KeyError", "failed") == "kept"
        recover(repository, records, server.is_leased)
        assert [record.run_id for record in records.all()] == names[-KEPT_BRANCHES:]
        assert repository.branches() == {"main", *(f"kedro/{name}" for name in names[-KEPT_BRANCHES:])}
        found = resumable(records, "main", ["__default__"])
        assert found and found.run_id == names[-1]
    finally:
        lease.release()
