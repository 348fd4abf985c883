"""A whole `kedro run` of the generated project, with its tables in Dolt and with them in CSV files."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .measure import Benchmark, timed

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def whole_run(directory: Path) -> Iterator[Benchmark]:
    """Generate both projects in ``directory``."""
    _kedro(directory, "new", f"--starter={ROOT}", "--name=On Dolt")
    on_dolt, on_csv = directory / "on-dolt", directory / "on-csv"
    shutil.copytree(on_dolt, on_csv, ignore=shutil.ignore_patterns(".dolt"))
    _use_csv(on_csv)
    yield Benchmark(
        "A whole `kedro run` of the iris project",
        "Dolt: server started, one commit, server stopped",
        {"Dolt: server started, one commit, server stopped": _run(on_dolt), "CSV files": _run(on_csv)},
        {"CSV files": 1.15},
    )


def _use_csv(project: Path) -> None:
    """Make it a project that knows nothing of Dolt."""
    catalog = project / "conf" / "base" / "catalog.yml"
    names = re.findall(r"(?m)^(example_\w+):", catalog.read_text())
    entries = [f"{name}: {{type: pandas.CSVDataset, filepath: data/{name}.csv}}\n" for name in names]
    catalog.write_text("".join(entries))
    (project / "data" / "01_raw" / "iris.csv").rename(project / "data" / "example_iris_data.csv")
    (project / "conf" / "base" / "dolt.yml").unlink()
    (project / "src" / "on_dolt" / "hooks.py").unlink()
    (project / "src" / "on_dolt" / "settings.py").write_text("")


def _run(project: Path) -> Callable[[], float]:
    # Other parameters than the run before had: each run changes rows in all six tables.
    ratios = itertools.cycle(("0.1", "0.2"))
    return lambda: timed(lambda: _kedro(project, "run", f"--params=example_test_data_ratio={next(ratios)}"))


def _kedro(directory: Path, *args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kedro", *args],
        cwd=directory,
        env={**os.environ, "PWD": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"kedro {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
