"""Saves that write only what has changed, and loads from copies: all of it equal to what the stock dataset does."""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro_datasets.pandas import SQLTableDataset
from sqlalchemy import types
from test_bulk_load import BETTER, INT64, SAME, TEXTS, maybe, relaxed

from kedro_doltdb.bulk_load import bulk_load
from kedro_doltdb.database import Database
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.settings import Settings
from kedro_doltdb.table_dataset import DoltTableDataset

EXAMPLES = int(os.environ.get("KEDRO_DOLT_EXAMPLES", "1"))

KINDS = {**SAME, **BETTER}
KINDS["short bytes"] = (object, maybe(st.binary(max_size=3)))
KEYS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "integer": ("int64", INT64),
    "small": ("int64", st.integers(-9, 9)),
    "text": (object, TEXTS),
    "alike": (
        object,
        st.sampled_from(["a", "A", "a ", " a", "á", "a\u0301", "ss", "ß", "", "NULL", "a\x00", "a\x1f"]),
    ),
    "mixed": (object, st.integers(0, 20) | st.integers(21, 40).map(str)),
    "bytes": (object, st.binary(min_size=0, max_size=3)),
    "date": (object, st.dates()),
    "datetime": ("datetime64[us]", st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))),
    "float": ("float64", st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    project = tmp_path_factory.mktemp("project")
    initialise(project / "data", [])
    database = Database(project, Settings())
    yield database
    database.close()


@pytest.fixture(autouse=True, scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(home))
        yield home / "kedro-dolt" / "tables"


def ours(database: Database, *key: str, table: str = "t", **args: Any) -> DoltTableDataset:
    return DoltTableDataset(
        table_name=table, credentials=database.credentials(), primary_key=list(key), **args
    )


def stock(database: Database, *key: str, table: str = "t", **save_args: Any) -> SQLTableDataset:
    save_args = {"if_exists": "replace", **({"method": bulk_load(*key)} if key else {}), **save_args}
    return SQLTableDataset(table_name=table, credentials=database.credentials(), save_args=save_args)


def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with closing(database()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = list(cursor.fetchall())
        connection.commit()
        return rows


def hash_of(database: Database, table: str = "t") -> str:
    return str(query(database, f"SELECT dolt_hashof_table('{table}')")[0][0])


def columns_of(database: Database, table: str = "t") -> list[tuple[Any, ...]]:
    return query(database, f"SHOW COLUMNS FROM `{table}`")


def empty(cache: Path) -> None:
    for file in cache.glob("*"):
        file.unlink()


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_column_type=True)
    assert type(left.index) is type(right.index)
    for name in right:
        if right[name].dtype == object:
            assert list(map(type, left[name])) == list(map(type, right[name])), name
        elif right[name].dtype == "float64":
            assert (np.signbit(left[name]) == np.signbit(right[name])).all(), name


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[str], pd.DataFrame, pd.DataFrame]:
    """A key, a frame that stands, and one that is to stand, with some rows of the first, some changed."""
    chosen = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=2, unique=True))
    keys = draw(
        st.lists(st.tuples(*(KEYS[kind][1] for kind in chosen)), min_size=1, max_size=12, unique_by=repr)
    )
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=5))
    rows = len(keys)

    def values(kind: str) -> list[Any]:
        return draw(st.lists(KINDS[kind][1], min_size=rows, max_size=rows))

    old, new = {}, {}
    for place, kind in enumerate(chosen):
        old[f"k{place}"] = new[f"k{place}"] = pd.Series([key[place] for key in keys], dtype=KEYS[kind][0])
    changed = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    for place, kind in enumerate(kinds):
        first, second = values(kind), values(kind)
        second = [b if change else a for a, b, change in zip(first, second, changed, strict=True)]
        old[f"c{place} {kind}"] = pd.Series(first, dtype=KINDS[kind][0])
        new[f"c{place} {kind}"] = pd.Series(second, dtype=KINDS[kind][0])
    where = draw(
        st.lists(st.sampled_from(["both", "both", "both", "old", "new"]), min_size=rows, max_size=rows)
    )
    before = [row for row in range(rows) if where[row] != "new"] or [0]
    after = draw(st.permutations([row for row in range(rows) if where[row] != "old"] or [0]))
    return (
        [f"k{place}" for place in range(len(chosen))],
        pd.DataFrame(old).iloc[before],
        pd.DataFrame(new).iloc[after],
    )


@given(pairs(), st.booleans())
@settings(relaxed, max_examples=120 * EXAMPLES)
def test_a_save_of_the_difference_equals_a_full_save(
    database: Database, cache_home: Path, pair: tuple[list[str], pd.DataFrame, pd.DataFrame], cold: bool
) -> None:
    key, old, new = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about timedelta
        stock(database, *key).save(old)
        ours(database, *key).save(old)
        if cold:
            empty(cache_home)
        ours(database, *key).save(new)
        written = hash_of(database)
        warm = ours(database, *key).load()
        empty(cache_home)
        read = ours(database, *key).load()
        again = ours(database, *key).load()
        expected = stock(database).load()
        for frame in (warm, read, again):
            same(frame, expected)
        # The stock way has LONGTEXT where we may have a shorter type.
        short = {row[0]: types.VARCHAR(255) for row in columns_of(database) if row[1] == "varchar(255)"}
        stock(database, *key, dtype={name: short[name] for name in set(short) - set(key)}).save(new)
        assert written == hash_of(database)
