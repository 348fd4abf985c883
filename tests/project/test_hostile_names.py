"""Whatever tables, columns, datasets, branches and parameters are called: exact, or refused."""

from __future__ import annotations

import itertools
import json
import re
import string
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import SQLTableDataset

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.as_of import read_at
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt.sql import identifier
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import DoltError, PublishError
from kedro_doltdb.journal import reader
from kedro_doltdb.journal.edges import MAX_NAME
from kedro_doltdb.journal.parameters import plain
from kedro_doltdb.run.dolt_run import DoltRun
from kedro_doltdb.settings import Settings
from kedro_doltdb.tables.bulk_load import bulk_load

NASTY = "'\"`;%\\/-.,:@#$&*(){}[]<>|!?=+~^ \t\n\r\x00\x1e\x1féß中😀\u200b\u202e"
WORDS = (
    "std", "select", "table", "order", "null", "NULL", "information_schema", "mysql", "HEAD", "main", "data",
    "dolt_log", "dolt_docs", "kedro_runs", "KEDRO_LINEAGE", "kept", "KEPT", "Kept ", " kept",
    "x'; DROP TABLE kept; --", "x`; DROP TABLE kept; --", "%s", "%(a)s", "../../etc",
    "a" * 64, "a" * 65, "é" * 64,
)  # fmt: skip
names = st.one_of(
    st.sampled_from(WORDS),
    st.text(alphabet=NASTY + string.ascii_letters + string.digits, min_size=1, max_size=12),
    st.text(min_size=1, max_size=70),
)
hostile = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
numbers = itertools.count()


class Project:
    """A database with the table ``kept``, and runs on it."""

    def __init__(self, path: Path) -> None:
        initialise(path / "data", [])
        self.path = path
        self.database = Database(path, Settings())
        self.lease = self.database.server.acquire("test")
        address = self.lease.address
        self.repository = Repository(address, "tester <tester@localhost>")
        with self.repository.on() as cursor:
            cursor.execute("CREATE TABLE kept (id INT PRIMARY KEY, x TEXT)")
            cursor.execute("INSERT INTO kept VALUES (1, 'untouched')")
            cursor.execute("CALL DOLT_COMMIT('-Am', 'kept')")

    def run(
        self,
        frame: pd.DataFrame | Callable[[], pd.DataFrame],
        key: str,
        table: str = "plain",
        dataset: str = "frame",
        params: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """Save a frame, or what a function gives, in a run; returns what the run said."""
        config = {
            "type": "pandas.SQLTableDataset",
            "table_name": table,
            "credentials": "dolt",
            "save_args": {"if_exists": "replace", "method": bulk_load(key)},
        }
        # As in a Kedro session, of which several may be under way.
        credentials = Database(self.path, Settings()).credentials()
        catalog = DataCatalog.from_config({dataset: config}, {"dolt": credentials})
        pipeline = Pipeline([node(frame if callable(frame) else lambda: frame, None, dataset, name="make")])
        run = DoltRun({"run_id": f"run-{next(numbers)}", "runtime_params": dict(params)}, pipeline, catalog)
        run.start_server()
        run.begin()
        try:
            SequentialRunner().run(pipeline, catalog)
        except Exception as error:
            run.keep(error)
            raise
        else:
            return run.commit()
        finally:
            run.stop_server()

    def load(self, table: str) -> pd.DataFrame:
        """What the stock dataset gives."""
        return SQLTableDataset(table_name=table, credentials=self.database.credentials()).load()

    def state(self) -> tuple[str, list[dict[str, Any]], list[str]]:
        """What must not change by a run that is refused."""
        with self.repository.on() as cursor:
            return (
                self.repository.head("main"),
                read_at(cursor, "kept", "main"),
                self.repository.uncommitted("main"),
            )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("hostile"))
    yield project
    assert project.state()[1] == [{"id": 1, "x": "untouched"}]
    project.lease.release()


@pytest.mark.thorough
@given(table=names, key=names, column=names)
@hostile
def test_tables_and_columns(project: Project, table: str, key: str, column: str) -> None:
    assume(table != "kept")
    before = project.state()
    frame = (
        pd.DataFrame({key: [1, 2], column: ["a'b", "c`d"]}) if key != column else pd.DataFrame({key: [1, 2]})
    )
    try:
        project.run(frame, key, table=table)
    except (DoltError, DatasetError):
        assert project.state() == before
        return
    with project.repository.on() as cursor:
        found = read_at(cursor, table, "main")
        cursor.execute(f"SELECT * FROM {identifier(table)} WHERE %s = %s", (1, 1))
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, frame.to_dict("records")))
    assert project.load(table).to_dict("records") == frame.to_dict("records")
    assert project.state()[1:] == before[1:]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.thorough
@given(dataset=names, name=names, value=values)
@example(dataset="std", name="table", value="std")
@hostile
def test_datasets_and_parameters(project: Project, dataset: str, name: str, value: Any) -> None:
    assume(name not in ("dolt_branch", "dolt_from"))
    try:
        DataCatalog.from_config({dataset: {"type": "MemoryDataset"}})
        Pipeline([node(lambda: 1, None, dataset, name="make")])
    except Exception:
        assume(False)  # Kedro itself does not have it
    before = project.state()
    frame = pd.DataFrame({"id": [next(numbers)]})
    try:
        project.run(frame, "id", dataset=dataset, params={name: value})
    except (DoltError, DatasetError):
        assert project.state() == before
        return
    with project.repository.on() as cursor:
        cursor.execute("SELECT message FROM dolt_log LIMIT 1")
        (message,) = cursor.fetchone() or ()
        run_id = re.match(r"Update data from Kedro run (run-\d+) with params (.*)", message)
        assert run_id and len(run_id[0]) < 300
        # Long ones are shortened, and whole below.
        whole = re.search(r"^Params: (.*)", message, re.MULTILINE) or re.search(r" with params (.*)", message)
        assert whole and json.loads(whole[1]) == plain({name: value})
        (edge,) = reader.edges(cursor, run_id[1])
        assert edge.dataset == dataset or (len(dataset) > MAX_NAME and edge.dataset[:200] == dataset[:200])
        assert edge.table_name == "plain"


@given(branch=names)
@hostile
def test_branches(project: Project, branch: str) -> None:
    before = project.state()
    there = project.repository.branches()
    frame = pd.DataFrame({"id": [next(numbers)]})
    try:
        project.run(frame, "id", params={"dolt_branch": branch})
    except (DoltError, DatasetError):
        assert project.state() == before
        assert {name for name in project.repository.branches() if not name.startswith("kedro/")} == {
            name for name in there if not name.startswith("kedro/")
        }
        return
    with project.repository.on() as cursor:
        assert read_at(cursor, "plain", branch) == frame.to_dict("records")
    if branch != "main":
        assert project.state() == before


def test_two_new_tables_that_differ_in_case_only(project: Project) -> None:
    frame = pd.DataFrame({"id": [1]})

    def meanwhile() -> pd.DataFrame:
        # A thread has one run at a time.
        with ThreadPoolExecutor(1) as other:
            other.submit(project.run, frame, "id", table="Sales").result()
        return frame

    with pytest.raises(PublishError, match="sales, which it read or wrote, changed on main meanwhile"):
        project.run(meanwhile, "id", table="sales")
    with project.repository.on() as cursor:
        assert read_at(cursor, "Sales", "main") == [{"id": 1}]
        cursor.execute("SHOW TABLES LIKE 'sales'")
        assert len(cursor.fetchall()) <= 1
