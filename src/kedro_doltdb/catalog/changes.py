"""What a row of changes says: the words in the column ``change``."""

from __future__ import annotations

from typing import Any

from ..errors import BulkLoadError

ADDED, REMOVED = "added", "removed"
# Of a row that was modified there are two rows.
BEFORE, AFTER = "modified_before", "modified_after"
CHANGES = (ADDED, BEFORE, AFTER, REMOVED)


def parted(frame: Any, column: str, table: str) -> tuple[Any, Any]:
    """Return the rows that are to stand, and those that are to go, without the column that says so.

    Args:
        frame: of pandas, or an Arrow table.
        column: the one that says so.
        table: where the rows are to be saved.

    Raises:
        BulkLoadError: there is no such column, or it has another word; nothing was saved.
    """
    # Not above: every command imports this module, and few need a frame.
    import numpy as np
    import pandas as pd

    is_pandas = isinstance(frame, pd.DataFrame)
    if column not in (frame.columns if is_pandas else frame.column_names):
        raise BulkLoadError(
            f"The frame for {table} has no column {column!r}, which `change_column` names: nothing was saved."
        )
    changes = list(frame[column]) if is_pandas else frame.column(column).to_pylist()
    if unknown := sorted(set(map(str, changes)) - set(CHANGES)):
        raise BulkLoadError(
            f"The column {column!r} of the frame for {table} has {unknown[0]!r}: it may have "
            f"{', '.join(CHANGES)}. Nothing was saved."
        )
    # Arrays, for an empty list would choose columns.
    stand = np.array([change in (ADDED, AFTER) for change in changes], bool)
    go = np.array([change == REMOVED for change in changes], bool)
    rest = frame.drop(columns=column) if is_pandas else frame.drop_columns([column])
    return (rest.loc[stand], rest.loc[go]) if is_pandas else (rest.filter(stand), rest.filter(go))
