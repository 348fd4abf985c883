"""The page of ``kedro dolt report`` in a real browser: by mouse, by keyboard, and as axe-core judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS, background, barriers, check_it_can_be_read, started_browser, watched_pages
from test_report import EVIL, NOW, reviewed

from kedro_doltdb.dolt.repository import TableChange
from kedro_doltdb.dolt.row_diff import RowChange
from kedro_doltdb.journal.store import CheckResult
from kedro_doltdb.queries.compare import TableDiff
from kedro_doltdb.queries.picture import Picture, PicturedDataset, PicturedNode
from kedro_doltdb.queries.profile import Profile
from kedro_doltdb.queries.review import Review, TableReview
from kedro_doltdb.queries.schema import SchemaChange
from kedro_doltdb.report.page import page

ROWS = 60

pytestmark = MARKS


def table(name: str, change: TableChange, rows: list[RowChange], **facts: Any) -> TableReview:
    profile = Profile()
    schema = [SchemaChange("table", None, "new", False)] if "new_count" in facts else []
    if change.dropped:
        schema = [SchemaChange("table", "there", None, True)]
    columns = tuple({column: None for row in rows for column in (*row.key, *row.cells)})
    diff = TableDiff(change, keys=("id",), columns=columns, **facts)
    return TableReview(diff, schema, profile, list(profile.passing(rows)))


def with_tables(*tables: TableReview) -> Review:
    review = reviewed("plain")
    comparison = replace(review.comparison, tables=[each.diff for each in tables])
    return replace(review, comparison=comparison, tables=list(tables))


def empty() -> Review:
    review = reviewed("plain")
    comparison = replace(review.comparison, params={}, metrics={}, tables=[], checks=[], code=None)
    return replace(review, comparison=comparison, picture=Picture([], [], []), tables=[], unchanged=[])


def usual() -> Review:
    kinds = [
        RowChange("modified", {"id": place}, {"x": (place, 1000 - place), "y": (None, "")})
        for place in range(ROWS)
    ]
    kinds.append(RowChange("added", {"id": ROWS}, {"x": (None, 5), "y": (None, "needle")}))
    kinds.append(RowChange("removed", {"id": ROWS + 1}, {"x": (5, None), "y": ("שלום", None)}))
    changed = table("measurements", TableChange("measurements", 1, 1, ROWS), kinds)
    changed = replace(changed, writers={(0,): "run 2026-11-26T10.00.00.000Z"})
    review = with_tables(changed)
    statuses = ("unchanged", "changed", "new", "gone", "not kept")
    picture = Picture(
        [PicturedDataset(f"d{n}", "measurements" if n == 1 else None, None, status, 1, 2)
         for n, status in enumerate(statuses)],
        [PicturedNode("clean", "ran"), PicturedNode("train", "not finished")],
        [("d0", "clean", True), ("d1", "clean", False), ("d1", "train", True), ("d2", "train", False)],
    )  # fmt: skip
    checks = [
        CheckResult("measurements", f"check_{status}_{level}", level, status, "at most 1", "2",
                    accepted_by="Ada", reason="seen")
        for status in ("passed", "failed", "accepted", "skipped") for level in ("error", "warn")
    ]  # fmt: skip
    return replace(review, picture=picture, comparison=replace(review.comparison, checks=checks))


def added_and_dropped() -> Review:
    rows = [RowChange("added", {"id": 1}, {"x": (None, 1.5)})]
    return with_tables(
        table("fresh", TableChange("fresh", 1, 0, 0), rows, new_count=1),
        table("gone", TableChange("gone", 0, 3, 0, dropped=True), [], old_count=3),
    )


def columns() -> Review:
    rows = [
        RowChange("modified", {"id": 1}, {"colour": ("red", None), "origin": (None, "Łódź"), "x": (1, None)}),
        RowChange("added", {"id": 2}, {"colour": (None, None), "origin": (None, ""), "x": (None, 2)}),
        RowChange("removed", {"id": 3}, {"colour": (None, None), "origin": (None, None), "x": (3, None)}),
    ]
    change = TableChange("devices", 1, 1, 1)
    return with_tables(table("devices", change, rows, gone=("colour",), new=("origin",)))


def wide() -> Review:
    cells = {f"column_{number}": (number, number + 1) for number in range(300)}
    return with_tables(table("wide", TableChange("wide", 0, 0, 1), [RowChange("modified", {"id": 1}, cells)]))


REPORTS: dict[str, Callable[[], Review]] = {
    "empty": empty,
    "usual": usual,
    "added_and_dropped": added_and_dropped,
    "columns": columns,
    "wide": wide,
    "hostile": lambda: reviewed(EVIL, rows=30),
    "long_names": lambda: reviewed("a_long_name" * 15),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that opens a report; in the end none has complained, asked for anything or run a value."""
    with watched_pages(browser) as open_page:
        yield lambda name, **options: open_page(written(name, tmp_path), **options)


def written(name: str, directory: Path) -> Path:
    path = directory / f"{name}.html"
    path.write_text(page(REPORTS[name](), NOW, "a b"), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_can_be_read_by_all_on_wide_and_narrow_screens(
    browser: Any, tmp_path: Path, name: str
) -> None:
    with watched_pages(browser) as open_page:
        check_it_can_be_read(open_page, written(name, tmp_path), name)


def cells(tab: Any, column: int) -> list[str]:
    return tab.locator(f".rows tbody tr td:nth-child({column})").all_inner_texts()


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_rows_are_sorted_searched_and_paged_and_the_theme_is_switched(
    opened: Callable[..., Any], way: str
) -> None:
    tab = opened("usual", color_scheme="light")

    def press(name: str, key: str = "Enter") -> None:
        button = tab.get_by_role("button", name=name, exact=True)
        if way == "mouse":
            return button.click()
        # Nothing but Tab: what it does not reach, a keyboard cannot press.
        tab.evaluate("document.activeElement.blur()")
        for _ in range(60):
            tab.keyboard.press("Tab")
            if button.evaluate("each => each === document.activeElement"):
                return tab.keyboard.press(key)
        raise AssertionError(f"Tab does not reach {name}")

    status, total = tab.get_by_role("status"), ROWS + 2
    assert status.inner_text() == f"Page 1 of 3, {total} of {total} rows" and len(cells(tab, 1)) == 25
    press("Next")
    press("Next", "Space")
    assert status.inner_text().startswith("Page 3 of 3") and len(cells(tab, 1)) == total - 50
    assert tab.get_by_role("button", name="Next").is_disabled()
    press("Previous")
    assert status.inner_text().startswith("Page 2 of 3")

    # A header is broken between its letters on no screen.
    tab.set_viewport_size({"width": 400, "height": 900})
    heights = tab.locator(".rows thead button").evaluate_all("all => all.map(each => each.clientHeight)")
    assert heights[0] == heights[1]
    tab.set_viewport_size({"width": 1280, "height": 900})

    # Of a changed cell the new value counts, and what is gone counts as it was.
    press("x")
    assert status.inner_text().startswith("Page 1 of 3")
    assert tab.locator("th[aria-sort=ascending]").inner_text() == "x"
    assert cells(tab, 3)[:3] == ["5", "5", "59 → 941"]
    press("x")
    assert tab.locator("th[aria-sort=descending]").inner_text() == "x"
    assert cells(tab, 3)[0] == "0 → 1000"

    tab.get_by_role("searchbox").press_sequentially("NEEDLE")
    assert status.inner_text() == f"Page 1 of 1, 1 of {total} rows" and cells(tab, 4) == ["needle"]
    tab.get_by_role("searchbox").press_sequentially("less")
    assert status.inner_text() == f"Page 1 of 1, 0 of {total} rows" and cells(tab, 1) == []

    light = background(tab)
    press("Light or dark")
    assert background(tab) != light
    tab.emulate_media(media="print")
    assert background(tab) == light
    # Paper has one page of the rows, and says so.
    assert status.is_visible() and not tab.get_by_role("searchbox").is_visible()
    tab.emulate_media(media="screen")
    press("Light or dark")
    assert background(tab) == light


def test_a_column_that_is_gone_or_new_has_nothing_on_the_other_side(opened: Callable[..., Any]) -> None:
    tab = opened("columns")
    found = {
        tab.locator(f".rows thead th:nth-child({place})").inner_text(): cells(tab, place)
        for place in range(3, 6)
    }
    assert found == {
        "colour gone": ["red", "", "NULL"], "origin new": ["Łódź", "“”", ""], "x": ["1 → NULL", "2", "3"],
    }  # fmt: skip
    profile = tab.locator(".profile").inner_text()
    assert "the column is gone" in profile and "there was no such column" in profile
    # It is sorted by what it was.
    tab.get_by_role("button", name="colour gone").click()
    assert cells(tab, 3)[0] == "red"


def test_a_shadow_shows_where_more_can_be_scrolled_in(opened: Callable[..., Any]) -> None:
    tab = opened("columns", viewport={"width": 400, "height": 900})
    place = tab.locator(".scroll:has(.profile)")
    place.scroll_into_view_if_needed()
    # What is to be seen is what is behind the table.
    tab.locator(".profile").evaluate("each => { each.style.visibility = 'hidden'; }")

    def edges(scrolled: float) -> tuple[bytes, bytes]:
        place.evaluate("(each, share) => { each.scrollLeft = share * each.scrollWidth; }", scrolled)
        box = place.bounding_box()
        size = {"width": 8, "height": 20}
        return tuple(
            tab.screenshot(clip={"x": x, "y": box["y"] + 10, **size})
            for x in (box["x"], box["x"] + box["width"] - 8)
        )

    (plain, more), middle, end = edges(0), edges(0.2), edges(1)
    assert plain != more and middle[1] == more and middle[0] != plain
    assert end[0] == middle[0] and end[1] == plain
    tab.set_viewport_size({"width": 1280, "height": 900})
    assert edges(0) == (plain, plain)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_gives_the_other_theme_whatever_the_system_has(
    opened: Callable[..., Any], scheme: str
) -> None:
    tab = opened("usual", color_scheme=scheme)
    tab.get_by_role("button", name="Light or dark").click()
    other = opened("usual", color_scheme="dark" if scheme == "light" else "light")
    assert background(tab) == background(other)
    assert barriers(tab) == []
