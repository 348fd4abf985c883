"""The screens of the commands at 80, 100 and 140 columns, in colour and in a pipe, kept in ``screens/``.

To look at them: ``cat tests/unit/screens/*``. To write them again after a change that is meant:
``WRITE_SCREENS=1 make test ARGS=tests/unit/test_screens.py``.
"""

from __future__ import annotations

import csv
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from kedro_doltdb import terminal
from kedro_doltdb.cli.check_view import check_sections
from kedro_doltdb.cli.compare_view import comparison_sections
from kedro_doltdb.cli.main import dolt
from kedro_doltdb.cli.render import (
    WIDEST,
    print_delimited,
    print_listing,
    print_markdown,
    print_sections,
    width,
)
from kedro_doltdb.cli.runs_view import runs_listing
from kedro_doltdb.cli.show_view import show_sections
from kedro_doltdb.cli.views import blame_listing
from kedro_doltdb.dolt.repository import TableChange
from kedro_doltdb.dolt.row_diff import RowChange
from kedro_doltdb.journal.history import Entry
from kedro_doltdb.journal.revision import Point
from kedro_doltdb.journal.store import CheckResult, Edge, Run
from kedro_doltdb.queries.blame import BlamedRow
from kedro_doltdb.queries.code import CodeDiff
from kedro_doltdb.queries.compare import Comparison, TableDiff
from kedro_doltdb.queries.nodes import NodeDiff
from kedro_doltdb.queries.runs import ListedRun, as_one, code_changes
from kedro_doltdb.queries.show import ShownRun

SCREENS = Path(__file__).parent / "screens"
NOW = datetime(2026, 11, 27, 18, 0)
WIDTHS = (80, 100, 140)
PROMPT = (
    "Classify the flower by its sepals and its petals, and give the {} in one word without any explanation."
)
OLD_CODE, NEW_CODE = "385e990" + "a" * 33, "f037912" + "b" * 33


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def on_screen(monkeypatch: pytest.MonkeyPatch, columns: int, show: Callable[[], None], colours: bool) -> str:
    """Return what ``show`` prints on a terminal of so many columns."""
    screen = Terminal()
    monkeypatch.setattr(terminal, "_results", screen)
    for name in ("COLORTERM", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    if colours:
        show()
        return screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    show()
    # Bold and dim are not colours.
    return re.sub(r"\x1b\[(0|[12](;[12])?)m", "", screen.getvalue())


def in_a_pipe(monkeypatch: pytest.MonkeyPatch, show: Callable[[], None]) -> str:
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "_results", screen)
    monkeypatch.setenv("COLUMNS", "80")
    show()
    return screen.getvalue()


def check(name: str, text: str) -> None:
    """Compare a screen with the one that is kept; trailing spaces do not count."""
    text = "".join(line.rstrip() + "\n" for line in text.splitlines())
    file = SCREENS / f"{name}.txt"
    if os.environ.get("WRITE_SCREENS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file} is no longer what is printed"


def check_screens(monkeypatch: pytest.MonkeyPatch, name: str, show: Callable[[], None]) -> None:
    """Compare what ``show`` prints at every width, in colour at the middle one."""
    for columns in WIDTHS:
        text = on_screen(monkeypatch, columns, show, colours=False)
        assert max(map(len, text.splitlines())) <= columns and "\x1b" not in text
        check(f"{name}-{columns}", text)
    check(f"{name}-colour", on_screen(monkeypatch, 100, show, colours=True))


def a_run(number: int, ratio: object, accuracy: float | None = 1.0, **values: object) -> ListedRun:
    """Return a run; the later, the larger its number."""
    started = datetime(2026, 11, 27, 8, 0) + timedelta(hours=number / 2)
    if number == 1:
        started = datetime(2025, 12, 24, 23, 59, 59)
    seconds = values.pop("seconds", 0.3)
    group = values.pop("group", ())
    found_on = values.pop("found_on", "main")
    changes = values.pop("changes", [TableChange("example_metrics", 0, 0, 2), TableChange("rows", 15, 3, 1)])
    params = {
        "example_test_data_ratio": ratio,
        "model": {"neighbours": values.pop("neighbours", 1), "weights": "uniform"},
        "prompt": PROMPT.format(values.pop("species", "species")),
    }
    run = Run(
        f"{started:%Y-%m-%dT%H.%M.%S}.{number:03}Z",
        **{
            "started": started,
            "finished": started + timedelta(seconds=float(str(seconds))),
            "status": "succeeded",
            "pipelines": ["__default__"],
            "branch": "main",
            "git_commit": OLD_CODE,
            "params": params,
            "runtime_params": {"example_test_data_ratio": ratio},
            "versions": {"dolt": "1.83.2", "kedro": "1.7.0", "python": "3.12.3"},
            **values,  # type: ignore[arg-type]
        },
    )
    metrics = {} if accuracy is None else {
        "accuracy": accuracy, "recall.setosa": 1.0, "recall.virginica": accuracy - 0.01,
        "test_rows": 1500.0 * number,
    }  # fmt: skip
    commit = f"{number:02}" + "c0mm1thash"[:8] * 4
    return ListedRun(Entry(run, commit[:32], str(found_on)), metrics, changes, group)  # type: ignore[arg-type]


def a_dozen() -> list[ListedRun]:
    """Return runs that differ in whatever runs can differ in, the latest first."""
    kept = {"found_on": "kedro/x", "accuracy": None}
    runs = [
        a_run(1, 0.1),
        a_run(2, 0.2, 2 / 3, changes=[]),
        a_run(3, 0.3, 0.9666666666666667, branch="experiment", neighbours=3, seconds=59.6),
        a_run(4, 0.3, 0.95, branch="experiment", neighbours=13, seconds=3723),
        a_run(5, 0.2, 1e-05, git_commit=NEW_CODE, changes=[TableChange("rows", 1_234_567, 0, 0)]),
        a_run(6, 0.2, git_commit=f"{NEW_CODE}-dirty", changes=[TableChange("rows", 0, 0, 0)], seconds=754),
        a_run(7, 0.999, **kept, status="failed", error="ValueError: leaves no training sample", changes=[],
              git_commit=f"{NEW_CODE}-dirty"),
        a_run(8, 0.35, **kept, status="interrupted", finished=None, changes=[TableChange("rows", 56, 0, 0)],
              git_commit=NEW_CODE),
        a_run(9, 0.4, 0.96, run_group="nightly-2026-11-27", git_commit=NEW_CODE, seconds=40,
              branch="rerun/2026-11-27T16.41.48.598Z"),
        a_run(10, "text", 0.5, species="genus", git_commit=NEW_CODE),
        a_run(11, 0.15, 0.954545454, git_commit=NEW_CODE,
              changes=[TableChange("rows", 0, 0, 0, dropped=True)]),
        a_run(12, None, 0.5, git_commit=NEW_CODE, status="gone to sea"),
    ]  # fmt: skip
    code = code_changes(run.entry for run in reversed(runs))
    runs = [replace(run, code_changed=code[run.entry.run.run_id]) for run in runs]
    runs[8] = replace(runs[8], entry=as_one([runs[8].entry]), group=(runs[8].entry,) * 3)
    runs[3] = replace(runs[3], entry=replace(runs[3].entry, undone=True))
    return runs[::-1]


def show_runs(wide: bool = False, sort: str | None = None, total: int = 43) -> None:
    print_listing(runs_listing(a_dozen(), total, NOW, width(), sort=sort, wide=wide), wide=wide)


def test_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    check_screens(monkeypatch, "runs", show_runs)
    for columns in WIDTHS:
        lines = on_screen(monkeypatch, columns, show_runs, colours=False).splitlines()
        assert all(sum(run.entry.commit[:10] in line for line in lines) == 1 for run in a_dozen())
    check("runs-wide", on_screen(monkeypatch, 80, lambda: show_runs(wide=True), colours=False))


def test_the_metric_that_is_sorted_by_is_there_at_every_width(monkeypatch: pytest.MonkeyPatch) -> None:
    def show() -> None:
        show_runs(sort="recall.virginica")

    assert "virginica" in on_screen(monkeypatch, 80, show, colours=False).splitlines()[3]


def test_runs_in_a_pipe_and_for_a_spreadsheet(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = in_a_pipe(monkeypatch, show_runs)
    check("runs-piped", piped)
    data = runs_listing(a_dozen(), 12, NOW, 80).data
    as_csv = in_a_pipe(monkeypatch, lambda: print_delimited(data, ","))
    check("runs-csv", as_csv)
    rows = list(csv.reader(io.StringIO(as_csv)))
    assert rows == [line.split("\t") for line in piped.splitlines()]
    assert len(rows) == 13 and len({len(row) for row in rows}) == 1
    named = dict(zip(rows[0], rows[11], strict=True))
    assert named["params.prompt"] == PROMPT.format("species") and named["metrics.accuracy"] == str(2 / 3)


def test_what_a_spreadsheet_would_compute_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [a_run(1, "=1+1"), a_run(2, -1.5), a_run(3, "a\tb\nc,d")]
    data = runs_listing(runs, 3, NOW, 80).data
    as_csv = in_a_pipe(monkeypatch, lambda: print_delimited(data, ","))
    first, second, third = (
        row["params.example_test_data_ratio"] for row in csv.DictReader(io.StringIO(as_csv))
    )
    assert (first, second, third) == ("'=1+1", "-1.5", "a\\tb\\nc,d")
    piped = in_a_pipe(monkeypatch, lambda: print_delimited(data, "\t"))
    assert [line.count("\t") for line in piped.splitlines()] == [piped.splitlines()[0].count("\t")] * 4


EDGES = [
    Edge("split_data", "example_iris_data", "load", "example_iris_data", None, "t3mp56mpkd" * 3),
    Edge("split_data", "rows", "save", "rows", None, "jgcqn6gu6c" * 3),
    Edge("split_data", "in_memory", "save"),
    Edge("draw", "rows", "load", "rows", None, "jgcqn6gu6c" * 3),
    Edge("draw", "plot", "save", None, "data/08_reporting/plot.png", "sha256:" + "ab" * 32),
    Edge("report", "same_table", "save", "same_table", None, "bsv21kbim1" * 3),
]


def test_show(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "ValueError: " + "the ratio leaves no training sample, " * 4 + "said [red]somebody\x1b[31m"
    failed = a_run(
        7, 0.999, 0.5, status="failed", error=error, found_on="kedro/2026", git_commit=f"{NEW_CODE}-dirty",
        filters={"from_nodes": ["draw", "report"]}, run_group="nightly", base="b" * 32, environment="prod",
        resumed_from="2026-11-27T10.00.00.000Z",
    )  # fmt: skip
    check_screens(monkeypatch, "show", lambda: print_sections(show_sections(ShownRun(failed, EDGES))))
    outcomes = {"no effect": a_dozen()[10], "undone": a_dozen()[8], "succeeded": a_dozen()[0]}
    outcomes["gone to sea"] = outcomes.pop("succeeded")
    for outcome, run in outcomes.items():
        sections = show_sections(ShownRun(run, EDGES))
        assert outcome in in_a_pipe(monkeypatch, lambda found=sections: print_sections(found)).splitlines()[1]  # type: ignore[misc]
    text = in_a_pipe(monkeypatch, lambda: print_sections(show_sections(ShownRun(failed, EDGES))))
    assert PROMPT.format("species") in text and error.replace("\x1b", "\\x1b") in text


def a_comparison() -> Comparison:
    old, new = (run.entry for run in (a_dozen()[0], a_dozen()[4]))
    wide = {f"column {number}": (number / 3, number / 7) for number in range(1, 21)}
    tables = [
        TableDiff(
            TableChange("example_metrics", 0, 0, 7),
            rows=[
                RowChange("modified", {"metric": "accuracy"}, {"value": (0.9666666666666667, 1.0)}),
                RowChange("modified", {"metric": "loss"}, {"value": (0.12345678, 0.12345679)}),
            ],
        ),
        TableDiff(
            TableChange("flowers", 1, 1, 1),
            schema=["- `note` varchar(10)", "+ `note` text"],
            rows=[
                RowChange("removed", {"id": 1, "at": "Zürich"}, {"width": (5.0, None), "note": (None, None)}),
                RowChange("added", {"id": 2, "at": "中文"}, {"width": (None, 2), "note": (None, PROMPT)}),
                RowChange("modified", {"id": 3, "at": ""}, {"note": (PROMPT, PROMPT.replace("word", "row"))}),
            ],
        ),
        TableDiff(TableChange("gone", 0, 0, 0, dropped=True)),
        TableDiff(TableChange("keyless", 1, 0, 0), rows=[RowChange("added", {}, wide)], has_key=False),
        TableDiff(TableChange("other_key", 0, 0, 0), schema=["+ PRIMARY KEY (`b`)"], comparable=False),
        TableDiff(
            TableChange("wide", 0, 0, 1),
            rows=[RowChange("modified", {"id": 1}, {k: v for k, v in wide.items() if k < "column 2"})],
        ),
    ]  # fmt: skip
    params = {
        "example_test_data_ratio": (0.1, 0.2),
        "learning_rate": (0.1, 0.1 + 1e-9),
        "model.neighbours": (1, "1"),
        "new": (None, True),
        "prompt": (PROMPT.format("species"), PROMPT.format("genus")),
    }
    metrics = {"accuracy": (0.9666666666666667, 1.0), "loss": (0.12345678, 0.12345679),
               "test_rows": (15.0, 30.0), "only_new": (None, 1e-5)}  # fmt: skip
    files = [("M", "conf/base/parameters.yml"), ("A", "src/iris_dolt/new.py"), ("D", "src/iris_dolt/old.py")]
    code = CodeDiff(OLD_CODE, f"{NEW_CODE}-dirty", files + [("M", f"src/n{n}.py") for n in range(30)])
    points = [Point("v1.0", old.commit, old.run), Point(new.run.run_id, new.commit, new.run)]
    nodes = [NodeDiff("train", True, ()), NodeDiff("score", False, ("learning_rate",))]
    return Comparison(*points, params, metrics, tables, code, nodes=nodes)


def test_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    def show() -> None:
        print_sections(comparison_sections(a_comparison(), NOW, width()))

    check_screens(monkeypatch, "compare", show)
    piped = in_a_pipe(monkeypatch, show)
    assert "…" not in piped and PROMPT.format("genus") in piped
    check("compare-piped", piped)
    markdown = in_a_pipe(
        monkeypatch, lambda: print_markdown(comparison_sections(a_comparison(), NOW, WIDEST))
    )
    check("compare-markdown", markdown)


def test_compare_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Point("HEAD", "b" * 32)
    for code, words in (
        (None, ""),
        (CodeDiff("a" * 40, None, None), "git does not have both commits here"),
        (CodeDiff("a-dirty", "a-dirty", []), "uncommitted changes, which are not known"),
    ):
        sections = comparison_sections(Comparison(here, here, {}, {}, [], code), NOW, 80)
        text = on_screen(monkeypatch, 80, lambda found=sections: print_sections(found), colours=False)  # type: ignore[misc]
        assert "No difference in the data." in text and words in text and ("Code" in text) == bool(code)


def test_help(monkeypatch: pytest.MonkeyPatch) -> None:
    text = CliRunner().invoke(dolt, ["--help"], terminal_width=80).output
    check("help", text)
    assert sorted(re.findall(r"^  (\w+)  ", text, re.MULTILINE)) == sorted(dolt.commands)
    # The first sentence of each, whole.
    folded = re.sub(r"\s+", " ", text)
    for command in dolt.commands.values():
        assert (command.help or "").partition("\n")[0].removesuffix(".") in folded


def test_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    day = datetime(2026, 11, 26, 12, 0)
    rows = [
        BlamedRow(
            {"id": 1, "at": "Zürich"}, "a" * 32, day, "Ada Lovelace", "Update", "2026-11-26T12.00.00.000Z"
        ),
        BlamedRow(
            {"id": 20, "at": "x" * 50}, "b" * 32, day, "Bob", "Correct a label by hand, at length", None
        ),
    ]

    def show() -> None:
        print_listing(blame_listing(rows, NOW, width(), 2))

    check_screens(monkeypatch, "blame", show)
    check("blame-piped", in_a_pipe(monkeypatch, show))


def test_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        CheckResult("prices", "max_rows_changed", "error", "passed", "5%", "2 of 100 rows changed"),
        CheckResult(
            "prices", "between.price", "error", "failed", "[0, null]", "2 such rows",
            ({"id": 7, "price": -1.5, "written by": "2026-11-26T12.00.00.000Z"}, {"id": 9, "price": -2}),
        ),
        CheckResult("metrics", "max_change.accuracy", "warn", "failed", '{"fall": 0.02}', "0.97 before"),
        CheckResult(
            "labels", "unchanged", "error", "accepted", "true", "1 modified", ({"id": "\x1b[31m"},),
            accepted_by="Ada <ada@localhost>", reason="New labels from the clinic",
        ),
        CheckResult("nowhere*", "append_only", "error", "skipped", "true", "there is no such table"),
        CheckResult("x", "y", "error", "gone to sea"),
    ]  # fmt: skip

    def show() -> None:
        print_sections(check_sections(results))

    check_screens(monkeypatch, "checks", show)
    [brief] = check_sections(results, brief=True)
    assert [str(row[1]) for row in brief.rows if row[1]] == [
        "prices.between.price", "metrics.max_change.accuracy", "labels.unchanged",
    ]  # fmt: skip
    assert brief.note == "1 failed, 1 warning, 1 accepted, 1 skipped, 1 passed"
    assert check_sections(results[:1], brief=True) == check_sections([]) == []
