"""Frames of Polars, PyArrow and others, which come in and go out as Arrow tables.

All of them come to one form: of the Arrow types that can hold the same values, the one whose SQL type pandas'
``to_sql`` chooses for such values. So the table is the same whichever library has saved it. What SQL
cannot hold exactly is refused here, by type or by value.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BulkLoadError, ConfigError
from .columns import BYTES, DAYS, DECIMAL_DIGITS, DECIMAL_SCALE, MICROSECONDS, TEXT, TIME, decimal_type
from .encoding import describe

# In days since 1970, as Arrow counts them.
_FIRST_YEAR, _YEAR_10000 = -719_162, 2_932_897
_POLARS_DIGITS = 38
# Without an Arrow type; Polars panics when it is asked for one.
_POLARS_ALONE = ("Object", "Int128", "UInt128")


def arrow_table(data: Any) -> pa.Table | None:
    """Return the rows of a frame, each column of one of the few types that SQL has as well.

    Args:
        data: a frame of Polars, a table, batch or reader of PyArrow, or anything else with
            ``__arrow_c_stream__``; a reader is read to its end.

    Returns:
        None for what is none of these.

    Raises:
        BulkLoadError: SQL cannot hold a column's type or one of its values exactly.
    """
    table = _given(data)
    if table is None:
        return None
    try:
        # What other libraries have made is not checked by anybody else: text, for example, that is no UTF-8.
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise BulkLoadError(f"The frame is damaged: {str(error).splitlines()[0]}. Make it again.") from error
    columns = [_normal(name, table.column(place)) for place, name in enumerate(table.column_names)]
    return pa.Table.from_arrays(columns, table.column_names)


def _given(data: Any) -> pa.Table | None:
    # A frame of Polars is there only if Polars has been imported.
    polars: Any = sys.modules.get("polars")
    if polars and isinstance(data, polars.LazyFrame):
        data = data.collect()
    if polars and isinstance(data, polars.DataFrame):
        for name, kind in data.schema.items():
            if type(kind).__name__ in _POLARS_ALONE:
                raise _refused(name, kind, "cast it to Int64, Decimal or String")
        # Not by the stream: that has string views, which older versions of PyArrow do not cast.
        return data.to_arrow()
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        return data
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    try:
        return pa.table(data)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise BulkLoadError(
            f"A {type(data).__name__} is not a frame of columns that Arrow knows "
            f"({str(error).splitlines()[0]}): make one of it, for example with .to_frame()."
        ) from error


def _normal(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind, types = values.type, pa.types
    if types.is_dictionary(kind) and _is_text(kind.value_type):
        # A cast would not do: Polars streams dictionaries of string views.
        texts = [chunk.dictionary.cast(TEXT).take(chunk.indices) for chunk in values.chunks]
        return pa.chunked_array(texts, TEXT)
    if types.is_null(kind) or _is_text(kind):
        return values.cast(TEXT)
    if _is_binary(kind):
        return values.cast(BYTES)
    if types.is_integer(kind):
        # UInt64 as well: pandas could not read a BIGINT UNSIGNED.
        wanted = {"uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64(), "uint64": pa.int64()}
        return _cast(name, values, wanted.get(str(kind), kind), "make text of it, or a Decimal")
    if types.is_boolean(kind) or types.is_float32(kind) or types.is_float64(kind):
        return values
    if types.is_float16(kind):
        return values.cast(pa.float64())
    if types.is_decimal(kind):
        if not 0 <= kind.scale <= min(kind.precision, DECIMAL_SCALE) or kind.precision > DECIMAL_DIGITS:
            way_out = f"cast it to one of {DECIMAL_DIGITS} digits at most, {DECIMAL_SCALE} after the point"
            raise _refused(name, kind, way_out)
        return values.cast(decimal_type(kind.precision, kind.scale))
    if types.is_date(kind):
        return _in_range(name, _cast(name, values, DAYS, "it has a time of day"))
    if types.is_time(kind):
        return _cast(name, values, TIME, "the type keeps microseconds, round it to those")
    if types.is_timestamp(kind) and kind.tz is None:
        return _in_range(
            name, _cast(name, values, MICROSECONDS, "the type keeps microseconds, round it to those")
        )
    raise _refused(name, kind, _way_out(kind))


def _is_text(kind: pa.DataType) -> bool:
    views = getattr(pa.types, "is_string_view", lambda _: False)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or views(kind))


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    views = getattr(types, "is_binary_view", lambda _: False)
    fixed = types.is_fixed_size_binary(kind) and not types.is_decimal(kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or fixed or views(kind))


def _way_out(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_timestamp(kind):
        return (
            "SQL keeps no time zone. Save what the clock shows, in Polars .dt.replace_time_zone(None), in "
            "PyArrow pc.local_timestamp, of UTC for example"
        )
    if types.is_duration(kind):
        return "make a number of it, in Polars .dt.total_microseconds(), in PyArrow .cast(pa.int64())"
    if types.is_dictionary(kind):
        return f"cast it to {kind.value_type}"
    if types.is_nested(kind):
        return "make columns of its parts, or text, for example JSON"
    return "cast it to text or to a number"


def _refused(name: str, kind: object, way_out: str) -> BulkLoadError:
    return BulkLoadError(
        f"Column {name!r} has the type {kind}, which SQL cannot hold exactly: {way_out}. Nothing was saved."
    )


def _cast(name: str, values: pa.ChunkedArray, wanted: pa.DataType, reason: str) -> pa.ChunkedArray:
    if values.type == wanted:
        return values
    found = values.cast(wanted, safe=False)
    differ = pc.not_equal(found.cast(values.type, safe=False), values)
    # What wraps around comes back as it was.
    if pa.types.is_unsigned_integer(values.type):
        differ = pc.less(found, 0)
    return _checked(name, found, values, differ, reason)


def _in_range(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    first, after = pa.array([_FIRST_YEAR, _YEAR_10000], DAYS).cast(values.type)
    beyond = pc.or_(pc.less(values, first), pc.greater_equal(values, after))
    return _checked(name, values, values, beyond, "it is outside of the years 1 to 9999")


def _checked(
    name: str, found: pa.ChunkedArray, given: pa.ChunkedArray, wrong: pa.ChunkedArray, reason: str
) -> pa.ChunkedArray:
    """Return what was found, unless some of the values that were given are wrong."""
    if not pc.any(wrong).as_py():
        return found
    rows = [int(row) for row in np.flatnonzero(pc.fill_null(wrong, False).to_numpy())]
    # As text: Python has no dates outside of the years 1 to 9999.
    texts = dict(zip(rows, given.take(rows).cast(pa.string()).to_pylist(), strict=True))
    raise BulkLoadError(
        f"Column {name!r} ({given.type}) cannot hold {describe(rows, texts)} exactly: {reason}. Nothing was "
        "saved."
    )


def given_as(kind: str, rows: pa.Table, booleans: Collection[str]) -> Any:
    """Return rows as a frame of another library than pandas.

    Args:
        kind: ``polars`` or ``pyarrow``.
        rows: the rows as they were read.
        booleans: the columns of booleans; one with other numbers than 0 and 1 in it stays as it is.

    Raises:
        ConfigError: Polars has no type for a column.
    """
    for place, name in enumerate(rows.column_names):
        values = rows.column(place)
        if (
            name in booleans
            and pc.all(pc.is_in(values, pa.array([0, 1, None], values.type))).as_py() is not False
        ):
            rows = rows.set_column(place, name, values.cast(pa.bool_()))
    if kind == "pyarrow":
        return rows
    import polars

    for field in rows.schema:
        if pa.types.is_decimal(field.type) and field.type.precision > _POLARS_DIGITS:
            raise ConfigError(
                f"Column {field.name!r} has {field.type.precision} digits, and Polars holds "
                f"{_POLARS_DIGITS}: load it with `as: pyarrow`."
            )
    return polars.from_arrow(rows)
