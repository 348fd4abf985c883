"""``DoltTableDataset`` with ``mode: upsert`` and ``append``."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from test_table_dataset import query

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


@pytest.mark.parametrize("kind", [pd.DataFrame, pa.Table.from_pandas], ids=["pandas", "Arrow"])
def test_no_change_at_all_leaves_the_table(database: Database, kind: Any) -> None:
    dataset(database, "quiet").save(frame({1: 1}))
    table = dataset(database, "quiet", mode="upsert", change_column="change")
    table.save(kind(frame({}).assign(change=pd.Series(dtype="str"))))
    assert rows(table.load()) == {1: 1}


def test_no_change_at_all_makes_a_table_with_the_columns(database: Database) -> None:
    table = dataset(database, "new", mode="upsert", change_column="change")
    table.save(frame({}).assign(change=pd.Series(dtype="str")))
    assert list(table.load().columns) == ["id", "v"]


def test_a_frame_that_does_not_fit_is_refused(database: Database) -> None:
    dataset(database, "typed").save(frame({1: 1}))
    table = dataset(database, "typed", mode="upsert")
    for wrong, words in (
        (frame({2: 2}).assign(v=0.5), "'v' .* cannot hold 0.5 in row 0 exactly"),
        (frame({2: 2}).assign(w=1), "has no column 'w'"),
        (frame({2: 2})[["id"]], "does not fit .* it has no column `v`"),
        (frame({2: 2}).assign(id=pd.Series([None], dtype="Int64")), "must have a value in every row"),
        (pd.concat([frame({2: 2}), frame({2: 3})]), "is not unique"),
    ):
        with pytest.raises(DatasetError, match=words):
            table.save(wrong)
    assert rows(table.load()) == {1: 1}


@pytest.mark.parametrize(
    "arguments",
    [{"mode": "merge"}, {"change_column": "c"}, {"mode": "append", "save_args": {"if_exists": "append"}}],
)
def test_arguments_that_make_no_sense_are_refused(database: Database, arguments: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, DatasetError)):
        dataset(database, "refused", **arguments)


REMOVALS = st.sets(st.integers(0, 9), max_size=4)
WAYS = st.sampled_from(["plain", "unique", "referred to", "two keys"])


@settings(max_examples=16, deadline=None)
@given(
    old=ROWS, new=ROWS, gone=REMOVALS, way=WAYS, maker=st.sampled_from([pd.DataFrame, pl.DataFrame, pa.table])
)
def test_upsert_holds_whatever_the_tables_rules_and_the_library(
    database: Database, old: dict[int, int], new: dict[int, int], gone: set[int], way: str, maker: Any
) -> None:
    name, key = f"w{uuid.uuid4().hex[:8]}", "id, v" if way == "two keys" else "id"
    # What is unique is the same as the key here, so no row is refused.
    columns = f"id BIGINT NOT NULL, v BIGINT NOT NULL, u BIGINT NOT NULL{' UNIQUE' * (way == 'unique')}"
    query(database, f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({key}))")
    if way == "referred to":
        query(database, f"CREATE TABLE {name}_child (id BIGINT PRIMARY KEY REFERENCES {name} (id))")
        if kept := sorted(old.keys() - gone)[:1]:
            query(database, f"INSERT INTO {name} VALUES ({kept[0]}, {old[kept[0]]}, {kept[0]})")
            query(database, f"INSERT INTO {name}_child VALUES ({kept[0]})")
    by = key.split(", ")
    table = DoltTableDataset(
        table_name=name, credentials=database.credentials(), primary_key=by, mode="upsert", change_column="c"
    )

    def changes(rows: dict[int, int], word: str) -> dict[str, list[Any]]:
        return {"id": list(rows), "v": list(rows.values()), "u": list(rows), "c": [word] * len(rows)}

    expected: dict[Any, int] = {}
    removed = {key: old.get(key, 0) for key in gone}
    for rows_in, word in ((old, "added"), (new, "modified_after"), (removed, "removed")):
        frame = changes(rows_in, word)
        if frame["id"]:
            table.save(maker(frame))
        for row in zip(frame["id"], frame["v"], strict=True):
            at = row if way == "two keys" else row[0]
            expected.pop(at, None) if word == "removed" else expected.__setitem__(at, row[1])
    found = query(database, f"SELECT id, v, u FROM {name}")
    assert {(row[0], row[1]) if way == "two keys" else row[0]: row[1] for row in found} == expected
    assert len(found) == len(expected) and all(row[0] == row[2] for row in found)


def test_upsert_takes_no_row_that_is_equal_in_another_unique_column(database: Database) -> None:
    query(database, "CREATE TABLE elsewhere (id BIGINT PRIMARY KEY, v BIGINT UNIQUE)")
    table = dataset(database, "elsewhere", mode="upsert")
    table.save(frame({1: 1, 2: 2}))
    with pytest.raises(DatasetError, match="duplicate unique key"):
        table.save(frame({3: 2}))
    assert rows(table.load()) == {1: 1, 2: 2}


def test_threads_that_upsert_one_table_all_succeed(database: Database) -> None:
    dataset(database, "busy").save(frame({-1: 0}))

    def save(number: int) -> None:
        for place in range(4):
            dataset(database, "busy", mode="upsert").save(frame({10 * number + place: number}))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(save, range(3)))
    expected = {10 * number + place: number for number in range(3) for place in range(4)}
    assert rows(dataset(database, "busy").load()) == {-1: 0, **expected}
