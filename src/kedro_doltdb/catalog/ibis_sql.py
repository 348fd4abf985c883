"""Dolt's types as Ibis calls them, and the values of a result."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.sql.datatypes import MySQLType
from ibis.common import exceptions
from pymysql.constants import FIELD_TYPE, FLAG

from ..tables.columns import BYTES, MICROSECONDS, TEXT, from_text

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_BINARY_CHARSET = 63
_KINDS: dict[int, type[dt.DataType]] = {
    FIELD_TYPE.TINY: dt.Int8, FIELD_TYPE.SHORT: dt.Int16, FIELD_TYPE.INT24: dt.Int32,
    FIELD_TYPE.LONG: dt.Int32, FIELD_TYPE.LONGLONG: dt.Int64, FIELD_TYPE.YEAR: dt.Int16,
    FIELD_TYPE.FLOAT: dt.Float32, FIELD_TYPE.DOUBLE: dt.Float64, FIELD_TYPE.DATE: dt.Date,
    FIELD_TYPE.NEWDATE: dt.Date, FIELD_TYPE.TIME: dt.Time, FIELD_TYPE.JSON: dt.JSON, FIELD_TYPE.BIT: dt.Int64,
}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "D": 86_400, "W": 604_800}
_UNSIGNED = {dt.Int8: dt.UInt8, dt.Int16: dt.UInt16, dt.Int32: dt.UInt32, dt.Int64: dt.UInt64}


def of_column(column_type: str, *, nullable: bool) -> dt.DataType:
    """Return Ibis' type for one of a table.

    Args:
        column_type: as ``SHOW COLUMNS`` writes it.
        nullable: whether there may be NULL.
    """
    # What BOOLEAN is short for.
    if column_type == "tinyint(1)":
        return dt.Boolean(nullable=nullable)
    plain = re.sub(r" (character set|collate) \S+", "", column_type, flags=re.IGNORECASE)
    found: dt.DataType = MySQLType.from_string(plain, nullable=nullable)
    return found


def described(cursor: Cursor) -> sch.Schema:
    """Return the columns of a query that was run, with their types."""
    result: Any = cursor._result  # type: ignore[attr-defined]
    found = {}
    for field in result.fields:
        code, flags = field.type_code, field.flags
        if code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
            kind: dt.DataType = dt.Decimal(65, min(field.scale, 30))
        elif code in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP):
            kind = dt.Timestamp(scale=6)
        elif code == FIELD_TYPE.TINY and field.length == 1:
            kind = dt.Boolean()
        elif code in _KINDS:
            cls = _KINDS[code]
            kind = (_UNSIGNED.get(cls, cls) if flags & FLAG.UNSIGNED else cls)()
        elif code == FIELD_TYPE.NULL:
            kind = dt.Null()
        else:
            kind = dt.Binary() if field.charsetnr == _BINARY_CHARSET else dt.String()
        found[field.name] = kind
    return sch.Schema(found)


def read_as(kind: dt.DataType) -> pa.DataType:
    """Return how a column is read: as the text that Dolt sends, or as bytes."""
    return BYTES if kind.is_binary() else TEXT


def parsed(name: str, texts: pa.ChunkedArray, kind: dt.DataType) -> pa.ChunkedArray | pa.Array:
    """Return the values of a column of a result.

    Args:
        name: the column.
        texts: its values as Dolt sends them.
        kind: its type in Ibis.

    Raises:
        UnsupportedOperationError: Dolt has no such type, or it sent something else.
    """
    if kind.is_binary() or kind.is_string() or isinstance(kind, dt.JSON | dt.UUID | dt.INET | dt.MACADDR):
        return texts
    if kind.is_null():
        return pa.nulls(len(texts))
    try:
        return _parsed(texts, kind)
    except (pa.ArrowException, InvalidOperation, ValueError) as error:
        raise exceptions.UnsupportedOperationError(
            f"Dolt gives the column {name} otherwise than as {kind}: {str(error).splitlines()[0]}"
        ) from error


def _parsed(texts: pa.ChunkedArray, kind: dt.DataType) -> pa.ChunkedArray | pa.Array:
    if kind.is_boolean():
        numbers = texts.cast(pa.int64())
        if not pc.all(pc.is_in(numbers, pa.array([0, 1, None]))).as_py() and len(numbers):
            raise pa.ArrowInvalid("there are other numbers than 0 and 1")
        return numbers.cast(pa.bool_())
    if kind.is_integer():
        try:
            return texts.cast(kind.to_pyarrow())
        except pa.ArrowInvalid:
            # Sums and quotients are DECIMAL there, or in powers of ten.
            numbers = [None if text is None else Decimal(text) for text in texts.to_pylist()]
            if any(number is not None and number != int(number) for number in numbers):
                raise
            return pa.array([None if n is None else int(n) for n in numbers], kind.to_pyarrow())
    if kind.is_interval() and kind.unit.short in _SECONDS:
        return pc.multiply(texts.cast(pa.int64()), _SECONDS[kind.unit.short]).cast(pa.duration("s"))
    if kind.is_date():
        return from_text(texts, MICROSECONDS).cast(pa.date32())
    if kind.is_timestamp():
        return from_text(texts, MICROSECONDS)
    if kind.is_time() or kind.is_decimal() or kind.is_floating():
        return from_text(texts, kind.to_pyarrow() if not kind.is_time() else pa.time64("us"))
    raise pa.ArrowInvalid("there is no such type in SQL")
