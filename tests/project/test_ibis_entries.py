"""A pipeline in Ibis: stock entries, expressions that run in Dolt, saves that are part of the run."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_kedro
from helpers import add_pipeline, diff_types, messages, query, server_is_running

PIPELINE = """
import ibis
from kedro.pipeline import Node, Pipeline


def by_species(iris, n):
    assert isinstance(iris, ibis.expr.types.Table)
    return iris.group_by("species").agg(rows=iris.count(), width=iris.petal_width.mean() / 3).mutate(n=n)


def narrow(iris, n):
    return iris.filter(iris.sample_id < 3)[["sample_id", "petal_width"]].mutate(n=n)


def log(kept, n):
    return kept.mutate(id=kept.sample_id + 10 * n)[["id", "n"]]


def create_pipeline(**kwargs):
    return Pipeline([
        Node(by_species, ["iris_lazily", "params:n"], "by_species"),
        Node(narrow, ["iris_lazily", "params:n"], "kept"),
        Node(log, ["kept", "params:n"], "log"),
    ])
"""
ENTRY = """
{name}:
  type: ibis.TableDataset
  table_name: {table}
  connection: {{backend: dolt}}
  credentials: dolt
  save_args: {{materialized: table, {args}}}
"""
CATALOG = "".join(
    ENTRY.format(name=name, table=table, args=args)
    for name, table, args in (
        ("iris_lazily", "example_iris_data", "mode: error"),
        ("by_species", "by_species", "mode: overwrite, primary_key: species"),
        ("kept", "kept", "mode: upsert, primary_key: sample_id"),
        ("log", "log", "mode: append, primary_key: id"),
    )
)


@pytest.fixture
def shop(project: Path) -> Path:
    add_pipeline(project, "lazily", PIPELINE, CATALOG)
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("n: 1\n")
    return project


@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner"])
def test_a_run_in_ibis(shop: Path, runner: str) -> None:
    for n in (1, 2):
        run_kedro(shop, "run", "--pipeline=lazily", f"--runner={runner}", f"--params=n={n}")
    assert query(shop, "SELECT species, `rows` FROM by_species WHERE n = 2 ORDER BY species") == [
        {"species": name, "rows": "50"} for name in ("setosa", "versicolor", "virginica")
    ]
    assert diff_types(shop, "by_species") == {"modified": 3}
    assert diff_types(shop, "kept") == {"modified": 2}
    assert diff_types(shop, "log") == {"added": 2}
    assert [row["COUNT(*)"] for row in query(shop, "SELECT COUNT(*) FROM log")] == ["4"]
    edges = query(
        shop,
        "SELECT DISTINCT dataset, table_name, direction FROM kedro_lineage ORDER BY dataset, direction",
    )
    assert {(row["dataset"], row["table_name"]) for row in edges} >= {
        ("iris_lazily", "example_iris_data"), ("by_species", "by_species"), ("kept", "kept"), ("log", "log"),
    }  # fmt: skip
    assert query(shop, "SELECT * FROM dolt_status") == []
    assert len(messages(shop)) >= 4 and not server_is_running(shop)
