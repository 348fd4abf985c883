"""Reports of what real runs have done, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS, check_it_can_be_read, started_browser, watched_pages
from conftest import own_copy, run_kedro
from helpers import add_pipeline, branches, break_node

pytestmark = MARKS

ROWS = 100_000
MOST_BYTES = 5_000_000

# Tables as a project has them: one of which columns come and go, one without a key, one with many rows.
CODE = """
import numpy as np
import pandas as pd
from kedro.pipeline import Node, Pipeline


def list_devices(edition):
    frame = pd.DataFrame({"code": ["a1", "b2", "c3"], "name": ["Säule", "مضخة", ""], "weight": [10, 20, 30]})
    if edition == 1:
        return frame.assign(colour="red")
    return frame.assign(weight=[10.5, 20.0, None], origin=["Łódź", None, ""])


def note_events(edition):
    return pd.DataFrame({"event": ["start", "stop", "stop", "alarm"], "level": [1, 2, 2, edition]})


def measure(count, shift):
    number = np.arange(count)
    return pd.DataFrame({
        "id": number,
        "value": np.sin(number) + shift,
        "remark": [f"Замер № {n} в цехе {n % 7}, сдвиг {shift}" for n in number],
        "taken": pd.Timestamp("2026-01-01") + pd.to_timedelta(number, unit="min"),
    })


def create_pipeline(**kwargs):
    return Pipeline([
        Node(list_devices, "params:edition", "devices", name="list_devices", tags="small"),
        Node(note_events, "params:edition", "events", name="note_events", tags="small"),
        Node(measure, ["params:count", "params:shift"], "measurements", name="measure", tags="large"),
    ])
"""
CATALOG = """
devices:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: devices
  save_args: {if_exists: replace, method: "${dolt.bulk_load:code}"}
events:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: events
  save_args: {if_exists: replace}
measurements:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: measurements
  primary_key: id
"""

# What each page says, and what it does not.
REPORTS = {
    "first_run": (
        ["Checks: 1 skipped, 1 passed", "example_metrics: new", "example_iris_data: unchanged",
         "make_predictions: ran"],
        ["uncommitted edits", "not finished"],
    ),
    "failed_run": (
        ["Run failed, not published", "ZeroDivisionError", "example_test_x: changed",
         "split_data</bdi>: ran, parameters changed", "make_predictions</bdi>: ran<",
         "report_accuracy</bdi>: failed", "Failed in <bdi>report_accuracy</bdi>: ",
         "example_metrics: unchanged"],
        [": unknown", ": gone"],
    ),
    "schema_change": (
        ["breaking", "not breaking", "colour", "origin", "1 more table of the pipeline differs",
         "the column is gone", "there was no such column"],
        ['id="t1"'],
    ),
    "no_key": (["It has no primary key: a changed row is one removed and one added."], [">Schema</h3>"]),
    "no_change": (
        ["No difference in the data.", "list_devices</bdi>: ran<", "note_events</bdi>: ran, code changed",
         "split_data: not run", "Nodes whose code changed: <bdi>note_events</bdi>."],
        [": gone", "The code is the same."],
    ),
    "many_rows": (
        ["~100,000", "The first 2,000 of 100,000 rows are here", "--table measurements --csv DIR",
         "measure: ran", "list_devices: skipped"],
        [": gone"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def reports(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The page of each of :data:`REPORTS`."""
    directory = tmp_path_factory.mktemp("reports")
    pages = {name: directory / f"{name}.html" for name in REPORTS}
    with own_copy(generated, directory) as project:
        break_node(project, "report_accuracy")
        add_pipeline(project, "devices", CODE, CATALOG)
        values = "edition: 1\ncount: 10\nshift: 0\n"
        (project / "conf" / "base" / "parameters_devices.yml").write_text(values)

        def report(name: str, *args: str) -> None:
            run_kedro(project, "dolt", "report", *args, f"--output={pages[name]}")

        run_kedro(project, "run")
        report("first_run")
        failed = run_kedro(project, "run", "--params=example_test_data_ratio=0.4", check=False, BREAK="1 / 0")
        assert failed.returncode
        (kept,) = (name for name in branches(project) if name.startswith("kedro/"))
        report("failed_run", "main", kept)
        run_kedro(project, "run", "--params=edition=2")
        report("schema_change", "--table=devices")
        report("no_key", "--table=events")
        # The same events, by another way.
        nodes = next((project / "src").glob("*/pipelines/devices/pipeline.py"))
        nodes.write_text(nodes.read_text().replace("[1, 2, 2, edition]", "[1, 2, 2, 0 + edition]"))
        run_kedro(project, "run", "--tags=small", "--params=edition=2,shift=7")
        report("no_change")
        run_kedro(project, "run", "--tags=large", f"--params=count={ROWS}")
        run_kedro(
            project, "run", "--runner=kedro_doltdb.IncrementalRunner", "--tags=large,small",
            f"--params=edition=2,count={ROWS},shift=1",
        )  # fmt: skip
        report("many_rows")
        yield pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started_browser() as browser:
        yield browser


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_of_a_run_tells_it_and_can_be_read_by_all(
    reports: dict[str, Path], browser: Any, name: str
) -> None:
    with watched_pages(browser) as open_page:
        shown = open_page(reports[name]).content()
        says, says_not = REPORTS[name]
        assert [words for words in says if words not in shown] == []
        assert [words for words in says_not if words in shown] == []
        check_it_can_be_read(open_page, reports[name], f"run-{name}")


def test_a_report_of_a_hundred_thousand_rows_is_small_and_pages_through_what_it_has(
    reports: dict[str, Path], browser: Any
) -> None:
    size = reports["many_rows"].stat().st_size
    with watched_pages(browser) as open_page:
        tab = open_page(reports["many_rows"])
        took = tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(f"{ROWS} changed rows: {size / 1e6:.2f} MB, opened in {took / 1e3:.2f} s")
        assert tab.get_by_role("status").inner_text() == "Page 1 of 80, 2,000 of 2,000 rows"
        tab.get_by_role("searchbox").fill("№ 1999 ")
        assert tab.get_by_role("status").inner_text() == "Page 1 of 1, 1 of 2,000 rows"
    assert size < MOST_BYTES
