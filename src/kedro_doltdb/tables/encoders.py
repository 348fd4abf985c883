"""How the values of each SQL type are written, and which of them the type cannot hold."""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from math import isfinite, isnan
from typing import Any

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_LENGTH_BITS = {"tiny": 8, "": 16, "medium": 24, "long": 32}

Encoder = Callable[[Any], str]
"""Make text of a value; raise ValueError, with the reason, for one that the type cannot hold exactly."""


def encoders(column_type: str) -> dict[type, Encoder] | None:
    """Return how a type is written, by the Python type of the value; other Python types it does not take.

    Args:
        column_type: as ``SHOW COLUMNS`` writes it.

    Returns:
        None for a type that we do not know to fill exactly.
    """
    match = re.match(r"(\w+)(?:\(([\d, ]+)\))?(.*)", column_type, re.IGNORECASE | re.DOTALL)
    assert match, column_type
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
    return None


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
        if isnan(value):
            raise ValueError("SQL has no NaN; make null of it, for example with .fill_nan(None)")
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
            raise ValueError("a lone surrogate is not valid text") from None
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
