"""Comparisons as frames: what columns there are, and of which types."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from kedro_doltdb.dolt.repository import TableChange
from kedro_doltdb.dolt.row_diff import RowChange
from kedro_doltdb.journal.revision import Point
from kedro_doltdb.notebook.frames import ComparisonFrames
from kedro_doltdb.queries.compare import Comparison, TableDiff


def frames(*tables: TableDiff, **values: Any) -> ComparisonFrames:
    comparison = Comparison(
        Point("old", "a" * 32), Point("new", "b" * 32), values.get("params", {}), values.get("metrics", {}),
        list(tables),
    )  # fmt: skip
    return ComparisonFrames.of(comparison)


def rows_of(*rows: RowChange, keys: tuple[str, ...] = ("id",)) -> pd.DataFrame:
    return frames(TableDiff(TableChange("t", 0, 0, len(rows)), rows=list(rows), keys=keys)).rows["t"]


def test_frames_without_a_difference_have_their_columns_and_types() -> None:
    found = frames()
    assert list(found.params.columns) == ["old", "new"] and found.params.index.name == "parameter"
    assert found.metrics.dtypes.astype(str).to_dict() == dict.fromkeys(["old", "new", "change"], "float64")
    counts = ["added", "removed", "modified"]
    assert found.tables[counts].dtypes.astype(str).to_dict() == dict.fromkeys(counts, "int64")
    assert found.tables[["old_rows", "new_rows"]].dtypes.eq("Int64").all() and found.rows == {}


def test_tables_say_what_is_new_and_what_is_gone() -> None:
    found = frames(
        TableDiff(TableChange("a", 2, 0, 0), schema=["+ x"], old_count=None, new_count=2),
        TableDiff(TableChange("b", 0, 0, 0, dropped=True), old_count=3),
        TableDiff(TableChange("c", 0, 0, 0), schema=["+ x"], old_count=4, new_count=4),
    ).tables
    assert found["schema"].tolist() == ["new", "dropped", "changed"]
    assert found["old_rows"].tolist() == [pd.NA, 3, 4] and found["new_rows"].tolist() == [2, pd.NA, 4]


def test_null_is_not_taken_for_a_cell_that_stayed_as_it_is() -> None:
    found = rows_of(
        RowChange("modified", {"id": 1}, {"a": ("x", None)}, {"b": "kept"}),
        RowChange("modified", {"id": 2}, {"b": ("y", "")}, {"a": None}),
    )
    assert found.loc[1, ("b", "old")] == found.loc[1, ("b", "new")] == "kept"
    assert found.loc[1, ("a", "new")] is None and found.loc[2, ("b", "new")] == ""


def test_columns_that_are_the_same_in_all_rows_are_left_out() -> None:
    found = rows_of(RowChange("modified", {"id": 1}, {"a": (1, 2)}, {"b": 3}))
    assert list(found.columns) == [("diff_type", ""), ("a", "old"), ("a", "new")]


def test_large_integers_beside_a_missing_one_stay_exact() -> None:
    large = 2**53 + 1
    found = rows_of(
        RowChange("added", {"id": 1}, {"a": (None, large)}),
        RowChange("modified", {"id": 2}, {"a": (large, 2**63)}),
    )
    assert found[("a", "old")].tolist() == [pd.NA, large] and found[("a", "old")].dtype == "Int64"
    assert found[("a", "new")].tolist() == [large, 2**63]


def test_values_have_the_types_that_are_documented() -> None:
    moment, exact = datetime(2026, 1, 2, 3, 4, 5, 6), Decimal("0.1234567890123456789")
    found = rows_of(
        RowChange("removed", {"id": 1}, {"f": (0.5, None), "t": (moment, None), "d": (exact, None)})
    )
    assert str(found[("f", "old")].dtype) == "float64"
    assert str(found[("t", "old")].dtype).startswith("datetime64") and found[("t", "old")][1] == moment
    assert found[("d", "old")][1] is exact


def test_the_key_is_the_index() -> None:
    found = rows_of(RowChange("added", {"a": 1, "b": "x"}, {"c": (None, 1)}), keys=("a", "b"))
    assert found.index.names == ["a", "b"] and found.index.tolist() == [(1, "x")]
    assert rows_of(RowChange("added", {}, {"c": (None, 1)}), keys=()).index.tolist() == [0]
