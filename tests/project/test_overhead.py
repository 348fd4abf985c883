"""What the hooks do for a large catalog: counted work, for no test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import run_kedro
from helpers import add_pipeline
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from benchmarks.statements import COUNTING as COUNTING_STATEMENTS
from benchmarks.statements import sent_by
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.footprint import likely_database
from kedro_doltdb.settings import Settings

NODES = 12
MOST_STATEMENTS, MOST_CONNECTIONS = 270, 28

PIPELINE = f"""
from kedro.pipeline import Pipeline, node


def create_pipeline(**kwargs):
    first = node(lambda shared: shared, "shared", "out_0", name="first")
    others = [
        node(lambda shared, before: shared, ["shared", f"out_{{n - 1}}"], f"out_{{n}}", name=f"node_{{n}}")
        for n in range(1, {NODES})
    ]
    return Pipeline([first, *others])
"""

COUNTING = """
import atexit, json
from collections import Counter

import kedro_doltdb.catalog.edges
from kedro.io import data_catalog
from kedro_doltdb.run.records import FileRecords

calls = Counter()


def count(where, name, key):
    original = getattr(where, name)

    def counting(*args):
        calls[key(*args)] += 1
        return original(*args)

    setattr(where, name, counting)


count(data_catalog._LazyDataset, "materialize", lambda dataset: f"made {dataset.name}")
count(FileRecords, "save", lambda *args: "record saved")
count(FileRecords, "add_complete", lambda *args: "completion noted")
count(kedro_doltdb.catalog.edges, "file_hash", lambda path: f"hashed {path.name}")
atexit.register(lambda: open("counted", "w").write(json.dumps(calls)))
"""


def entry(name: str, table: bool) -> str:
    if table:
        return (
            f"{name}:\n  type: pandas.SQLTableDataset\n  credentials: dolt\n  table_name: {name}\n"
            "  save_args:\n    if_exists: replace\n"
        )
    return f"{name}:\n  type: pandas.CSVDataset\n  filepath: data/{name}.csv\n"


def test_a_run_does_nothing_for_entries_that_it_does_not_use(project: Path) -> None:
    unused = "".join(entry(f"unused_{n}", n % 2 == 0) for n in range(100))
    outputs = "".join(entry(f"out_{n}", n == 5) for n in range(NODES))
    add_pipeline(project, "wide", PIPELINE, entry("shared", False) + outputs + unused)
    (project / "data" / "shared.csv").write_text("a\n1\n")
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(COUNTING)

    done = run_kedro(project, "run", "--pipeline", "wide")

    assert "Committed" in done.stdout + done.stderr
    used = {"shared", *(f"out_{n}" for n in range(NODES))}
    assert json.loads((project / "counted").read_text()) == {
        **{f"made {name}": 1 for name in used},
        "hashed shared.csv": 1,
        # When the run begins, and when the commit is known that it is about to publish.
        "record saved": 2,
        # By each node its output; by the first one its input, too.
        "completion noted": NODES + 1,
    }


def test_a_run_sends_no_more_statements_than_it_needs(project: Path) -> None:
    run_kedro(project, "run")
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(COUNTING_STATEMENTS)

    run_kedro(project, "run", "--params", "example_test_data_ratio=0.3")

    # How often a server is asked that is not ready yet depends on the machine.
    sent = {what: n for what, n in sent_by(project).items() if not what.endswith("server/process")}
    # `make bench ARGS=statements` says who asks. Before connections were used again, it was 358 and 51.
    assert sum(n for what, n in sent.items() if what.startswith("statement")) <= MOST_STATEMENTS
    assert sum(n for what, n in sent.items() if what.startswith("connection")) <= MOST_CONNECTIONS


def test_no_entry_is_copied_to_tell_whether_a_server_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path, Settings())
    catalog = DataCatalog.from_config(
        {
            f"e{n}": {"type": "pandas.SQLTableDataset", "table_name": f"t{n}", "credentials": "dolt"}
            for n in range(100)
        },
        {"dolt": database.credentials()},
    )
    copies = []
    monkeypatch.setattr(Database, "__deepcopy__", lambda self, memo: copies.append(1) or self)
    assert likely_database(Pipeline([node(lambda x: x, "e1", "other")]), catalog) is database
    assert likely_database(Pipeline([node(lambda x: x, "some", "other")]), catalog) is None
    assert copies == []
