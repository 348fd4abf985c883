"""What an incremental run costs in a pipeline of 30 nodes, by itself and beside ``dvc repro``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from .measure import Benchmark, timed
from .whole_run import ROOT

NODES = 30
ROWS = 1_000
_RUNNER = "--runner=kedro_doltdb.IncrementalRunner"
_PIPELINE = '''"""Thirty nodes in a row and beside one another."""

import numpy as np
from kedro.pipeline import Pipeline, node

FACTOR = 1.0001


def scaled(values):
    return np.sqrt(values * FACTOR)


def step(frame):
    """Change a column."""
    return frame.assign(v=scaled(frame["v"]))


def shifted(frame, shift):
    """Change a column by a parameter."""
    return frame.assign(v=scaled(frame["v"]) + shift)


def register_pipelines():
    nodes = []
    for n in range(%d):
        before = f"t{max(n - 5, 0)}" if n else "source"
        if n == %d:
            nodes.append(node(shifted, [before, "params:shift"], f"t{n}", name=f"n{n}"))
        else:
            nodes.append(node(step, before, f"t{n}", name=f"n{n}"))
    return {"__default__": Pipeline(nodes)}
'''
# The node that takes a parameter. Three others depend on it.
_TAKES = 10
# The same as DVC's stages: a script on files.
_SCRIPT = """
import sys

import numpy as np
import pandas as pd
import yaml

FACTOR = 1.0001
source, target = sys.argv[1:3]
frame = pd.read_csv(source)
shift = yaml.safe_load(open("params.yaml"))["shift"] if len(sys.argv) > 3 else 0
frame.assign(v=np.sqrt(frame["v"] * FACTOR) + shift).to_csv(target, index=False)
"""
# The time of the decision alone, without Kedro's start and the run itself.
_MEASURE = """
import sys, time
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro_doltdb import IncrementalRunner
from kedro_doltdb.run import begun, incremental

took = 0.0


def measured(function):
    def wrapper(*args, **kwargs):
        global took
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            took += time.perf_counter() - start
    return wrapper


begun.facts_of = measured(begun.facts_of)
incremental.Incremental.next = measured(incremental.Incremental.next)
bootstrap_project(".")
with KedroSession.create(".") as session:
    session.run(runner=IncrementalRunner())
print("TOOK", took)
"""


@contextmanager
def incremental(directory: Path) -> Iterator[Benchmark]:
    """Measure the decision in a project in ``directory`` in which nothing has changed."""
    project = _thirty(directory)
    ours = "nothing has changed: the decision alone"
    ways: dict[str, Callable[[], float]] = {
        ours: lambda: _decision(project),
        "0.1 s, the aim": lambda: 0.1,
    }
    yield Benchmark(f"An incremental run of {NODES} nodes", ours, ways, {"0.1 s, the aim": 1.0})


@contextmanager
def nothing_changed(directory: Path) -> Iterator[Benchmark]:
    """Measure whole commands in which nothing has changed, in ``directory``."""
    project, stages = _thirty(directory), _stages(directory / "stages")
    ours = "`kedro run`, incremental"
    ways: dict[str, Callable[[], float]] = {
        ours: lambda: timed(lambda: _kedro(project, "run", _RUNNER)),
        "`dvc repro`": lambda: timed(lambda: _dvc(stages, "repro", "-q")),
    }
    yield Benchmark(f"{NODES} nodes, nothing has changed: the whole command", ours, ways, {})


@contextmanager
def parameter_changed(directory: Path) -> Iterator[Benchmark]:
    """Measure whole commands after a parameter of one node has got a new value, in ``directory``."""
    project, stages = _thirty(directory), _stages(directory / "stages")
    ours = "`kedro run`, incremental"
    values = {name: count(1) for name in (ours, "dvc")}

    def with_kedro() -> float:
        (project / "conf" / "base" / "parameters.yml").write_text(f"shift: {next(values[ours])}\n")
        return timed(lambda: _kedro(project, "run", _RUNNER))

    def with_dvc() -> float:
        (stages / "params.yaml").write_text(f"shift: {next(values['dvc'])}\n")
        return timed(lambda: _dvc(stages, "repro", "-q"))

    ways: dict[str, Callable[[], float]] = {ours: with_kedro, "`dvc repro`": with_dvc}
    yield Benchmark(f"{NODES} nodes, of which 4 depend on a new parameter: the whole command", ours, ways, {})


def _stages(directory: Path) -> Path:
    """Make the same pipeline of DVC's stages, and run it once."""
    directory.mkdir()
    (directory / "step.py").write_text(_SCRIPT)
    (directory / "params.yaml").write_text("shift: 0\n")
    rows = "\n".join(f"{number},{float(number)}" for number in range(ROWS))
    (directory / "source.csv").write_text(f"id,v\n{rows}\n")
    lines = ["stages:"]
    for n in range(NODES):
        before = f"t{max(n - 5, 0)}.csv" if n else "source.csv"
        takes = n == _TAKES
        lines += [
            f"  n{n}:",
            f"    cmd: {sys.executable} step.py {before} t{n}.csv{' shift' if takes else ''}",
            f"    deps: [step.py, {before}]",
            f"    outs: [t{n}.csv]",
            *(["    params: [shift]"] if takes else []),
        ]
    (directory / "dvc.yaml").write_text("\n".join(lines) + "\n")
    _run(directory, "git", "init", "-q")
    _dvc(directory, "init", "-q")
    _dvc(directory, "repro", "-q")
    return directory


def _thirty(directory: Path) -> Path:
    """Generate the project in ``directory``, and run it once."""
    _kedro(directory, "new", f"--starter={ROOT}", "--name=Thirty")
    project = directory / "thirty"
    package = project / "src" / "thirty"
    (package / "pipeline_registry.py").write_text(_PIPELINE % (NODES, _TAKES))
    entry = (
        "{}: {{type: kedro_doltdb.DoltTableDataset, credentials: dolt, table_name: {}, primary_key: id}}\n"
    )
    names = ["source", *(f"t{number}" for number in range(NODES))]
    (project / "conf" / "base" / "catalog.yml").write_text("".join(entry.format(one, one) for one in names))
    (project / "conf" / "base" / "dolt.yml").write_text("")
    (project / "conf" / "base" / "parameters.yml").write_text("shift: 0\n")
    create = "CREATE TABLE source (id BIGINT PRIMARY KEY, v DOUBLE)"
    rows = ", ".join(f"({number}, {number})" for number in range(ROWS))
    _kedro(project, "dolt", "sql", "-q", f"{create}; INSERT INTO source VALUES {rows}")
    _kedro(project, "run")
    return project


def _decision(project: Path) -> float:
    lines = _run(project, sys.executable, "-c", _MEASURE).splitlines()
    return float(next(line for line in lines if line.startswith("TOOK")).split()[1])


def _kedro(directory: Path, *args: str) -> None:
    _run(directory, sys.executable, "-m", "kedro", *args)


def _dvc(directory: Path, *args: str) -> None:
    _run(directory, sys.executable, "-m", "dvc", *args)


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, "PWD": str(directory)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
