"""`kedro dolt prune`: what unpublished runs and reruns have left is deleted, and nothing of anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import branches, break_node, let_go, messages, query, start_slow_run

pytestmark = pytest.mark.thorough


@pytest.fixture
def failed(project: Path) -> Path:
    """A project with one published run, three that failed after they had saved, and a rerun."""
    run_kedro(project, "run")
    [run] = query(project, "SELECT run_id FROM kedro_runs")
    run_kedro(project, "dolt", "rerun", run["run_id"])
    break_node(project, "report_accuracy")
    for number in range(3):
        failing = run_kedro(
            project, "run", "--params", f"example_test_data_ratio=0.{number + 3}", check=False, BREAK="1 / 0"
        )
        assert failing.returncode == 1
    return project


def test_prune_keeps_published_and_tagged_data_and_what_is_somebodys(failed: Path) -> None:
    before = branches(failed)
    oldest, middle, _ = [name for name in before if name.startswith("kedro/")]
    [rerun] = [name for name in before if name.startswith("rerun/")]
    dolt(failed, "tag", "interesting", middle)
    dolt(failed, "checkout", oldest)
    dolt(failed, "sql", "-q", "DELETE FROM example_iris_data WHERE sample_id = 1")
    dolt(failed, "commit", "-am", "Mine")
    dolt(failed, "checkout", "main")

    planned = run_kedro(failed, "dolt", "prune", "--keep", "0", "--dry-run").stdout
    assert branches(failed) == before
    assert planned.count("Would delete") == 3 and f"Kept {oldest}" in planned and rerun in planned

    done = run_kedro(failed, "dolt", "prune", "--keep", "0").stdout
    assert branches(failed) == [oldest, "main"]
    assert done.count("Deleted") == 3 and "commits of yours" in done and "MB freed" in done
    assert "Kept from Kedro run" in messages(failed, "interesting")[0]
    assert len(messages(failed)) == 3
    assert query(failed, "SELECT COUNT(*) AS n FROM example_train_x AS OF 'interesting'") != [{"n": "0"}]
    # The next run finds nothing amiss.
    run_kedro(failed, "run", "--params", "example_test_data_ratio=0.15")


def test_prune_keeps_the_latest_and_the_young_and_says_how_many(failed: Path) -> None:
    before = branches(failed)
    # More than there are, by one: a negative end of a slice counts from the other side.
    for keep in ((), ("--keep", "4"), ("--keep", "4", "--dry-run")):
        done = run_kedro(failed, "dolt", "prune", *keep).stdout
        number = keep[1] if keep else "10"
        assert f"Kept 4 branches: --keep spares the latest {number} of either kind." in done
    done = run_kedro(failed, "dolt", "prune", "--older-than", "1d").stdout
    assert "No branch was deleted" in done and "Kept 4 branches: not older than --older-than says." in done
    assert branches(failed) == before

    planned = run_kedro(failed, "dolt", "prune", "--keep", "1", "--dry-run").stdout
    assert planned.count("Would delete") == 2 and "Kept 2 branches: --keep spares the latest 1" in planned
    run_kedro(failed, "dolt", "prune", "--keep", "1")
    assert branches(failed) == [before[2], "main", before[-1]]


def test_prune_waits_for_nobody(project: Path) -> None:
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run")
    refused = run_kedro(project, "dolt", "prune", check=False)
    let_go(project, process)

    assert refused.returncode == 1 and "Others use the server" in refused.stderr
    assert "Traceback" not in refused.stderr
