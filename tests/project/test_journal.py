"""The journal in the run's own commit: what it says, under every runner, however the run ended."""

from __future__ import annotations

import hashlib
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, branches, break_node, let_go, messages, query, start_slow_run

from kedro_doltdb.dolt_cli import find_dolt

EDGES = "SELECT node, dataset, direction, table_name, content_hash FROM kedro_lineage WHERE run_id = '{}'"

NODES = """
import pandas as pd
from kedro.pipeline import Node, Pipeline


def one(iris):
    return iris.head(3)


def two(rows):
    return rows, rows[["sample_id"]]


def three(keys):
    return keys


def create_pipeline(**kwargs):
    return Pipeline([
        Node(one, "example_iris_data", "in_memory", name="one"),
        Node(two, "in_memory", ["as_csv", "as_table"], name="two", tags=["t"]),
        Node(three, "as_csv", "last", name="three"),
    ])
"""
CATALOG = """
as_csv:
  type: pandas.CSVDataset
  filepath: data/02_intermediate/rows.csv
as_table: {<<: *by_sample, table_name: as_table}
last: {<<: *by_sample, table_name: last}
"""


def journal(project: Path, branch: str = "main") -> list[dict[str, str]]:
    return query(project, f"SELECT * FROM kedro_runs AS OF '{branch}' ORDER BY started")


def test_a_run_is_journalled_in_its_own_commit(project: Path) -> None:
    for runner, ratio in (("SequentialRunner", 0.1), ("ThreadRunner", 0.2), ("ParallelRunner", 0.3)):
        run_kedro(project, "run", f"--runner={runner}", "--params", f"example_test_data_ratio={ratio}")
    rows = journal(project)
    assert [json.loads(row["params"])["example_test_data_ratio"] for row in rows] == [0.1, 0.2, 0.3]
    assert {json.loads(row["params"])["example_target_column"] for row in rows} == {"species"}
    for row, message in zip(rows, reversed(messages(project)[:3]), strict=True):
        assert f"run {row['run_id']} with" in message
        assert (row["status"], row["error"], row["branch"], row["pipeline"]) == (
            "succeeded",
            "",
            "main",
            "__default__",
        )
        assert row["started"] < row["finished"]
        assert json.loads(row["versions"])["dolt"] == query(project, "SELECT dolt_version() AS v")[0]["v"]
    last = rows[-1]["run_id"]
    assert query(project, "SELECT to_run_id FROM dolt_diff('HEAD~1', 'HEAD', 'kedro_runs')") == [
        {"to_run_id": last}
    ]
    edges = query(project, EDGES.format(last))
    assert len(edges) == 12
    for edge in edges:
        # Each table is written by one node and not changed after it.
        (now,) = query(project, f"SELECT dolt_hashof_table('{edge['table_name']}') AS h")
        assert edge["content_hash"] == now["h"], edge
    loads = {(edge["node"], edge["dataset"]) for edge in edges if edge["direction"] == "load"}
    assert ("report_accuracy", "example_test_y") in loads and ("split_data", "example_iris_data") in loads
    assert query(project, f"SELECT base FROM kedro_runs WHERE run_id = '{last}'") == query(
        project, "SELECT hashof('HEAD~1') AS base"
    )


@pytest.mark.usefixtures("first_run")
def test_a_run_that_changed_no_data_leaves_no_row(project: Path) -> None:
    run_kedro(project, "run")
    assert len(journal(project)) == 1 and len(messages(project)) == 3


def test_files_and_datasets_in_memory_are_in_the_lineage(project: Path) -> None:
    add_pipeline(project, "files", NODES, CATALOG)
    (project / "data" / "02_intermediate").mkdir()
    run_kedro(project, "run", "--pipelines=files", "--tags=t", check=False)
    run_kedro(project, "run", "--pipeline=files")
    (row,) = journal(project)
    edges = query(project, f"SELECT * FROM kedro_lineage WHERE run_id = '{row['run_id']}'")
    found = {
        (e["node"], e["dataset"], e["direction"]): (e["table_name"], e["file"], e["content_hash"])
        for e in edges
    }
    sha = "sha256:" + hashlib.sha256((project / "data/02_intermediate/rows.csv").read_bytes()).hexdigest()
    csv = ("", "data/02_intermediate/rows.csv", sha)
    assert found["two", "as_csv", "save"] == found["three", "as_csv", "load"] == csv
    assert found["one", "in_memory", "save"] == ("", "", "")
    assert found["two", "as_table", "save"][0] == "as_table" and len(found) == 7


@pytest.mark.usefixtures("first_run")
def test_partial_runs_are_told_apart(project: Path) -> None:
    run_kedro(project, "run", "--params=example_test_data_ratio=0.3", "--nodes=split_data")
    run_kedro(project, "run", "--params=example_test_data_ratio=0.3", "--from-nodes=make_predictions")
    filters = [json.loads(row["filters"]) for row in journal(project)]
    assert filters == [{}, {"node_names": ["split_data"]}, {"from_nodes": ["make_predictions"]}]
    nodes = query(
        project, "SELECT COUNT(DISTINCT node) AS n FROM kedro_lineage GROUP BY run_id ORDER BY run_id"
    )
    assert [row["n"] for row in nodes] == ["3", "1", "2"]


def test_a_failed_run_has_its_row_on_its_kept_branch_only(project: Path) -> None:
    break_node(project, "report_accuracy")
    run_kedro(project, "run", check=False, BREAK="raise ValueError('first line\\nsecond line')")
    (kept,) = [name for name in branches(project) if name.startswith("kedro/")]
    (row,) = journal(project, kept)
    assert (row["status"], row["error"]) == ("failed", "ValueError: first line")
    assert kept == f"kedro/{row['run_id']}"
    assert "kedro_runs" not in dolt(project, "ls")
    edges = query(project, f"SELECT DISTINCT node, direction FROM kedro_lineage AS OF '{kept}'")
    assert {(edge["node"], edge["direction"]) for edge in edges} == {
        *itertools.product(["make_predictions", "split_data"], ["load", "save"]),
        ("report_accuracy", "load"),
    }
    # Resuming says from what.
    run_kedro(project, "run", "--from-nodes=report_accuracy")
    (resumed,) = journal(project)
    assert resumed["resumed_from"] == row["run_id"] and resumed["status"] == "succeeded"


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_has_its_row_on_its_kept_branch(project: Path, number: signal.Signals) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    process.send_signal(number)
    let_go(project, process)
    run_kedro(project, "run")
    (kept,) = [name for name in branches(project) if name.startswith("kedro/")]
    (row,) = journal(project, kept)
    assert row["status"] == "interrupted" and bool(row["finished"]) == (number == signal.SIGINT)
    assert [other["status"] for other in journal(project)] == ["succeeded"]


def test_no_secret_and_no_odd_value_harms_the_journal(project: Path) -> None:
    (project / "conf" / "local" / "credentials.yml").write_text(
        "db: {password: hunter2secret, pin: 987654}\n"
    )
    (project / "conf" / "base" / "parameters_more.yml").write_text(
        "nested: {deep: {er: [1, {date: 2024-01-02}]}}\nbig: 123456789012345678901\nnan: .nan\n"
        f'long: {"x" * 70000}\nquote: "it\'s \\"so\\" \\\\ % 😀"\n'
    )
    break_node(project, "report_accuracy")
    args = ["run", "--params=url=sql://u:hunter2secret@h,pin=987654"]
    run_kedro(project, *args)
    (row,) = journal(project)
    params = json.loads(row["params"])
    assert params["url"] == "sql://u:***@h" and params["pin"] == "***"
    assert params["nested"] == {"deep": {"er": [1, {"date": "2024-01-02"}]}}
    assert (params["big"], params["nan"]) == ("123456789012345678901", "nan")
    assert len(params["long"]) == 70000 and params["quote"] == 'it\'s "so" \\ % 😀'
    run_kedro(
        project,
        *args,
        "--params=example_test_data_ratio=0.4",
        check=False,
        BREAK="raise OSError('no hunter2secret!')",
    )
    (kept,) = [name for name in branches(project) if name.startswith("kedro/")]
    assert journal(project, kept)[-1]["error"] == "OSError: no ***!"
    assert "hunter2secret" not in dolt(project, "log") + "".join(
        path.read_text(errors="replace")
        for path in (project / "data" / ".dolt" / "kedro").rglob("*")
        if path.is_file()
    )


@pytest.mark.thorough
def test_from_python_the_journal_is_the_same(project: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "for ratio in (0.1, 0.2):\n"
        "    with KedroSession.create(runtime_params={'example_test_data_ratio': ratio}) as session:\n"
        "        session.run(to_nodes=['split_data'])\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, capture_output=True)
    rows = journal(project)
    assert [json.loads(row["filters"]) for row in rows] == [{"to_nodes": ["split_data"]}] * 2


def test_a_journal_of_an_older_version_is_widened(project: Path) -> None:
    dolt(project, "sql", "-q", "CREATE TABLE kedro_runs (run_id VARCHAR(80) PRIMARY KEY, status VARCHAR(16))")
    dolt(project, "sql", "-q", "INSERT INTO kedro_runs VALUES ('old', 'succeeded')")
    dolt(project, "sql", "-q", "CALL DOLT_COMMIT('-Am', 'An older journal')")
    run_kedro(project, "run")
    rows = query(project, "SELECT run_id, status, branch FROM kedro_runs ORDER BY started")
    assert rows[0] == {"run_id": "old", "status": "succeeded", "branch": ""} and rows[1]["branch"] == "main"


def test_a_table_of_the_journals_name_is_not_touched(project: Path) -> None:
    dolt(
        project, "sql", "-q", "CREATE TABLE kedro_runs (a INT PRIMARY KEY); INSERT INTO kedro_runs VALUES (1)"
    )
    dolt(project, "sql", "-q", "CALL DOLT_COMMIT('-Am', 'Mine')")
    output = run_kedro(project, "run", check=False)
    assert output.returncode == 1
    assert "Error: kedro_runs is not kedro-dolt's journal" in output.stdout + output.stderr
    assert messages(project)[0] == "Mine" and query(project, "SELECT * FROM kedro_runs") == [{"a": "1"}]
    catalog = project / "conf" / "base" / "catalog.yml"
    catalog.write_text(
        catalog.read_text().replace("table_name: example_metrics", "table_name: kedro_lineage")
    )
    output = run_kedro(project, "run", check=False)
    assert "No dataset can be saved to kedro_lineage" in output.stdout + output.stderr


@pytest.mark.usefixtures("first_run")
def test_a_journal_that_cannot_be_written_costs_one_run_and_no_later_one(project: Path) -> None:
    dolt(project, "sql", "-q", "ALTER TABLE kedro_lineage ADD COLUMN mine INT NOT NULL")
    done = run_kedro(project, "run", "--params", "example_test_data_ratio=0.3", check=False)
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1 and "its column mine must have a value" in output
    (kept,) = set(branches(project)) - {"main"}
    rows = query(project, f"SELECT COUNT(*) AS n FROM example_test_x AS OF '{kept}'")
    assert f"kept on {kept}" in output and rows == [{"n": "45"}]
    dolt(project, "sql", "-q", "ALTER TABLE kedro_lineage DROP COLUMN mine")
    done = run_kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    assert "Committed" in done.stdout + done.stderr and kept in branches(project)


def test_the_journal_survives_merge_and_clone(project: Path, tmp_path: Path) -> None:
    # Both branches make the journal, and write different data.
    run_kedro(project, "run", "--params=dolt_branch=one,example_test_data_ratio=0.1")
    run_kedro(project, "run", "--params=dolt_branch=two,example_test_data_ratio=0.2")
    dolt(project, "merge", "one")
    subprocess.run([find_dolt(), "merge", "two"], cwd=project / "data", capture_output=True, check=False)
    conflicts = query(project, "SELECT `table` FROM dolt_conflicts")
    assert conflicts and not [row for row in conflicts if row["table"].startswith("kedro_")]
    assert query(project, "SELECT COUNT(*) AS n FROM kedro_runs") == [{"n": "2"}]
    dolt(project, "merge", "--abort")
    remote = f"file://{tmp_path / 'remote'}"
    dolt(project, "remote", "add", "origin", remote)
    dolt(project, "push", "origin", "main")
    (tmp_path / "clone").mkdir()
    subprocess.run(
        [find_dolt(), "clone", remote, "data"], cwd=tmp_path / "clone", check=True, capture_output=True
    )
    assert query(tmp_path / "clone", "SELECT status FROM kedro_runs") == [{"status": "succeeded"}]


@pytest.mark.usefixtures("first_run")
def test_two_clones_with_the_same_run_id_conflict_in_the_open(project: Path) -> None:
    insert = "INSERT INTO kedro_runs (run_id, status, branch) VALUES ('same', 'succeeded', '{0}')"
    for branch in ("one", "two"):
        dolt(project, "branch", branch)
        dolt(
            project,
            "sql",
            "-q",
            f"USE `data/{branch}`; {insert.format(branch)}; CALL DOLT_COMMIT('-am', '{branch}')",
        )
    dolt(project, "merge", "one")
    merged = subprocess.run(
        [find_dolt(), "merge", "two"], cwd=project / "data", capture_output=True, text=True, check=False
    )
    assert merged.returncode != 0
    assert query(project, "SELECT * FROM dolt_conflicts") == [{"table": "kedro_runs", "num_conflicts": "1"}]
    dolt(project, "conflicts", "resolve", "--ours", "kedro_runs")
    dolt(project, "commit", "-am", "Keep ours")
    assert query(project, "SELECT branch FROM kedro_runs WHERE run_id = 'same'") == [{"branch": "one"}]
