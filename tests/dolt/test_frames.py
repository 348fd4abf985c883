"""Frames of pandas, Polars, PyArrow and others: the same table from all of them, and exact values back."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from sqlalchemy import types
from test_bulk_load import TEXTS, relaxed
from test_table_dataset import EXAMPLES, as_ours, columns_of, empty, hash_of, ours, query, same

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.errors import BulkLoadError, ConfigError

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SINGLE = st.floats(allow_nan=False, allow_infinity=False, width=32)
US, MOMENTS = pa.timestamp("us"), st.datetimes()


def integers(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high])


# By kind: the types of PyArrow, Polars and pandas, the type that comes back, and the values.
KINDS: dict[str, tuple[pa.DataType, Any, Any, pa.DataType, st.SearchStrategy[Any]]] = {
    "bool": (pa.bool_(), pl.Boolean, "boolean", pa.bool_(), st.booleans()),
    "int8": (pa.int8(), pl.Int8, "Int8", pa.int16(), integers(8)),
    "int16": (pa.int16(), pl.Int16, "Int16", pa.int16(), integers(16)),
    "int32": (pa.int32(), pl.Int32, "Int32", pa.int32(), integers(32)),
    "int64": (pa.int64(), pl.Int64, "Int64", pa.int64(), integers(64)),
    "uint8": (pa.uint8(), pl.UInt8, "UInt8", pa.int16(), integers(8, signed=False)),
    "uint16": (pa.uint16(), pl.UInt16, "UInt16", pa.int32(), integers(16, signed=False)),
    "uint32": (pa.uint32(), pl.UInt32, "UInt32", pa.int64(), integers(32, signed=False)),
    "uint64": (pa.uint64(), pl.UInt64, pd.ArrowDtype(pa.uint64()), pa.int64(), integers(63, signed=False)),
    "float64": (pa.float64(), pl.Float64, "float64", pa.float64(), FLOATS),
    "float32": (
        pa.float32(), pl.Float32, "float32", pa.float32(), SINGLE
    ),
    "text": (pa.string(), pl.String, object, pa.large_string(), TEXTS),
    "long text": (pa.large_string(), pl.String, object, pa.large_string(), TEXTS | st.just("é" * 300)),
    "category": (pa.dictionary(pa.int8(), pa.string()), pl.Categorical, "category", pa.large_string(), TEXTS),
    "binary": (pa.binary(), pl.Binary, object, pa.large_binary(), st.binary(max_size=9)),
    "date": (pa.date32(), pl.Date, object, pa.date32(), st.dates()),
    "time": (pa.time64("us"), pl.Time, object, pa.time64("us"), st.times()),
    "datetime": (US, pl.Datetime("us"), "datetime64[us]", US, MOMENTS),
    "decimal": (
        pa.decimal128(20, 6), pl.Decimal(20, 6), object, pa.decimal128(20, 6),
        st.decimals(-(10**13), 10**13, places=6, allow_nan=False),
    ),
    "long decimal": (
        pa.decimal128(38, 30), pl.Decimal(38, 30), object, pa.decimal128(38, 30),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda value: Decimal(f"{value}E-30")),
    ),
}  # fmt: skip
KEYS = ("int64", "text", "binary", "date", "datetime", "time", "decimal", "bool", "int8")
Rows = list[dict[str, Any]]


def arrow(kinds: dict[str, str], rows: Rows) -> pa.Table:
    arrays = {}
    for name, kind in kinds.items():
        wanted = KINDS[kind][0]
        values = [row[name] for row in rows]
        if pa.types.is_dictionary(wanted):
            arrays[name] = pa.array(values, wanted.value_type).dictionary_encode()
        else:
            arrays[name] = pa.array(values, wanted)
    return pa.table(arrays)


def polars(kinds: dict[str, str], rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(
        {name: pl.Series([row[name] for row in rows], dtype=KINDS[kind][1]) for name, kind in kinds.items()}
    )


def pandas(kinds: dict[str, str], rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=KINDS[kind][2]) for name, kind in kinds.items()}
    )


class Stream:
    """What another library gives, of which only the Arrow C stream is known."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


MAKERS: dict[str, Callable[[dict[str, str], Rows], Any]] = {
    "pandas": pandas,
    "polars": polars,
    "polars, lazy": lambda kinds, rows: polars(kinds, rows).lazy(),
    "pyarrow": arrow,
    "a batch": lambda kinds, rows: arrow(kinds, rows).combine_chunks().to_batches()[0],
    "a reader": lambda kinds, rows: arrow(kinds, rows).to_reader(max_chunksize=3),
    "a stream": lambda kinds, rows: Stream(arrow(kinds, rows)),
    "a stream of Polars": lambda kinds, rows: Stream(polars(kinds, rows)),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], dict[str, str], Rows, Rows]:
    """A key, the columns' kinds, and the rows before and after, of which some are the same."""
    key = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2))
    kinds = {f"k{place}": kind for place, kind in enumerate(key)}
    kinds |= {
        f"c{place}": kind
        for place, kind in enumerate(draw(st.lists(st.sampled_from(list(KINDS)), max_size=6)))
    }
    keys = draw(st.lists(st.tuples(*(KINDS[kind][4] for kind in key)), min_size=1, max_size=12, unique=True))

    def row(values: tuple[Any, ...]) -> dict[str, Any]:
        others = {name: draw(st.none() | KINDS[kind][4]) for name, kind in kinds.items() if name[0] == "c"}
        return {**{f"k{place}": value for place, value in enumerate(values)}, **others}

    old = [row(values) for values in keys]
    kept = [each for each in old if draw(st.integers(0, 3))] or old
    new = [each if draw(st.integers(0, 2)) else row(tuple(each.values())[: len(key)]) for each in kept]
    return [f"k{place}" for place in range(len(key))], kinds, old, draw(st.permutations(new))


def exact(value: Any) -> Any:
    return struct.pack("d", value) if isinstance(value, float) else value


def as_rows(frame: Any) -> list[tuple[Any, ...]]:
    rows = frame.to_pylist() if isinstance(frame, pa.Table) else frame.to_dicts()
    return [tuple(map(exact, row.values())) for row in rows]


@given(tables(), st.data())
@settings(relaxed, max_examples=20 * EXAMPLES)
def test_the_table_is_the_same_whichever_library_saved_it(
    database: Database,
    cache_home: Path,
    table: tuple[list[str], dict[str, str], Rows, Rows],
    data: st.DataObject,
) -> None:
    key, kinds, old, new = table
    # pandas has no type for decimals, so it has to be told.
    decimals = {name: KINDS[kind][0] for name, kind in kinds.items() if "decimal" in kind}
    dtype = {name: types.DECIMAL(kind.precision, kind.scale) for name, kind in decimals.items()}

    def save(rows: Rows, *, drop: bool = False) -> str:
        # In pandas a column of objects has no type without a value.
        untyped = any(
            kind in ("binary", "date", "time") and all(row[name] is None for row in rows)
            for name, kind in kinds.items()
        )
        maker = data.draw(st.sampled_from([name for name in MAKERS if not untyped or name != "pandas"]))
        if drop:
            query(database, "DROP TABLE IF EXISTS t")
        save_args = {"dtype": dtype} if maker == "pandas" else {}
        ours(database, *key, save_args=save_args).save(MAKERS[maker](kinds, rows))
        return hash_of(database)

    long_once = any(
        row[name] and len(row[name]) > 255 for name in kinds for row in old if kinds[name] == "long text"
    )
    stood = save(old, drop=True)
    if data.draw(st.booleans()):
        empty(cache_home)
    written = save(new)
    wanted = sorted((tuple(exact(row[name]) for name in kinds) for row in new), key=repr)
    for _ in ("copy", "read"):
        loaded = ours(database, *key, load_args={"as": "pyarrow"}).load()
        assert loaded.schema.types == [KINDS[kind][3] for kind in kinds.values()]
        assert sorted(as_rows(loaded), key=repr) == wanted
        frame = ours(database, *key, load_args={"as": "polars"}).load()
        assert isinstance(frame, pl.DataFrame) and as_rows(frame) == as_rows(loaded)
        for again in (frame, loaded):
            ours(database, *key).save(again)
            assert hash_of(database) == written
        same(ours(database, *key).load(), as_ours(database))
        empty(cache_home)
    assert save(old, drop=True) == stood
    assert long_once or save(new, drop=True) == written


# What is refused


DAY = dt.datetime(2020, 1, 2, 3, 4, 5)
REFUSED: dict[str, tuple[Any, str]] = {
    "NaN": (pl.Series([1.0, float("nan")]), "nan in row 1 exactly: SQL has no NaN"),
    "infinity": (pl.Series([1.0, float("-inf")]), "-inf in row 1 exactly: SQL has no infinity"),
    "NaN of single precision": (pa.array([1.0, float("nan")], pa.float32()), "SQL has no NaN"),
    "large uint64": (pl.Series([1, 2**63], dtype=pl.UInt64), "9223372036854775808' in row 1 exactly"),
    "Int128": (pl.Series([1, 2], dtype=pl.Int128), "the type Int128"),
    "objects": (pl.Series([object(), object()], dtype=pl.Object), "the type Object"),
    "nanoseconds": (pa.array([1000, 1001], pa.timestamp("ns")), "row 1 exactly: the type keeps micro"),
    "a time's nanoseconds": (pl.Series([1000, 1001]).cast(pl.Time), "in row 1 exactly"),
    "a year that overflows": (pa.array([0, 2**60], pa.timestamp("s")), "in row 1 exactly"),
    "the year 10000": (pl.Series([0, 2_932_897]).cast(pl.Date), "'10000-01-01' in row 1"),
    "the year 0": (pa.array([0, -62_135_596_801], pa.timestamp("s")), "in row 1 exactly: it is outside"),
    "no midnight": (pa.array([0, 1], pa.int64()).view(pa.date64()), "damaged|time of day"),
    "a zone": (pl.Series([DAY, DAY]).dt.replace_time_zone("Europe/Paris"), r"replace_time_zone\(None\)"),
    "UTC": (pa.array([0, 1], pa.timestamp("us", "UTC")), "SQL keeps no time zone"),
    "duration": (pl.Series([dt.timedelta(1), None]), r"\.dt\.total_microseconds\(\)"),
    "months and days": (pa.array([(1, 2, 3), None], pa.month_day_nano_interval()), "cast it to text"),
    "lists": (pl.Series([[1], [2]]), "make columns of its parts, or text"),
    "structs": (pl.Series([{"a": 1}, None]), "make columns of its parts, or text"),
    "arrays": (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)), "make columns of its parts, or text"),
    "maps": (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), "make columns of its parts"),
    "a dictionary of integers": (pa.array([5, 6]).dictionary_encode(), "cast it to int64"),
    "decimals that SQL lacks": (pa.array([Decimal(1), None], pa.decimal256(70, 2)), "one of 65 digits"),
    "a negative scale": (pa.array([Decimal(100), None], pa.decimal128(5, -2)), "one of 65 digits"),
    "text that is none": (pa.array([b"a", b"\xff"], pa.binary()).view(pa.string()), "damaged.*UTF"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_by_name(database: Database, kind: str) -> None:
    values, words = REFUSED[kind]
    if isinstance(values, pl.Series):
        frame: Any = pl.DataFrame({"id": [0, 1], "v": values})
    else:
        frame = pa.table({"id": [0, 1], "v": values})
    query(database, "DROP TABLE IF EXISTS refused")
    with pytest.raises(DatasetError, match=words) as caught:
        ours(database, "id", table="refused").save(frame)
    assert isinstance(caught.value.__cause__, BulkLoadError)
    assert "'v'" in str(caught.value.__cause__) or "damaged" in words
    assert not ours(database, "id", table="refused").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"id": [1, 1], "x": [0, 1]}, r"is not unique: 1 in row 1 \(the first of them also in row 0\)"),
        ({"id": [1, None], "x": [0, 1]}, "must have a value in every row: None in row 1"),
        ({"no": [1, 2], "x": [0, 1]}, "the data has no column 'id', it has no, x"),
        ({"id": [1, 2], "ID": [0, 1]}, "which are one name in SQL"),
        ({"id": ["x" * 5000, "a"]}, "the type holds 4095 characters"),
        ({"id": [0.0, -0.0]}, "is not unique"),
    ],
)
def test_keys_that_are_refused(database: Database, rows: dict[str, Any], words: str) -> None:
    query(database, "DROP TABLE IF EXISTS refused")
    for frame in (pl.DataFrame(rows), pa.table(rows)):
        with pytest.raises(DatasetError, match=words):
            ours(database, "id", table="refused").save(frame)
    assert not ours(database, "id", table="refused").exists()


@pytest.mark.parametrize("data", [[1, 2], pl.Series([1, 2]), pa.chunked_array([[1, 2]])])
def test_what_is_no_frame(database: Database, data: Any) -> None:
    with pytest.raises(DatasetError, match=r"is not a frame"):
        ours(database, "id").save(data)


def test_null_is_null_in_every_library(database: Database) -> None:
    values = [1.5, None, -0.0]
    for frame in (
        pl.DataFrame({"id": [0, 1, 2], "v": values}),
        pa.table({"id": [0, 1, 2], "v": values}),
        pd.DataFrame({"id": [0, 1, 2], "v": values}),
    ):
        query(database, "DROP TABLE IF EXISTS t")
        ours(database, "id").save(frame)
        assert query(database, "SELECT id FROM t WHERE v IS NULL") == [(1,)]
        for kind in ("polars", "pyarrow"):
            loaded = ours(database, "id", load_args={"as": kind}).load()
            assert str(loaded["v"].to_pylist() if kind == "pyarrow" else loaded["v"].to_list()) == str(values)


def test_columns_without_a_type_are_text(database: Database) -> None:
    ours(database, "id", table="untyped").save(pl.DataFrame({"id": [1, 2], "v": [None, None]}))
    assert columns_of(database, "untyped")[1][1] == "varchar(255)"


# Appends, arguments


FIRST = {"id": [1, 2], "name": ["a", None], "price": [Decimal("1.50"), None], "at": [DAY, None]}
MORE = {"id": [3], "name": ["x" * 300], "price": [Decimal("-0.01")], "at": [DAY]}
PRICE = pl.Decimal(9, 2)


def test_appends(database: Database) -> None:
    dataset = ours(database, "id", table="grows", save_args={"if_exists": "append"})
    for frame in (pl.DataFrame(FIRST).cast({"price": PRICE}), pa.table(MORE), pl.DataFrame(MORE).head(0)):
        dataset.save(frame)
    loaded = ours(database, "id", table="grows", load_args={"as": "polars"}).load()
    expected = pl.concat([pl.DataFrame(FIRST), pl.DataFrame(MORE)]).cast({"price": PRICE})
    assert loaded.equals(expected) and loaded.schema == expected.schema
    before = hash_of(database, "grows")
    for frame, words in (
        (pl.DataFrame(MORE), "cannot be appended: 3. Nothing was saved"),
        (pl.DataFrame({**MORE, "id": [4], "price": [Decimal(10) ** 30]}), "'price' .* cannot hold"),
        (pl.DataFrame({"id": [5], "other": [1]}), "no column 'other'"),
        (pl.DataFrame({"id": [6], "name": [1.5]}), "'name' .* cannot hold 1.5 in row 0"),
    ):
        with pytest.raises(DatasetError, match=words):
            dataset.save(frame)
        assert hash_of(database, "grows") == before
    with pytest.raises(DatasetError, match="`if_exists: fail` is set"):
        ours(database, "id", table="grows", save_args={"if_exists": "fail"}).save(pl.DataFrame(FIRST))
    with pytest.raises(DatasetError, match="has the primary key id, not name"):
        ours(database, "name", table="grows", save_args={"if_exists": "append"}).save(pl.DataFrame(FIRST))


def test_only_the_difference_is_written(database: Database) -> None:
    prices = [Decimal(n) / 100 for n in range(100)]
    old = pl.DataFrame({"id": range(100), "price": prices, "at": [DAY.time()] * 100})
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(old)
    query(database, "CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'before')")
    prices[7] = Decimal("-1.00")
    ours(database, "id").save(old.with_columns(pl.Series("price", prices, old["price"].dtype)))
    assert query(database, "SELECT to_id FROM dolt_diff('HEAD', 'WORKING', 't')") == [(7,)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kedro_doltdb.tables.keyed_table.write_rows", None)
        ours(database, "id").save(ours(database, "id", load_args={"as": "polars"}).load().lazy())


def test_a_type_of_ones_own(database: Database) -> None:
    dtype = {"name": types.VARCHAR(40), "price": types.DECIMAL(9, 2), "at": types.DATETIME}
    dataset = ours(database, "id", table="own", save_args={"dtype": dtype}, load_args={"as": "pyarrow"})
    dataset.save(pl.DataFrame(FIRST))
    chosen = [column[1] for column in columns_of(database, "own")]
    assert chosen == ["bigint", "varchar(40)", "decimal(9,2)", "datetime"]
    assert dataset.load()["price"].to_pylist() == FIRST["price"]
    with pytest.raises(DatasetError, match="the type holds 40 characters"):
        dataset.save(pl.DataFrame({**FIRST, "name": ["a", "b" * 41]}))


def test_what_is_read_of_other_types(database: Database) -> None:
    query(database, "DROP TABLE IF EXISTS odd")
    query(
        database,
        "CREATE TABLE odd (id INT PRIMARY KEY, a TIME, b DECIMAL(9,3), c JSON, d TIMESTAMP, e ENUM('x','y'), "
        "f BIGINT UNSIGNED, g YEAR, h BOOLEAN, i DECIMAL(65,30), j BIT(3))",
    )
    query(
        database,
        "INSERT INTO odd VALUES (1, '10:00:01.5', 1.5, '[1]', '2020-01-01', 'y', 18446744073709551615, 2020, "
        "1, 0.000000000000000000000000000001, 1), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 7, NULL, NULL)",
    )
    columns = list("abcdefghi")
    loaded = ours(database, "id", table="odd", load_args={"as": "pyarrow", "columns": columns}).load()
    assert list(loaded.slice(0, 1).to_pylist()[0].values()) == [
        dt.time(10, 0, 1, 500_000), Decimal("1.500"), "[1]", dt.datetime(2020, 1, 1), "y", 2**64 - 1, 2020, 1,
        Decimal("1E-30"),
    ]  # fmt: skip
    for load_args, words in (
        ({"as": "pyarrow"}, r"`j` is bit\(3\)"),
        ({"as": "polars", "columns": ["id", "i"]}, "has 65 digits, and Polars holds 38"),
        ({"as": "polars", "columns": ["nope"]}, "it has id, a, b"),
    ):
        with pytest.raises(DatasetError, match=words):
            ours(database, "id", table="odd", load_args=load_args).load()
    query(database, "UPDATE odd SET a = '-100:00:00'")
    with pytest.raises(DatasetError, match="has a value that Arrow cannot hold"):
        ours(database, "id", table="odd", load_args={"as": "polars", "columns": ["a"]}).load()
    query(database, "CREATE OR REPLACE VIEW v AS SELECT id, h FROM odd")
    assert ours(database, "id", table="v", load_args={"as": "polars"}).load().rows() == [(1, 1), (2, 7)]


def test_a_version_is_loaded_as_polars(database: Database) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(pl.DataFrame(FIRST))
    query(database, "CALL DOLT_COMMIT('-A', '-m', 'first')")
    query(database, "CALL DOLT_TAG('first-frames')")
    ours(database, "id").save(pl.DataFrame(MORE))
    old = ours(database, "id", at="first-frames", load_args={"as": "polars", "columns": ["name", "id"]})
    assert old.load().rows() == [("a", 1), (None, 2)]


def test_what_the_entry_may_say(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "'as': 'polars'" in str(ours(database, "id", load_args={"as": "polars"})._describe())
    for load_args, words in (
        ({"as": "spark"}, "choose pandas, polars, pyarrow"),
        ({"as": "polars", "chunksize": 2}, "`chunksize` in its load_args, which is for pandas"),
    ):
        with pytest.raises(ConfigError, match=words):
            ours(database, "id", load_args=load_args)
    with pytest.raises(DatasetError, match="has no index"):
        ours(database, "id", save_args={"index": True}).save(pl.DataFrame(FIRST))
    other = {"con": f"sqlite:///{tmp_path / 'other.db'}"}
    with pytest.raises(ConfigError, match="reads from Dolt alone"):
        DoltTableDataset(table_name="t", credentials=other, primary_key="id", load_args={"as": "polars"})
    with pytest.raises(DatasetError, match="only with `credentials: dolt`"):
        DoltTableDataset(table_name="t", credentials=other, primary_key="id").save(pl.DataFrame(FIRST))
    monkeypatch.setattr("kedro_doltdb.catalog.table_arguments.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kedro-doltdb\[polars\]'"):
        ours(database, "id", load_args={"as": "polars"})
