"""Which node failed is on record, whatever runs the nodes, and is never taken for one that was computed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import own_copy, run_kedro
from helpers import branches, query
from kedro.pipeline import Node

from kedro_doltdb import node_failed
from kedro_doltdb.run import progress
from kedro_doltdb.run.records import FileRecords

INCREMENTAL = "--runner=kedro_doltdb.IncrementalRunner"
RATIO = "--params=example_test_data_ratio=0.3"
RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")
# The driver's error about its connection may take the place of Ctrl-C.
BREAK = """

import functools, os, signal, time
from pathlib import Path

_report_accuracy = report_accuracy


@functools.wraps(_report_accuracy)
def report_accuracy(*args):
    if Path("broken").exists():
        raise ZeroDivisionError("as asked for")
    if Path("interrupted").exists():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            raise ValueError("lost connection")
    return _report_accuracy(*args)
"""


class Failed:
    """A project, and by how it ran the branch on which each run that failed was kept."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.kept: dict[str, str] = {}

    def run(self, name: str, cause: str, *args: str) -> None:
        before = set(branches(self.project))
        (self.project / cause).touch()
        assert run_kedro(self.project, "run", RATIO, *args, check=False).returncode
        (self.project / cause).unlink()
        (self.kept[name],) = set(branches(self.project)) - before

    def nodes(self, ref: str) -> dict[str, dict[str, str]]:
        run_id = ref.removeprefix("kedro/")
        condition = f"run_id = '{run_id}'" if run_id != ref else "TRUE"
        rows = query(self.project, f"SELECT * FROM kedro_nodes AS OF '{ref}' WHERE {condition}")
        return {row["node"]: row for row in rows}


@pytest.fixture(scope="module")
def failed(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failed]:
    with own_copy(generated, tmp_path_factory.mktemp("failed")) as project:
        with open(next((project / "src").glob("*/pipelines/iris/nodes.py")), "a") as file:
            file.write(BREAK)
        found = Failed(project)
        for runner in RUNNERS:
            found.run(runner, "broken", f"--runner={runner}")
        found.run("incremental", "broken", INCREMENTAL)
        found.run("interrupted", "interrupted")
        yield found


@pytest.mark.parametrize("name", RUNNERS)
def test_the_node_that_failed_is_on_record(failed: Failed, name: str) -> None:
    nodes = failed.nodes(failed.kept[name])
    assert {node: row["execution"] for node, row in nodes.items()} == {
        "split_data": "computed", "make_predictions": "computed", "report_accuracy": "failed",
    }  # fmt: skip
    row = nodes["report_accuracy"]
    assert not (row["recipe"] or row["inputs"] or row["outputs"] or row["seconds"])
    assert json.loads(row["code"]) and row["untold"] == "it failed"
    loaded = query(
        failed.project,
        f"SELECT direction, dataset FROM kedro_lineage AS OF '{failed.kept[name]}' "
        "WHERE node = 'report_accuracy' ORDER BY dataset",
    )
    assert [(one["direction"], one["dataset"]) for one in loaded] == [
        ("load", "example_predictions"), ("load", "example_test_y"),
    ]  # fmt: skip


def test_an_incremental_run_that_fails_takes_the_rest_over(failed: Failed) -> None:
    nodes = failed.nodes(failed.kept["incremental"])
    assert {node: row["execution"] for node, row in nodes.items()} == {
        "split_data": "taken", "make_predictions": "taken", "report_accuracy": "failed",
    }  # fmt: skip


def test_ctrl_c_is_no_nodes_failure_whatever_error_it_became(failed: Failed) -> None:
    (run,) = query(
        failed.project,
        f"SELECT status FROM kedro_runs AS OF '{failed.kept['interrupted']}' ORDER BY run_id DESC LIMIT 1",
    )
    assert run["status"] == "interrupted"
    assert set(failed.nodes(failed.kept["interrupted"])) == {"split_data", "make_predictions"}


def test_the_commands_name_the_node(failed: Failed) -> None:
    run_id = failed.kept["ThreadRunner"].removeprefix("kedro/")
    shown = " ".join(run_kedro(failed.project, "dolt", "show", run_id).stdout.split())
    assert "Failed in report_accuracy Error ZeroDivisionError: as asked for" in shown
    listed = json.loads(run_kedro(failed.project, "dolt", "runs", "--json").stdout)
    assert {run["status"]: run["failed_nodes"] for run in listed} == {
        "failed": ["report_accuracy"], "interrupted": [],
    }  # fmt: skip
    wide = run_kedro(failed.project, "dolt", "runs", "--wide").stdout
    assert wide.count("  report_accuracy  ZeroDivisionError") == len(RUNNERS) + 1


def test_the_report_of_a_first_run_that_failed_draws_the_node(failed: Failed) -> None:
    page = failed.project / "report.html"
    run_kedro(failed.project, "dolt", "report", "main", failed.kept["ThreadRunner"], f"--output={page}")
    html = page.read_text("utf-8")
    assert "Failed in <bdi>report_accuracy</bdi>: ZeroDivisionError" in html
    assert "report_accuracy</bdi>: failed" in html and 'class="box node failed"' in html


def test_the_next_incremental_run_computes_the_node_and_takes_what_finished(failed: Failed) -> None:
    planned = json.loads(run_kedro(failed.project, "dolt", "plan", RATIO, "--json").stdout)
    assert {one["node"]: one["action"] for one in planned} == {
        "split_data": "take", "make_predictions": "take", "report_accuracy": "run",
    }  # fmt: skip
    run_kedro(failed.project, "run", INCREMENTAL, RATIO)
    nodes = failed.nodes("main")
    assert {node: row["execution"] for node, row in nodes.items()} == {
        "split_data": "taken", "make_predictions": "taken", "report_accuracy": "computed",
    }  # fmt: skip
    # What its code does can be told: it would have been taken, had it been on record.
    assert nodes["report_accuracy"]["recipe"] and nodes["report_accuracy"]["outputs"]


def test_a_plain_run_resumes_from_the_node(failed: Failed) -> None:
    ratio = "--params=example_test_data_ratio=0.25"
    (failed.project / "broken").touch()
    output = run_kedro(failed.project, "run", ratio, check=False)
    (failed.project / "broken").unlink()
    assert '--from-nodes "report_accuracy"' in output.stdout + output.stderr
    run_kedro(failed.project, "run", ratio, "--from-nodes=report_accuracy")
    (run,) = json.loads(run_kedro(failed.project, "dolt", "runs", "--limit=1", "--json").stdout)
    assert run["status"] == "succeeded" and run["failed_nodes"] == []
    nodes = query(failed.project, f"SELECT node, execution FROM kedro_nodes WHERE run_id = '{run['run_id']}'")
    assert {one["node"]: one["execution"] for one in nodes} == {
        "split_data": "taken", "make_predictions": "taken", "report_accuracy": "computed",
    }  # fmt: skip


def test_the_error_of_the_node_counts_when_it_cannot_be_noted(caplog: pytest.LogCaptureFixture) -> None:
    node = Node(len, "a", "b", name="count")
    # Nobody can write there.
    records = FileRecords(Path("/proc/nowhere/runs"))
    progress._current.nodes[node] = progress._Progress(records, "run", {"b"}, set(), set(), 0.0)
    try:
        node_failed(node)
    finally:
        del progress._current.nodes[node]
    assert "The journal will not say that count has failed" in caplog.text
