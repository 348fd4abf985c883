"""Twelve runs on three branches, merged: what the commands say, checked against Dolt itself."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, dolt, run_kedro
from helpers import branches, break_node, let_go, query, start_slow_run

pytestmark = pytest.mark.thorough

CODE = "raise RuntimeError('the node failed')"


def say(project: Path, *args: str) -> Any:
    """What ``kedro dolt ... --json`` prints."""
    return json.loads(run_kedro(project, "dolt", *args, "--json").stdout)


def run(project: Path, *params: str, flags: tuple[str, ...] = (), **env: str) -> None:
    run_kedro(project, "run", *flags, "--params", ",".join(params), check=not env, **env)


@pytest.fixture(scope="module")
def story(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("story") / "iris-dolt"
    shutil.copytree(generated, project)
    break_node(project, "report_accuracy")
    ratio = "example_test_data_ratio={}".format
    for value in (0.1, 0.2, 0.3):
        run(project, ratio(value))
    edit = "UPDATE example_iris_data SET species = 'virginica' WHERE sample_id = 1"
    dolt(project, "sql", "-q", f"{edit}; CALL DOLT_COMMIT('-am', 'Correct a label')")
    run(project, ratio(0.3))
    run(project, ratio(0.15), "dolt_branch=ratios")
    run(project, ratio(0.25), "dolt_branch=ratios")
    run(project, ratio(0.35), "dolt_branch=ratios", BREAK=CODE)
    # A merge with two parents, and nothing in both that differs: Dolt has no conflict to ask about.
    dolt(
        project, "sql", "-q", "CREATE TABLE notes (id INT PRIMARY KEY); CALL DOLT_COMMIT('-Am', 'Take notes')"
    )
    dolt(project, "merge", "ratios", "-m", "Merge ratios")
    run(project, "example_random_state=5", "dolt_branch=seeds")
    run(project, "example_random_state=6", "dolt_branch=seeds")
    process = start_slow_run(project, "run", "--params=dolt_branch=seeds,example_random_state=7")
    process.send_signal(signal.SIGINT)
    let_go(project, process)
    run(project, "example_random_state=8", "dolt_branch=seeds", flags=("--to-nodes=split_data",))
    dolt(project, "sql", "-q", "INSERT INTO notes VALUES (1); CALL DOLT_COMMIT('-am', 'Take a note')")
    dolt(project, "merge", "seeds", "-m", "Merge seeds")
    run(project, ratio(0.5))
    return project


def log(project: Path, branch: str = "main") -> dict[str, str]:
    """The runs that Dolt's log knows, by their ids, with their commits; the latest first."""
    rows = query(project, f"SELECT commit_hash, message FROM dolt_log('{branch}')")
    return {
        row["message"].split()[5]: row["commit_hash"]
        for row in rows
        if row["message"].startswith("Update data from")
    }


def test_runs_lists_what_dolt_has(story: Path) -> None:
    listed = say(story, "runs", "--limit=0")
    assert {run["run_id"]: run["commit"] for run in listed if run["published"]} == log(story)
    assert [run["started"] for run in listed] == sorted((run["started"] for run in listed), reverse=True)
    assert len(listed) == 10 and {run["status"] for run in listed} == {"succeeded"}
    for run in listed:
        stat = query(story, f"SELECT * FROM dolt_diff_stat('{run['commit']}~1', '{run['commit']}')")
        counted = {
            row["table_name"]: [int(row[f"rows_{kind}"] or 0) for kind in ("added", "deleted", "modified")]
            for row in stat
            if not row["table_name"].startswith("kedro_")
        }
        changes = {c["table"]: [c["added"], c["removed"], c["modified"]] for c in run["changes"]}
        assert changes == counted, run["run_id"]
        (accuracy,) = query(
            story, f"SELECT value FROM example_metrics AS OF '{run['commit']}' WHERE metric = 'accuracy'"
        )
        # A run that did not get so far has none, whatever the table holds from the run before.
        assert run["metrics"].get("accuracy") == (None if run["filters"] else float(accuracy["value"]))


def test_runs_lists_those_that_failed_from_their_branches(story: Path) -> None:
    everything = say(story, "runs", "--all")
    assert len(everything) == 12
    kept = {run["run_id"]: run for run in everything if not run["published"]}
    assert {f"kedro/{run_id}" for run_id in kept} == {
        name for name in branches(story) if name.startswith("kedro/")
    }
    assert sorted((run["status"], run["error"], run["branch"]) for run in kept.values()) == [
        ("failed", "RuntimeError: the node failed", "ratios"),
        ("interrupted", None, "seeds"),
    ]
    assert [run["metrics"] for run in kept.values()] == [{}, {}]
    assert {run["run_id"] for run in say(story, "runs", "--branch=seeds", "--limit=4")} == {
        *list(log(story, "seeds"))[:3],
        *(run_id for run_id, run in kept.items() if run["branch"] == "seeds"),
    }
    best = say(story, "runs", "--all", "--sort=accuracy", "--limit=3")
    accuracies = sorted((run["metrics"].get("accuracy", -1) for run in everything), reverse=True)
    assert [run["metrics"]["accuracy"] for run in best] == accuracies[:3]


def test_compare_tells_what_dolt_diffs(story: Path) -> None:
    run_ids = list(log(story))
    commits = log(story)
    for new, old in (
        (run_ids[0], "HEAD~1"),
        (run_ids[0], run_ids[-1]),
        ("ratios", run_ids[-2]),
        ("seeds", "main"),
    ):
        found = say(story, "compare", old, new, "--limit=1000")
        a, b = (commits.get(name, name) for name in (old, new))
        summary = query(story, f"SELECT * FROM dolt_diff_summary('{a}', '{b}')")
        names = {row["to_table_name"] or row["from_table_name"] for row in summary}
        assert {table["table"] for table in found["tables"]} == {
            n for n in names if not n.startswith("kedro_")
        }
        for table in found["tables"]:
            diff = query(story, f"SELECT * FROM dolt_diff('{a}', '{b}', '{table['table']}')")
            kinds = [row["diff_type"] for row in diff]
            assert [kinds.count(kind) for kind in ("added", "removed", "modified")] == [
                table["added"], table["removed"], table["modified"],
            ]  # fmt: skip
            assert sorted(row["kind"] for row in table["rows"]) == sorted(kinds)
            for row in table["rows"]:
                for column, cell in row["cells"].items():
                    assert row["kind"] != "modified" or cell["old"] != cell["new"], column
    by_default = say(story, "compare")
    assert [by_default["old"]["name"], by_default["new"]["name"]] == [run_ids[1], run_ids[0]]


def test_compare_tells_parameters_and_metrics(story: Path) -> None:
    *_, second, first = log(story)
    found = say(story, "compare", first, second)
    assert found["params"] == {"example_test_data_ratio": {"old": 0.1, "new": 0.2}}
    assert found["metrics"]["test_rows"] == {"old": 15.0, "new": 30.0}
    page = run_kedro(story, "dolt", "compare", first, second, "--md").stdout
    assert page.startswith("|") and " INFO " not in page
    assert (
        "| example\\_test\\_data\\_ratio | 0.1 | 0.2 |" in page and "| test\\_rows | 15 | 30 | +15 |" in page
    )


def test_lineage_goes_back_to_the_label_edit(story: Path) -> None:
    at = list(log(story))[-4]
    tree = run_kedro(story, "dolt", "lineage", "example_metrics", "--at", at).stdout
    (edit,) = query(story, "SELECT commit_hash FROM dolt_log WHERE message = 'Correct a label'")
    commit = edit["commit_hash"]
    (iris,) = query(story, f"USE `data/{commit}`; SELECT dolt_hashof_table('example_iris_data') AS h")
    lines = [line.strip("│├└─ \xa0") for line in tree.splitlines() if "example_" in line]
    assert lines[0].endswith(f"← report_accuracy in run {at}") and lines[1].startswith("example_predictions")
    sources = {line for line in lines if line.startswith("example_iris_data")}
    assert sources == {f"example_iris_data  {iris['h'][:17]}  ← no run; commit {commit[:10]} Correct a label"}
    # The run that wrote only the split left the predictions to the run before it.
    partial = run_kedro(story, "dolt", "lineage", "example_predictions", "--at", "seeds").stdout
    runs = [
        row["run_id"]
        for row in query(story, "SELECT run_id FROM kedro_runs AS OF 'seeds' ORDER BY started DESC")
    ]
    assert f"make_predictions in run {runs[1]}" in partial and runs[0] not in partial


def rows_at(story: Path, ref: str) -> dict[str, dict[str, str]]:
    """The rows of ``example_train_x`` at a commit, by their keys; none where there is no such table."""
    if "example_train_x" not in dolt(story, "ls", ref):
        return {}
    return {row["sample_id"]: row for row in query(story, f"SELECT * FROM example_train_x AS OF '{ref}'")}


def blamed(story: Path, *args: str) -> dict[str, dict[str, str]]:
    """What ``kedro dolt blame`` prints in a pipe, by the rows' keys."""
    lines = run_kedro(story, "dolt", "blame", *args).stdout.splitlines()
    return {row["sample_id"]: row for row in csv.DictReader(lines, delimiter="\t")}


def test_blame_names_the_run_that_brought_the_row(story: Path) -> None:
    runs = {commit: run_id for run_id, commit in log(story).items()}
    now = rows_at(story, "HEAD")
    found = blamed(story, "example_train_x", "--limit=0")
    assert set(found) == set(now)
    # Dolt's own blame stops at merges, and of two branches that made the same row it names the later one.
    for commit in {row["commit"] for row in found.values()}:
        keys = {key for key, row in found.items() if row["commit"] == commit}
        assert {found[key]["run_id"] for key in keys} == {runs[commit]}
        then = rows_at(story, commit)
        assert all(then[key] == now[key] for key in keys)
        for parent in query(
            story, f"SELECT parent_hash FROM dolt_commit_ancestors WHERE commit_hash = '{commit}'"
        ):
            before = rows_at(story, parent["parent_hash"])
            assert not any(before.get(key) == now[key] for key in keys)
    (edited,) = blamed(story, "example_iris_data", "--where=sample_id=1").values()
    assert edited["message"] == "Correct a label" and not edited["run_id"]


def test_rerun_gives_the_same_data_again(story: Path) -> None:
    run_ids = list(log(story))
    partial = next(run["run_id"] for run in say(story, "runs", "--limit=0") if run["filters"])
    before = query(story, "SELECT hashof('main') AS h")
    for run_id in (run_ids[-1], run_ids[-2], partial):
        done = run_kedro(story, "dolt", "rerun", run_id)
        assert "No difference in the data." in done.stdout, done.stdout
        branch = f"rerun/{run_id}"
        (commit,) = query(story, f"SELECT hashof('{branch}') AS h")
        for table in ("example_train_x", "example_metrics", "example_predictions"):
            now = query(story, f"USE `data/{commit['h']}`; SELECT dolt_hashof_table('{table}') AS h")
            then = query(story, f"USE `data/{log(story)[run_id]}`; SELECT dolt_hashof_table('{table}') AS h")
            assert now == then
    assert query(story, "SELECT hashof('main') AS h") == before


def test_the_sql_in_the_documents_gives_what_the_commands_say(story: Path) -> None:
    page = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    last = say(story, "runs", "--limit=1")[0]
    statements = [part.strip() for part in re.sub("^--.*$", "", block, flags=re.MULTILINE).split(";")]
    found = [
        query(story, statement.replace("<run id>", last["run_id"]).replace("<node>", "report_accuracy"))
        for statement in statements
        if statement
    ]
    assert all(found), [statement for statement, rows in zip(statements, found, strict=False) if not rows]
    runs, metrics, params, tables, cells, made, loaded, blamed = found
    assert {row["run_id"] for row in runs} == set(log(story)) and len(blamed) == 75
    assert float(metrics[-1]["value"]) == last["metrics"]["accuracy"] and len(params) == 2
    changed = {row["table_name"] for row in tables if not row["table_name"].startswith("kedro_")}
    assert {change["table"] for change in last["changes"]} == changed and cells
    assert made == [{"run_id": last["run_id"], "node": "report_accuracy"}]
    assert {row["dataset"] for row in loaded} == {"example_predictions", "example_test_y"}
