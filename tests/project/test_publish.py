"""What a refused run has computed is published later, and what no run has computed is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import dolt, own_copy, run_kedro
from helpers import branches, break_node, hashes, messages, query

RATIO = "example_test_data_ratio"
# Another run publishes other data while this one computes.
MEANWHILE = (
    "import os, subprocess, sys; os.environ.pop('BREAK')\n"
    f"subprocess.run([sys.executable, '-m', 'kedro', 'run', '--params', '{RATIO}=0.1'], check=True)"
)


def publish(project: Path, *args: str, check: bool = True) -> str:
    done = run_kedro(project, "dolt", "publish", *args, check=check)
    return done.stdout + done.stderr


def kept_runs(project: Path) -> list[str]:
    return [name.removeprefix("kedro/") for name in branches(project) if name.startswith("kedro/")]


@pytest.fixture(scope="module")
def with_refused_run(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of ratio 0.3 that was refused, because one of 0.1 was published meanwhile."""
    with own_copy(generated, tmp_path_factory.mktemp("refused")) as project:
        break_node(project, "make_predictions")
        done = run_kedro(project, "run", "--params", f"{RATIO}=0.3", check=False, BREAK=MEANWHILE)
        [run_id] = kept_runs(project)
        assert f"publish it elsewhere with `kedro dolt publish {run_id} --to <branch>`" in done.stderr
        return project


@pytest.fixture
def project(with_refused_run: Path, tmp_path: Path) -> Iterator[Path]:
    with own_copy(with_refused_run, tmp_path) as directory:
        yield directory


@pytest.fixture
def refused(project: Path) -> str:
    """The refused run in ``project``."""
    [run_id] = kept_runs(project)
    return run_id


@pytest.mark.thorough
def test_a_refused_run_says_so_in_its_row_of_the_journal(project: Path, refused: str) -> None:
    rows = query(project, f"SELECT status FROM `data/kedro/{refused}`.kedro_runs WHERE run_id = '{refused}'")
    assert rows == [{"status": "refused"}]


@pytest.mark.thorough
def test_a_refused_run_is_published_to_another_branch_as_a_run_would_have_been(
    project: Path, refused: str
) -> None:
    computed = hashes(project, f"kedro/{refused}")
    before = hashes(project)
    output = publish(project, refused[:23], "--to", "experiment")
    assert "Published " in output and " to experiment: example_metrics " in output
    assert hashes(project, "experiment") == computed != before == hashes(project)
    first, *_ = messages(project, "experiment")
    assert first.startswith(f"Update data from Kedro run {refused} with params") and "0.3" in first
    assert not any("Kept from" in message for message in messages(project, "experiment"))
    rows = query(
        project, f"SELECT status, branch FROM `data/experiment`.kedro_runs WHERE run_id = '{refused}'"
    )
    assert rows == [{"status": "succeeded", "branch": "experiment"}]
    assert kept_runs(project) == []


@pytest.mark.thorough
def test_a_refused_run_is_published_once_the_branch_is_as_it_was(project: Path, refused: str) -> None:
    computed = hashes(project, f"kedro/{refused}")
    moved = hashes(project)
    output = publish(project, refused, check=False)
    assert "which it read or wrote, changed on main meanwhile" in output and "Traceback" not in output
    assert hashes(project) == moved and kept_runs(project) == [refused]
    dolt(project, "reset", "--hard", "HEAD~1")
    publish(project, refused)
    assert hashes(project) == computed and kept_runs(project) == []
    output = publish(project, refused, check=False)
    assert f"{refused} is not a run whose data is kept" in output


@pytest.mark.thorough
def test_half_a_run_cannot_be_published(project: Path, refused: str) -> None:
    run_kedro(project, "run", check=False, BREAK="raise RuntimeError")
    before = messages(project)
    [run_id] = set(kept_runs(project)) - {refused}
    output = publish(project, run_id, check=False)
    assert f"Run {run_id} cannot be published, because it did not run to its end: " in output
    assert "make_predictions" in output.partition("to its end: ")[2].partition(" did not finish")[0]
    assert messages(project) == before and set(kept_runs(project)) == {refused, run_id}


def test_commits_of_the_user_on_the_branch_of_a_run_are_not_lost(project: Path, refused: str) -> None:
    change = f"USE `data/kedro/{refused}`; DELETE FROM example_metrics; CALL DOLT_COMMIT('-am', 'Mine')"
    dolt(project, "sql", "-q", change)
    output = publish(project, refused, "--to", "experiment", check=False)
    assert f"kedro/{refused} has commits of yours" in output and kept_runs(project) == [refused]
    assert messages(project, f"kedro/{refused}")[0] == "Mine" and "experiment" not in branches(project)


def test_uncommitted_edits_on_the_branch_of_a_run_are_not_lost(project: Path, refused: str) -> None:
    dolt(project, "sql", "-q", f"USE `data/kedro/{refused}`; DELETE FROM example_metrics")
    output = publish(project, refused, "--to", "experiment", check=False)
    assert f"kedro/{refused} has uncommitted edits of yours in example_metrics" in output
    assert kept_runs(project) == [refused] and "experiment" not in branches(project)
    rows = query(project, f"USE `data/kedro/{refused}`; SELECT COUNT(*) AS n FROM example_metrics")
    assert rows == [{"n": "0"}]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nothing"], "nothing is not a run whose data is kept"),
        (["", "--to", "x"], " is not a run whose data is kept"),
        (["2", "--to", "kedro/x"], "No run can publish to kedro/x"),
    ],
)
def test_what_cannot_be_published(project: Path, refused: str, args: list[str], words: str) -> None:
    output = publish(project, *args, check=False)
    assert words in output and "Traceback" not in output
    assert branches(project) == [f"kedro/{refused}", "main"]
