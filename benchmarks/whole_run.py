"""A whole `kedro run` of the generated project, with its tables in Dolt, CSV files, SQLite and MLflow."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd

from .measure import Benchmark, timed

ROOT = Path(__file__).resolve().parents[1]
# An environment of its own: kedro-mlflow makes each start of Kedro take longer, that of the other ways, too.
MLFLOW_PYTHON = ROOT / ".mlflow" / "bin" / "python"


@contextmanager
def whole_run(directory: Path) -> Iterator[Benchmark]:
    """Generate the projects in ``directory``."""
    _kedro(directory, "new", f"--starter={ROOT}", "--name=On Dolt")
    on_dolt = directory / "on-dolt"
    fast = _with_our_dataset(on_dolt)
    on_csv = _copy(on_dolt, "on-csv", "{{type: pandas.CSVDataset, filepath: 'data/{}.csv'}}")
    table = (
        "{{type: pandas.SQLTableDataset, table_name: '{}', credentials: db, "
        "save_args: {{if_exists: replace}}}}"
    )
    on_sqlite = _copy(on_dolt, "on-sqlite", table)
    _fill_sqlite(on_sqlite)
    ours = "Dolt: server started, one commit, server stopped"
    ways = {
        ours: _run(on_dolt),
        "the same, with `DoltTableDataset`": _run(fast),
        "CSV files": _run(on_csv),
        "the same tables in SQLite": _run(on_sqlite),
    }
    if MLFLOW_PYTHON.exists():
        on_mlflow = _on_mlflow(on_dolt)
        ways["CSV files, logged by kedro-mlflow: one MLflow run each"] = _run(on_mlflow, MLFLOW_PYTHON)
    else:
        print("without kedro-mlflow, which `make .mlflow/.installed` installs", file=sys.stderr)
    yield Benchmark("A whole `kedro run` of the iris project", ours, ways, {"CSV files": 1.10})


def entries_in(catalog: str) -> list[str]:
    """Return the names in ``catalog.yml``. A pattern is one: without it its tables stay in memory."""
    return re.findall(r'(?m)^"?(example_[\w{}]+)"?:', catalog)


def _copy(project: Path, name: str, entry: str) -> Path:
    """Make a project that knows nothing of Dolt; ``entry`` is how its catalog says where a dataset is."""
    copy = project.parent / name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".dolt", "hooks.py", "dolt.yml"))
    catalog = copy / "conf" / "base" / "catalog.yml"
    datasets = entries_in(catalog.read_text())
    catalog.write_text("".join(f'"{dataset}": {entry.format(dataset)}\n' for dataset in datasets))
    (copy / "data" / "01_raw" / "iris.csv").rename(copy / "data" / "example_iris_data.csv")
    (copy / "src" / "on_dolt" / "settings.py").write_text("")
    return copy


def _with_our_dataset(project: Path) -> Path:
    copy = project.parent / "with-our-dataset"
    shutil.copytree(project, copy)
    catalog = copy / "conf" / "base" / "catalog.yml"
    text = catalog.read_text().replace("pandas.SQLTableDataset", "kedro_doltdb.DoltTableDataset")
    entry = r"  save_args:\n    if_exists: replace\n    method: \$\{dolt.bulk_load:(\w+)\}\n"
    catalog.write_text(re.sub(entry, r"  primary_key: \1\n", text))
    return copy


def _on_mlflow(project: Path) -> Path:
    copy = _copy(
        project,
        "on-mlflow",
        "{{type: kedro_mlflow.io.artifacts.MlflowArtifactDataset, "
        "dataset: {{type: pandas.CSVDataset, filepath: 'data/{}.csv'}}}}",
    )
    settings = "server: {mlflow_tracking_uri: 'sqlite:///mlflow.db'}\n"
    (copy / "conf" / "base" / "mlflow.yml").write_text(settings)
    return copy


def _fill_sqlite(project: Path) -> None:
    file = project / "data" / "tables.db"
    credentials = project / "conf" / "local" / "credentials.yml"
    credentials.write_text(f"db: {{con: 'sqlite:///{file}'}}\n")
    with closing(sqlite3.connect(file)) as connection:
        iris = pd.read_csv(project / "data" / "example_iris_data.csv")
        iris.to_sql("example_iris_data", connection, index=False)


def _run(project: Path, python: Path = Path(sys.executable)) -> Callable[[], float]:
    # Other parameters than the run before had: each run changes rows in all six tables.
    ratios = itertools.cycle(("0.1", "0.2"))
    return lambda: timed(
        lambda: _kedro(project, "run", f"--params=example_test_data_ratio={next(ratios)}", python=python)
    )


def _kedro(directory: Path, *args: str, python: Path = Path(sys.executable)) -> None:
    done = subprocess.run(
        [python, "-m", "kedro", *args],
        cwd=directory,
        env={**os.environ, "PWD": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"kedro {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
