"""What the decision costs in a pipeline of 30 nodes in which nothing has changed, and what it saves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .measure import Benchmark
from .whole_run import ROOT

NODES = 30
_PIPELINE = '''"""Thirty nodes in a row and beside one another."""

import numpy as np
from kedro.pipeline import Pipeline, node

FACTOR = 1.0001


def scaled(values):
    return np.sqrt(values * FACTOR)


def step(frame):
    """Change a column."""
    return frame.assign(v=scaled(frame["v"]))


def register_pipelines():
    names = [f"t{number}" for number in range(%d)]
    nodes = [node(step, names[max(n - 5, 0)] if n else "source", names[n], name=f"n{n}") for n in range(%d)]
    return {"__default__": Pipeline(nodes)}
'''
# The time of the decision alone, without Kedro's start and the run itself.
_MEASURE = """
import sys, time
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro_doltdb import IncrementalRunner
from kedro_doltdb.run import begun, incremental

took = 0.0


def timed(function):
    def wrapper(*args, **kwargs):
        global took
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            took += time.perf_counter() - start
    return wrapper


begun.facts_of = timed(begun.facts_of)
incremental.Incremental.next = timed(incremental.Incremental.next)
bootstrap_project(".")
with KedroSession.create(".") as session:
    session.run(runner=IncrementalRunner())
print("TOOK", took)
"""


@contextmanager
def incremental(directory: Path) -> Iterator[Benchmark]:
    """Generate the project in ``directory``."""
    _kedro(directory, "new", f"--starter={ROOT}", "--name=Thirty")
    project = directory / "thirty"
    package = project / "src" / "thirty"
    (package / "pipeline_registry.py").write_text(_PIPELINE % (NODES, NODES))
    entry = (
        "{}: {{type: kedro_doltdb.DoltTableDataset, credentials: dolt, table_name: {}, primary_key: id}}\n"
    )
    names = ["source", *(f"t{number}" for number in range(NODES))]
    (project / "conf" / "base" / "catalog.yml").write_text("".join(entry.format(one, one) for one in names))
    (project / "conf" / "base" / "dolt.yml").write_text("")
    create = "CREATE TABLE source (id BIGINT PRIMARY KEY, v DOUBLE)"
    rows = ", ".join(f"({number}, {number})" for number in range(1_000))
    _kedro(project, "dolt", "sql", "-q", f"{create}; INSERT INTO source VALUES {rows}")
    _kedro(project, "run")
    ours = "nothing has changed: the decision alone"
    ways: dict[str, Callable[[], float]] = {
        ours: lambda: _decision(project),
        "0.1 s, the aim": lambda: 0.1,
    }
    yield Benchmark(f"An incremental run of {NODES} nodes", ours, ways, {"0.1 s, the aim": 1.0})


def _decision(project: Path) -> float:
    lines = _run(project, sys.executable, "-c", _MEASURE).splitlines()
    return float(next(line for line in lines if line.startswith("TOOK")).split()[1])


def _kedro(directory: Path, *args: str) -> None:
    _run(directory, sys.executable, "-m", "kedro", *args)


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, "PWD": str(directory)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
