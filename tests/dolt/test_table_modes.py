"""``DoltTableDataset`` with ``mode: upsert`` and ``append``."""

from __future__ import annotations

import uuid
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from kedro_doltdb import ConfigError, DoltTableDataset
from kedro_doltdb.catalog.credentials import Database


def dataset(database: Database, name: str, **arguments: Any) -> DoltTableDataset:
    """A dataset of a table with the key id."""
    return DoltTableDataset(
        table_name=name, credentials=database.credentials(), primary_key="id", **arguments
    )


def frame(rows: dict[int, Any]) -> pd.DataFrame:
    """Rows by their key."""
    return pd.DataFrame({"id": list(rows), "v": list(rows.values())}).astype({"id": "int64", "v": "int64"})


def rows(loaded: pd.DataFrame) -> dict[int, int]:
    """The same the other way."""
    return {int(key): int(value) for key, value in zip(loaded["id"], loaded["v"], strict=True)}


ROWS = st.dictionaries(st.integers(0, 9), st.integers(-5, 5), max_size=6)


@settings(max_examples=12, deadline=None)
@given(old=ROWS, new=ROWS)
def test_upsert_is_a_dictionarys_update(database: Database, old: dict[int, int], new: dict[int, int]) -> None:
    name = f"u{uuid.uuid4().hex[:8]}"
    dataset(database, name).save(frame(old))
    table = dataset(database, name, mode="upsert")
    table.save(frame(new))
    assert rows(table.load()) == {**old, **new}


def test_append_adds_rows_and_refuses_keys_that_are_there(database: Database) -> None:
    table = dataset(database, "appended", mode="append")
    table.save(frame({1: 1}))
    table.save(frame({2: 2}))
    with pytest.raises(DatasetError, match="these keys already, so they cannot be appended: 2"):
        table.save(frame({3: 3, 2: 5}))
    assert rows(table.load()) == {1: 1, 2: 2}


def test_rows_marked_removed_go(database: Database) -> None:
    dataset(database, "followed").save(frame({1: 1, 2: 2, 3: 3}))
    changes = frame({1: 1, 2: 9, 4: 4}).assign(change=["removed", "modified_after", "added"])
    before = frame({2: 2}).assign(change="modified_before")
    table = dataset(database, "followed", mode="upsert", change_column="change")
    table.save(pd.concat([before, changes]))
    assert rows(table.load()) == {2: 9, 3: 3, 4: 4}


@pytest.mark.parametrize("given", [pd.DataFrame, pa.Table.from_pandas], ids=["pandas", "arrow"])
def test_no_change_at_all_leaves_the_table(database: Database, given: Any) -> None:
    dataset(database, "quiet").save(frame({1: 1}))
    table = dataset(database, "quiet", mode="upsert", change_column="change")
    table.save(given(frame({}).assign(change=pd.Series(dtype="str"))))
    assert rows(table.load()) == {1: 1}


def test_a_frame_of_other_types_is_refused(database: Database) -> None:
    dataset(database, "typed").save(frame({1: 1}))
    table = dataset(database, "typed", mode="upsert")
    for wrong in (frame({2: 2}).assign(v=0.5), frame({2: 2}).assign(w=1), frame({2: 2})[["id"]]):
        with pytest.raises(DatasetError, match="does not fit"):
            table.save(wrong)
    assert rows(table.load()) == {1: 1}


@pytest.mark.parametrize(
    "arguments",
    [{"mode": "merge"}, {"change_column": "c"}, {"mode": "append", "save_args": {"if_exists": "append"}}],
)
def test_arguments_that_make_no_sense_are_refused(database: Database, arguments: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, DatasetError)):
        dataset(database, "refused", **arguments)
