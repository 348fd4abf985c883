"""What a page says is printed, against what is."""

from __future__ import annotations

import pytest

from scripts.transcripts import fill_in

PRINTED = ["Run  2026-11-28T01.24.03.408Z", "a  1.2s", "b", "b", "c  17:46"]
OLD = "Run    2025-01-01T00.00.00.000Z"


@pytest.mark.parametrize(
    ("page", "filled"),
    [
        ([OLD, "a  9.9s", "b", "b", "c  Nov 27 00:00"], PRINTED),
        ([OLD, "...", "c  00:00"], [PRINTED[0], "...", PRINTED[4]]),
        (["...", "b", "c  00:00"], ["...", "b", PRINTED[4]]),
        ([OLD, "..."], [PRINTED[0], "..."]),
        (["...", "a  0.1s", "..."], ["...", PRINTED[1], "..."]),
        (["...", "b", "...", "b", "..."], ["...", "b", "...", "b", "..."]),
    ],
)
def test_times_and_ids_are_filled_in(page: list[str], filled: list[str]) -> None:
    assert fill_in(page, PRINTED) == filled


@pytest.mark.parametrize(
    "page",
    [
        PRINTED[:-1],
        PRINTED[1:],
        [*PRINTED, "more"],
        ["...", "d", "..."],
        ["...", "b", "...", "b", "...", "b", "..."],
        ["...", "c  17:46", "...", "a  1.2s"],
        [OLD, "a  1.2", "..."],
        [*PRINTED, "...", "c  17:46"],
        [],
    ],
)
def test_what_was_not_printed_is_found(page: list[str]) -> None:
    assert fill_in(page, PRINTED) is None
