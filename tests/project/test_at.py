"""``at:`` in a catalog entry: a table as it was, in runs and in their journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import dolt, own_copy, run_kedro
from helpers import add_pipeline, let_go, messages, query, server_is_running, start_slow_run

PIPELINE = """\
import os

import pandas as pd
from kedro.pipeline import Pipeline, node


def first(metrics: pd.DataFrame) -> pd.DataFrame:
    exec(os.environ.get("BREAK", ""))
    return metrics.assign(seen="first")


def second(metrics: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    return metrics.assign(seen="second")


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline(
        [
            node(first, "metrics_then", "seen_first", name="first"),
            node(second, ["metrics_again", "seen_first"], "seen_second", name="second"),
        ]
    )
"""
ENTRY = """
{name}:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: {table}
  primary_key: metric
"""


def entries(at: str, table: str = "example_metrics") -> str:
    named = {"metrics_then": table, "metrics_again": table, "seen_first": "seen", "seen_second": "seen_too"}
    text = "".join(ENTRY.format(name=name, table=table) for name, table in named.items())
    return text.replace(f"table_name: {table}\n", f"table_name: {table}\n  at: {at}\n")


@pytest.fixture(scope="module")
def ran_twice(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two runs, the first of them tagged; not to be changed."""
    with own_copy(generated, tmp_path_factory.mktemp("ran_twice")) as project:
        run_kedro(project, "run", "--params=example_test_data_ratio=0.1")
        dolt(project, "tag", "v1.0")
        run_kedro(project, "run", "--params=example_test_data_ratio=0.2")
    return project


@pytest.fixture
def ran(ran_twice: Path, tmp_path: Path) -> Iterator[Path]:
    """A project of the test's own with two runs, the first of them tagged."""
    with own_copy(ran_twice, tmp_path) as project:
        yield project


def rows_seen(project: Path, table: str = "seen") -> str:
    return query(project, f"SELECT value FROM {table} WHERE metric = 'test_rows'")[0]["value"]


@pytest.mark.thorough
def test_each_way_to_name_a_commit(ran: Path) -> None:
    add_pipeline(ran, "past", PIPELINE, "")
    catalog = ran / "conf" / "base" / "catalog.yml"
    text = catalog.read_text()
    run_id = query(ran, "SELECT run_id FROM kedro_runs ORDER BY started")[0]["run_id"]
    commit = query(ran, "SELECT hashof('v1.0') AS h")[0]["h"]
    dolt(ran, "branch", "then", "v1.0")
    before = query(ran, f"SELECT dolt_hashof_table('example_metrics') AS h, '{commit}' AS c")
    for number, at in enumerate(["v1.0", f"'{run_id}'", run_id[:-3], commit, commit[:8], "then"]):
        catalog.write_text(text + entries(at))
        runner = "ParallelRunner" if number == 0 else "SequentialRunner"
        run_kedro(ran, "run", "--pipeline=past", f"--runner={runner}")
        assert rows_seen(ran) == rows_seen(ran, "seen_too") == "15", at
    # HEAD is where the run began, so HEAD~1 is now the second of the two runs.
    catalog.write_text(text + entries("HEAD~1"))
    run_kedro(ran, "run", "--pipeline=past")
    assert rows_seen(ran) == "30"
    assert query(ran, f"SELECT dolt_hashof_table('example_metrics') AS h, '{commit}' AS c") == before

    edges = query(
        ran, "SELECT DISTINCT dataset, content_hash FROM kedro_lineage WHERE read_at = hashof('v1.0')"
    )
    at_tag = query(ran, "USE `data/v1.0`; SELECT dolt_hashof_table('example_metrics') AS h")[0]["h"]
    assert {edge["dataset"] for edge in edges} == {"metrics_then", "metrics_again"}
    assert {edge["content_hash"] for edge in edges} == {at_tag} != {before[0]["h"]}


@pytest.mark.thorough
def test_lineage_status_and_rerun_know_when_it_was_read(ran: Path) -> None:
    dolt(ran, "branch", "moving", "v1.0")
    add_pipeline(ran, "past", PIPELINE, entries("moving"))
    run_kedro(ran, "run", "--pipeline=past")
    first = query(ran, "SELECT run_id FROM kedro_runs ORDER BY started")[0]["run_id"]
    commit = query(ran, "SELECT hashof('v1.0') AS h")[0]["h"]
    [line] = [
        line
        for line in run_kedro(ran, "dolt", "lineage", "seen_first").stdout.splitlines()
        if "metrics_then" in line
    ]
    assert f"report_accuracy in run {first}" in line and f"(as of {commit[:10]})" in line
    assert "What the last run read is as it was." in run_kedro(ran, "dolt", "status").stdout

    run_id = query(ran, "SELECT run_id FROM kedro_runs ORDER BY started")[-1]["run_id"]
    done = run_kedro(ran, "dolt", "rerun", run_id)
    assert "No difference in the data" in done.stdout and "has moved" not in done.stderr
    dolt(ran, "branch", "-f", "moving", "main")
    done = run_kedro(ran, "dolt", "rerun", run_id)
    assert f"metrics_then was read as of {commit[:10]} then and as of " in " ".join(done.stderr.split())


@pytest.mark.thorough
def test_what_others_publish_meanwhile_is_neither_read_nor_a_conflict(ran: Path) -> None:
    add_pipeline(ran, "past", PIPELINE, entries("main"))
    slow = start_slow_run(ran, "run", "--pipeline=past")
    run_kedro(ran, "run", "--pipeline=iris", "--params=example_test_data_ratio=0.3")
    output = let_go(ran, slow)
    assert slow.returncode == 0, output
    assert rows_seen(ran) == rows_seen(ran, "seen_too") == "30"
    assert rows_seen(ran, "example_metrics") == "45"
    assert len(messages(ran)) == 6


@pytest.mark.parametrize(
    ("at", "table", "said"),
    [
        ("nope", "example_metrics", "The dataset metrics_then cannot be read as of nope: nope names no run"),
        ("HEAD~3", "example_metrics", "there was no table example_metrics at"),
        ("1.5", "example_metrics", "has `at: 1.5`, which was read as float"),
        ("v1.0", "seen_too", "The dataset seen_second has `at: v1.0` in the catalog, so it can only be read"),
    ],
)
def test_what_cannot_be_read_or_saved_is_refused_before_anything_is_computed(
    ran: Path, at: str, table: str, said: str
) -> None:
    add_pipeline(ran, "past", PIPELINE, entries(at, table))
    done = run_kedro(
        ran,
        "run",
        "--pipeline=past",
        "--params=dolt_branch=new",
        check=False,
        BREAK="raise SystemExit('ran')",
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode and said in output and "SystemExit" not in output, output
    assert query(ran, "SELECT name FROM dolt_branches") == [{"name": "main"}]
    assert not server_is_running(ran)


@pytest.mark.thorough
def test_the_examples_of_opened_data_give_what_they_say(ran_twice: Path) -> None:
    from test_notebook import script

    code = """
        import doctest
        from kedro_doltdb.notebook import data as module
        found = doctest.testmod(module)
        say([found.attempted > 5, found.failed])
        """
    assert script(ran_twice, code) == [True, 0]


def test_what_a_call_says_goes_before_what_the_entry_says(ran: Path) -> None:
    from test_notebook import script

    with open(ran / "conf" / "base" / "catalog.yml", "a") as file:
        file.write(entries("v1.0"))
    said = script(
        ran,
        """
        def rows(frame): return float(frame.set_index("metric")["value"]["test_rows"])
        say([rows(data.load("metrics_then")), rows(data.load("metrics_then", at="main"))])
        """,
    )
    assert said == [15.0, 30.0]
