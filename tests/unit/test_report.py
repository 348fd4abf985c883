"""The page of ``kedro dolt report``, without a repository."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedro_doltdb.dolt.as_of import ColumnInfo
from kedro_doltdb.dolt.repository import TableChange
from kedro_doltdb.dolt.row_diff import RowChange
from kedro_doltdb.journal.revision import Point
from kedro_doltdb.journal.store import CheckResult, Execution, Run
from kedro_doltdb.queries.compare import Comparison, TableDiff
from kedro_doltdb.queries.nodes import NodeDiff, differing_nodes
from kedro_doltdb.queries.picture import Picture, PicturedDataset, PicturedNode
from kedro_doltdb.queries.profile import MOST_COLUMNS, MOST_DISTINCT, Profile
from kedro_doltdb.queries.review import Commit, Review, TableReview
from kedro_doltdb.queries.schema import SchemaChange, changes_between
from kedro_doltdb.report.layout import laid_out
from kedro_doltdb.report.page import page
from kedro_doltdb.report.rows import LONGEST, embedded, table_rows

EVIL = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>\"'&\u202e\x00\x1b"
NOW = datetime(2026, 11, 27, 18)
ANY_TEXT = st.one_of(st.sampled_from([EVIL, "", "]]>", "{{ 7*7 }}", "\u2028"]), st.text(max_size=20))


def reviewed(text: str, rows: int = 1) -> Review:
    """Return a review in which every name and every value is ``text``."""
    changes = [
        RowChange("modified", {text: number}, {text + "c": (text, text + "x")}) for number in range(rows)
    ]
    diff = TableDiff(
        TableChange(text, 0, 0, rows), [f"- {text}"], has_key=True, keys=(text,), columns=(text, text + "c"),
        old_count=rows, new_count=rows,
    )  # fmt: skip
    profile = Profile()
    table = TableReview(
        diff, [SchemaChange(text, text, text, True)], profile, list(profile.passing(changes)), {(0,): text}
    )
    run = Run(
        text, NOW, NOW, "failed", text, branch=text, git_commit=text, mlflow_run_id=text, mlflow_url=text
    )
    check = CheckResult(text, text, text, text, text, text, accepted_by=text, reason=text)
    comparison = Comparison(
        Point(text, "a" * 32), Point(text, "b" * 32, run), {text: (text, [text])}, {text: (1.0, None)},
        [diff], checks=[check], nodes=[NodeDiff(text, True, (text,))],
    )  # fmt: skip
    picture = Picture(
        [PicturedDataset(text, text, text, "changed", 1, 2)],
        [PicturedNode(text, "failed", NodeDiff(text, True, (text,)))],
        [(text, text, True)],
    )
    commit = Commit(text, NOW)
    return Review(comparison, (None, run), (commit, commit), picture, [table], [(text, 1)])


class Tags(HTMLParser):
    """The elements of a page, and what is in its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.scripts: list[str] = []
        self.values: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


PLAIN = Tags(page(reviewed("plain"), NOW, "a b"))


@settings(max_examples=30, deadline=None)
@given(ANY_TEXT.filter(bool))
def test_no_value_makes_an_element_or_an_attribute(text: str) -> None:
    tags = Tags(page(reviewed(text), NOW, "a b"))
    assert tags.found == PLAIN.found


def test_nothing_is_fetched_and_no_script_but_its_own_may_run() -> None:
    html = page(reviewed(EVIL), NOW, "a b")
    tags = Tags(html)
    assert all(value.startswith("#") for value in tags.values)
    data, script = tags.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"\son\w+=|innerHTML|document\.write", script)
    assert json.loads(data)[0]["rows"][0][0] == "~"


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://host/#/experiments/1/runs/r", True),
        ("javascript:alert(1)", False),
        ("http://host/\u202e", False),
        (None, False),
    ],
)
def test_only_an_address_of_the_web_is_a_link_to_mlflow(url: str | None, is_link: bool) -> None:
    review = reviewed("plain")
    run = replace(review.runs[1], mlflow_url=url)
    new = replace(review.comparison.new, run=run)
    html = page(replace(review, comparison=replace(review.comparison, new=new)), NOW, "a b")
    links = [value for value in Tags(html).values if not value.startswith("#")]
    assert links == ([url] if is_link else []) and "MLflow" in html


VERSIONS = {"kedro-doltdb": "0.1.0", "python": "3.11.2", "pandas": "3.1.1"}
NODE = Execution("n", "failed", code={"f": "1", "numpy (package)": "2.0"}, params={"a": "1", "b": "1"})


@pytest.mark.parametrize(
    ("now", "versions", "expected"),
    [
        (replace(NODE, code={"f": "2"}), {}, NodeDiff("n", True, ())),
        (replace(NODE, code={**NODE.code, "g": "1"}), {"pandas": "4"}, NodeDiff("n", True, ())),
        (replace(NODE, params={"a": "1", "c": "1"}), {"python": "3.11.9"}, NodeDiff("n", False, ("b", "c"))),
        (NODE, {}, None),
        (replace(NODE, code={"f": "1", "(Python)": "3"}), {}, None),
        (replace(NODE, code={"f": "2"}), {"kedro-doltdb": "0.2.0"}, None),
        (replace(NODE, code={"f": "2"}), {"python": "3.12.2"}, None),
        (replace(NODE, code={}), {}, None),
        (replace(NODE, node="other", code={"f": "2"}), {}, None),
    ],
)
def test_a_nodes_code_counts_as_changed_only_if_it_is_known_to_be(
    now: Execution, versions: dict[str, str], expected: NodeDiff | None
) -> None:
    old, new = Run("a", versions=VERSIONS), Run("b", versions={**VERSIONS, **versions})
    found = differing_nodes(old, new, [NODE], [now])
    assert found == ([expected] if expected else [])
    assert differing_nodes(None, new, [NODE], [now]) == []


def test_a_node_that_failed_with_other_code_says_both() -> None:
    html = page(reviewed("plain"), NOW, "a b")
    assert "node <bdi>plain</bdi>: failed, code and parameters changed" in html
    assert "Nodes whose code changed: <bdi>plain</bdi>." in html
    assert "failed node</span>" in html and "other code or parameters</span>" in html


@given(st.recursive(ANY_TEXT | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_embedded_json_has_nothing_that_html_knows(value: object) -> None:
    text = embedded(value)
    assert text.isascii() and not set("<>&") & set(text) and json.loads(text) == value


def test_rows_beyond_the_room_are_left_out_and_said_to_be() -> None:
    review = reviewed("name", rows=2000)
    rows, size = table_rows(review.tables[0], 1000)
    assert 0 < len(rows["rows"]) < 2000 and size <= 1000
    html = page(reviewed("name", rows=3), NOW, "aaa bbb")
    assert "--csv DIR" not in html
    review.tables[0].rows[10:] = []
    assert "kedro dolt compare aaa bbb --table name --csv DIR" in page(review, NOW, "aaa bbb")


def test_columns_beyond_the_first_are_left_out_and_said_to_be() -> None:
    review = reviewed("x")
    names = [f"c{number}" for number in range(50)]
    rows = [RowChange("modified", {"x": 1}, dict.fromkeys(names, (1, 2)))]
    diff = replace(review.tables[0].diff, columns=("x", *names))
    table = replace(review.tables[0], diff=diff, rows=rows)
    assert len(table_rows(table, 10_000)[0]["columns"]) == 1 + 40
    html = page(replace(review, tables=[table]), NOW, "aaa bbb")
    assert "without 10 more columns" in html and "--csv DIR" in html


def test_long_texts_are_shown_from_where_they_differ() -> None:
    review = reviewed("x")
    review.tables[0].rows[:] = [RowChange("modified", {"x": 1}, {"xc": ("é" * 9999 + "a", "é" * 9999 + "b")})]
    (row,) = table_rows(review.tables[0], 10_000)[0]["rows"]
    old, new = row[2]
    assert old.endswith("a") and new.endswith("b") and len(old) <= LONGEST


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30), st.booleans())
def test_no_two_boxes_overlap_and_arrows_of_a_graph_point_right_and_cross_no_box(
    arrows: list[tuple[int, int]], acyclic: bool
) -> None:
    sizes = {f"b{number}": (50.0 + number, 42.0) for number in range(13)}
    if acyclic:
        arrows = [(min(pair), max(pair)) for pair in arrows]
    layout = laid_out(sizes, [(f"b{one}", f"b{other}") for one, other in arrows])
    boxes = list(layout.boxes.values())
    assert set(layout.boxes) == set(sizes)
    for place, one in enumerate(boxes):
        assert one.x >= 0 and one.y >= 0
        assert one.x + one.width <= layout.width and one.y + one.height <= layout.height
        for other in boxes[place + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y
    if acyclic:
        for one, other, path in layout.paths:
            assert layout.boxes[one].x < layout.boxes[other].x
            # An arrow across a box would look as if it came from there.
            between = [box for name, box in layout.boxes.items() if name not in (one, other)]
            for x, y in points(path):
                assert not any(
                    box.x + 1 < x < box.x + box.width - 1 and box.y + 1 < y < box.y + box.height - 1
                    for box in between
                )


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points of an SVG path of lines and Bézier curves, close to one another."""
    x = y = 0.0
    for command, text in re.findall(r"([MHC])([-\d. ]+)", path):
        values = [float(number) for number in text.split()]
        to_x, to_y = (values[0], y) if command == "H" else values[-2:]
        steps = [(x, y), (x, y), (to_x, to_y), (to_x, to_y)]
        if command == "C":
            steps[1:3] = [tuple(values[:2]), tuple(values[2:4])]
        for number in range(41 if command != "M" else 0):
            t = number / 40
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            yield tuple(sum(w * p[axis] for w, p in zip(weights, steps, strict=True)) for axis in (0, 1))
        x, y = to_x, to_y


@given(st.lists(st.none() | st.floats() | st.integers(), max_size=20), st.lists(st.floats(), max_size=20))
def test_a_profile_counts_every_cell_once(old: list[float | None], new: list[float]) -> None:
    profile = Profile()
    rows = [RowChange("removed", {}, {"a": (value, None)}) for value in old]
    rows += [RowChange("added", {}, {"a": (None, value)}) for value in new]
    assert len(list(profile.passing(rows))) == profile.rows == len(rows)
    if not rows:
        return
    column = profile.columns["a"]
    assert (column.old.count, column.new.count) == (len(old), len(new))
    assert column.old.nulls == old.count(None)
    if column.is_numeric:
        bins = column.bins()
        assert sum(pair[0] for pair in bins) == len(column.old.numbers)
        assert sum(pair[1] for pair in bins) == len(column.new.numbers)


def test_a_profile_keeps_no_more_than_it_says() -> None:
    profile = Profile()
    cells = {f"c{number}": (None, str(number)) for number in range(MOST_COLUMNS + 5)}
    rows = [RowChange("added", {}, {**cells, "c0": (None, str(place))}) for place in range(MOST_DISTINCT + 9)]
    assert len(list(profile.passing(rows))) == len(rows)
    assert len(profile.columns) == MOST_COLUMNS and len(profile.left_out) == 5
    assert len(profile.columns["c0"].new.values) == MOST_DISTINCT and profile.columns["c0"].new.more


@pytest.mark.parametrize(
    ("old", "new", "breaking"),
    [
        ("int", "bigint", False), ("bigint", "int", True), ("varchar(20)", "varchar(255)", False),
        ("varchar(255)", "longtext", False), ("varchar(20)", "varchar(10)", True), ("int", "double", True),
        ("float", "double", False), ("decimal(10,2)", "decimal(12,2)", True),
    ],
)  # fmt: skip
def test_a_wider_type_breaks_nothing(old: str, new: str, breaking: bool) -> None:
    columns = [{"a": ColumnInfo(kind, True, False)} for kind in (old, new)]
    assert changes_between(*columns) == [SchemaChange("a", old, new, breaking)]


def test_what_is_gone_may_be_null_or_has_another_key_breaks() -> None:
    old = {"a": ColumnInfo("int", False, True), "b": ColumnInfo("int", False, False)}
    new = {"b": ColumnInfo("int", True, True), "c": ColumnInfo("int", True, False)}
    found = {change.what: change.breaking for change in changes_between(old, new)}
    assert found == {"a": True, "b": True, "c": False, "primary key": True}
    assert [change.what for change in changes_between(old, old)] == ["other"]
