"""How values are written in one line."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_doltdb.cli.layout import aligned, fitted, header_lines
from kedro_doltdb.cli.texts import around, duration, elided_name, moment, number, pair, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (1.0, "1"), (-0.0, "0"), (0.1, "0.1"), (0.9666666666666667, "0.966667"), (30.0, "30"),
        (Decimal("12.50"), "12.5"), (2**60, "1152921504606846976"), (1234567.0, "1234567"),
        (1234567.891, "1234567.89"), (1234.5678, "1234.57"), (99999.999, "100000"), (1e-5, "1e-05"),
        (1e300, "1e+300"), (float("nan"), "nan"), (float("-inf"), "-inf"), (None, "-"),
    ],
)  # fmt: skip
def test_a_number_is_written_in_one_way(value: Any, text: str) -> None:
    assert number(value) == text
    if value is not None:
        assert shown(value) == text


LONG = "x" * 90


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        (0.1, 0.2, ("0.1", "0.2")),
        (0.12345678, 0.12345679, ("0.12345678", "0.12345679")),
        (1, "1", ("1", "'1'")),
        (True, "true", ("true", "'true'")),
        ("a", "b", ("a", "b")),
        (f"{LONG} cat {LONG}", f"{LONG} dog {LONG}", ("…xxxxxxx cat xxxxxx…", "…xxxxxxx dog xxxxxx…")),
        (f"{LONG}a", f"{LONG}b", (f"…{'x' * 18}a", f"…{'x' * 18}b")),
        (LONG, f"{LONG}y", (f"…{'x' * 18}", f"…{'x' * 18}y")),
        (b"a", b"b", ("0x61", "0x62")),
        ([1, 2], {"a": 1}, ("[1, 2]", '{"a": 1}')),
    ],
)
def test_two_values_that_differ_are_two_texts_that_do(old: Any, new: Any, texts: tuple[str, str]) -> None:
    assert pair(old, new, 20) == texts


@given(st.text(), st.text(), st.integers(min_value=16, max_value=40))
def test_what_differs_is_left_of_every_text(old: str, new: str, longest: int) -> None:
    texts = pair(old, new, longest)
    assert max(map(len, texts)) <= longest
    assert (texts[0] == texts[1]) == (old == new)


def test_texts_that_fit_stay() -> None:
    assert around([], 5) == [] and around(["abc", "abd"], 5) == ["abc", "abd"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (0.26, "0.3s"), (9.96, "10s"), (59.6, "1m00s"), (125, "2m05s"), (754, "12m"),
     (3599.9, "1h00m"), (90000, "25h00m"), (None, "-")],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_moments() -> None:
    now = datetime(2026, 11, 27, 23, 0)
    for time, long, short in (
        (None, "-", "-"),
        (datetime(2025, 1, 1, 12), "Jan 01  2025", "2025-01"),
        (datetime(2030, 1, 1, 12), "Jan 01  2030", "2030-01"),
    ):
        assert (moment(time, now), moment(time, now, short=True)) == (long, short)


def test_names_are_cut_in_the_middle() -> None:
    assert elided_name("main", 10) == "main"
    assert elided_name("rerun/2026-11-27T16.41.48.598Z", 10) == "rerun/…98Z"


def test_columns() -> None:
    assert aligned(["1", "0.95", "", "1500", "1e-05", "-"]) == [
        "   1", "   0.95", "    ", "1500", "   1e-05", "   -",
    ]  # fmt: skip
    assert header_lines("example_test_data_ratio", 4) == ["example_", "test_", "data_", "ratio"]
    assert header_lines("example_test_data_ratio", 16) == ["example_test_", "data_ratio"]
    assert header_lines("", 4) == [""] and header_lines("accuracy", 1) == ["accuracy"]
    assert fitted([10, 30, 20], 40) == [10, 13, 13] and fitted([10, 30, 20], 100) == [10, 30, 20]
