"""A pipeline whose nodes know Polars alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from conftest import run_kedro
from helpers import add_pipeline, diff_types, query

import kedro_doltdb

PIPELINE = """
import datetime as dt

import polars as pl
from kedro.pipeline import Node, Pipeline


def orders(n):
    return pl.DataFrame({"id": range(100), "day": [dt.date(2020, 1, 1)] * 100}).with_columns(
        price=pl.when(pl.col("id") == 7).then(n).otherwise(pl.col("id")).cast(pl.Decimal(9, 2))
    )


def dear(orders):
    assert isinstance(orders, pl.DataFrame) and orders.schema["price"] == pl.Decimal(9, 2)
    return orders.lazy().filter(pl.col("price") >= 90)


def batches(orders):
    for part in orders.iter_slices(40):
        yield part.to_arrow()


def create_pipeline(**kwargs):
    return Pipeline([
        Node(orders, "params:n", "orders"),
        Node(dear, "orders", "dear"),
        Node(batches, "orders", "log"),
    ])
"""
CATALOG = """
orders: &table
  type: kedro_doltdb.DoltTableDataset
  table_name: orders
  credentials: dolt
  primary_key: id
  load_args: {as: polars}

dear:
  <<: *table
  table_name: dear

log:
  type: kedro_doltdb.DoltTableDataset
  table_name: log
  credentials: dolt
  primary_key: id
  save_args: {if_exists: append}
"""


@pytest.mark.parametrize("runner", ["SequentialRunner", "ParallelRunner"])
def test_a_run_in_polars(project: Path, runner: str) -> None:
    add_pipeline(project, "shop", PIPELINE, CATALOG)
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("n: 1\n")
    run_kedro(project, "run", "--pipeline=shop", f"--runner={runner}")
    assert query(project, "SELECT COUNT(*) AS n, MAX(price) AS p FROM log") == [{"n": "100", "p": "99.00"}]
    run_kedro(project, "run", "--pipeline=shop", f"--runner={runner}", "--params=n=8", "--to-outputs=dear")
    assert diff_types(project, "orders") == {"modified": 1} and diff_types(project, "dear") == {}
    with kedro_doltdb.open(project) as data:
        old = data.load("orders", at="HEAD~1").filter(pl.col("id") == 7)
        new = data.load("orders").filter(pl.col("id") == 7)
    assert [str(frame["price"].item()) for frame in (old, new)] == ["1.00", "8.00"]
