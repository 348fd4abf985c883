"""Every kind of column that pandas makes, through bulk load, ``DoltTableDataset`` and the stock dataset."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from kedro.io import DatasetError
from sqlalchemy import types
from test_table_dataset import (
    as_ours,
    columns_of,
    empty,
    ours,
    query,
    same,
    stock,
)

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.errors import BulkLoadError

D, ts, date, time = decimal.Decimal, pd.Timestamp, dt.date, dt.time
PANDAS_2 = pd.__version__.startswith("2.")


class Word(str, enum.Enum):
    OPEN = "open"
    SHUT = "shut"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Member(enum.Enum):
    ONE = 1


class Text(str):
    def __str__(self) -> str:
        return "not this"


def obj(*values: Any) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


def arrow(values: list[Any], dtype: pa.DataType) -> pd.Series[Any]:
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(dtype)))


def cat(*values: Any) -> pd.Series[Any]:
    return pd.Series(pd.Categorical(values))


def moments(*values: str, unit: str = "s") -> pd.Series[Any]:
    return pd.Series(np.array(values, f"datetime64[{unit}]"))


# Three values of each kind; those that come back as the stock dataset has them.
SAME: dict[str, pd.Series[Any]] = {
    "Arrow int8": arrow([1, None, -3], pa.int8()),
    "Arrow uint8": arrow([1, None, 3], pa.uint8()),
    "Arrow uint32": arrow([1, 2, 2**32 - 1], pa.uint32()),
    "Arrow uint64": arrow([1, 2, 3], pa.uint64()),
    "Arrow int64": arrow([2**62 + 1, 0, 1], pa.int64()),
    "Arrow double": arrow([1.5, None, 1 / 3], pa.float64()),
    "Arrow float": arrow([0.1, None, 3], pa.float32()),
    "Arrow bool": arrow([True, None, False], pa.bool_()),
    "Arrow string": arrow(["a", None, ""], pa.string()),
    "Arrow large string": arrow(["a", None, "é"], pa.large_string()),
    "Arrow decimal": arrow([D("1.50"), None, D("-2.25")], pa.decimal128(10, 2)),
    "Arrow decimal256": arrow([D("1.50"), None, D("-2.25")], pa.decimal256(50, 2)),
    "Arrow date32": arrow([date(2020, 1, 1), None, date(1, 1, 1)], pa.date32()),
    "Arrow date64": arrow([date(2020, 1, 1), None, date(1970, 1, 1)], pa.date64()),
    "Arrow time": arrow([time(1, 2, 3, 4), None, time(23, 59)], pa.time64("us")),
    "Arrow time of seconds": arrow([time(1, 2, 3), None, time(23, 59)], pa.time32("s")),
    "Arrow timestamp": arrow([ts("2020-01-01"), None, ts("1800-01-01")], pa.timestamp("s")),
    "Arrow timestamp with a zone": arrow(
        [ts("2020-01-01", tz="UTC"), None, ts("2020-07-01", tz="UTC")], pa.timestamp("us", "Europe/Paris")
    ),
    "Arrow dictionary": arrow(["a", "b", "a"], pa.dictionary(pa.int8(), pa.string())),
    "Arrow null": arrow([None, None, None], pa.null()),
    "category of bool": cat(True, False, None),
    "category of text and integers": cat("a", 1, None),
    "category of integers": cat(1, 2, None),
    "category without values": cat(None, None, None),
    "ordered category": pd.Series(pd.Categorical(["lo", None, "hi"], ["lo", "hi", "no"], ordered=True)),
    "category of Decimal": cat(D(1), D("2.50"), None),
    "category of Int64": pd.Series(pd.array([1, None, 2], "Int64")).astype("category"),
    "category of string": pd.Series(["a", None, "b"], dtype="string").astype("category"),
    "sparse floats": pd.Series(pd.arrays.SparseArray([0.0, np.nan, 1.5])),
    "sparse integers": pd.Series(pd.arrays.SparseArray([0, 0, 7])),
    "sparse bool": pd.Series(pd.arrays.SparseArray([True, False, False])),
    "timedelta in seconds": pd.Series([1, 2, 3], dtype="timedelta64[s]"),
    "timedelta": pd.Series([pd.Timedelta(1), pd.NaT, pd.Timedelta("1D")]),
    "Timestamp objects": obj(ts("2020-01-01 01:02:03"), pd.NaT, ts("2021-01-01")),
    "dates": obj(date(2020, 1, 1), None, date(9999, 12, 31)),
    "dates and midnight": obj(date(2020, 1, 1), dt.datetime(2020, 1, 2), None),
    "Decimal and NaN": obj(D("1.10"), D("NaN"), None),
    "text of an Enum": obj(Word.OPEN, Word.SHUT, None),
    "category of an Enum's text": cat(Word.OPEN, Word.SHUT, None),
    "text of a class of one's own": obj(Text("a"), None, "b"),
    "np.str_": obj(np.str_("a"), None, np.str_("b")),
    "floats in object": obj(0.1, None, np.nan),
    "integers and bool": obj(1, True, None),
    "text and bool": obj(True, "yes", None),
    "text and missing values": obj("a", np.nan, pd.NA),
    "times": obj(time(1), None, time(23, 59, 59, 999999)),
    "only None": obj(None, None, None),
    "only NaN": obj(np.nan, np.nan, np.nan),
    "only NA": obj(pd.NA, pd.NA, pd.NA),
    "only NaT": obj(pd.NaT, pd.NaT, pd.NaT),
    "float32": pd.Series([0.1, np.nan, 1e38], dtype="float32"),
    "Float32": pd.Series([0.1, None, 3], dtype="Float32"),
    "UInt8": pd.Series([1, None, 3], dtype="UInt8"),
    "UInt32": pd.Series([1, None, 2**32 - 1], dtype="UInt32"),
    "Int8": pd.Series([1, None, 3], dtype="Int8"),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "string of Python": pd.Series(["a", None, "b"], dtype=pd.StringDtype("python")),
    "string of Arrow": pd.Series(["a", None, "b"], dtype=pd.StringDtype("pyarrow")),
    "datetime from the year 1": moments("2020-01-01", "NaT", "0001-01-01"),
    "datetime to the year 9999": moments("2020-01-01", "NaT", "9999-12-31"),
    "datetime across a change of the clock": pd.Series(
        pd.to_datetime(["2020-10-25 00:30", "2020-10-25 01:30", "2020-03-29 01:30"], utc=True)
    ).dt.tz_convert("Europe/Paris"),
    "datetime with an offset": pd.Series(
        pd.to_datetime(["2020-10-25 00:30", "2020-10-25 01:30", "2020-03-29 01:30"], utc=True)
    ).dt.tz_convert(dt.timezone(dt.timedelta(hours=5.5))),
    "text of 255 characters": pd.Series(["😀" * 255, "é" * 255, "a"]),
    "text of 256 characters": pd.Series(["x" * 256, "é" * 255, "a"]),
    "text that is NULL": pd.Series(["NULL", "null", "\\N"]),
    "control characters": pd.Series(["a\x00b", "\x1e\n", "\x1f\r\n"]),
    "the ends of the floats": pd.Series([5e-324, 1.7976931348623157e308, -2.2250738585072014e-308]),
    "the ends of the integers": pd.Series([2**63 - 1, -(2**63), 0]),
}  # fmt: skip
# Those of which the stock dataset loses something, or which it refuses, and what comes back.
BETTER: dict[str, tuple[pd.Series[Any], list[Any]]] = {
    "Arrow binary": (arrow([b"a", None, b"\xff"], pa.binary()), [b"a", None, b"\xff"]),
    "Arrow binary of a length": (arrow([b"ab", None, b"\xff\0"], pa.binary(2)), [b"ab", None, b"\xff\0"]),
    "category of bytes": (cat(b"a", b"b", None), [b"a", b"b", None]),
    "bytes": (obj(b"a", None, b"\0\xff"), [b"a", None, b"\0\xff"]),
    "np.datetime64": (
        obj(np.datetime64("2020-01-01"), None, np.datetime64("2021-01-01T01:02:03.5")),
        [ts("2020-01-01"), None, ts("2021-01-01 01:02:03.5")],
    ),
    "np.datetime64 in nanoseconds": (
        obj(np.datetime64("2020-01-01T00:00:00.000001", "ns"), np.datetime64("NaT"), np.datetime64(0, "ns")),
        [ts("2020-01-01 00:00:00.000001"), None, ts(0)],
    ),
    "microseconds": (
        moments("2020-01-01 00:00:00.123", "NaT", "1900-01-01", unit="ms"),
        [ts("2020-01-01 00:00:00.123"), None, ts("1900-01-01")],
    ),
    "nanoseconds, which are dropped": (
        moments("2020-01-01 00:00:00.123456789", "NaT", "1900-01-01", unit="ns"),
        [ts("2020-01-01 00:00:00.123456"), None, ts("1900-01-01")],
    ),
    "Timestamp objects with a zone": (
        obj(ts("2020-01-01", tz="Europe/Paris"), None, ts("2020-07-01 05:00", tz="Europe/Paris")),
        [ts("2020-01-01"), None, ts("2020-07-01 05:00")],
    ),
    "IntEnum": (obj(Number.ONE, Number.TWO, Number.ONE), [1, 2, 1]),
    "NumPy's integers": (obj(np.int8(1), np.uint16(2), None), [1, 2, None]),
    "NumPy's floats": (obj(np.float32(0.5), np.float64(0.1), None), [0.5, 0.1, None]),
    "NumPy's bool": (obj(np.bool_(True), None, np.bool_(False)), [1, None, 0]),
    "-0.0": (pd.Series([-0.0, 0.0, -1.0]), [-0.0, 0.0, -1.0]),
}
# What is refused, the first row that is named, and what the message says of a way out.
REFUSED: dict[str, tuple[pd.Series[Any], int, str]] = {
    "dates and times of day": (obj(date(2020, 1, 1), dt.datetime(2020, 1, 1, 5), None), 1, "no time of day"),
    "dates and Timestamps": (obj(date(2020, 1, 1), ts("2020-01-01 05:00"), None), 1, "no time of day"),
    "datetimes and dates": (obj(dt.datetime(2020, 1, 1, 5), date(2020, 1, 1), None), 0, "pd.to_datetime"),
    "two zones": (obj(ts("2020-01-01", tz="UTC"), None, ts("2021-01-01", tz="Europe/Paris")), 0, "utc=True"),
    "with and without a zone": (obj(ts("2020-01-01", tz="UTC"), None, ts("2021-01-01")), 0, "utc=True"),
    "times with and without a zone": (obj(time(1, tzinfo=dt.timezone.utc), None, time(2)), 0, "zones differ"),
    "huge integers": (obj(1, 2**70, None), 1, "the range of the type"),
    "large integers": (obj(2**63, 1, None), 0, "the range of the type"),
    "infinity": (pd.Series([1.0, np.inf, -np.inf]), 1, "SQL has no infinity"),
    "infinity in object": (obj(1.0, np.inf, None), 1, "SQL has no infinity"),
    "infinite Decimal": (obj(D("1.10"), D("Infinity"), None), 1, "finite"),
    "half of a surrogate pair": (obj("a", "\ud800", "b"), 1, "not valid text"),
    "Period": (pd.Series(pd.period_range("2020", periods=3, freq="M")), 0, r"\.astype\(str\)"),
    "Interval": (pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3])), 0, r"\.astype\(str\)"),
    "category of Interval": (pd.Series(pd.cut([1, 2, 3], 3)), 0, r"\.astype\(str\)"),
    "dicts": (obj({"a": 1}, None, {}), 0, r"\.map\(json\.dumps\)"),
    "lists": (obj([1], None, [2]), 0, r"\.map\(json\.dumps\)"),
    "tuples": (obj((1, 2), None, (3,)), 0, r"\.map\(json\.dumps\)"),
    "Arrow lists": (arrow([[1], None, [2]], pa.list_(pa.int64())), 0, "json.dumps"),
    "Arrow structs": (arrow([{"a": 1}, None, {"a": 2}], pa.struct({"a": pa.int64()})), 0, "json.dumps"),
    "arrays": (obj(np.array([1]), None, np.array([2])), 0, r"value\.tolist\(\)"),
    "sets": (obj({1}, None, {2}), 0, r"\.astype\(str\)"),
    "UUID": (obj(uuid.UUID(int=1), None, uuid.UUID(int=2)), 0, r"\.astype\(str\)"),
    "paths": (obj(pathlib.PurePosixPath("/a"), None, pathlib.PurePosixPath("/b")), 0, r"\.astype\(str\)"),
    "Enum": (obj(Member.ONE, None, Member.ONE), 0, r"member\.value"),
    "timedelta in object": (obj(dt.timedelta(1), None, dt.timedelta(2)), 0, r"timedelta64\[ns\]"),
    "np.timedelta64": (obj(np.timedelta64(1, "s"), None, np.timedelta64(2, "ns")), 0, r"timedelta64\[ns\]"),
    "bytearray": (obj(bytearray(b"a"), None, b"x"), 0, "make bytes of all values"),
    "text and bytes": (obj("a", b"a", None), 1, "make bytes of all values"),
    "Decimal and floats": (obj(D("1.10"), 2.5, None), 1, r"\.astype\(float\)"),
    "integers and floats": (obj(1, 2.5, None), 1, r"\.astype\(float\)"),
    "text and floats": (obj("a", 2.5, None), 1, r"\.astype\(str\)"),
    "text and dates": (obj("a", date(2020, 1, 1), None), 1, r"\.astype\(str\)"),
    "category of dates": (cat(date(2020, 1, 1), None, date(2020, 1, 2)), 0, r"\.astype\(str\)"),
    "category of timestamps": (cat(ts("2020-01-01"), None, ts("2021-01-01")), 0, r"\.astype\(str\)"),
    "category of floats": (cat(1.5, 2.5, None), 0, r"\.astype\(float\)"),
}
# What pandas itself refuses before it asks anybody.
REFUSED_BY_PANDAS = {
    "uint64": pd.Series([1, 2, 3], dtype="uint64"),
    "UInt64": pd.Series([1, None, 3], dtype="UInt64"),
    "complex numbers": pd.Series([1j, 2j, 3j]),
    "complex numbers in object": obj(1j, None, 2j),
}
if PANDAS_2:
    # Floats with None among them are a mixture there, of which stock makes text; complex numbers likewise.
    REFUSED["floats in object"] = (SAME.pop("floats in object"), 0, r"\.astype\(float\)")
    REFUSED["NumPy's floats"] = (BETTER.pop("NumPy's floats")[0], 0, r"\.astype\(float\)")
    REFUSED["infinity in object"] = (REFUSED["infinity in object"][0], 0, r"\.astype\(float\)")
    REFUSED["complex numbers in object"] = (
        REFUSED_BY_PANDAS.pop("complex numbers in object"),
        0,
        r"\.astype\(str\)",
    )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about timedelta
        yield


def frame_of(values: pd.Series[Any]) -> pd.DataFrame:
    return pd.DataFrame({"id": [2, 0, 1], "v": values, "w": ["x", "y", "z"]})


def loads(database: Database, cache_home: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Save a frame both ways and load it in all, which must be the same; drop the tables if it is refused."""
    stock(database, "id", table="bulk").save(frame)
    loaded = stock(database, table="bulk").load()
    dataset = ours(database, "id", table="delta")
    dataset.save(frame)
    same(stock(database, table="delta").load(), loaded)
    same(dataset.load(), as_ours(database, "delta"))
    empty(cache_home)
    same(dataset.load(), as_ours(database, "delta"))
    before = query(database, "SELECT dolt_hashof_table('delta')")
    dataset.save(frame.iloc[::-1])
    assert query(database, "SELECT dolt_hashof_table('delta')") == before
    bulk, delta = ([column[:2] for column in columns_of(database, table)] for table in ("bulk", "delta"))
    # A table that stands keeps long texts long; what pandas has dropped, and no commit holds, is forgotten.
    if ("v", "varchar(255)") in bulk:
        delta = [(name, "varchar(255)" if kind == "longtext" else kind) for name, kind in delta]
    assert bulk == delta
    return loaded


@pytest.mark.parametrize("kind", SAME)
def test_what_comes_back_as_the_stock_dataset_has_it(database: Database, cache_home: Any, kind: str) -> None:
    frame = frame_of(SAME[kind])
    stock(database, table="stock").save(frame)
    expected = stock(database, table="stock").load().sort_values("id", ignore_index=True)
    same(loads(database, cache_home, frame), expected)


@pytest.mark.parametrize("kind", BETTER)
def test_what_comes_back_as_it_was_saved(database: Database, cache_home: Any, kind: str) -> None:
    values, expected = BETTER[kind]
    loaded = loads(database, cache_home, frame_of(values))["v"]
    found = [None if pd.isna(value) else value for value in loaded]
    assert [found[2], found[0], found[1]] == expected
    if kind == "-0.0":
        assert np.signbit([found[2], found[0], found[1]]).tolist() == [True, False, True]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_with_a_way_out(database: Database, kind: str) -> None:
    values, row, words = REFUSED[kind]
    query(database, "DROP TABLE IF EXISTS delta")
    said = []
    for dataset in (stock(database, "id", table="bulk"), ours(database, "id", table="delta")):
        with pytest.raises(DatasetError, match=words) as caught:
            dataset.save(frame_of(values))
        assert isinstance(caught.value.__cause__, BulkLoadError), caught.value
        said.append(str(caught.value.__cause__))
        assert "Column 'v'" in said[-1] and f" in row {row}" in said[-1].split(" exactly")[0]
    assert said[0].replace("longtext", "varchar(255)") == said[1].replace("longtext", "varchar(255)")
    assert not ours(database, "id", table="delta").exists()


@pytest.mark.parametrize("kind", REFUSED_BY_PANDAS)
def test_what_pandas_refuses(database: Database, kind: str) -> None:
    query(database, "DROP TABLE IF EXISTS delta")
    for dataset in (stock(database, "id", table="bulk"), ours(database, "id", table="delta")):
        with pytest.raises(DatasetError, match=r"Unsigned 64 bit|Complex datatypes"):
            dataset.save(frame_of(REFUSED_BY_PANDAS[kind]))
    assert not ours(database, "id", table="delta").exists()


@pytest.mark.parametrize("year", ["12000-12-31", "-0100-12-31"])
def test_years_that_sql_does_not_have(database: Database, year: str) -> None:
    for values in (moments("2020-01-01", "NaT", year), obj(np.datetime64(year), None, None)):
        for dataset in (stock(database, "id", table="bulk"), ours(database, "id", table="delta")):
            with pytest.raises(DatasetError, match=r"year|out of range"):
                dataset.save(frame_of(values))


# Labels that are not text


@pytest.mark.parametrize("label", [0, 1.5, ("a", "b"), None, ts("2020-01-01"), True])
def test_labels_that_are_not_text(database: Database, label: Any) -> None:
    frame = pd.DataFrame([[3, "x"], [1, "y"]])
    frame.columns = pd.Index([7, label], dtype=object, tupleize_cols=False)
    for dtype in (None, {label: types.VARCHAR(9)}, {str(label): types.VARCHAR(9)}, {7: types.Integer}):
        stock(database, table="stock", dtype=dtype).save(frame)
        stock(database, "7", table="bulk", dtype=dtype).save(frame)
        ours(database, "7", table="delta", save_args={"dtype": dtype}).save(frame)
        expected = stock(database, table="stock").load().sort_values("7", ignore_index=True)
        chosen = {name: kind for name, kind, *_ in columns_of(database, "stock")}
        for table in ("bulk", "delta"):
            same(stock(database, table=table).load(), expected)
            found = {name: kind for name, kind, *_ in columns_of(database, table)}
            assert found == {
                name: "varchar(255)" if kind == "text" else kind for name, kind in chosen.items()
            }


@pytest.mark.parametrize("dtype", [None, {0: types.VARCHAR(9)}, {"0": types.VARCHAR(9)}])
def test_a_key_whose_label_is_not_text(database: Database, dtype: Any) -> None:
    frame = pd.DataFrame([["x", 3], ["y", 1]])
    stock(database, 0, table="bulk", dtype=dtype).save(frame)  # type: ignore[arg-type]
    dataset = DoltTableDataset(
        table_name="delta",
        credentials=database.credentials(),
        primary_key=0,  # type: ignore[arg-type]
        save_args={"dtype": dtype},
    )
    dataset.save(frame)
    dataset.save(frame.iloc[::-1])
    kind = "varchar(9)" if dtype and 0 in dtype else "varchar(255)"
    for table in ("bulk", "delta"):
        assert columns_of(database, table)[0][:4] == ("0", kind, "NO", "PRI")
    same(dataset.load(), stock(database, table="bulk").load())


def test_types_of_an_index_are_looked_up_by_its_own_name(database: Database) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name=5))
    save_args = {"index": True, "index_label": "key", "dtype": {5: types.VARCHAR(9)}}
    stock(database, "key", table="bulk", **save_args).save(frame)
    assert columns_of(database, "bulk")[0][:4] == ("key", "varchar(9)", "NO", "PRI")


def test_short_texts_beside_many_numbers(database: Database) -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2],
            **{f"t{n}": ["a", "b"] for n in range(40)},
            **{f"d{n}": [1.0, 2.0] for n in range(4000)},
        }
    )
    dataset = ours(database, "id", table="wide")
    dataset.save(frame)
    same(dataset.load(), frame)
