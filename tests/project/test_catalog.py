"""What a user may write into the catalog beside the template's entries."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, branches, diff_types, let_go, messages, query, start_slow_run

QUERY = """
example_before:
  type: pandas.SQLQueryDataset
  credentials: dolt
  sql: SELECT COUNT(*) AS n FROM example_test_x AS OF 'HEAD~1'

example_counts:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: example_counts
  save_args:
    if_exists: replace

example_nothing:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: example_nothing
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:name}
"""

PIPELINE = '''
"""A pipeline beside the template's."""

import os

import pandas as pd
from kedro.pipeline import Pipeline, node


def count(before: pd.DataFrame) -> pd.DataFrame:
    return before.assign(note="before")


def nothing() -> pd.DataFrame:
    exec(os.environ.get("BREAK", ""))
    return pd.DataFrame({"name": pd.Series([], dtype=str), "value": pd.Series([], dtype=float)})


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline(
        [
            node(count, "example_before", "example_counts", name="count", tags=["counting"]),
            node(nothing, None, "example_nothing", name="nothing", tags=["nothing"]),
        ]
    )
'''


@pytest.mark.thorough
def test_a_query_of_the_past_and_an_entry_without_a_key(project: Path) -> None:
    run_kedro(project, "run", "--pipeline=iris", "--params", "example_test_data_ratio=0.1")
    run_kedro(project, "run", "--pipeline=iris", "--params", "example_test_data_ratio=0.2")
    add_pipeline(project, "more", PIPELINE, QUERY)
    run_kedro(project, "run", "--pipeline=more", "--tags=counting")
    assert query(project, "SELECT * FROM example_counts") == [{"n": "15", "note": "before"}]
    run_kedro(project, "run", "--pipeline=more", "--tags=counting")
    # HEAD is now the count's own commit, and HEAD~1 the run with the ratio 0.2.
    assert query(project, "SELECT n FROM example_counts") == [{"n": "30"}]
    assert diff_types(project, "example_counts") == {"added": 1, "removed": 1}


def test_an_empty_frame_has_its_key_too(project: Path) -> None:
    add_pipeline(project, "more", PIPELINE, QUERY)
    run_kedro(project, "run", "--pipeline=more", "--tags=nothing")
    assert "PRIMARY KEY (`name`)" in dolt(project, "sql", "-q", "SHOW CREATE TABLE example_nothing")


@pytest.mark.thorough
def test_runs_on_different_tables_both_publish_as_one_straight_log(project: Path) -> None:
    add_pipeline(project, "more", PIPELINE, QUERY)
    slow = start_slow_run(project, "run", "--pipeline=more", "--tags=nothing")
    run_kedro(project, "run", "--pipeline=iris")
    # Somebody edits a table by hand meanwhile; the edit stays uncommitted and stays there.
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    output = let_go(project, slow)
    assert slow.returncode == 0, output
    log = query(project, "SELECT message, parents FROM dolt_log('main', '--parents')")
    assert [", " in row["parents"] for row in log] == [False] * 4
    assert ["Pipeline: more" in log[0]["message"], "Pipeline: iris" in log[1]["message"]] == [True, True]
    assert "modified:         example_iris_data" in dolt(project, "status")
    assert branches(project) == ["main"]
    assert len(messages(project)) == 4
