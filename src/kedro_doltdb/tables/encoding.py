"""The text that ``LOAD DATA LOCAL INFILE`` reads: each value written so that Dolt stores exactly that value.

LOAD DATA takes what it gets: it rounds, cuts and replaces, and leaves at best a note. So a value that the
column's type cannot hold is refused here, before anything is sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

from ..errors import BulkLoadError
from .encoders import Encoder, encoders

# ASCII's own separators hardly occur in data, so nearly every value can be written as it is.
FIELD_END = "\x1f"
ROW_END = "\x1e"
NULL = "NULL"

_SHOWN_ROWS = 3


@dataclass(frozen=True)
class Column:
    """A column of a table, with its type as ``SHOW COLUMNS`` writes it."""

    name: str
    type: str


@dataclass(frozen=True)
class Field:
    """A column, and the SQL function that makes its values of the texts that are sent.

    Attributes:
        column: where the values go.
        decode: the function, with ``{}`` for its argument; None where the text is the value.
    """

    column: Column
    decode: str | None = None


class Rows(Protocol):
    """Rows that are ready to be sent."""

    @property
    def fields(self) -> Sequence[Field]:
        """What each row has, in order."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def part(self, start: int, end: int) -> Rows:
        """Return the rows from ``start`` up to ``end``."""

    def lines(self) -> Iterator[bytes | memoryview]:
        """Yield the rows as ``LOAD DATA`` reads them, whole ones, any number in a piece."""

    def tuples(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows as the texts of their fields, of a missing value ``NULL``."""


@dataclass(frozen=True)
class TextRows:
    """Rows whose values are text already.

    Attributes:
        fields: what each row has, in order.
        texts: for each field, the texts of all rows.
    """

    fields: list[Field]
    texts: list[list[str]]

    def __len__(self) -> int:
        return len(self.texts[0])

    def part(self, start: int, end: int) -> TextRows:
        """Return the rows from ``start`` up to ``end``."""
        return TextRows(self.fields, [texts[start:end] for texts in self.texts])

    def lines(self) -> Iterator[bytes]:
        """Yield the rows as ``LOAD DATA`` reads them, one in a piece."""
        return ((FIELD_END.join(row) + ROW_END).encode() for row in self.tuples())

    def tuples(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows as the texts of their fields."""
        return zip(*self.texts, strict=True)


def encode(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> TextRows:
    """Return rows whose values are written as text.

    Args:
        columns: where they go.
        values: for each column, Python objects as pandas hands them to a database driver; None is NULL.

    Raises:
        BulkLoadError: a column's type cannot hold one of them exactly.
    """
    encoded = [_encode_column(*pair) for pair in zip(columns, values, strict=True)]
    return TextRows([field for field, _ in encoded], [texts for _, texts in encoded])


def _encode_column(column: Column, values: Sequence[Any]) -> tuple[Field, list[str]]:
    texts, kinds = _texts(column, values)
    if bytes in kinds:
        return Field(column, "UNHEX({})"), texts
    if str in kinds and _is_ambiguous(texts, values):
        texts = [
            NULL if value is None else text.encode().hex() for text, value in zip(texts, values, strict=True)
        ]
        return Field(column, "CONVERT(UNHEX({}) USING utf8mb4)"), texts
    return Field(column), texts


def exact_texts(column: Column, values: Sequence[Any]) -> list[str]:
    """Return each value as text, bytes in hexadecimal, and ``NULL`` for None.

    Args:
        column: where they go.
        values: Python objects as for :func:`encode`.

    Raises:
        BulkLoadError: the column's type cannot hold one of them exactly.
    """
    return _texts(column, values)[0]


def _texts(column: Column, values: Sequence[Any]) -> tuple[list[str], dict[type, Encoder]]:
    taken = encoders(column.type)
    if taken is None:
        raise BulkLoadError(
            f"Column {column.name!r} has the type {column.type}, which a bulk load does not fill: choose "
            "another type in `save_args: dtype`, or leave `method` out of save_args."
        )
    values = _plain(values)
    if not taken.keys().isdisjoint((dt.datetime, dt.time)):
        _refuse_several_zones(column, values)
    by_class = {cls: _for_class(cls, taken) for cls in set(map(type, values))}
    try:
        if len(by_class) == 1:
            (encoder,) = by_class.values()
            return list(map(encoder, values)), taken
        return [by_class[type(value)](value) for value in values], taken
    except ValueError:
        raise _refusal(column, values, by_class) from None


def _is_ambiguous(texts: list[str], values: Sequence[Any]) -> bool:
    """Return whether LOAD DATA would take some of these texts for something else."""
    if texts.count(NULL) != values.count(None):
        return True
    joined = "".join(texts)
    return FIELD_END in joined or ROW_END in joined


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values as Python's own types where they are of NumPy's, pandas' or a user's subclass."""
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
    """Return a moment as Python's datetime; as it is where that cannot hold it."""
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


def _for_class(cls: type, taken: dict[type, Encoder]) -> Encoder:
    if cls is type(None):
        return lambda _: NULL
    for base in cls.__mro__:
        if base in taken:
            return taken[base]

    def refuse(value: object) -> str:
        if cls.__name__ in ("Timestamp", "datetime64"):
            raise ValueError("it is outside of the years 1 to 9999")
        raise ValueError(
            f"the column takes {' or '.join(sorted(known.__name__ for known in taken))}, not "
            f"{cls.__name__}; {_remedy(cls)}"
        )

    return refuse


def _remedy(cls: type) -> str:
    """Return what makes values of a class that can be stored."""
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
    """Return the error that says which of the values cannot be stored, and why the first of them cannot."""
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


def describe(rows: Sequence[int], values: Sequence[Any] | Mapping[int, Any]) -> str:
    """Name rows by their position and value, the first few of them."""
    shown = ", ".join(f"{_shorten(values[row])} in row {row}" for row in rows[:_SHOWN_ROWS])
    more = len(rows) - _SHOWN_ROWS
    return f"{shown} and {more} more" if more > 0 else shown


def _shorten(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
