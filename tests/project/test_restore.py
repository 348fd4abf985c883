"""A run comes back whole: its code, its parameters, its data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import branches, git, hashes, query


@pytest.fixture
def released(project: Path) -> Path:
    """A project in git with a release, v1.0, after which code, parameters and data have changed."""
    git(project, "init")
    git(project, "add", "-A")
    git(project, "commit", "-m", "Begin")
    run_kedro(project, "run", "--params", "example_test_data_ratio=0.1")
    dolt(project, "tag", "v1.0", "-m", "Release")
    nodes = next((project / "src").glob("*/pipelines/iris/nodes.py"))
    with nodes.open("a") as code:
        code.write(
            """

_old = report_accuracy


def report_accuracy(*args):
    return _old(*args).assign(value=0.5)
"""
        )
    git(project, "commit", "-am", "Another accuracy")
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET petal_length = 9 WHERE sample_id < 50")
    run_kedro(project, "run", "--params", "example_test_data_ratio=0.3,dolt_accept=max_change.accuracy")
    return project


def test_a_tag_is_restored_and_runs_as_it_did(released: Path) -> None:
    state = git(released, "status", "--porcelain"), branches(released), hashes(released)
    old = released.parent / "old one"

    said = run_kedro(released, "dolt", "restore", "v1.0", "--into", str(old)).stdout

    assert "kedro run" in said and "old one" in said
    assert "another accuracy" not in git(old, "log", "--format=%s").lower()
    [branch] = [name for name in branches(old) if name.startswith("restored/")]
    before = hashes(old, branch)
    assert before == hashes(released, "v1.0")
    done = run_kedro(old, "run")
    assert "changed no data" in done.stdout + done.stderr
    assert hashes(old, branch) == before
    assert (git(released, "status", "--porcelain"), branches(released), hashes(released)) == state


@pytest.mark.thorough
def test_a_run_is_restored_with_the_data_that_it_found(released: Path) -> None:
    last = json.loads(run_kedro(released, "dolt", "runs", "--json").stdout)[0]
    there = released.parent / "there"

    run_kedro(released, "dolt", "restore", last["run_id"], "--start", "--into", str(there))

    [row] = query(there, "SELECT active_branch() AS b, HASHOF('HEAD') AS c")
    assert row == {"b": f"restored/{last['run_id']}", "c": last["base"]}
    assert "0.3" in (there / "conf" / "local" / "parameters.yml").read_text()
    assert "another accuracy" in git(there, "log", "--format=%s").lower()


@pytest.mark.thorough
def test_a_rerun_with_its_code_gives_the_same_data(released: Path) -> None:
    run = json.loads(run_kedro(released, "dolt", "runs", "--json").stdout)[1]

    with_todays = run_kedro(released, "dolt", "rerun", run["run_id"])
    with_its_own = run_kedro(released, "dolt", "rerun", run["run_id"], "--code")

    assert "The code is not the same" in with_todays.stderr and "No difference" not in with_todays.stdout
    assert "The code is not the same" not in with_its_own.stderr, with_its_own.stderr
    assert "No difference in the data." in with_its_own.stdout
    assert len(git(released, "worktree", "list").splitlines()) == 1


@pytest.mark.thorough
def test_tags_are_listed_with_their_runs(released: Path) -> None:
    runs = json.loads(run_kedro(released, "dolt", "runs", "--json").stdout)
    assert [run["tags"] for run in runs] == [[], ["v1.0"]]
    assert "v1.0" in run_kedro(released, "dolt", "runs", "--wide").stdout


@pytest.mark.thorough
def test_what_cannot_be_restored_is_refused_and_nothing_is_made(project: Path) -> None:
    run_kedro(project, "run")
    into = project.parent / "into"
    no_git = run_kedro(project, "dolt", "restore", "HEAD", "--into", str(into), check=False)
    assert no_git.returncode == 1 and "it was in no git repository" in no_git.stderr

    git(project, "init")
    git(project, "add", "-A")
    git(project, "commit", "-m", "Begin")
    run_kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    (project / "new").mkdir()
    there = run_kedro(project, "dolt", "restore", "HEAD", "--into", str(project / "new"), check=False)
    assert there.returncode == 1 and "is there already" in there.stderr
    git(project, "commit", "--amend", "-m", "Reworded")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "--prune=now")
    lost = run_kedro(project, "dolt", "restore", "HEAD", "--into", str(into), check=False)
    assert lost.returncode == 1 and "git does not give the code" in lost.stderr
    assert not into.exists()
