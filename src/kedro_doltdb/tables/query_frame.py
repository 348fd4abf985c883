"""The frame of a query's rows, each column of the type that its values have; pandas alone, no Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pymysql.constants import FIELD_TYPE

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_INTEGERS = {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG}
_FLOATS = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE, FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
_MOMENTS = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}


def query_frame(cursor: Cursor) -> pd.DataFrame:
    """Return what the last statement has found, with the types of ``pandas.read_sql_table``.

    Args:
        cursor: a cursor that has executed a query.
    """
    described = cursor.description or ()
    values: list[Any] = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(described)
    series = [_series(column, int(kind[1])) for column, kind in zip(values, described, strict=True)]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index([column[0] for column in described])
    return frame


def _series(values: tuple[Any, ...], kind: int) -> pd.Series[Any]:
    if kind in _MOMENTS:
        return pd.to_datetime(pd.Series(values, dtype=object), errors="coerce")
    if kind in _FLOATS:
        return pd.Series(values, dtype="float64")
    if kind in _INTEGERS and not values:
        return pd.Series(values, dtype="int64")
    return pd.Series(values)
