"""``kedro dolt runs --chart``."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_doltdb.cli.chart_view import chart_listing
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.journal.history import Entry
from kedro_doltdb.journal.store import Run
from kedro_doltdb.queries.runs import ListedRun

NOW = datetime(2026, 11, 27)


def a_run(value: float | None) -> ListedRun:
    metrics = {"other": 1.0} if value is None else {"accuracy": value}
    return ListedRun(Entry(Run("x", NOW, status="succeeded", branch="main"), "a" * 32, "main"), metrics, [])


def lines(*values: float | None) -> list[str]:
    listing = chart_listing([*map(a_run, values)], "accuracy", NOW, 100)
    return [str(cell) for cell in listing.columns[-1].cells]


def test_the_lowest_is_on_the_left_and_the_highest_on_the_right() -> None:
    low, high, middle, none = lines(0.5, 1.0, 0.75, None)
    assert low.startswith("●") and high.endswith("●") and none == ""
    assert abs(middle.index("●") - len(middle) / 2) <= 1


@given(st.lists(st.floats(), min_size=1))
def test_any_numbers_give_lines_of_one_length_in_their_order(values: list[float]) -> None:
    finite = [value for value in values if abs(value) < float("inf")]
    if not finite:
        with pytest.raises(ConfigError):
            lines(*values)
        return
    drawn = lines(*finite)
    assert len({len(line) for line in drawn}) == 1 and all(line.count("●") == 1 for line in drawn)
    places = sorted(zip(finite, (line.index("●") for line in drawn), strict=True))
    assert [place for _, place in places] == sorted(place for _, place in places)


def test_a_metric_that_no_run_has_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="No run has the metric accuracy: there is other"):
        chart_listing([a_run(None)], "accuracy", NOW, 80)
