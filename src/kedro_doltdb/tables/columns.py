"""A frame's columns as Arrow arrays of exactly the values that Dolt stores.

The types are few on purpose: those that pandas' own ``to_sql`` makes, and DECIMAL. Whatever is not known here
to be exact takes the stock dataset's way.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import infer_dtype

from .encoding import FIELD_END, NULL, ROW_END, Column, Field, exact_texts

TEXT, BYTES = pa.large_string(), pa.large_binary()
MICROSECONDS, DAYS, TIME = pa.timestamp("us"), pa.date32(), pa.time64("us")
DECIMAL_DIGITS, DECIMAL_SCALE = 65, 30
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
_BLOCK_ROWS, _BLOCK_BYTES = 1 << 14, 1 << 22
_FIRST_YEAR, _YEAR_10000 = np.datetime64("0001-01-01", "us"), np.datetime64("10000-01-01", "us")

Series: TypeAlias = "pd.Series[Any] | pa.ChunkedArray"


def arrow_type(column_type: str) -> pa.DataType | None:
    """Return the Arrow type that holds the values of a column exactly.

    Args:
        column_type: as ``SHOW COLUMNS`` writes it.

    Returns:
        None for the types that are not known here.
    """
    match = re.fullmatch(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?", column_type)
    name = match[1] if match else ""
    if match and name == "decimal":
        return decimal_type(int(match[2]), int(match[3]))
    if name in _INTEGERS:
        return pa.int64() if _INTEGERS[name] == 64 else getattr(pa, f"int{_INTEGERS[name]}")()
    if name == "varchar" or re.fullmatch("(tiny|medium|long)?text", name):
        return TEXT
    if name == "varbinary" or re.fullmatch("(tiny|medium|long)?blob", name):
        return BYTES
    return {
        "double": pa.float64(), "float": pa.float32(), "datetime": MICROSECONDS, "date": DAYS, "time": TIME,
    }.get(name)  # fmt: skip


def readable_type(column_type: str) -> pa.DataType | None:
    """Return the Arrow type that holds what is read of a column, also where none is known to be written so.

    Args:
        column_type: as ``SHOW COLUMNS`` writes it.
    """
    match = re.match(r"(\w+)(?:\(.*\))?( unsigned)?", column_type, re.DOTALL)
    name = match[1] if match else ""
    if match and match[2] and name in _INTEGERS:
        return getattr(pa, f"uint{_INTEGERS[name]}")()
    if name in ("char", "enum", "set", "json"):
        return TEXT
    others = {"timestamp": MICROSECONDS, "binary": BYTES, "year": pa.int16()}
    return arrow_type(column_type) or others.get(name)


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """Return the Arrow type of decimals with so many digits, ``scale`` of them after the point."""
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def to_arrow(series: Series, column: Column) -> pa.Array | pa.ChunkedArray:
    """Return the values that a column is to store.

    Args:
        series: a column of a frame, of pandas or as ``arrow_frames.arrow_table`` gives it.
        column: where it goes; its type is one that :func:`arrow_type` knows.

    Raises:
        BulkLoadError: the column cannot hold a value exactly.
    """
    wanted = arrow_type(column.type)
    assert wanted is not None, column
    if isinstance(series, pa.ChunkedArray):
        array = _arrow_quickly(series, column, wanted)
    else:
        array = _quickly(series, column, wanted)
    return _value_by_value(series, column, wanted) if array is None else array


def _quickly(series: pd.Series[Any], column: Column, wanted: pa.DataType) -> pa.Array | None:
    """Return the values if their type alone tells that all of them can be stored; None to look at each."""
    dtype = series.dtype
    try:
        if dtype == np.dtype(object):
            return _objects(series, column, wanted)
        if isinstance(dtype, pd.CategoricalDtype):
            # A category that no row has says nothing of the values.
            return None
        if isinstance(dtype, pd.StringDtype):
            return _fitting(pa.array(series, TEXT, from_pandas=True), column) if wanted == TEXT else None
        kind = dtype.kind if isinstance(dtype, np.dtype | pd.api.extensions.ExtensionDtype) else ""
        if isinstance(dtype, pd.ArrowDtype):
            return None
        if kind in "iub" and pa.types.is_integer(wanted):
            array = pa.array(series)
            return (array.cast(pa.int8()) if kind == "b" else array).cast(wanted)
        if kind == "f" and pa.types.is_floating(wanted):
            array = pa.array(series, from_pandas=True)
            if array.type != wanted:
                return None
            array = pc.if_else(pc.is_nan(array), None, array)
            return None if pc.any(pc.is_inf(array)).as_py() else array
        if kind == "M" and column.type == "datetime(6)":
            return _datetimes(series)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    return None


def _arrow_quickly(values: pa.ChunkedArray, column: Column, wanted: pa.DataType) -> pa.ChunkedArray | None:
    if pa.types.is_boolean(values.type) and pa.types.is_integer(wanted):
        return values.cast(pa.int8()).cast(wanted)
    if values.type != wanted or column.type in ("mediumint", "datetime", "datetime(0)"):
        return None
    if pa.types.is_temporal(wanted) and column.type not in ("date", "time(6)", "datetime(6)"):
        return None
    if pa.types.is_floating(wanted) and not pc.all(pc.is_finite(values)).as_py():
        return None
    return _fitting(values, column)


def _objects(series: pd.Series[Any], column: Column, wanted: pa.DataType) -> pa.Array | None:
    inferred = infer_dtype(series, skipna=True)
    if inferred == "date" and any(isinstance(value, dt.datetime) for value in series):
        # It is a date as well, and Arrow would drop the time of day.
        return None
    if (inferred, wanted) in (("string", TEXT), ("bytes", BYTES), ("date", pa.date32())) or (
        inferred == "integer" and pa.types.is_integer(wanted)
    ):
        array = pa.array(series.to_numpy(), wanted, from_pandas=True)
        return _fitting(array, column)
    if inferred == "boolean" and pa.types.is_integer(wanted):
        return pa.array(series.to_numpy(), pa.bool_(), from_pandas=True).cast(pa.int8()).cast(wanted)
    return None


def _fitting(array: pa.Array | pa.ChunkedArray, column: Column) -> pa.Array | pa.ChunkedArray | None:
    """Return the array, if the column's type is long enough for all of it."""
    if array.type not in (TEXT, BYTES) or column.type in ("longtext", "longblob"):
        return array
    match = re.fullmatch(r"var(?:char|binary)\((\d+)\)", column.type)
    if match is None:
        return None
    return array if longest(array) <= int(match[1]) else None


def longest(array: pa.Array | pa.ChunkedArray) -> int:
    """Return the characters of the longest text, or the bytes of the longest binary value; 0 without any."""
    lengths = pc.binary_length(array)
    if array.type == TEXT and (pc.max(lengths).as_py() or 0) > 255:
        lengths = pc.utf8_length(array)
    return int(pc.max(lengths).as_py() or 0)


def _datetimes(series: pd.Series[Any]) -> pa.Array | None:
    # As on the bulk load: the database holds what the clock on the wall showed.
    values = series.dt.tz_localize(None) if isinstance(series.dtype, pd.DatetimeTZDtype) else series
    array = values.to_numpy()
    finer = array.astype("datetime64[us]")
    there = finer[~np.isnat(finer)]
    if len(there) and (there.min() < _FIRST_YEAR or there.max() >= _YEAR_10000):
        return None
    # What is too far from 1970 to be counted in microseconds may have become anything.
    if array.dtype != "datetime64[ns]" and (finer.astype(array.dtype) != array)[~np.isnat(array)].any():
        return None
    return pa.array(finer)


def _value_by_value(series: Series, column: Column, wanted: pa.DataType) -> pa.Array:
    values = python_values(series)
    texts: list[str | None] = [
        None if value is None else text
        for text, value in zip(exact_texts(column, values), values, strict=True)
    ]
    if wanted == BYTES:
        return pa.array([None if text is None else bytes.fromhex(text) for text in texts], BYTES)
    return from_text(pa.array(texts, TEXT), wanted)


def from_text(texts: pa.Array | pa.ChunkedArray, wanted: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Return the values that texts of Dolt's stand for.

    Raises:
        pyarrow.ArrowInvalid: one of them is no value of that type.
    """
    if wanted == TIME:
        # Arrow reads no times of day, but moments.
        day, blank = pa.scalar("1970-01-01", TEXT), pa.scalar(" ", TEXT)
        return pc.binary_join_element_wise(day, texts, blank).cast(MICROSECONDS).cast(TIME)
    try:
        return texts.cast(wanted)
    except pa.ArrowInvalid:
        if not pa.types.is_temporal(wanted):
            raise
    # Dolt sends the year 1 as 1, and Arrow knows it as 0001.
    for short, padded in ((r"^(\d{1,3}-)", r"000\1"), (r"^0*(\d{4}-)", r"\1")):
        texts = pc.replace_substring_regex(texts, short, padded)
    return texts.cast(wanted)


def python_values(series: Series) -> Sequence[Any]:
    """Return the values of a column as pandas' ``to_sql`` gives them to a driver."""
    if isinstance(series, pa.ChunkedArray):
        return list(series.to_pylist())
    from pandas.io.sql import SQLTable

    table: Any = SQLTable.__new__(SQLTable)
    table.frame, table.index = series.to_frame(), None
    return list(table.insert_data()[1][0])


def holds_bytes(series: Series) -> bool:
    """Return whether a column has bytes in it and nothing else, missing values apart."""
    if isinstance(series, pa.ChunkedArray):
        return bool(series.type == BYTES)
    if isinstance(series.dtype, pd.StringDtype):
        return False
    if series.dtype == np.dtype(object):
        return infer_dtype(series, skipna=True) == "bytes"
    classes = {type(value) for value in python_values(series) if value is not None}
    return bool(classes) and all(issubclass(cls, bytes) for cls in classes)


@dataclass(frozen=True)
class ArrowRows:
    """Rows in Arrow arrays, which become text block by block, while they are sent.

    Attributes:
        fields: what each row has, in order.
        values: for each field, the values of all rows.
    """

    fields: list[Field]
    values: list[pa.ChunkedArray]

    def __len__(self) -> int:
        return len(self.values[0])

    def part(self, start: int, end: int) -> ArrowRows:
        """Return the rows from ``start`` up to ``end``."""
        return ArrowRows(self.fields, [values.slice(start, end - start) for values in self.values])

    def lines(self) -> Iterator[memoryview]:
        """Yield the rows as ``LOAD DATA`` reads them, many in a piece."""
        # Arrow joins a column of empty texts for the end of the row: what it makes is the file, byte by byte.
        end, mark = pa.scalar("", TEXT), pa.scalar(ROW_END, TEXT)
        for block in self._blocks():
            joined = pc.binary_join_element_wise(*block, pa.scalar(FIELD_END, TEXT))
            for chunk in pc.binary_join_element_wise(joined, end, mark).chunks:
                _, offsets, data = chunk.buffers()
                bounds = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
                if len(chunk):
                    yield memoryview(data)[bounds[0] : bounds[-1]]

    def tuples(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows as the texts of their fields."""
        for block in self._blocks():
            yield from zip(*(column.to_pylist() for column in block), strict=True)

    def _blocks(self) -> Iterator[list[pa.ChunkedArray]]:
        rows = block_rows(self.values, _BLOCK_ROWS, _BLOCK_BYTES)
        for start in range(0, len(self), rows):
            yield [_as_text(values.slice(start, rows)) for values in self.values]


def block_rows(columns: Sequence[pa.ChunkedArray], most_rows: int, most_bytes: int) -> int:
    """Return how many rows at a time are little.

    Some thousand rows of a table with hundreds of columns, or of one with long texts, may be all of it.

    Args:
        columns: of the table.
        most_rows: how many at most, if they are short.
        most_bytes: how much at most, in Arrow and on average; a row alone may have more.
    """
    rows, size = most_rows, sum(values.nbytes for values in columns)
    while rows > 1 and rows * size > most_bytes * len(columns[0]):
        rows //= 2
    return rows


def to_rows(table: pa.Table, columns: Sequence[Column]) -> ArrowRows:
    """Return the rows of ``table`` with these columns, ready to be sent."""
    pairs = [_field(table.column(column.name), column) for column in columns]
    return ArrowRows([field for field, _ in pairs], [values for _, values in pairs])


def _field(values: pa.ChunkedArray, column: Column) -> tuple[Field, pa.ChunkedArray]:
    if values.type == BYTES:
        return Field(column, "UNHEX({})"), values
    if values.type == TEXT and (
        pc.any(pc.equal(values, NULL)).as_py()
        or any(pc.any(pc.match_substring(values, mark)).as_py() for mark in (FIELD_END, ROW_END))
    ):
        return Field(column, "CONVERT(UNHEX({}) USING utf8mb4)"), values.cast(BYTES)
    return Field(column), values


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if values.type == BYTES:
        texts = [NULL if value is None else value.hex() for value in values.to_pylist()]
        return pa.chunked_array([pa.array(texts, TEXT)])
    if values.type == pa.float32():
        # The shortest text of the largest number, 3.4028235e+38, is out of range as a double.
        values = values.cast(pa.float64())
    return pc.fill_null(values.cast(TEXT), NULL)
