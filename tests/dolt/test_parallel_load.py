"""Rows that were loaded over several connections are the same table, or none."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pymysql
import pytest
from dolt_server import dolt_server
from hypothesis import HealthCheck, given, settings
from kedro.io import DatasetError
from sqlalchemy.dialects import mysql
from test_table_dataset import EXAMPLES, empty, hash_of, ours, pairs, query, same, stock

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.errors import BulkLoadError
from kedro_doltdb.tables import parallel_load
from kedro_doltdb.tables.bulk_load import bulk_load

Dataset = Callable[..., Any]

CASELESS = {"id": mysql.VARCHAR(20, collation="utf8mb4_0900_ai_ci")}
FRAME = pd.DataFrame({"id": range(10), "text": [f"row {n}" for n in range(10)]})


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four cores, where two rows are many."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(parallel_load, "ROWS_EACH", 2)


@pytest.fixture
def no_table(database: Database) -> None:
    query(database, "DROP TABLE IF EXISTS t")


def parts_of(monkeypatch: pytest.MonkeyPatch, fail_in: type[threading.Thread] | None = None) -> list[int]:
    """Return the rows of each part that is loaded from now on; threads of one kind fail after loading."""
    load_rows, seen = parallel_load.load_rows, list[int]()

    def load(*args: Any) -> int:
        loaded = load_rows(*args)
        seen.append(loaded)
        if fail_in and isinstance(threading.current_thread(), fail_in):
            raise pymysql.err.OperationalError(1105, "refused")
        return loaded

    monkeypatch.setattr(parallel_load, "load_rows", load)
    return seen


@pytest.mark.parametrize("dataset", [ours, stock])
@settings(max_examples=15 * EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
@given(pair=pairs())
def test_the_table_is_what_one_connection_makes(
    database: Database, dataset: Dataset, pair: tuple[list[str], pd.DataFrame, pd.DataFrame]
) -> None:
    key, _, frame = pair
    hashes = []
    for rows_each in (1, len(frame) + 1):
        query(database, "DROP TABLE IF EXISTS t")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parallel_load, "ROWS_EACH", rows_each)
            dataset(database, *key).save(frame)
        hashes.append(hash_of(database))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("fail_in", [threading._MainThread, threading.Thread])  # type: ignore[attr-defined]
def test_a_part_of_a_stock_entry_that_is_refused_leaves_no_row(
    database: Database, no_table: None, monkeypatch: pytest.MonkeyPatch, fail_in: Any
) -> None:
    parts_of(monkeypatch, fail_in)
    with pytest.raises(DatasetError, match="refused"):
        stock(database, "id").save(FRAME)
    assert query(database, "SELECT COUNT(*) FROM t") == [(0,)]


@pytest.mark.parametrize("value", [1, range(10)])
def test_keys_of_two_parts_that_a_collation_makes_the_same_leave_no_row(
    database: Database, no_table: None, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    frame = pd.DataFrame({"id": ["Zoe", *"abcdefgh", "zoe"], "value": value})
    parts = parts_of(monkeypatch)
    with pytest.raises(DatasetError, match=r"9 of 10 arrived: duplicate primary key given: \[zoe\]"):
        stock(database, "id", dtype=CASELESS).save(frame)
    assert sum(parts) == 10
    assert query(database, "SELECT COUNT(*) FROM t") == [(0,)]


def test_a_part_that_is_refused_leaves_no_row_on_connections_that_commit_each_statement(
    tmp_path: Path,
) -> None:
    # The last part has both, and the others are loaded when it is waited for.
    frame = pd.DataFrame({"id": [*"bcdefghi", "Ä", "ä"]})
    save_args: dict[str, Any] = {"dtype": CASELESS, "method": bulk_load("id")}
    with dolt_server(tmp_path) as engine:
        with pytest.raises(BulkLoadError, match="duplicate primary key given"):
            frame.to_sql("t", engine, index=False, if_exists="replace", **save_args)
        assert pd.read_sql("SELECT COUNT(*) AS n FROM t", engine)["n"].tolist() == [0]


@pytest.mark.parametrize("dataset", [ours, stock])
def test_each_connection_loads_a_part(
    database: Database, no_table: None, cache_home: Any, monkeypatch: pytest.MonkeyPatch, dataset: Dataset
) -> None:
    parts = parts_of(monkeypatch)
    dataset(database, "id").save(FRAME.sample(frac=1, random_state=1))
    assert sorted(parts) == [2, 2, 3, 3]
    empty(cache_home)
    same(ours(database, "id").load(), FRAME)


def test_few_rows_are_loaded_over_one_connection(
    database: Database, no_table: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(monkeypatch)
    ours(database, "id").save(FRAME.head(3))
    assert parts == [3]


def test_a_server_without_connections_to_spare_gets_all_rows_over_one(
    database: Database, no_table: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, connect, opened = parts_of(monkeypatch), DoltTableDataset._connect, []

    def first_two(dataset: DoltTableDataset) -> Any:
        opened.append(dataset)
        if len(opened) > 2:
            raise pymysql.err.OperationalError(1040, "Too many connections")
        return connect(dataset)

    with monkeypatch.context() as patch:
        patch.setattr(DoltTableDataset, "_connect", first_two)
        ours(database, "id").save(FRAME)
    assert len(opened) == 3 and parts == [10]
    assert query(database, "SELECT COUNT(*) FROM t") == [(10,)]


@pytest.mark.parametrize("fail_in", [threading._MainThread, threading.Thread])  # type: ignore[attr-defined]
def test_a_part_that_is_refused_leaves_what_stood(
    database: Database, no_table: None, monkeypatch: pytest.MonkeyPatch, fail_in: Any
) -> None:
    ours(database, "id").save(FRAME)
    before, stood = hash_of(database), FRAME.assign(other=1)
    parts_of(monkeypatch, fail_in)
    with pytest.raises(DatasetError, match="refused"):
        ours(database, "id").save(stood)
    assert hash_of(database) == before
    assert query(database, "SELECT COUNT(*) FROM dolt_branches") == [(1,)]
