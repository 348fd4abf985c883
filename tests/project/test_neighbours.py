"""What Kedro puts beside a plain catalog and a plain run: runners, factories, packages, load versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, branches, messages, query, server_is_running
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro_datasets.pandas import SQLTableDataset

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.footprint import Footprint
from kedro_doltdb.settings import Settings

pytestmark = pytest.mark.thorough

CATALOG = """
shop_prices@frame:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: shop_prices
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:id}

shop_prices@query:
  type: pandas.SQLQueryDataset
  credentials: dolt
  sql: SELECT id, price * 2 AS price FROM shop_prices

"{shop}.{name}":
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: "{shop}_{name}"
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:id}

"{name}_table":
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: "{name}"
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:shop}
"""

PIPELINE = '''
"""Transcoding, a query, namespaces and dataset factories; two nodes that run side by side."""

import multiprocessing
import os
import threading

import pandas as pd
from kedro.pipeline import Pipeline, node


def price(seed: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2], "price": [seed * 1.0, seed * 10.0]})


def total(prices: pd.DataFrame) -> pd.DataFrame:
    with open(os.environ["TRACE"], "a") as file:
        process = "here" if multiprocessing.parent_process() is None else multiprocessing.get_start_method()
        main = threading.current_thread() is threading.main_thread()
        file.write(f"{process} {'main' if main else 'thread'}\\n")
    return pd.DataFrame({"id": [0], "total": [prices["price"].sum()]})


def together(north: pd.DataFrame, south: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"shop": ["north", "south"], "total": [north["total"][0], south["total"][0]]})


def create_pipeline(**kwargs: object) -> Pipeline:
    shop = Pipeline([node(total, "doubled", "total", name="total")])
    return Pipeline(
        [
            node(price, "params:seed", "shop_prices@frame", name="price"),
            node(pd.DataFrame.copy, "shop_prices@query", "doubled", name="double"),
            Pipeline(shop, namespace="north", inputs={"doubled"}),
            Pipeline(shop, namespace="south", inputs={"doubled"}),
            node(together, ["north.total", "south.total"], "totals_table", name="together"),
        ]
    )
'''


@pytest.fixture
def shops(project: Path) -> Path:
    add_pipeline(project, "shops", PIPELINE, CATALOG)
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("\nseed: 1\n")
    return project


@pytest.mark.parametrize(
    ("arguments", "context", "trace"),
    [
        ([], "", "here main"),
        (["--async"], "", "here main"),
        (["--runner=ThreadRunner"], "", "here thread"),
        (["--runner=ThreadRunner", "--async"], "", "here thread"),
        (["--runner=ParallelRunner"], "fork", "fork main"),
        (["--runner=ParallelRunner", "--async"], "fork", "fork main"),
        (["--runner=ParallelRunner"], "spawn", "spawn main"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value or None,
)
def test_every_runner_with_transcoding_namespaces_and_factories(
    shops: Path, arguments: list[str], context: str, trace: str
) -> None:
    where = shops / "trace.txt"
    env = {"TRACE": str(where), **({"KEDRO_MP_CONTEXT": context} if context else {})}
    run_kedro(shops, "run", "--pipeline=shops", *arguments, "--params=seed=3", **env)
    assert set(where.read_text().splitlines()) == {trace}
    assert query(shops, "SELECT * FROM totals") == [
        {"shop": "north", "total": "66"},
        {"shop": "south", "total": "66"},
    ]
    assert query(shops, "SELECT total FROM north_total JOIN south_total USING (id, total)") == [
        {"total": "66"}
    ]
    assert "PRIMARY KEY (`shop`)" in dolt(shops, "sql", "-q", "SHOW CREATE TABLE totals")
    assert len(messages(shops)) == 3 and "nothing to commit" in dolt(shops, "status")
    assert branches(shops) == ["main"] and not server_is_running(shops)


def test_a_transcoded_table_that_the_run_produces_is_not_one_that_it_reads(tmp_path: Path) -> None:
    credentials = Database(tmp_path, Settings()).credentials()
    catalog = DataCatalog(
        {
            name: SQLTableDataset(table_name=table, credentials=credentials)
            for name, table in {"a": "a", "b@one": "b", "b@two": "b", "c@one": "c"}.items()
        }
    )
    nodes = [node(len, "a", "b@one", name="one"), node(len, ["b@two", "c@one"], "d", name="two")]
    footprint = Footprint.of(Pipeline(nodes), catalog)
    assert (footprint.reads, footprint.writes) == ({"a", "c"}, {"b"})


def test_runs_of_one_process_with_the_same_id_at_once(project: Path) -> None:
    """``kedro server`` gives requests that come in the same millisecond the same id."""
    script = (
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pathlib import Path\n"
        "from kedro.framework.project import pipelines\n"
        "from kedro.framework.session import KedroSession, session\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "list(pipelines)\n"
        "session.generate_timestamp = lambda: '2026-01-01T00.00.00.000Z'\n"
        "together = threading.Barrier(3)\n"
        "def run(number):\n"
        "    params = {'dolt_branch': f'b{number}', 'example_test_data_ratio': 0.1 + number / 10}\n"
        "    with KedroSession.create(runtime_params=params) as one:\n"
        "        together.wait()\n"
        "        one.run()\n"
        "with ThreadPoolExecutor(3) as pool:\n"
        "    list(pool.map(run, range(3)))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, capture_output=True)
    assert branches(project) == ["b0", "b1", "b2", "main"]
    rows = [query(project, f"SELECT COUNT(*) AS n FROM example_test_x AS OF 'b{n}'") for n in range(3)]
    assert rows == [[{"n": "15"}], [{"n": "30"}], [{"n": "45"}]]
    ratios = [f'{{"example_test_data_ratio": {0.1 + n / 10}}}' for n in range(3)]
    assert all(messages(project, f"b{n}")[0].endswith(f"with params {ratios[n]}") for n in range(3))
    assert not server_is_running(project)


def test_load_versions_of_a_table_is_said_to_have_no_effect(project: Path) -> None:
    done = run_kedro(project, "run", "--to-nodes=split_data", "--load-versions=example_iris_data:2020-01-01")
    output = " ".join((done.stdout + done.stderr).split())
    assert output.count("--load-versions has no effect on example_iris_data") == 1
    assert "dolt_from=" in output and "`at: <commit>`" in output


def test_packaged_project_runs_from_another_directory(project: Path, tmp_path: Path) -> None:
    run_kedro(project, "package")
    site, deployed = tmp_path / "site", tmp_path / "deployed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={site}"]
    subprocess.run([*pip, *map(str, (project / "dist").glob("*.whl"))], check=True)
    deployed.mkdir()
    shutil.copy(project / "dist" / "conf-iris_dolt.tar.gz", deployed)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "iris_dolt", "--conf-source=conf-iris_dolt.tar.gz"],
            cwd=deployed, env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{deployed / 'data'} is not a Dolt repository" in done.stderr
    assert "dolt clone <remote> data" in done.stderr
    dolt(project, "remote", "add", "origin", f"file://{tmp_path / 'remote'}")
    dolt(project, "push", "origin", "main")
    (deployed / "data").mkdir()
    dolt(deployed, "clone", f"file://{tmp_path / 'remote'}", ".")
    done = run()
    assert done.returncode == 0, done.stderr
    assert messages(deployed)[0].startswith("Update data from Kedro run")
    assert query(deployed, "SELECT COUNT(*) AS n FROM example_predictions") == [{"n": "30"}]
    assert len(messages(project)) == 2 and not server_is_running(deployed)
