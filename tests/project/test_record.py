"""No run vanishes: those that changed no data, and those that were undone."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, run_kedro
from helpers import branches, break_node, hashes, let_go, messages, query, start_slow_run

RATIO = "example_test_data_ratio"
# No node reads it.
UNUSED = "unused"


def run(project: Path, *params: str, flags: tuple[str, ...] = (), **env: str) -> str:
    given = ["--params", ",".join(params)] if params else []
    done = run_kedro(project, "run", *flags, *given, check=not env, **env)
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def listed(project: Path, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run_kedro(project, "dolt", "runs", "--json", *args).stdout)
    return found


def outcomes(project: Path, *args: str) -> list[str]:
    return [entry["outcome"] for entry in listed(project, *args)]


def test_a_run_without_effect_is_recorded_if_its_parameters_are_others(project: Path) -> None:
    run(project, f"{UNUSED}=1")
    before = hashes(project)
    output = run(project, f"{UNUSED}=2")
    assert "This run changed no data on main; " in output and " records that it ran. See it with: " in output
    assert output.rstrip().endswith("kedro dolt compare")
    (newest, *_), log = messages(project), len(messages(project))
    assert re.fullmatch(r'Record Kedro run \S+ without effect, with params {"unused": 2}', newest)
    tables = query(project, "SELECT to_table_name AS t FROM dolt_diff_summary('HEAD~1', 'HEAD') ORDER BY 1")
    assert [row["t"] for row in tables] == ["kedro_lineage", "kedro_nodes", "kedro_runs"]
    assert hashes(project) == before
    # The same again makes none; what differs from the one before does.
    output = run(project, f"{UNUSED}=2")
    assert "No commit was made: its parameters and its code are those of the run before." in output
    assert len(messages(project)) == log
    run(project, f"{UNUSED}=1")
    assert outcomes(project) == ["no effect", "no effect", "succeeded"]
    last, first = listed(project)[0], listed(project)[-1]
    assert last["metrics"] == first["metrics"] != {} and last["changes"] == []
    compared = json.loads(run_kedro(project, "dolt", "compare", "--json").stdout)
    assert compared["tables"] == [] and compared["params"] == {UNUSED: {"old": 2, "new": 1}}
    assert "What the last run read is as it was." in run_kedro(project, "dolt", "status").stdout
    # What comes next is an ordinary run.
    run(project, f"{RATIO}=0.3")
    assert outcomes(project)[:2] == ["succeeded", "no effect"]
    assert branches(project) == ["main"]


@pytest.mark.thorough
def test_other_code_is_another_run_and_always_is_always(project: Path) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *args], cwd=project, check=True)
    run(project)
    run(project)
    (project / "notes.txt").write_text("notes")
    subprocess.run([*git, "add", "."], cwd=project, check=True)
    subprocess.run([*git, "commit", "-qm", "Take notes"], cwd=project, check=True)
    run(project)
    assert outcomes(project) == ["no effect", "succeeded"]
    assert [entry["code_changed"] for entry in listed(project)] == [True, None]
    with open(project / "conf" / "base" / "dolt.yml", "a") as file:
        file.write("\nrecord: always\n")
    # Now there are uncommitted changes, and then the very same again.
    run(project)
    run(project)
    assert outcomes(project) == ["no effect"] * 3 + ["succeeded"]
    (project / "conf" / "base" / "dolt.yml").write_text("record: never\n")
    assert "`record` must be `changed` or `always`, not 'never'" in run(project, BREAK="")


@pytest.mark.thorough
def test_runs_without_effect_at_once_are_all_recorded(project: Path) -> None:
    break_node(project, "report_accuracy")
    run(project, f"{UNUSED}=0")
    # It begins where main is now, and ends after the others.
    slow = start_slow_run(project, "run", f"--params={UNUSED}=1")
    run(project, f"{UNUSED}=2", BREAK="pass")
    run(project, f"{UNUSED}=3", BREAK="pass")
    assert "records that it ran" in re.sub(r"\s+", " ", let_go(project, slow))
    params = [entry["params"][UNUSED] for entry in sorted(listed(project), key=lambda e: e["finished"])]
    assert params == [0, 2, 3, 1] and outcomes(project).count("no effect") == 3
    assert len(messages(project)) == 2 + 4 and branches(project) == ["main"]


@pytest.mark.thorough
def test_it_is_not_recorded_beside_data_that_it_did_not_compute(project: Path) -> None:
    break_node(project, "report_accuracy")
    run(project, f"{UNUSED}=0")
    slow = start_slow_run(project, "run", f"--params={UNUSED}=1")
    run(project, f"{RATIO}=0.3", BREAK="pass")
    output = re.sub(r"\s+", " ", let_go(project, slow))
    assert "This run changed no data on main. No commit was made: example_metrics," in output
    assert slow.returncode == 0 and outcomes(project) == ["succeeded", "succeeded"]
    assert branches(project) == ["main"]


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_a_failed_run_is_superseded_and_a_resumed_one_recorded(project: Path) -> None:
    break_node(project, "report_accuracy")
    run(project, f"{UNUSED}=1", BREAK="raise ValueError('no')")
    run(project, f"{UNUSED}=1", flags=("--from-nodes=report_accuracy",))
    assert outcomes(project) == ["no effect", "failed", "succeeded"]
    resumed, failed, _ = listed(project)
    assert resumed["resumed_from"] == failed["run_id"]
    shown = json.loads(run_kedro(project, "dolt", "show", resumed["commit"], "--json").stdout)
    assert {edge["computed_by"] for edge in shown["lineage"]} == {None, failed["run_id"]}


@pytest.mark.thorough
def test_rerun_of_a_run_without_effect(project: Path) -> None:
    run(project, f"{UNUSED}=0")
    run(project, f"{UNUSED}=1")
    run_id = listed(project)[0]["run_id"]
    done = run_kedro(project, "dolt", "rerun", run_id)
    assert "No difference in the data." in done.stdout
    assert outcomes(project, "--branch", f"rerun/{run_id}") == ["no effect", "succeeded"]


@pytest.mark.thorough
def test_groups_branches_and_adoption(project: Path) -> None:
    run(project, "dolt_run_group=nightly", f"{UNUSED}=0")
    run(project, "dolt_run_group=nightly", f"{UNUSED}=1")
    (group,) = listed(project)
    assert group["outcome"] == "succeeded" and len(group["runs"]) == 2
    run(project, "dolt_branch=experiment", f"{UNUSED}=2")
    assert outcomes(project) == ["succeeded"]
    assert outcomes(project, "--branch=experiment") == ["no effect", "succeeded"]
    run_kedro(project, "dolt", "adopt", "experiment")
    assert outcomes(project) == ["no effect", "succeeded"]
    assert [entry["params"][UNUSED] for entry in listed(project, "--limit=1")] == [2]


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_what_was_reverted_is_listed_as_undone(project: Path) -> None:
    run(project, f"{RATIO}=0.3")
    undone = listed(project)[0]
    run(project, f"{UNUSED}=1", f"{RATIO}=0.3")
    dolt(project, "revert", "HEAD", "HEAD~1", "--author", "Ada <ada@example.com>")
    assert outcomes(project) == ["undone", "undone", "succeeded"]
    assert listed(project)[1] == {**undone, "outcome": "undone", "code_changed": None}
    for name in (undone["run_id"], undone["commit"], undone["commit"][:10]):
        text = run_kedro(project, "dolt", "show", name).stdout
        assert "undone: it is no longer on main" in text
    # It is one's own commit that counts to what comes next, and to a comparison.
    run(project, f"{RATIO}=0.4")
    assert outcomes(project) == ["succeeded", "undone", "undone", "succeeded"]
    compared = json.loads(run_kedro(project, "dolt", "compare", "--json").stdout)
    assert compared["params"] == {RATIO: {"old": 0.2, "new": 0.4}}


@pytest.mark.thorough
def test_what_was_reset_is_listed_until_dolt_collects_garbage(project: Path) -> None:
    run(project, f"{RATIO}=0.1")
    run(project, f"{RATIO}=0.2", "dolt_run_group=nightly")
    run(project, f"{RATIO}=0.3", "dolt_run_group=nightly")
    before = listed(project, "--group=nightly")
    dolt(project, "reset", "--hard", "HEAD~2")
    assert outcomes(project) == ["undone", "undone", "succeeded"]
    assert [entry["commit"] for entry in listed(project)[:2]] == [entry["commit"] for entry in before]
    assert listed(project)[0]["metrics"] == before[0]["metrics"]
    assert "undone" in run_kedro(project, "dolt", "show", before[0]["commit"][:10]).stdout
    # It is found as a start, too, and another branch that has it does not call it undone.
    run(project, "dolt_branch=again", f"dolt_from={before[1]['run_id']}", f"{RATIO}=0.2")
    assert outcomes(project, "--branch=again") == ["succeeded", "succeeded"]
    assert sorted(outcomes(project, "--all")) == ["succeeded", "succeeded", "undone"]
    dolt(project, "gc")
    assert outcomes(project) == ["succeeded"]
    # Back to before the first run.
    dolt(project, "reset", "--hard", "HEAD~1")
    assert outcomes(project) == ["undone"]


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("action", ["merge", "amend"])
def test_what_only_moved_is_not_undone(project: Path, action: str) -> None:
    run(project, f"{RATIO}=0.3", "dolt_branch=experiment")
    if action == "merge":
        dolt(project, "merge", "experiment")
    else:
        run(project, f"{RATIO}=0.3")
        dolt(project, "sql", "-q", "CREATE TABLE notes (id INT PRIMARY KEY)")
        dolt(project, "add", "notes")
        (message,) = query(project, "SELECT message FROM dolt_log LIMIT 1")
        dolt(project, "commit", "--amend", "-m", message["message"])
    assert outcomes(project) == ["succeeded", "succeeded"]
