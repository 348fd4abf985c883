"""Saves that write only what has changed, and loads from copies: all equal to what the stock dataset does."""

from __future__ import annotations

import datetime as dt
import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import run_kedro
from helpers import diff_types, hashes, messages
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from kedro_datasets.pandas import SQLTableDataset
from sqlalchemy import types
from test_bulk_load import BETTER, HARD_NAMES, INT64, SAME, TEXTS, maybe, relaxed

import kedro_doltdb
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.tables import keyed_table
from kedro_doltdb.tables.bulk_load import bulk_load
from kedro_doltdb.tables.table_cache import TableCache

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


def ours(database: Database, *key: str, table: str = "t", **args: Any) -> DoltTableDataset:
    return DoltTableDataset(
        table_name=table, credentials=database.credentials(), primary_key=list(key), **args
    )


def stock(database: Database, *key: str, table: str = "t", **save_args: Any) -> SQLTableDataset:
    save_args = {"if_exists": "replace", **({"method": bulk_load(*key)} if key else {}), **save_args}
    return SQLTableDataset(table_name=table, credentials=database.credentials(), save_args=save_args)


def as_ours(database: Database, table: str = "t") -> pd.DataFrame:
    """What the stock dataset loads of a table, but with booleans in the columns that were made for them."""
    frame = stock(database, table=table).load()
    for name, kind, *_ in columns_of(database, table):
        if kind == "tinyint(1)":
            values = [None if pd.isna(value) else bool(value) for value in frame[name]]
            frame[name] = pd.array(values, dtype="boolean" if None in values else "bool")
    return frame


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
        expected = as_ours(database)
        for frame in (warm, read, again):
            same(frame, expected)
        # The stock way has LONGTEXT where we may have a shorter type.
        short = {row[0]: types.VARCHAR(255) for row in columns_of(database) if row[1] == "varchar(255)"}
        stock(database, *key, dtype={name: short[name] for name in set(short) - set(key)}).save(new)
        assert written == hash_of(database)


def test_times_at_the_ends_of_what_pandas_counts(database: Database) -> None:
    ends = [pd.Timestamp.min.ceil("us"), pd.Timestamp.max.floor("us")]
    moments = np.array([end.to_datetime64() for end in ends], "datetime64[us]")
    moments = np.concatenate(
        [moments, moments + 1, moments - 1, np.array(["2020-02-03", "NaT"], "datetime64[us]")]
    )
    dates = [dt.date(1677, 9, 21), dt.date(1677, 9, 22), dt.date(2262, 4, 11), dt.date(2262, 4, 12), None]
    frame = pd.DataFrame(
        {
            "id": range(len(moments)),
            "moment": pd.Series(moments.astype(object), dtype="datetime64[us]"),
            "day": [*dates, dt.date(2020, 2, 3), dt.date(1, 1, 1), dt.date(9999, 12, 31)],
        }
    )
    ours(database, "id", table="ends").save(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedro_doltdb.tables.table_cache.TableCache.open", lambda *_: None)
        loaded = ours(database, "id", table="ends").load()
    same(loaded, stock(database, table="ends").load())
    assert loaded["moment"][6] == pd.Timestamp("2020-02-03") and loaded["day"][5] == pd.Timestamp(
        "2020-02-03"
    )


def frame_of(rows: int = 5) -> pd.DataFrame:
    return pd.DataFrame({"id": range(rows), "name": [f"n{n}" for n in range(rows)], "x": np.arange(rows) / 4})


@pytest.fixture
def saved(database: Database) -> Iterator[DoltTableDataset]:
    """A dataset whose table stands."""
    query(database, "DROP TABLE IF EXISTS t")
    dataset = ours(database, "id")
    dataset.save(frame_of())
    return dataset


# What is refused


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"id": [1, 1], "name": "a", "x": 1.0}), "is not unique: 1 in row 1"),
        (pd.DataFrame({"id": ["1", 1], "name": "a", "x": 1.0}), "is not unique: 1 in row 1"),
        (pd.DataFrame({"id": [1, None], "name": "a", "x": 1.0}), "must have a value in every row"),
        (pd.DataFrame({"id": [1, 2], "name": "a", "x": [1, np.inf]}), "inf in row 1 exactly"),
        (
            pd.DataFrame({"id": [1, 2], "name": pd.Series(["\ud800", "a"], dtype=object), "x": 1.0}),
            "a lone surrogate is not valid text",
        ),
        (pd.DataFrame({"id": ["x" * 5000, "a"], "name": "a", "x": 1.0}), "the type holds 4095 characters"),
        (pd.DataFrame({"no": [1, 2], "name": "a", "x": 1.0}), "the data has no column 'id'"),
    ],
)
def test_a_refused_frame_changes_nothing(
    database: Database, saved: DoltTableDataset, frame: pd.DataFrame, words: str
) -> None:
    before = hash_of(database)
    with pytest.raises(DatasetError, match=words):
        saved.save(frame)
    assert hash_of(database) == before
    same(saved.load(), frame_of())


def test_what_the_entry_must_say(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="remove `method`"):
        ours(database, "id", save_args={"method": bulk_load("id")})
    with pytest.raises(ConfigError, match="does not name the columns of a primary key"):
        ours(database)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("kedro_doltdb.catalog.table_dataset.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kedro-doltdb\[fast\]'"):
        ours(database, "id")


@pytest.mark.parametrize("name", ["kedro_doltdb", "kedro_doltdb.hooks", "kedro_doltdb.cli.main"])
def test_an_import_brings_no_frames(name: str) -> None:
    found = "{'pandas', 'numpy', 'pyarrow', 'sqlalchemy', 'kedro_datasets'} & set(sys.modules)"
    code = f"import sys, {name}; print({found})"
    # Kedro may print a line of log before.
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.splitlines()[-1] == "set()"


def test_public_names_are_imported_at_their_first_use() -> None:
    assert kedro_doltdb.DoltTableDataset is DoltTableDataset
    with pytest.raises(AttributeError, match="nothing"):
        kedro_doltdb.nothing  # noqa: B018


# What is written


def written_rows(database: Database, save: Any) -> int:
    """The rows of the table `t` that differ from the last commit after ``save``."""
    query(database, "CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'before')")
    save()
    return int(query(database, "SELECT COUNT(*) FROM dolt_diff('HEAD', 'WORKING', 't')")[0][0])


def test_a_table_that_has_not_changed_is_not_written(
    database: Database, saved: DoltTableDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("write_rows", "replace_table"):
        monkeypatch.setattr(f"kedro_doltdb.tables.keyed_table.{name}", None)
    saved.save(frame_of())
    saved.save(frame_of().iloc[::-1])


@pytest.mark.parametrize("share", [1, 60, 100])
def test_only_the_difference_is_written(database: Database, saved: DoltTableDataset, share: int) -> None:
    old = frame_of(100)
    saved.save(old)
    new = old.copy()
    new.loc[: share - 1, "x"] += 1
    assert written_rows(database, lambda: saved.save(new)) == share
    assert query(database, "SELECT * FROM dolt_status WHERE table_name <> 't'") == []
    same(stock(database).load(), new)


def test_what_the_user_has_added_to_the_table_stays(database: Database, saved: DoltTableDataset) -> None:
    query(database, "ALTER TABLE t ADD INDEX by_name (name), ADD UNIQUE INDEX by_x (x), COMMENT = 'mine'")
    query(database, "ALTER TABLE t ADD CONSTRAINT positive CHECK (x >= 0)")
    before = query(database, "SHOW CREATE TABLE t")
    assert "by_name" in before[0][1] and "by_x" in before[0][1] and "positive" in before[0][1]
    changed = frame_of().assign(x=[1.0, 0.75, 0.5, 0.25, 0.0], name=["e", "d", "c", "b", "a"])
    for frame in (changed, changed.drop(2), frame_of()):
        saved.save(frame)
        same(stock(database).load(), frame.reset_index(drop=True))
        same(saved.load(), frame.reset_index(drop=True))
        assert query(database, "SHOW CREATE TABLE t") == before
    unchanged = hash_of(database)
    for values in ([0.5, 0.5, 1.0, 2.0, 3.0], [-1.0, 0.0, 1.0, 2.0, 3.0], [0.0, 0.25, 0.5, 0.75, 0.0]):
        with pytest.raises(DatasetError, match=r"would not store the rows of `t`|did not load"):
            saved.save(frame_of().assign(x=values))
        assert hash_of(database) == unchanged


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER shout BEFORE INSERT ON t FOR EACH ROW SET new.name = 'loud'",
        "ALTER TABLE t MODIFY name VARCHAR(255) COLLATE utf8mb4_general_ci",
        "ALTER TABLE t MODIFY name VARCHAR(255) NOT NULL",
        "ALTER TABLE t ADD COLUMN more INT",
        "ALTER TABLE t DROP PRIMARY KEY",
        "ALTER TABLE t MODIFY x DECIMAL(10, 2)",
        "ALTER TABLE t MODIFY name VARCHAR(100)",
    ],
)
def test_a_table_with_another_definition_is_made_again(
    database: Database, saved: DoltTableDataset, statement: str
) -> None:
    before = hash_of(database)
    query(database, statement)
    new = frame_of().assign(name=["a", None, "c", "d", "e"])
    saved.save(new)
    same(stock(database).load(), new)
    same(saved.load(), new)
    saved.save(frame_of())
    assert hash_of(database) == before
    query(database, "DROP TRIGGER IF EXISTS shout")


def test_text_that_was_long_once_keeps_its_type(database: Database, saved: DoltTableDataset) -> None:
    assert [column[1] for column in columns_of(database)] == ["bigint", "varchar(255)", "double"]
    saved.save(frame_of().assign(name="é" * 255))
    assert columns_of(database)[1][1] == "varchar(255)"
    saved.save(frame_of().assign(name="é" * 256))
    assert columns_of(database)[1][1] == "longtext"
    saved.save(frame_of())
    assert columns_of(database)[1][1] == "longtext"
    same(saved.load(), frame_of())


def test_many_text_columns(database: Database) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], **{f"c{number}": ["x", "y"] for number in range(200)}})
    dataset = ours(database, "id", table="wide")
    dataset.save(frame)
    same(dataset.load(), frame)


def test_frames_without_rows(database: Database, saved: DoltTableDataset) -> None:
    none = frame_of().head(0)
    saved.save(none)
    same(saved.load(), stock(database).load())
    assert [column[3] for column in columns_of(database)] == ["PRI", "", ""]
    saved.save(frame_of())
    same(saved.load(), frame_of())
    query(database, "DROP TABLE t")
    saved.save(none)
    assert [column[3] for column in columns_of(database)] == ["PRI", "", ""]
    saved.save(frame_of())
    same(saved.load(), frame_of())


def test_large_values(database: Database) -> None:
    dataset = ours(database, "id", table="large")
    for sizes in ([250, 251, 252], [65_535, 65_536, 70_000], [17_000_000, 1, 40_000_000]):
        frame = pd.DataFrame({"id": range(3), "text": ["x" * size for size in sizes], "n": 1})
        dataset.save(frame)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kedro_doltdb.tables.table_cache.TableCache.open", lambda *_: None)
            same(dataset.load(), frame)
            dataset.save(frame.assign(n=[1, 2, 1]))
        same(dataset.load(), frame.assign(n=[1, 2, 1]))


@pytest.mark.parametrize("name", HARD_NAMES)
def test_hard_names(database: Database, name: str) -> None:
    dataset = ours(database, name, table=name)
    frame = pd.DataFrame({name: ["NULL", "b", "c"], f"{name}2": [b"\xff", None, b""]})
    for each in (frame, frame.drop(0), frame.assign(**{f"{name}2": [None, b"1", b""]})):
        dataset.save(each)
        same(dataset.load(), stock(database, table=name).load())
        assert dataset.load()[name].tolist() == each[name].tolist()


# Arguments, and what is left to the stock dataset


@pytest.mark.parametrize(
    "load_args",
    [
        {"columns": ["x", "id"]},
        {"columns": []},
        {"index_col": "id"},
        {"parse_dates": ["name"]},
        {"coerce_float": False},
        {"dtype_backend": "numpy_nullable"},
    ],
)
def test_load_args(database: Database, saved: DoltTableDataset, load_args: dict[str, Any]) -> None:
    args: dict[str, Any] = {"table_name": "t", "credentials": database.credentials(), "load_args": load_args}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about the format of dates
        same(ours(database, "id", load_args=load_args).load(), SQLTableDataset(**args).load())


def test_chunks(database: Database, saved: DoltTableDataset) -> None:
    chunks = list(ours(database, "id", load_args={"chunksize": 2}).load())
    assert list(map(len, chunks)) == [2, 2, 1]
    same(pd.concat(chunks, ignore_index=True), frame_of())
    dataset = ours(database, "id", table="chunks", save_args={"if_exists": "append"})
    for chunk in (frame_of().iloc[:2], frame_of().iloc[2:].assign(name="x" * 300)):
        dataset.save(chunk)
    assert dataset.load()["id"].tolist() == [0, 1, 2, 3, 4]
    whole = ours(database, "id", table="chunks", save_args={"chunksize": 2})
    whole.save(frame_of())
    same(whole.load(), frame_of())


def test_other_save_args(database: Database, saved: DoltTableDataset) -> None:
    dtype = {"name": types.VARCHAR(40), "x": types.DECIMAL(10, 2)}
    dataset = ours(database, "id", save_args={"dtype": {"name": types.VARCHAR(40)}})
    dataset.save(frame_of())
    assert columns_of(database)[1][1] == "varchar(40)"
    with pytest.raises(DatasetError, match="the type holds 40 characters"):
        dataset.save(frame_of().assign(name="x" * 41))
    same(dataset.load(), frame_of())
    ours(database, "id", save_args={"dtype": dtype}).save(frame_of())
    same(dataset.load(), stock(database).load())
    indexed = ours(database, "key", save_args={"index": True, "index_label": "key"})
    indexed.save(frame_of())
    assert indexed.load()["key"].tolist() == [0, 1, 2, 3, 4]


def test_views_and_types_that_are_read_the_stock_way(database: Database, saved: DoltTableDataset) -> None:
    query(database, "CREATE OR REPLACE VIEW v AS SELECT id, x FROM t WHERE id < 2")
    query(database, "DROP TABLE IF EXISTS odd")
    query(
        database,
        "CREATE TABLE odd (id INT PRIMARY KEY, a TIME, b DECIMAL(9,3), c JSON, d TIMESTAMP, e ENUM('x','y'), "
        "f BIGINT UNSIGNED, g YEAR, i DATE, j DATETIME)",
    )
    query(
        database,
        "INSERT INTO odd VALUES (1, '10:00:01', 1.5, '{}', '2020-01-01', 'y', 18446744073709551615, 2020, "
        "'0001-02-03', '0999-01-01')",
    )
    query(database, "DROP TABLE IF EXISTS old")
    query(database, "CREATE TABLE old (id INT, i DATE, j DATETIME, f FLOAT)")
    query(database, "INSERT INTO old VALUES (1, '0001-02-03', '0999-01-01', 0.1), (NULL, NULL, NULL, NULL)")
    for name in ("v", "odd", "old"):
        same(ours(database, "id", table=name).load(), stock(database, table=name).load())
    with pytest.raises(DatasetError, match="nowhere"):
        ours(database, "id", table="nowhere").load()


def test_credentials_of_another_database(tmp_path: Path) -> None:
    credentials = {"con": f"sqlite:///{tmp_path / 'other.db'}"}
    dataset = DoltTableDataset(table_name="t", credentials=credentials, primary_key="id")
    SQLTableDataset(table_name="t", credentials=credentials).save(frame_of())
    same(dataset.load(), frame_of())


def test_preview_and_description(saved: DoltTableDataset) -> None:
    assert saved.preview(1)["data"] == [[0, "n0", 0.0]]
    assert "bulk_load('id')" in str(saved)
    assert saved.exists()


# A table as it was


@pytest.mark.parametrize(
    "load_args", [{}, {"columns": ["x", "id"]}, {"index_col": "id"}, {"dtype_backend": "numpy_nullable"}]
)
def test_a_table_as_it_was(
    database: Database, saved: DoltTableDataset, cache_home: Path, load_args: dict[str, Any]
) -> None:
    credentials = database.credentials()
    expected = SQLTableDataset(table_name="t", credentials=credentials, load_args=load_args).load()
    query(database, "CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'then')")
    [(commit,)] = query(database, "SELECT hashof('HEAD')")
    saved.save(frame_of(7))
    query(database, "CALL DOLT_COMMIT('-A', '-m', 'now')")
    then = ours(database, "id", at=commit, load_args=load_args)
    same(then.load(), expected)
    empty(cache_home)
    same(then.load(), expected)
    assert then.exists() and len(then.preview(10)["data"]) == 5 and f"at='{commit}'" in str(then)
    query(database, "DROP TABLE t")
    same(then.load(), expected)
    with pytest.raises(DatasetError, match="so it can only be read"):
        then.save(frame_of())


def test_what_cannot_be_read_as_it_was(database: Database, tmp_path: Path) -> None:
    for at in (1.5, "", dt.date(2026, 1, 2)):
        with pytest.raises(ConfigError, match="in quotes"):
            ours(database, "id", at=at)
    with pytest.raises(ConfigError, match="only Dolt knows how a table was"):
        DoltTableDataset(table_name="t", credentials={"con": "sqlite://"}, primary_key="id", at="v1")
    with pytest.raises(DatasetError, match="nope names no run, commit, branch or tag"):
        ours(database, "id", at="nope").load()


# Copies


def test_copies_are_private_and_few(database: Database, saved: DoltTableDataset, cache_home: Path) -> None:
    empty(cache_home)
    saved.save(frame_of().assign(x=1.0))
    [copy] = cache_home.iterdir()
    assert stat.S_IMODE(cache_home.stat().st_mode) == 0o700 and stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.server.cache_key_file.stat().st_mode) == 0o600
    saved.save(frame_of().assign(x=2.0))
    assert copy not in cache_home.iterdir() and len(list(cache_home.iterdir())) == 1


def spoil(content: bytes, how: str) -> bytes:
    return {
        "short": content[:-10],
        "empty": b"",
        "forged": content[:40] + bytes([content[40] ^ 1]) + content[41:],
        "unsigned": b"\0" * 32 + content[32:],
    }[how]


@pytest.mark.parametrize("how", ["short", "empty", "forged", "unsigned"])
def test_a_spoilt_copy_changes_no_result(
    database: Database, saved: DoltTableDataset, cache_home: Path, how: str
) -> None:
    empty(cache_home)
    saved.save(frame_of().assign(x=1.0))
    [copy] = cache_home.iterdir()
    copy.write_bytes(spoil(copy.read_bytes(), how))
    saved.save(frame_of().assign(x=1.5))
    same(stock(database).load(), frame_of().assign(x=1.5))
    [copy] = cache_home.iterdir()
    copy.write_bytes(spoil(copy.read_bytes(), how))
    same(saved.load(), frame_of().assign(x=1.5))


def test_a_copy_is_not_taken_for_another_tables(
    database: Database, saved: DoltTableDataset, cache_home: Path
) -> None:
    empty(cache_home)
    saved.load()
    [first] = cache_home.iterdir()
    other = ours(database, "id", table="other")
    other.save(frame_of(3))
    [second] = set(cache_home.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    same(other.load(), frame_of(3))


def test_a_copy_of_a_table_that_somebody_has_edited_is_not_used(
    database: Database, saved: DoltTableDataset
) -> None:
    query(database, "UPDATE t SET x = 9 WHERE id = 2")
    edited = frame_of()
    edited.loc[2, "x"] = 9.0
    same(saved.load(), edited)
    query(database, "UPDATE t SET x = 10 WHERE id = 2")
    saved.save(frame_of())
    same(stock(database).load(), frame_of())


def test_no_place_for_copies(
    database: Database, saved: DoltTableDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    saved.save(frame_of(7))
    same(saved.load(), frame_of(7))


def test_the_room_for_copies_is_bounded(tmp_path: Path) -> None:
    rows = pa.table({"x": np.random.default_rng(0).random(1000)})
    cache = TableCache(b"k" * 32, tmp_path, max_bytes=40_000)
    for number in range(6):
        cache.put(str(number), rows)
        os.utime(max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns), (number, number))
        if number == 3:
            assert cache.get("1") == rows
    assert [number for number in range(6) if cache.get(str(number))] == [1, 3, 4, 5]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 40_000
    cache.put("large", pa.table({"x": np.random.default_rng(0).random(10_000)}))
    assert cache.get("large") is None
    assert TableCache(b"l" * 32, tmp_path).get("5") is None


def test_several_threads_save_and_load_at_once(database: Database) -> None:
    def work(number: int) -> bool:
        dataset = ours(database, "id", table=f"t{number}")
        for step in range(4):
            frame = frame_of(50).assign(x=[step if row % (step + 1) else number for row in range(50)])
            dataset.save(frame)
            same(dataset.load().astype({"x": "int64"}), frame.astype({"x": "int64"}))
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))


def test_an_edit_at_the_same_moment_is_not_lost_unseen(
    database: Database, saved: DoltTableDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = iter(["UPDATE t SET x = 77 WHERE id = 4"])

    def compare(*args: Any) -> Any:
        for edit in edits:
            query(database, edit)
        return keyed_table_compare(*args)

    keyed_table_compare = keyed_table.compare
    monkeypatch.setattr(keyed_table, "compare", compare)
    saved.save(frame_of().drop(0))
    same(stock(database).load(), frame_of().drop(0).reset_index(drop=True))
    same(saved.load(), frame_of().drop(0).reset_index(drop=True))


# In a project


def use_our_dataset(project: Path) -> None:
    catalog = project / "conf" / "base" / "catalog.yml"
    text = catalog.read_text().replace("pandas.SQLTableDataset", "kedro_doltdb.DoltTableDataset")
    for key in ("sample_id", "metric"):
        entry = f"  save_args:\n    if_exists: replace\n    method: ${{dolt.bulk_load:{key}}}\n"
        assert entry in text
        text = text.replace(entry, f"  primary_key: {key}\n")
    catalog.write_text(text)


@pytest.mark.thorough
def test_runs_of_a_project(project: Path) -> None:
    run_kedro(project, "run")
    stock_hashes = hashes(project)
    use_our_dataset(project)
    assert "changed no data" in run_kedro(project, "run").stdout
    for ratio, runner in (("0.1", "ThreadRunner"), ("0.2", "ParallelRunner"), ("0.2", "SequentialRunner")):
        run_kedro(project, "run", f"--runner={runner}", f"--params=example_test_data_ratio={ratio}")
    assert diff_types(project, "example_test_x", "HEAD~1") == {"added": 15}
    assert len(messages(project)) == 5
    assert hashes(project) == stock_hashes
    code = (
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project('.')\n"
        "with KedroSession.create() as session:\n"
        "    dataset = session.load_context().catalog['example_metrics']\n"
        "    print(dataset.load().shape, dataset.preview(1)['columns'])\n"
    )
    done = subprocess.check_output([sys.executable, "-c", code], cwd=project, text=True)
    assert done.splitlines()[-1] == "(2, 2) ['metric', 'value']"
