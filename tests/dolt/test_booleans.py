"""Booleans come back from ``DoltTableDataset`` as they were saved; whatever else is 0 or 1 stays a number."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from kedro_datasets.pandas import SQLTableDataset
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from test_table_dataset import (
    columns_of,
    empty,
    hash_of,
    ours,
    query,
    same,
    stock,
    written_rows,
)

from kedro_doltdb.catalog.credentials import Database

KINDS: dict[str, tuple[pd.Series[Any], str]] = {
    "bool": (pd.Series([True, False, True]), "bool"),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), "boolean"),
    "boolean without a missing value": (pd.Series([True, True, False], dtype="boolean"), "bool"),
    "nothing but missing values": (pd.Series([None, None, None], dtype="boolean"), "boolean"),
    "booleans in object": (pd.Series([True, None, False], dtype=object), "boolean"),
    "Arrow": (pd.Series([True, None, False], dtype=pd.ArrowDtype(pa.bool_())), "boolean"),
    "no row": (pd.Series([], dtype="bool"), "bool"),
}


def frame_of(values: pd.Series[Any]) -> pd.DataFrame:
    return pd.DataFrame({"id": range(len(values)), "v": values})


@pytest.mark.parametrize("kind", KINDS)
def test_booleans_come_back(database: Database, cache_home: Any, kind: str) -> None:
    values, dtype = KINDS[kind]
    frame = frame_of(values)
    expected = frame.astype({"v": dtype})
    dataset = ours(database, "id", table="booleans")
    # A table that was made the stock way, or by an earlier version, is the same table, and is not written.
    stock(database, "id", table="booleans").save(frame)
    before = hash_of(database, "booleans")
    if len(frame):
        same(dataset.load(), expected)
        dataset.save(frame)
        assert hash_of(database, "booleans") == before
    query(database, "DROP TABLE booleans")
    dataset.save(frame)
    assert dict(column[:2] for column in columns_of(database, "booleans"))["v"] == "tinyint(1)"
    assert hash_of(database, "booleans") == before or frame.empty
    before = hash_of(database, "booleans")
    same(dataset.load(), expected)
    empty(cache_home)
    same(dataset.load(), expected)
    # What is loaded and saved again is the same table.
    dataset.save(dataset.load())
    assert hash_of(database, "booleans") == before


def test_a_table_that_changes_and_what_it_was(database: Database) -> None:
    dataset = ours(database, "id")
    old = frame_of(pd.Series([True, False] * 20))
    dataset.save(old)
    query(database, "CALL DOLT_COMMIT('-A', '-m', 'old')")
    [(commit,)] = query(database, "SELECT hashof('HEAD')")
    new = old.astype({"v": "boolean"})
    new.loc[3, "v"] = None
    assert written_rows(database, lambda: dataset.save(new)) == 1
    same(dataset.load(), new)
    same(ours(database, "id", at=commit).load(), old)


def test_numbers_stay_numbers(database: Database) -> None:
    frame = pd.DataFrame({"id": [0, 1], "a": [1, 0], "b": [1, 0], "c": [True, False], "d": [1.0, None]})
    frame = frame.astype({"a": "int8"})
    dataset = ours(database, "id", table="numbers", save_args={"dtype": {"b": mysql.TINYINT()}})
    dataset.save(frame)
    assert [column[1] for column in columns_of(database, "numbers")] == [
        "bigint", "smallint", "tinyint", "tinyint(1)", "double",
    ]  # fmt: skip
    assert [str(dtype) for dtype in dataset.load().dtypes] == ["int64", "int64", "int64", "bool", "float64"]
    # Other numbers in a column of booleans: somebody uses it for something else.
    query(database, "UPDATE numbers SET c = 2 WHERE id = 1")
    assert dataset.load()["c"].tolist() == [1, 2]
    query(database, "UPDATE numbers SET c = NULL WHERE id = 0")
    same(dataset.load(), stock(database, table="numbers").load())


def test_a_boolean_key(database: Database) -> None:
    frame = pd.DataFrame({"v": [False, True], "x": [1, 2]})
    dataset = ours(database, "v", table="keyed")
    dataset.save(frame)
    same(dataset.load(), frame)


@pytest.mark.parametrize(
    ("load_args", "dtypes"),
    [
        ({"columns": ["v", "w"]}, ["bool", "boolean"]),
        ({"columns": ["w"]}, ["boolean"]),
        ({"index_col": "id"}, ["bool", "boolean"]),
        ({"coerce_float": False}, ["int64", "bool", "boolean"]),
        ({"dtype_backend": "numpy_nullable"}, ["Int64", "boolean", "boolean"]),
        ({"dtype_backend": "pyarrow"}, ["int64[pyarrow]", "bool[pyarrow]", "bool[pyarrow]"]),
    ],
)
def test_load_args(database: Database, load_args: dict[str, Any], dtypes: list[str]) -> None:
    frame = frame_of(pd.Series([True, False])).assign(w=pd.array([None, True], dtype="boolean"))
    ours(database, "id", table="loaded").save(frame)
    loaded = ours(database, "id", table="loaded", load_args=load_args).load()
    assert [str(dtype) for dtype in loaded.dtypes] == dtypes
    for name in set(frame.columns) & set(loaded.columns):
        assert loaded[name].astype(frame[name].dtype).tolist() == frame[name].tolist()


def test_chunks_and_stock_entries(database: Database) -> None:
    ours(database, "id", table="chunks").save(frame_of(pd.Series([True, False, True])))
    chunks = ours(database, "id", table="chunks", load_args={"chunksize": 2}).load()
    assert [chunk["v"].tolist() for chunk in chunks] == [[True, False], [True]]
    args = {"table_name": "chunks", "credentials": database.credentials()}
    assert SQLTableDataset(**args).load()["v"].tolist() == [1, 0, 1]


def test_a_type_of_its_own(database: Database) -> None:
    dataset = ours(database, "id", table="typed", save_args={"dtype": {"v": types.Boolean()}})
    dataset.save(frame_of(pd.Series([1, 0, 1])))
    assert dataset.load()["v"].tolist() == [True, False, True]
    assert str(dataset.load()["v"].dtype) == "bool"
