"""The frame of pandas that the stock dataset loads, made of Arrow's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .columns import BYTES, TEXT, TIME

# As integers: NumPy makes of the nanoseconds of pd.Timestamp.min a microsecond of the year 2262.
_MOST_MICROSECONDS = (2**63 - 1) // 1000


def to_frame(table: pa.Table) -> pd.DataFrame | None:
    """Return the frame that ``pandas.read_sql_table`` makes of these rows, its dtypes included.

    Returns:
        None where pandas is set to make text of a dtype that we do not know, and for decimals without a
        value, of which versions of pandas make different things.
    """
    # What pandas makes of text is a matter of its version and its options.
    text = pd.DataFrame.from_records([("",)]).dtypes.iloc[0]
    if text != np.dtype(object) and getattr(text, "storage", None) != "pyarrow":
        return None
    if any(pa.types.is_decimal(one.type) and one.null_count == len(one) for one in table.columns):
        return None
    series = [_series(column, text) for column in table.columns]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(table.column_names)
    return frame


def _series(values: pa.ChunkedArray, text: Any) -> pd.Series[Any]:
    if pa.types.is_integer(values.type):
        if values.null_count == 0:
            return pd.Series(values.cast(pa.int64()).to_numpy())
        if values.null_count == len(values):
            return pd.Series([None] * len(values), dtype=object)
        return pd.Series(values.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy())
    if values.type == pa.float32() or pa.types.is_decimal(values.type):
        # The text that Dolt writes is the shortest that tells the value, and that is what drivers read.
        values = values.cast(TEXT).cast(pa.float64())
    if values.type == pa.float64():
        return pd.Series(values.to_numpy())
    if values.type == TEXT and text != np.dtype(object):
        return pd.Series(text.__from_arrow__(values))
    if values.type in (TEXT, BYTES):
        return pd.Series(values.to_numpy(), dtype=object)
    if values.type == TIME:
        return pd.Series(values.to_pylist(), dtype=object)
    if values.null_count == len(values):
        return pd.to_datetime(pd.Series([None] * len(values), dtype=object), errors="coerce")
    return _moments(values.to_numpy())


def _moments(values: np.ndarray[Any, Any]) -> pd.Series[Any]:
    if int(pd.__version__.partition(".")[0]) >= 3:
        return pd.Series(values)
    # pandas 2 counts in nanoseconds, and takes what they cannot count for missing.
    microseconds = values.astype("datetime64[us]")
    counts = microseconds.view(np.int64)
    # NaT is the smallest of them.
    beyond = (counts < -_MOST_MICROSECONDS) | (counts > _MOST_MICROSECONDS)
    nanoseconds = np.where(beyond, np.datetime64("NaT", "us"), microseconds).astype("datetime64[ns]")
    return pd.Series(nanoseconds)
