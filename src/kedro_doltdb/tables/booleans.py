"""Booleans as they were saved: Dolt has none of its own, and stores them as 0 and 1."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

# What BOOLEAN is short for. TINYINT has no width in Dolt, and for small integers pandas makes SMALLINT.
_BOOLEAN = "tinyint(1)"


def boolean_columns(cursor: Cursor, table: str) -> list[str]:
    """Return the columns whose type says that they hold booleans.

    Args:
        cursor: a cursor on the branch of the table.
        table: its quoted name.
    """
    cursor.execute(f"SHOW COLUMNS FROM {table}")
    return [row[0] for row in cursor.fetchall() if row[1] == _BOOLEAN]


def with_booleans(frame: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Return a frame with booleans in the place of 0 and 1: ``bool``; ``boolean`` where a value is missing.

    Args:
        frame: as pandas has read it, in whatever backend.
        names: the columns of booleans; one with other numbers in it stays as it is.
    """
    found = {name: _booleans(frame[name]) for name in names if name in frame.columns}
    return frame.assign(**found) if found else frame


def _booleans(series: pd.Series[Any]) -> pd.Series[Any]:
    there = series.dropna()
    if not there.isin((0, 1)).all():
        return series
    if isinstance(series.dtype, pd.ArrowDtype):
        return series.astype("bool[pyarrow]")
    nullable = isinstance(series.dtype, pd.api.extensions.ExtensionDtype) or len(there) < len(series)
    return series.astype("boolean" if nullable else "bool")
