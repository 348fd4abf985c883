"""The text that ``LOAD DATA LOCAL INFILE`` reads: each value written so that Dolt stores exactly that value.

LOAD DATA takes what it gets: it rounds, cuts and replaces, and leaves at best a note. So a value that the
column's type cannot hold is refused here, before anything is sent.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

from .errors import BulkLoadError

# ASCII's own separators hardly occur in data, so nearly every value can be written as it is.
FIELD_END = "\x1f"
ROW_END = "\x1e"
NULL = "NULL"

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_LENGTH_BITS = {"tiny": 8, "": 16, "medium": 24, "long": 32}
_SHOWN_ROWS = 3

Encoder = Callable[[Any], str]


@dataclass(frozen=True)
class Column:
    """A column of a table, with its type as ``SHOW COLUMNS`` writes it."""

    name: str
    type: str


@dataclass(frozen=True)
class Field:
    """A column's values, ready to be written, and the SQL function that makes values of them again.

    Attributes:
        column: where they go.
        texts: a list of str; or an Arrow array of the values, of which ``columns.lines`` makes text.
        decode: the function, with ``{}`` for its argument; None where the text is the value.
    """

    column: Column
    texts: Any
    decode: str | None = None


def encode(column: Column, values: Sequence[Any]) -> Field:
    """Write the values of one column.

    Args:
        column: where they go.
        values: Python objects as pandas hands them to a database driver; None is NULL.

    Raises:
        BulkLoadError: the column's type cannot hold one of them exactly.
    """
    texts, kinds = _texts(column, values)
    if bytes in kinds:
        return Field(column, texts, "UNHEX({})")
    if str in kinds and _is_ambiguous(texts, values):
        texts = [
            NULL if value is None else text.encode().hex() for text, value in zip(texts, values, strict=True)
        ]
        return Field(column, texts, "CONVERT(UNHEX({}) USING utf8mb4)")
    return Field(column, texts)


def exact_texts(column: Column, values: Sequence[Any]) -> list[str]:
    """Each value as text, bytes in hexadecimal, and ``NULL`` for None.

    Args:
        column: where they go.
        values: as for :func:`encode`.

    Raises:
        BulkLoadError: the column's type cannot hold one of them exactly.
    """
    return _texts(column, values)[0]


def _texts(column: Column, values: Sequence[Any]) -> tuple[list[str], dict[type, Encoder]]:
    encoders = _encoders(column)
    values = _plain(values)
    if not encoders.keys().isdisjoint((dt.datetime, dt.time)):
        _refuse_several_zones(column, values)
    by_class = {cls: _for_class(cls, encoders) for cls in set(map(type, values))}
    try:
        if len(by_class) == 1:
            (encoder,) = by_class.values()
            return list(map(encoder, values)), encoders
        return [by_class[type(value)](value) for value in values], encoders
    except ValueError:
        raise _refusal(column, values, by_class) from None


def _is_ambiguous(texts: list[str], values: Sequence[Any]) -> bool:
    """Whether LOAD DATA would take some of these texts for something else."""
    if texts.count(NULL) != values.count(None):
        return True
    joined = "".join(texts)
    return FIELD_END in joined or ROW_END in joined


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """The values as Python's own types where they are of NumPy's, pandas' or a user's subclass."""
    import numpy as np
    import pandas as pd

    convert: dict[type, Callable[[Any], Any]] = {}
    for cls in set(map(type, values)):
        if issubclass(cls, pd.Timestamp | np.datetime64):
            convert[cls] = _to_datetime
        elif issubclass(cls, np.generic) and not issubclass(cls, np.timedelta64):
            convert[cls] = lambda value: value.item()
        elif issubclass(cls, str) and cls is not str:
            # What the text is, not what str() shows of it: that is the name of a member of an Enum.
            convert[cls] = str.__str__
    if not convert:
        return values
    return [convert[type(value)](value) if type(value) in convert else value for value in values]


def _to_datetime(value: Any) -> Any:
    """A moment as Python's datetime; as it is where that cannot hold it."""
    import pandas as pd

    try:
        return pd.Timestamp(value).to_pydatetime(warn=False)
    except ValueError:
        return value


def _refuse_several_zones(column: Column, values: Sequence[Any]) -> None:
    """Refuse times by different clocks: of each, the database holds what the clock on the wall showed."""
    moments = dt.datetime | dt.time
    # pytz has an object for each offset of a zone, all of one name.
    zones = {str(zone) for zone in {value.tzinfo for value in values if isinstance(value, moments)}}
    if len(zones) < 2:
        return
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        if isinstance(value, moments):
            first.setdefault(str(value.tzinfo), row)
    rows = list(first.values())
    raise BulkLoadError(
        f"Column {column.name!r} ({column.type}) cannot hold {describe(rows, values)} exactly: their time "
        f"zones differ ({', '.join(first)}), and the type keeps none. Bring them to one, for example with "
        "pd.to_datetime(…, utc=True), or make text of them with .astype(str)."
    )


def _for_class(cls: type, encoders: dict[type, Encoder]) -> Encoder:
    if cls is type(None):
        return lambda _: NULL
    for base in cls.__mro__:
        if base in encoders:
            return encoders[base]

    def refuse(value: object) -> str:
        if cls.__name__ in ("Timestamp", "datetime64"):
            raise ValueError("it is outside of the years 1 to 9999")
        raise ValueError(
            f"the column takes {' or '.join(sorted(known.__name__ for known in encoders))}, not "
            f"{cls.__name__}; {_remedy(cls)}"
        )

    return refuse


def _remedy(cls: type) -> str:
    """What makes values of a class that can be stored."""
    import numpy as np

    if issubclass(cls, dict | list | tuple):
        return "make text of it with .map(json.dumps)"
    if issubclass(cls, np.ndarray):
        return "make text of it with .map(lambda value: json.dumps(value.tolist()))"
    if issubclass(cls, Enum):
        return "save what it stands for, with .map(lambda member: member.value)"
    if issubclass(cls, dt.timedelta | np.timedelta64):
        return 'make nanoseconds of it with .astype("timedelta64[ns]")'
    if issubclass(cls, float | int | Decimal):
        return "make numbers of all values with .astype(float), or text with .astype(str)"
    if issubclass(cls, bytes | bytearray | memoryview):
        return "make bytes of all values, or text with .map(bytes.decode)"
    return "make text of it with .astype(str)"


def _refusal(column: Column, values: Sequence[Any], by_class: dict[type, Encoder]) -> BulkLoadError:
    """The error that says which of the values cannot be stored, and why the first of them cannot."""
    rows, reason = [], ""
    for row, value in enumerate(values):
        try:
            by_class[type(value)](value)
        except ValueError as error:
            reason = reason or str(error)
            rows.append(row)
    return BulkLoadError(
        f"Column {column.name!r} ({column.type}) cannot hold {describe(rows, values)} exactly: {reason}."
    )


def describe(rows: Sequence[int], values: Sequence[Any]) -> str:
    """Name rows by their position and value, the first few of them."""
    shown = ", ".join(f"{_shorten(values[row])} in row {row}" for row in rows[:_SHOWN_ROWS])
    more = len(rows) - _SHOWN_ROWS
    return f"{shown} and {more} more" if more > 0 else shown


def _shorten(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _encoders(column: Column) -> dict[type, Encoder]:
    """How the column's type is written, by the Python type of the value; other Python types it refuses.

    Raises:
        BulkLoadError: the column's type is one that we do not know to fill exactly.
    """
    match = re.match(r"(\w+)(?:\(([\d, ]+)\))?(.*)", column.type, re.IGNORECASE | re.DOTALL)
    assert match, column.type
    name, rest = match[1].lower(), match[3].lower()
    numbers = [int(number) for number in (match[2] or "").split(",") if number]
    if "character set" in rest and "utf8mb4" not in rest:
        name = ""
    if name in _INTEGER_BITS:
        return _integer(_INTEGER_BITS[name], "unsigned" in rest)
    if name in ("double", "float"):
        return _floating(single=name == "float")
    if name == "decimal":
        return _decimal(*numbers)
    if name in ("datetime", "timestamp"):
        return _datetime(numbers[0] if numbers else 0)
    if name == "date":
        return {dt.date: dt.date.isoformat, dt.datetime: _midnight}
    if name == "time":
        return {dt.time: lambda value: value.replace(tzinfo=None).isoformat("microseconds")}
    if name == "varchar":
        return _text(numbers[0], len, "characters")
    if name.endswith("text"):
        limit = 2 ** _LENGTH_BITS[name.removesuffix("text")] - 1
        return _text(limit, lambda value: len(value.encode()), "bytes")
    if name == "varbinary":
        return _binary(numbers[0])
    if name.endswith("blob"):
        return _binary(2 ** _LENGTH_BITS[name.removesuffix("blob")] - 1)
    raise BulkLoadError(
        f"Column {column.name!r} has the type {column.type}, which a bulk load does not fill: choose another "
        "type in `save_args: dtype`, or leave `method` out of save_args."
    )


def _integer(bits: int, unsigned: bool) -> dict[type, Encoder]:
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def integer(value: int) -> str:
        if not low <= value <= high:
            way_out = "" if bits < 64 else "; make text of it with .astype(str)"
            raise ValueError(f"the range of the type is {low} to {high}{way_out}")
        return int.__repr__(value)

    def floating(value: float) -> str:
        if not value.is_integer():
            raise ValueError("the column takes whole numbers")
        return integer(int(value))

    return {int: integer, float: floating}


def _floating(single: bool) -> dict[type, Encoder]:
    def floating(value: float) -> str:
        if not isfinite(value):
            raise ValueError("SQL has no infinity; replace it, for example with None")
        if single and not _fits_single(value):
            raise ValueError("single precision rounds it; choose the type DOUBLE")
        return float.__repr__(value)

    def integer(value: int) -> str:
        if abs(value) > 2**53:
            raise ValueError("a floating-point number rounds it")
        return floating(float(value))

    return {float: floating, int: integer}


def _fits_single(value: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", value))[0] == value)
    except OverflowError:
        return False


def _decimal(precision: int, scale: int) -> dict[type, Encoder]:
    def decimal(value: Decimal) -> str:
        if not value.is_finite():
            raise ValueError("it is not a finite number; replace it, for example with None")
        text = format(value, "f")
        whole, _, fraction = text.lstrip("-").partition(".")
        if len(fraction.rstrip("0")) > scale or len(whole.lstrip("0")) > precision - scale:
            raise ValueError(f"the type has {precision} digits, {scale} of them after the point")
        return text

    return {
        Decimal: decimal,
        int: lambda value: decimal(Decimal(int(value))),
        float: lambda value: decimal(Decimal(float.__repr__(value))),
    }


def _datetime(digits: int) -> dict[type, Encoder]:
    dropped = 10 ** (6 - digits)

    def datetime(value: dt.datetime) -> str:
        if value.microsecond % dropped:
            raise ValueError(f"the type keeps {digits} digits of a second")
        # PyMySQL drops the zone as well: the database holds what the clock on the wall showed.
        if value.tzinfo is not None:
            value = value.replace(tzinfo=None)
        return dt.datetime.isoformat(value, " ", "microseconds")

    return {dt.datetime: datetime}


def _midnight(value: dt.datetime) -> str:
    if value.time() != dt.time():
        raise ValueError("the type keeps no time of day; make datetimes of all values with pd.to_datetime")
    return value.date().isoformat()


def _text(limit: int, length: Callable[[str], int], unit: str) -> dict[type, Encoder]:
    def text(value: str) -> str:
        try:
            too_long = len(value) * 4 > limit and length(value) > limit
            if not value.isascii():
                value.encode()
        except UnicodeEncodeError:
            raise ValueError("a lone surrogate is no text") from None
        if too_long:
            raise ValueError(f"the type holds {limit} {unit}")
        return value

    def decimal(value: Decimal) -> str:
        if not value.is_finite():
            raise ValueError("it is not a finite number; replace it, for example with None")
        # As a number in a statement, where zero has no sign.
        return text(format(value if value else abs(value), "f"))

    return {str: text, int: lambda value: text(int.__repr__(value)), Decimal: decimal}


def _binary(limit: int) -> dict[type, Encoder]:
    def binary(value: bytes) -> str:
        if len(value) > limit:
            raise ValueError(f"the type holds {limit} bytes")
        return value.hex()

    return {bytes: binary}
