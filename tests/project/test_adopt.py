"""An experiment is adopted as its runs computed it, or run again, and nothing is merged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import dolt, own_copy, run_kedro
from helpers import add_pipeline, branches, break_node, hashes, messages, query

RATIO = "example_test_data_ratio"
OTHER = """
import pandas as pd
from kedro.pipeline import Node, Pipeline


def fill(size):
    return pd.DataFrame({"id": range(size)})


def create_pipeline(**kwargs):
    return Pipeline([Node(fill, "params:size", "other", name="fill")])
"""
CATALOG = """
other:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: other
  save_args: {if_exists: replace, method: '${dolt.bulk_load:id}'}
"""


def adopt(project: Path, *args: str, check: bool = True) -> str:
    done = run_kedro(project, "dolt", "adopt", *args, check=check)
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    return output


def runs(project: Path, branch: str = "main") -> list[str]:
    return [
        row["run_id"] for row in query(project, f"SELECT run_id FROM kedro_runs AS OF '{branch}' ORDER BY 1")
    ]


@pytest.fixture(scope="module")
def three_runs(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of 0.2 on main and two of 0.3 and 0.4 on ``experiment``; not to be changed."""
    with own_copy(generated, tmp_path_factory.mktemp("three_runs")) as project:
        add_pipeline(project, "other", OTHER, CATALOG)
        parameters = project / "conf" / "base" / "parameters.yml"
        parameters.write_text(parameters.read_text() + "\nsize: 3\n")
        run_kedro(project, "run", "--pipeline=iris")
        for ratio in ("0.3", "0.4"):
            params = f"dolt_branch=experiment,{RATIO}={ratio}"
            run_kedro(project, "run", "--pipeline=iris", "--params", params)
    return project


@pytest.fixture
def experiment(three_runs: Path, tmp_path: Path) -> Iterator[Path]:
    """The same, of the test's own."""
    with own_copy(three_runs, tmp_path) as project:
        yield project


def test_a_branch_that_has_not_moved_is_moved_forward(experiment: Path) -> None:
    output = adopt(experiment, "experiment")
    assert "Adopted 2 commits of experiment to main: example_metrics " in output
    heads = query(experiment, "SELECT DISTINCT hash FROM dolt_branches")
    assert len(heads) == 1 and branches(experiment) == ["experiment", "main"]
    assert "main has all of experiment already" in adopt(experiment, "experiment")


@pytest.mark.thorough
def test_on_a_branch_that_has_moved_the_runs_are_what_they_computed(experiment: Path) -> None:
    run_kedro(experiment, "run", "--pipeline=other")
    known = runs(experiment)
    adopt(experiment, "experiment")
    assert hashes(experiment) == hashes(experiment, "experiment")
    assert query(experiment, "SELECT COUNT(*) AS n FROM other") == [{"n": "3"}]
    first, second, third, *_ = messages(experiment)
    assert "0.4" in first and "0.3" in second and "with params" in third
    assert set(runs(experiment)) == {*known, *runs(experiment, "experiment")}
    body = query(experiment, "SELECT message FROM dolt_log LIMIT 1")[0]["message"]
    commit = query(experiment, "SELECT hash FROM dolt_branches WHERE name = 'experiment'")[0]["hash"]
    assert f"Adopted: from experiment, {commit}" in body
    listed = run_kedro(experiment, "dolt", "runs", "--json").stdout
    assert all(run_id in listed for run_id in runs(experiment))
    assert branches(experiment) == ["experiment", "main"]
    assert query(experiment, "SELECT * FROM dolt_status") == []
    # Once more brings only what is new there.
    assert "main has all of experiment already" in adopt(experiment, "experiment")
    run_kedro(experiment, "run", "--pipeline=iris", "--params", f"dolt_branch=experiment,{RATIO}=0.1")
    assert "Adopted 1 commit of experiment to main" in adopt(experiment, "experiment")
    assert hashes(experiment) == hashes(experiment, "experiment")


@pytest.mark.thorough
def test_what_has_changed_in_their_tables_is_not_merged_but_run_again(experiment: Path) -> None:
    dolt(
        experiment,
        "sql",
        "-q",
        "DELETE FROM example_iris_data WHERE sample_id > 100; CALL DOLT_COMMIT('-am', 'Fewer')",
    )
    before = hashes(experiment)
    output = adopt(experiment, "experiment", check=False)
    assert (
        "experiment is not adopted: example_iris_data, which its runs read or wrote, changed on main since."
        in output
    )
    assert "`kedro dolt adopt experiment --to main --rerun`" in output
    assert hashes(experiment) == before and branches(experiment) == ["experiment", "main"]
    adopt(experiment, "experiment", "--to", "main", "--rerun")
    adopted = hashes(experiment)
    assert "0.4" in messages(experiment)[0] and "0.3" in messages(experiment)[1]
    # A plain run of the same parameters computes the same from what is there now.
    run_kedro(experiment, "run", "--pipeline=iris", "--params", f"dolt_branch=plain,{RATIO}=0.4")
    assert hashes(experiment, "plain") == adopted != before


@pytest.mark.thorough
def test_what_cannot_be_adopted(experiment: Path) -> None:
    for args, words in [
        (["nothing"], "There is no branch nothing"),
        (["main"], "main is the branch that it would be adopted to"),
        (["experiment", "--to", "typo"], "There is no branch typo"),
        (["experiment", "--to", "kedro/x"], "No run can publish to kedro/x"),
    ]:
        assert words in adopt(experiment, *args, check=False)
    assert branches(experiment) == ["experiment", "main"]
    dolt(experiment, "sql", "-q", "USE `data/experiment`; DELETE FROM example_metrics")
    output = adopt(experiment, "experiment", check=False)
    assert "example_metrics has uncommitted edits on experiment, which cannot be adopted" in output


@pytest.mark.thorough
def test_a_second_adoption_counts_what_changed_before_the_first(experiment: Path) -> None:
    """Its runs began with what the branch had then, and not with what is on the target."""
    change = "UPDATE example_iris_data SET sepal_length = 50.5 WHERE sample_id = 1"
    dolt(experiment, "branch", "second")
    dolt(experiment, "sql", "-q", f"{change}; CALL DOLT_COMMIT('-am', 'Correct')")
    run_kedro(experiment, "run", "--pipeline=other", "--params", "dolt_branch=second,size=5")
    assert "Adopted 1 commit" in adopt(experiment, "second")
    run_kedro(experiment, "run", "--pipeline=iris", "--params", "dolt_branch=second")
    before = messages(experiment)
    output = adopt(experiment, "second", check=False)
    assert "not adopted: example_iris_data, which its runs read or wrote, changed on main since" in output
    assert messages(experiment) == before


def test_what_an_unpublished_run_left_is_not_adopted_under_another_name(experiment: Path) -> None:
    break_node(experiment, "make_predictions")
    run_kedro(experiment, "run", "--pipeline=iris", check=False, BREAK="raise RuntimeError")
    [kept] = [name for name in branches(experiment) if name.startswith("kedro/")]
    dolt(experiment, "branch", "mine", kept)
    run_kedro(experiment, "run", "--pipeline=other", "--params", "dolt_branch=mine,size=4")
    before = messages(experiment)
    output = adopt(experiment, "mine", check=False)
    assert f"on it is what the unpublished run {kept.removeprefix('kedro/')} left" in output
    assert messages(experiment) == before


@pytest.mark.thorough
def test_a_branch_with_a_merge_is_not_taken_apart(experiment: Path) -> None:
    run_kedro(experiment, "run", "--pipeline=other")
    dolt(experiment, "sql", "-q", "USE `data/experiment`; CALL DOLT_MERGE('main', '--no-ff', '-m', 'Merge')")
    dolt(experiment, "sql", "-q", "DELETE FROM other WHERE id = 0; CALL DOLT_COMMIT('-am', 'Edit')")
    output = adopt(experiment, "experiment", check=False)
    assert "experiment is not adopted: " in output and " on it is a merge" in output
    assert messages(experiment)[0] == "Edit"


def test_status_names_branches_that_are_ahead_and_tables_that_no_entry_names(experiment: Path) -> None:
    run_kedro(experiment, "run", "--pipeline=other")
    status = run_kedro(experiment, "dolt", "status").stdout
    assert "experiment 2" in " ".join(status.split()) and "In no entry" not in status
    assert re.search(r"Dolt +1\.\d+\.\d+; runs start \S+dolt\b.*(on PATH|named by DOLT_PATH)", status)
    adopt(experiment, "experiment")
    catalog = experiment / "conf" / "base" / "catalog.yml"
    text = catalog.read_text().replace("\nother:", "\n'{name}_renamed':")
    catalog.write_text(text.replace("table_name: other", "table_name: '{name}_new'"))
    status = run_kedro(experiment, "dolt", "status").stdout
    unknown = status.partition("In no entry of the catalog")[2]
    assert "other" in unknown and "example" not in unknown.partition("If a dataset")[0]
    assert "Ahead of this branch" not in status
    dolt(experiment, "sql", "-q", "RENAME TABLE other TO x_new; CALL DOLT_COMMIT('-Am', 'Rename')")
    assert "In no entry" not in run_kedro(experiment, "dolt", "status").stdout
    # A catalog that cannot be read without a run's parameters says nothing.
    catalog.write_text(text + "\nbroken:\n  type: pandas.CSVDataset\n  filepath: ${runtime_params:x}\n")
    assert "In no entry" not in run_kedro(experiment, "dolt", "status").stdout
