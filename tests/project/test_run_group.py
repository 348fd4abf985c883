"""Runs that belong together: the tasks of a DAG, each a process of its own, on one data branch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import run_kedro, start_kedro
from helpers import add_pipeline, break_node, hashes, messages, query

pytestmark = pytest.mark.thorough

GROUP = "manual__2026-11-24T00:00:00+00:00"
TASKS = ("split_data", "make_predictions", "report_accuracy")

TWO_NODES = """
from kedro.pipeline import Node, Pipeline


def create_pipeline(**kwargs):
    return Pipeline(
        [
            Node(lambda x: x.head(20), "example_iris_data", "head", name="head"),
            Node(lambda x: x.tail(30), "example_iris_data", "tail", name="tail"),
        ]
    )
"""
TABLE = """
{0}:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: {0}
  save_args: {{if_exists: replace, method: "${{dolt.bulk_load:sample_id}}"}}
"""


def task(project: Path, node: str, group: str = GROUP, ratio: float = 0.2, **env: str) -> str:
    params = f'dolt_run_group="{group}",example_test_data_ratio={ratio}'
    done = run_kedro(project, "run", "--nodes", node, "--params", params, check=False, **env)
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def listed(project: Path, *args: str) -> list[dict[str, Any]]:
    output = run_kedro(project, "dolt", "runs", "--json", *args).stdout
    found: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
    return found


def test_the_tasks_of_a_dag(project: Path) -> None:
    run_kedro(project, "run", "--params", "dolt_branch=whole,example_test_data_ratio=0.2")
    for node in TASKS:
        assert "Committed" in task(project, node)
    assert hashes(project) == hashes(project, "whole")
    assert len(messages(project)) == 2 + len(TASKS)

    (group,) = listed(project)
    assert (group["run_id"], group["run_group"], group["status"]) == (GROUP, GROUP, "succeeded")
    tasks = listed(project, "--group", GROUP)
    assert group["runs"] == [run["run_id"] for run in tasks] and len(tasks) == 3
    assert group["commit"] == tasks[0]["commit"]
    assert group["started"] == tasks[2]["started"] and group["finished"] == tasks[0]["finished"]
    assert group["metrics"]["test_rows"] == 30
    assert [change["table"] for change in group["changes"]] == sorted(
        change["table"] for run in tasks for change in run["changes"]
    )
    header, line = run_kedro(project, "dolt", "runs").stdout.splitlines()
    assert dict(zip(header.split("\t"), line.split("\t"), strict=True))["runs"] == "3"
    assert query(
        project, "SELECT COUNT(*) AS n FROM kedro_runs WHERE params->'$.dolt_run_group' IS NOT NULL"
    ) == [{"n": "0"}]

    for node in TASKS:
        task(project, node, "second", 0.4)
    assert [run["run_group"] for run in listed(project)] == ["second", GROUP]
    assert [run["run_group"] for run in listed(project, "--limit", "1")] == ["second"]
    compared = json.loads(
        run_kedro(project, "dolt", "compare", GROUP, "second", "--json").stdout.splitlines()[-1]
    )
    assert compared["params"] == {"example_test_data_ratio": {"old": 0.2, "new": 0.4}}
    assert "There is no group of runs third" in run_kedro(
        project, "dolt", "runs", "--group", "third", check=False
    ).stderr.replace("\n", " ")


def test_a_task_that_fails_and_is_tried_again(project: Path) -> None:
    break_node(project, "make_predictions")
    task(project, "split_data")
    assert "The run was not published" in task(project, "make_predictions", BREAK="raise ValueError('no')")
    (group,) = listed(project)
    assert group["status"] == "failed" and "no" in group["error"]
    # Its siblings do not see what it has left, and neither does it.
    assert "took over" not in task(project, "make_predictions")
    task(project, "report_accuracy")
    (group,) = listed(project)
    assert group["status"] == "succeeded" and len(group["runs"]) == 4
    assert [run["status"] for run in listed(project, "--group", GROUP)].count("failed") == 1


def test_nothing_is_taken_over_within_a_group(project: Path) -> None:
    break_node(project, "report_accuracy")
    params = f'dolt_run_group="{GROUP}"'
    run_kedro(project, "run", "--params", params, check=False, BREAK="raise ValueError('no')")
    done = run_kedro(project, "run", "--from-nodes=report_accuracy", "--params", params, check=False)
    assert done.returncode == 1 and "took over" not in done.stdout + done.stderr


def test_two_tasks_at_once(project: Path) -> None:
    add_pipeline(project, "two", TWO_NODES, TABLE.format("head") + TABLE.format("tail"))
    tasks = [
        start_kedro(
            project, "run", "--pipelines=two", f"--nodes={node}", "--params", f'dolt_run_group="{GROUP}"'
        )
        for node in ("head", "tail")
    ]
    for process in tasks:
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0 and "Committed" in output, output
    assert query(project, "SELECT (SELECT COUNT(*) FROM head) AS h, (SELECT COUNT(*) FROM tail) AS t") == [
        {"h": "20", "t": "30"}
    ]
    (group,) = listed(project)
    assert group["status"] == "succeeded" and len(group["runs"]) == 2


@pytest.mark.parametrize(
    ("value", "words"), [("5", "must be text"), ('"' + "x" * 256 + '"', "is not a valid name for a group")]
)
def test_names_that_are_refused(project: Path, value: str, words: str) -> None:
    done = run_kedro(project, "run", "--params", f"dolt_run_group={value}", check=False)
    assert done.returncode == 1 and words in re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert len(messages(project)) == 2
