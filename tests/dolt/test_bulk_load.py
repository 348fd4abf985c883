"""Keyed saves against a real Dolt server; the stock ``to_sql`` on the same server says what is right."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dolt_server import dolt_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.config import OmegaConfigLoader
from kedro_datasets.pandas import SQLTableDataset
from sqlalchemy import Engine, types
from sqlalchemy.dialects import mysql

from kedro_doltdb.dolt.local_infile import BLOCK_BYTES, load_local
from kedro_doltdb.errors import BulkLoadError, ConfigError
from kedro_doltdb.tables import table_sql
from kedro_doltdb.tables.bulk_load import BulkLoad, add_missing_key, bulk_load
from kedro_doltdb.tables.encoding import Column, encode

HARD_NAMES = ["a b", "per%cent %s", "quo'te\"d", "comma, (bracket)", "Größe", "select", "a:b"]
HARD_TEXTS = [
    "NULL", "null", "\\N", "", " ", "  both  ", "a\nb", "a\r\n", "\r", "\t", '"quoted"', "it's", "\\", "a\\",
    "\\n", "\x00", "\x1a", "\x1f", "\x1e", "a\x1fb\x1ec", "é", "e\u0301", "😀", "\ufeff", "%s", "@kedro_1",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with dolt_server(tmp_path_factory.mktemp("dolt")) as engine:
        yield engine


def query(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        rows = list(cursor.fetchall())
        connection.commit()
        return rows
    finally:
        connection.close()


def save(frame: pd.DataFrame, engine: Engine, *key: str, table: str = "bulk", **save_args: Any) -> None:
    save_args = {
        "if_exists": "replace",
        "index": False,
        "method": bulk_load(*key) if key else None,
        **save_args,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about timedelta
        frame.to_sql(table, engine, **save_args)


def load(engine: Engine, *order: str, table: str = "bulk") -> pd.DataFrame:
    frame = pd.read_sql_table(table, engine)
    return frame.sort_values(list(order), ignore_index=True) if order else frame


def column_types(engine: Engine, table: str = "bulk") -> dict[str, str]:
    return {row[0]: row[1] for row in query(engine, f"SHOW COLUMNS FROM `{table}`")}


def primary_key(engine: Engine, table: str = "bulk") -> list[str]:
    return [row[4] for row in query(engine, f"SHOW KEYS FROM `{table}`") if row[2] == "PRIMARY"]


def frame_of(values: Any, dtype: Any = None) -> pd.DataFrame:
    return pd.DataFrame({"id": range(len(values)), "value": pd.Series(values, dtype=dtype)})


# The resolver


def test_resolver_makes_a_value_that_travels() -> None:
    method = bulk_load("a", "b")
    assert repr(method) == "bulk_load('a', 'b')"
    assert method == BulkLoad(("a", "b")) != bulk_load("b", "a")
    assert pickle.loads(pickle.dumps(method)) == copy.deepcopy(method) == method


def test_resolver_in_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "catalog.yml").write_text(
        "a: {method: '${dolt.bulk_load:sample_id}'}\nb:\n  method: ${dolt.bulk_load:day,shop}\n"
    )
    loader = OmegaConfigLoader(
        str(tmp_path),
        base_env="base",
        default_run_env="base",
        custom_resolvers={"dolt.bulk_load": bulk_load},
    )
    assert loader["catalog"] == {
        "a": {"method": bulk_load("sample_id")},
        "b": {"method": bulk_load("day", "shop")},
    }


@pytest.mark.parametrize("names", [(), ("",), ("a", "a")])
def test_resolver_wants_the_columns_of_a_key(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="does not name the columns of a primary key"):
        bulk_load(*names)


def test_import_is_cheap() -> None:
    code = "import sys, kedro_doltdb.bulk_load; print({'pandas', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# What comes back

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_infinity=False)
TEXTS = st.sampled_from(HARD_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SECONDS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(
    lambda v: v.replace(microsecond=0)
)
DECIMALS = st.decimals(-(10**30), 10**30, allow_nan=False, places=9) | st.sampled_from(
    [Decimal("-0"), Decimal("1E+3"), Decimal("1.50"), Decimal("NaN")]
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


# The dtype and the values of the columns that come back as the stock dataset gives them.
SAME: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    **{
        name: (name, st.integers(np.iinfo(name).min, np.iinfo(name).max))
        for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
    },
    "Int64": ("Int64", maybe(INT64)),
    "object integers": (object, maybe(INT64)),
    "float64": ("float64", FLOATS),
    "float32": ("float32", st.floats(allow_infinity=False, width=32)),
    "Float64": ("Float64", maybe(st.floats(allow_infinity=False, allow_nan=False))),
    "bool": ("bool", st.booleans()),
    "boolean": ("boolean", maybe(st.booleans())),
    "object booleans": (object, maybe(st.booleans())),
    "object text": (object, maybe(TEXTS)),
    "string": ("string", maybe(TEXTS)),
    "category": ("category", st.sampled_from(HARD_TEXTS)),
    "category of integers": ("category", st.integers(0, 5)),
    "integers and text": (object, maybe(INT64 | TEXTS)),
    "Decimal": (object, maybe(DECIMALS)),
    "datetime64[s]": ("datetime64[s]", maybe(SECONDS)),
    "object datetimes": (object, maybe(SECONDS)),
    "datetime64[us, Europe/Paris]": (
        "datetime64[us, Europe/Paris]",
        st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2037, 1, 1)).map(
            lambda v: pd.Timestamp(v.replace(microsecond=0), tz="UTC")
        ),
    ),
    "dates": (object, maybe(st.dates())),
    "times": (object, maybe(st.times())),
    "timedelta64[ns]": ("timedelta64[ns]", maybe(st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)))),
}
# Those that come back as they were saved, where the stock dataset loses or refuses something.
BETTER: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    # pandas 2 reads what its nanoseconds cannot hold as NaT.
    "microseconds": ("datetime64[us]", maybe(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)))),
    "bytes": (object, maybe(st.binary(max_size=300))),
    "long text": (object, st.sampled_from(["x" * 65_536, "\n" * 70_000, "é" * 40_000])),
}


@st.composite
def frames(draw: st.DrawFn, kinds: dict[str, tuple[Any, st.SearchStrategy[Any]]]) -> pd.DataFrame:
    rows = draw(st.integers(1, 12))
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=8, unique=True))
    columns = {
        f"{number} {kind}": pd.Series(
            draw(st.lists(kinds[kind][1], min_size=rows, max_size=rows)), dtype=kinds[kind][0]
        )
        for number, kind in enumerate(chosen)  # Dolt does not tell Float64 from float64
    }
    return pd.DataFrame({"id": draw(st.lists(INT64, min_size=rows, max_size=rows, unique=True)), **columns})


relaxed = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(frames(SAME))
@settings(relaxed, max_examples=150)
def test_values_come_back_as_the_stock_dataset_gives_them(engine: Engine, frame: pd.DataFrame) -> None:
    save(frame, engine, table="stock")
    save(frame, engine, "id")
    pd.testing.assert_frame_equal(load(engine), load(engine, "id", table="stock"), check_exact=True)


@given(frames(BETTER))
@settings(relaxed, max_examples=50)
def test_values_come_back_as_they_were_saved(engine: Engine, frame: pd.DataFrame) -> None:
    save(frame, engine, "id")
    loaded = load(engine)
    for name, column in frame.sort_values("id", ignore_index=True).items():
        expected = [None if pd.isna(value) else value for value in column]
        assert [None if pd.isna(value) else value for value in loaded[name]] == expected


@pytest.mark.parametrize("kind", sorted(SAME))
def test_every_type_alone(engine: Engine, kind: str) -> None:
    dtype, strategy = SAME[kind]

    @given(st.lists(strategy, min_size=1, max_size=20))
    @settings(relaxed, max_examples=8)
    def check(values: list[Any]) -> None:
        frame = frame_of(values, dtype)
        save(frame, engine, table="stock")
        save(frame, engine, "id")
        pd.testing.assert_frame_equal(load(engine), load(engine, "id", table="stock"), check_exact=True)

    check()


@given(st.lists(TEXTS, min_size=1, max_size=30, unique=True))
@settings(relaxed, max_examples=60)
def test_text_keys_are_compared_exactly(engine: Engine, texts: list[str]) -> None:
    frame = pd.DataFrame({"id": texts, "value": range(len(texts))})
    save(frame, engine, "id")
    loaded = load(engine)
    assert dict(zip(loaded["id"], loaded["value"], strict=True)) == dict(
        zip(texts, range(len(texts)), strict=True)
    )


def test_keys_that_differ_in_little(engine: Engine) -> None:
    texts = ["a", "A", "a ", " a", "á", "a\u0301", "ss", "ß", "", "NULL", "a\x00", "a\x1f"]
    save(pd.DataFrame({"id": texts}), engine, "id")
    assert sorted(load(engine)["id"]) == sorted(texts)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.1, -2.5, 1e300], "float64"),
        ([dt.date(2020, 1, 1), dt.date(1, 1, 1)], object),
        ([dt.datetime(2020, 1, 1, microsecond=1), dt.datetime(2020, 1, 1)], "datetime64[us]"),
        ([True, False], "bool"),
        ([b"\x00", b"\x00 ", b"\xff"], object),
        ([dt.time(1), dt.time(1, 0, 0, 1)], object),
    ],
)
def test_keys_of_other_types(engine: Engine, values: list[Any], dtype: Any) -> None:
    frame = pd.DataFrame({"id": pd.Series(values, dtype=dtype), "n": range(len(values))})
    save(frame, engine, "id")
    save(frame.assign(value=frame["id"])[["n", "value"]], engine, "n", table="unkeyed")
    assert load(engine, "n")["id"].tolist() == load(engine, table="unkeyed")["value"].tolist()
    assert primary_key(engine) == ["id"]


@pytest.mark.parametrize("name", HARD_NAMES)
def test_hard_names(engine: Engine, name: str) -> None:
    frame = pd.DataFrame({name: ["NULL", "b"], f"{name}2": [b"\xff", None]})
    save(frame, engine, name, table=name)
    loaded = load(engine, table=name)
    assert loaded[name].tolist() == ["NULL", "b"]
    assert loaded[f"{name}2"].tolist() == [b"\xff", None]
    save(frame.assign(**{name: ["x", "y"]}), engine, name, table=name, if_exists="append")
    assert len(load(engine, table=name)) == 4


@pytest.mark.parametrize("keyed", [False, True])
def test_words_that_only_dolt_reserves(engine: Engine, keyed: bool) -> None:
    names = ["std", "count", "mean", "rank", "system", "window", "of", "min", "max", "25%", "variance"]
    frame = pd.DataFrame({name: [number, 1] for number, name in enumerate(names, start=2)})
    method = bulk_load("std") if keyed else None
    frame.to_sql("lateral", engine, if_exists="replace", index=False, method=method)
    loaded = pd.read_sql_table("lateral", engine).sort_values("std", ascending=False, ignore_index=True)
    pd.testing.assert_frame_equal(loaded, frame)


@pytest.mark.parametrize(
    ("column", "table"), [("b`t", "t"), ("a\nb", "t"), ("a", "back`tick"), ("a", "a\nb")]
)
def test_names_that_cannot_be_read_back(engine: Engine, column: str, table: str) -> None:
    with pytest.raises(BulkLoadError, match="has a line break or a backtick"):
        save(pd.DataFrame({column: [1, 2]}), engine, column, table=table)


def test_twenty_megabytes_in_one_value(engine: Engine) -> None:
    frame = frame_of(["é\n" * 7_000_000, "NULL"])
    save(frame, engine, "id")
    assert load(engine)["value"].equals(frame["value"])


def test_index_as_key(engine: Engine) -> None:
    frame = pd.DataFrame({"value": [1, 2]}, index=pd.Index([5, 6], name="id"))
    save(frame, engine, "id", index=True)
    assert load(engine).to_dict("list") == {"id": [5, 6], "value": [1, 2]}


# The table


def test_column_types(engine: Engine) -> None:
    frame = pd.DataFrame(
        {
            "day": ["mon"],
            "n": [1],
            "x": [0.5],
            "s": ["a"],
            "b": [b"a"],
            "t": [dt.datetime(2020, 1, 1)],
            "ok": [True],
        }
    )
    save(frame, engine, "n", "day")
    assert primary_key(engine) == ["n", "day"]
    assert column_types(engine) == {
        "day": "varchar(255)", "n": "bigint", "x": "double", "s": "varchar(255)", "b": "longblob",
        "t": "datetime(6)", "ok": "tinyint(1)",
    }  # fmt: skip


def test_key_length_grows_in_steps(engine: Engine) -> None:
    for length, expected in ((1, 255), (255, 255), (256, 1023), (4095, 4095)):
        save(pd.DataFrame({"id": ["é" * length]}), engine, "id")
        assert column_types(engine)["id"] == f"varchar({expected})"
    with pytest.raises(BulkLoadError, match="holds 4095 characters"):
        save(pd.DataFrame({"id": ["é" * 4096]}), engine, "id")


def test_text_that_was_long_at_the_last_commit_keeps_its_type(engine: Engine) -> None:
    def saved(length: int, **save_args: Any) -> str:
        save(frame_of(["é" * length, None]), engine, "id", **save_args)
        return column_types(engine)["value"]

    def commit() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("CALL DOLT_COMMIT('-Am', 'Saved')")

    assert saved(255) == "varchar(255)"
    commit()
    assert saved(256) == "longtext"
    # What no commit holds decides nothing.
    assert saved(1) == "varchar(255)"
    assert saved(256) == "longtext"
    commit()
    assert saved(1) == saved(0) == "longtext"
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE bulk")
        connection.exec_driver_sql("CALL DOLT_COMMIT('-Am', 'Dropped')")
    assert saved(1) == "varchar(255)"


def test_a_later_chunk_with_longer_text(engine: Engine) -> None:
    frame = frame_of(["a", "b", "é" * 300])
    save(frame, engine, "id", chunksize=1)
    assert column_types(engine)["value"] == "longtext"
    assert load(engine).equals(frame)
    save(frame_of(["a"]), engine, "id", table="grows", if_exists="append")
    save(frame_of(["é" * 300]).assign(id=9), engine, "id", table="grows", if_exists="append")
    assert load(engine, table="grows")["value"].str.len().tolist() == [1, 300]


def test_more_short_texts_than_a_row_can_hold(engine: Engine) -> None:
    frame = pd.DataFrame({"id": ["a"], **{f"c{number}": ["x"] for number in range(200)}})
    save(frame, engine, "id")
    types = column_types(engine)
    assert types.pop("id") == "varchar(255)" and set(types.values()) == {"longtext"}
    assert load(engine).equals(frame)


def test_types_of_the_users_choice_are_kept(engine: Engine) -> None:
    frame = pd.DataFrame(
        {"id": ["a", "B"], "price": [1.25, None], "t": [dt.datetime(2020, 1, 1)] * 2, "s": ["", "x"]}
    )
    wanted = {
        "id": types.VARCHAR(20, collation="utf8mb4_general_ci"),
        "price": types.DECIMAL(10, 2),
        "t": mysql.DATETIME(fsp=3),
        "s": types.Text,
    }
    save(frame, engine, "id", dtype=wanted)
    save(frame, engine, dtype=wanted, table="stock")
    assert column_types(engine) == column_types(engine, "stock")
    pd.testing.assert_frame_equal(load(engine, "id"), load(engine, "id", table="stock"))


@pytest.mark.parametrize(
    "dtype",
    [
        types.JSON,
        types.CHAR(5),
        types.Enum("a", "b"),
        types.BINARY(4),
        types.PickleType,
        mysql.VARCHAR(5, charset="latin1"),
    ],
)
def test_types_that_it_cannot_fill_are_refused(engine: Engine, dtype: Any) -> None:
    with pytest.raises(BulkLoadError, match=r"has the type .* choose another type"):
        save(frame_of(["a"]), engine, "id", dtype={"value": dtype})


def test_text_of_the_users_choice_cannot_be_a_key(engine: Engine) -> None:
    with pytest.raises(BulkLoadError, match="choose a type with a length"):
        save(pd.DataFrame({"id": ["a"]}), engine, "id", dtype={"id": types.Text})


def test_empty_frame_gets_its_key_afterwards(engine: Engine) -> None:
    frame = pd.DataFrame({"id": ["a"], "t": [dt.datetime(2020, 1, 1)], "s": ["x"]})
    save(frame, engine, "id")
    expected = query(engine, "SHOW CREATE TABLE bulk")
    save(frame[:0], engine, "id")
    assert primary_key(engine) == []
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        assert add_missing_key(cursor, "bulk", ["id"])  # type: ignore[arg-type]
        assert not add_missing_key(cursor, "bulk", ["id"])  # type: ignore[arg-type]
    finally:
        connection.close()
    assert query(engine, "SHOW CREATE TABLE bulk") == expected


def test_missing_key_of_other_tables(engine: Engine) -> None:
    save(frame_of([1]), engine, table="full")
    save(frame_of([1])[:0], engine, table="hollow")
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        assert not add_missing_key(cursor, "full", ["id"])  # type: ignore[arg-type]
        with pytest.raises(BulkLoadError, match="no column 'nope', it has id, value"):
            add_missing_key(cursor, "hollow", ["nope"])  # type: ignore[arg-type]
    finally:
        connection.close()
    assert len(load(engine, table="full")) == 1


# More than one call


def test_chunks(engine: Engine) -> None:
    frame = frame_of([f"v{n}" for n in range(25)])
    save(frame, engine, "id", chunksize=10)
    pd.testing.assert_frame_equal(load(engine), frame)


def test_duplicates_in_different_chunks_leave_nothing(engine: Engine) -> None:
    with pytest.raises(BulkLoadError, match=r"duplicate primary key given: \[1\]"):
        save(pd.DataFrame({"id": [1, 2, 3, 1]}), engine, "id", chunksize=2)
    assert load(engine).empty


def test_append(engine: Engine) -> None:
    save(frame_of(["a", "b"]), engine, "id")
    save(pd.DataFrame({"id": [7], "value": ["c"]}), engine, "id", if_exists="append")
    assert load(engine).to_dict("list") == {"id": [0, 1, 7], "value": ["a", "b", "c"]}
    with pytest.raises(BulkLoadError, match=r"duplicate primary key given: \[7\]"):
        save(pd.DataFrame({"id": [8, 7], "value": ["d", "e"]}), engine, "id", if_exists="append")
    assert len(load(engine)) == 3


def test_append_makes_the_first_table(engine: Engine) -> None:
    query(engine, "DROP TABLE IF EXISTS fresh")
    save(frame_of(["a"]), engine, "id", table="fresh", if_exists="append")
    assert primary_key(engine, "fresh") == ["id"]


def test_append_to_another_key(engine: Engine) -> None:
    save(frame_of(["a"]), engine, "value")
    with pytest.raises(BulkLoadError, match="has the primary key value, not id"):
        save(frame_of(["b"]), engine, "id", if_exists="append")
    save(frame_of(["a"]), engine)
    with pytest.raises(BulkLoadError, match="has rows but no primary key"):
        save(frame_of(["b"]), engine, "id", if_exists="append")
    assert load(engine)["value"].tolist() == ["a"]


def test_append_of_another_column(engine: Engine) -> None:
    save(frame_of(["a"]), engine, "id")
    with pytest.raises(BulkLoadError, match="has no column 'more'"):
        save(pd.DataFrame({"id": [5], "more": [1]}), engine, "id", if_exists="append")


# What is refused


@pytest.mark.parametrize(
    ("frame", "key", "message"),
    [
        (pd.DataFrame({"id": [1, 2, 1, 2]}), "id", r"unique: 1 in row 2, 2 in row 3 \(.* also in row 0\)"),
        (pd.DataFrame({"id": ["x", "x"]}), "id", "'x' in row 1"),
        (pd.DataFrame({"id": [1.0, np.nan]}), "id", "must have a value in every row: None in row 1"),
        (pd.DataFrame({"id": [None, "a"]}), "id", "must have a value in every row: None in row 0"),
        (pd.DataFrame({"id": [1]}), "nope", "the data has no column 'nope', it has id"),
        (pd.DataFrame({"id": [0.0, -0.0]}), "id", r"unique: -0.0 in row 1 \(.* also in row 0\)"),
    ],
)  # fmt: skip
def test_keys_that_are_none(engine: Engine, frame: pd.DataFrame, key: str, message: str) -> None:
    with pytest.raises(BulkLoadError, match=message):
        save(frame, engine, key)
    assert load(engine).empty


def test_duplicate_composite_key(engine: Engine) -> None:
    frame = pd.DataFrame({"a": [1, 1, 1], "b": ["x", "y", "x"]})
    with pytest.raises(BulkLoadError, match=r"key a, b of `bulk` is not unique: \(1, 'x'\) in row 2"):
        save(frame, engine, "a", "b")


@pytest.mark.parametrize(
    ("values", "dtype", "sql_type", "message"),
    [
        (
            [1.0, np.inf, -np.inf],
            None,
            None,
            "cannot hold inf in row 1, -inf in row 2 exactly: SQL has no infinity",
        ),
        ([2**63], object, None, "the range of the type is"),
        ([300, 1], None, mysql.TINYINT, "cannot hold 300 in row 0"),
        ([3.7], None, types.BigInteger, "takes whole numbers"),
        (["5", "x"], None, types.Integer, "takes float or int, not str"),
        (["a" * 6], None, types.VARCHAR(5), "holds 5 characters"),
        (["é" * 40_000], None, types.Text, "holds 65535 bytes"),
        ([b"abc"], object, types.VARBINARY(2), "holds 2 bytes"),
        ([0.1], None, types.Float, "choose the type DOUBLE"),
        ([Decimal("1.005")], object, types.DECIMAL(10, 2), "2 of them after the point"),
        ([Decimal("123456789")], object, types.DECIMAL(10, 2), "2 of them after the point"),
        ([dt.datetime(2020, 1, 1, microsecond=5)], None, types.DATETIME, "keeps 0 digits of a second"),
        ([dt.datetime(2020, 1, 1, 5)], None, types.Date, "keeps no time of day"),
        ([dt.datetime(1960, 1, 1)], None, types.TIMESTAMP, "outside of timestamp range"),
        (["a", "\ud800"], object, None, "a lone surrogate is not valid text"),
        ([1, 2.5], object, None, "not float"),
        (["a", b"a"], object, None, "not bytes"),
        ([[1, 2]], object, None, "not list"),
        ([{"a": 1}], object, None, "not dict"),
        ([dt.timedelta(1)], "object", None, "not timedelta"),
    ],
)
def test_values_that_cannot_be_stored(
    engine: Engine, values: list[Any], dtype: Any, sql_type: Any, message: str
) -> None:
    with pytest.raises(BulkLoadError, match=message):
        save(frame_of(values, dtype), engine, "id", dtype={"value": sql_type} if sql_type else None)
    assert load(engine).empty


def test_message_names_few_rows_and_counts_the_rest() -> None:
    with pytest.raises(BulkLoadError) as caught:
        encode([Column("x", "tinyint")], [[1, 500, None, 501, 502, 503, 504]])
    assert str(caught.value) == (
        "Column 'x' (tinyint) cannot hold 500 in row 1, 501 in row 3, 502 in row 4 and 2 more exactly: "
        "the range of the type is -128 to 127."
    )


@contextmanager
def refused(engine: Engine) -> Iterator[None]:
    """The server takes no ``LOAD DATA LOCAL``."""
    query(engine, "SET GLOBAL local_infile = 0")
    try:
        yield
    finally:
        query(engine, "SET GLOBAL local_infile = 1")


@pytest.fixture
def without_local_infile(engine: Engine) -> Iterator[None]:
    with refused(engine):
        yield


@given(frames({**SAME, **BETTER}))
@settings(relaxed, max_examples=60)
def test_rows_that_are_inserted_are_those_that_are_loaded(engine: Engine, frame: pd.DataFrame) -> None:
    save(frame, engine, "id")
    loaded = query(engine, "SELECT dolt_hashof_table('bulk')")
    with refused(engine):
        save(frame, engine, "id")
    assert loaded == query(engine, "SELECT dolt_hashof_table('bulk')")


@pytest.mark.parametrize("name", ["50%", "%s", "{}", "`%(x)s".replace("`", "'")])
def test_names_in_inserts(engine: Engine, without_local_infile: None, name: str) -> None:
    save(pd.DataFrame({name: ["NULL", "\x1e"], "b": [b"\xff", None]}), engine, name, table=name)
    assert load(engine, table=name).to_dict("list") == {name: ["\x1e", "NULL"], "b": [None, b"\xff"]}


def test_many_inserts(engine: Engine, without_local_infile: None, caplog: pytest.LogCaptureFixture) -> None:
    table_sql._refusing.clear()
    frame = pd.DataFrame({"id": range(25_000), "value": ["x" * (n % 100) for n in range(25_000)]})
    save(frame, engine, "id")
    save(frame.assign(id=frame["id"] + 25_000), engine, "id", if_exists="append")
    assert len(load(engine)) == 50_000 and load(engine)["value"][:25_000].equals(frame["value"])
    (message,) = [record.message for record in caplog.records if "LOAD DATA LOCAL" in record.message]
    assert message == (
        "127.0.0.1 refuses LOAD DATA LOCAL (local_infile needs to be set to 1 to use LOCAL): "
        "rows are sent in INSERT statements, which takes longer. "
        "`SET GLOBAL local_infile = 1` and `GRANT FILE` there end that."
    )
    with pytest.raises(BulkLoadError, match="duplicate primary key given"):
        save(frame, engine, "id", if_exists="append")
    assert len(load(engine)) == 50_000


# The rows go from memory to the server


def test_no_file_is_sent_whatever_the_server_asks_for(engine: Engine, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("1\n2\n")
    statement = f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE asked"
    query(engine, "CREATE TABLE asked (id INT PRIMARY KEY)")

    connection: Any = engine.raw_connection()
    with pytest.raises(RuntimeError, match="LOAD_LOCAL"):
        connection.cursor().execute(statement)
    connection.driver_connection._force_close()
    assert query(engine, "SELECT * FROM asked") == []

    connection = engine.raw_connection()
    assert load_local(connection.driver_connection, statement, [b"7\n", b"8\n9", b"\n"]) == 3
    connection.commit()
    connection.close()
    assert query(engine, "SELECT * FROM asked") == [(7,), (8,), (9,)]


def test_an_interruption_among_the_rows_waits_for_nothing(engine: Engine) -> None:
    def rows() -> Iterator[bytes]:
        yield (b"1" * 999 + b"\n") * (BLOCK_BYTES // 500)
        raise KeyboardInterrupt

    query(engine, "CREATE TABLE interrupted (text VARCHAR(999))")
    connection: Any = engine.raw_connection()
    with pytest.raises(KeyboardInterrupt):
        load_local(connection.driver_connection, "LOAD DATA LOCAL INFILE 'x' INTO TABLE interrupted", rows())
    assert not connection.driver_connection.open
    assert query(engine, "SELECT COUNT(*) FROM interrupted") == [(0,)]


# What it is for


def test_diffs(engine: Engine) -> None:
    rows = 10_000
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": generator.normal(size=rows),
            "s": [f"name {n % 97}" for n in range(rows)],
        }
    )
    save(frame.sample(frac=1, random_state=1), engine, "id", table="diffed")
    query(engine, "CALL DOLT_COMMIT('-A', '-m', 'first')")
    before = query(engine, "SELECT dolt_hashof_table('diffed')")

    save(frame, engine, "id", table="diffed")
    assert query(engine, "SELECT * FROM dolt_status WHERE table_name = 'diffed'") == []
    assert query(engine, "SELECT dolt_hashof_table('diffed')") == before

    changed = generator.choice(rows, 100, replace=False)
    frame.loc[changed, "x"] += 1
    save(frame, engine, "id", table="diffed")
    diff = "SELECT diff_type, COUNT(*) FROM dolt_diff('HEAD', 'WORKING', 'diffed') GROUP BY diff_type"
    assert query(engine, diff) == [("modified", 100)]


def test_parallel_saves_on_one_branch(engine: Engine) -> None:
    frames = [frame_of([f"{n} {row}" for row in range(50)]) for n in range(6)]

    def save_and_load(n: int) -> bool:
        save(frames[n], engine, "id", table=f"parallel_{n}")
        return load(engine, table=f"parallel_{n}").equals(frames[n])

    with ThreadPoolExecutor(6) as pool:
        for _ in range(10):
            assert all(pool.map(save_and_load, range(6)))


def test_stock_dataset(engine: Engine) -> None:
    dataset = SQLTableDataset(
        table_name="stocked",
        credentials={"con": str(engine.url), "creator": engine.pool._creator, "poolclass": type(engine.pool)},
        save_args={"if_exists": "replace", "method": bulk_load("id")},
    )
    try:
        dataset.save(frame_of(["a", None]))
        assert dataset.load()["value"].tolist()[0] == "a"
        assert "bulk_load('id')" in str(dataset._describe())
        with pytest.raises(Exception, match="is not unique: 5 in row 1"):
            dataset.save(pd.DataFrame({"id": [5, 5]}))
    finally:
        SQLTableDataset.engines.pop(str(engine.url), None)
