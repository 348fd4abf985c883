"""Runs of which only what has changed is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import break_node, hashes, messages, query

NODES = ["split_data", "make_predictions", "report_accuracy"]


def run(project: Path, *args: str, check: bool = True, **env: str) -> dict[str, str]:
    """Run incrementally; return what became of each node."""
    runner = "--runner=kedro_doltdb.IncrementalRunner"
    done = run_kedro(project, "run", runner, *args, check=check, COLUMNS="1000", **env)
    found = {}
    for line in (done.stdout + done.stderr).splitlines():
        for node in NODES:
            if f" Running {node}: " in line:
                found[node] = "run"
            for words, action in ((" Skipping: ", "skip"), (" Taking from other runs: ", "take")):
                if words in line and node in line:
                    found[node] = action
    return found


def plan(project: Path, *args: str) -> dict[str, tuple[str, str]]:
    """What `kedro dolt plan` says of each node."""
    planned = json.loads(run_kedro(project, "dolt", "plan", "--json", *args).stdout)
    return {one["node"]: (one["action"], one["why"]) for one in planned}


def all_of(action: str) -> dict[str, str]:
    """The same for every node."""
    return dict.fromkeys(NODES, action)


def test_skips_what_stands_and_takes_what_was_computed_before(project: Path) -> None:
    run_kedro(project, "run")
    first, log = hashes(project), messages(project)
    assert run(project) == all_of("skip")
    assert messages(project) == log
    changed = ("--params", "example_test_data_ratio=0.3")
    planned = plan(project, *changed)
    assert planned["split_data"] == ("run", "parameter example_test_data_ratio 0.2 → 0.3")
    assert planned["report_accuracy"][0] == "perhaps"
    assert messages(project) == log
    assert run(project, *changed) == all_of("run")
    assert run(project) == all_of("take")
    assert hashes(project) == first
    taken = "SELECT DISTINCT execution, computed_by FROM kedro_nodes WHERE execution <> 'computed'"
    noted = query(project, taken)
    runs = query(project, "SELECT run_id FROM kedro_runs ORDER BY started")
    assert noted == [{"execution": "taken", "computed_by": runs[0]["run_id"]}]
    assert run(project, "--params", "dolt_force=true") == all_of("run")


def test_plan_takes_pipelines_as_kedro_run_does(project: Path) -> None:
    assert set(plan(project, "--pipelines", "iris,__default__")) == set(NODES)
    assert plan(project, "--pipeline", "iris") == plan(project)


def test_what_was_edited_by_hand_is_made_again(project: Path) -> None:
    run_kedro(project, "run")
    first = hashes(project)
    dolt(
        project,
        "sql",
        "-q",
        "UPDATE example_train_x SET sepal_length = 9 LIMIT 1; DROP TABLE example_metrics",
    )
    planned = plan(project)
    assert {node: action for node, (action, _) in planned.items()} == {
        "split_data": "take", "make_predictions": "skip", "report_accuracy": "take",
    }  # fmt: skip
    assert run(project) == {"split_data": "take", "make_predictions": "skip", "report_accuracy": "take"}
    assert hashes(project) == first


def test_a_failed_run_goes_on_by_itself(project: Path) -> None:
    break_node(project, "report_accuracy")
    failed = run(project, check=False, BREAK="raise ValueError")
    assert failed == all_of("run")
    # The broken node calls exec, so what it does cannot be told.
    again = run(project)
    assert again == {"split_data": "take", "make_predictions": "take", "report_accuracy": "run"}
    assert "`exec`" in plan(project)["report_accuracy"][1]


@pytest.mark.parametrize("kind", ["thread", "parallel"])
def test_nodes_run_in_threads_and_processes(project: Path, kind: str) -> None:
    assert run(project, "--runner-params", f"runner={kind}") == all_of("run")
    assert run(project, "--runner-params", f"runner={kind}") == all_of("skip")


def test_an_unknown_runner_is_refused(project: Path) -> None:
    runner = ("--runner=kedro_doltdb.IncrementalRunner", "--runner-params", "runner=fast")
    done = run_kedro(project, "run", *runner, check=False)
    assert "sequential, thread, parallel" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("conf/base/catalog.yml", "x: [", "catalog cannot be read: ParserError"),
        ("src/iris_dolt/pipelines/iris/nodes.py", "def (", "pipelines cannot be read: SyntaxError"),
        (
            "src/iris_dolt/pipelines/iris/nodes.py",
            "import no_such_module",
            "named 'no_such_module' (nodes.py,",
        ),
    ],
)
def test_plan_says_in_a_line_what_is_broken(project: Path, file: str, text: str, expected: str) -> None:
    with open(project / file, "a") as broken:
        broken.write(f"\n{text}\n")
    done = run_kedro(project, "dolt", "plan", "--json", check=False, COLUMNS="1000")
    assert done.returncode != 0 and done.stdout == ""
    assert expected in done.stderr and "Traceback" not in done.stderr
