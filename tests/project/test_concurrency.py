"""Many runs, many nodes and a reader at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import dolt
from helpers import add_pipeline, branches, messages, query, server_is_running

from kedro_doltdb.dolt.address import Address
from kedro_doltdb.server.managed import ManagedServer

pytestmark = pytest.mark.thorough

ROUNDS = 14

RUNS = """
import sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
if __name__ == "__main__":
    bootstrap_project(Path.cwd())
    for number in range({rounds}):
        with KedroSession.create(runtime_params={params}) as session:
            session.run({arguments})
"""

NODES = '''
"""Independent nodes that save at the same time."""

import pandas as pd
from kedro.pipeline import Pipeline, node


def make(seed: int) -> pd.DataFrame:
    return pd.DataFrame({"id": range(200), "value": range(seed, seed + 200), "text": [f"row {seed}"] * 200})


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline([node(make, "params:seed", f"wide_{n}", name=f"make_{n}") for n in range(8)])
'''

CATALOG = """
"wide_{n}":
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: wide_{n}
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:id}
"""


def python(project: Path, script: str) -> subprocess.Popen[str]:
    """Run a script in the project; what it prints goes to a file, for a pipe that nobody reads blocks it."""
    with open(project / "output.txt", "w") as output:
        return subprocess.Popen(
            [sys.executable, "-c", script], cwd=project, stdout=output, stderr=output, text=True
        )


def finish(process: subprocess.Popen[str], project: Path) -> None:
    assert process.wait(timeout=600) == 0, (project / "output.txt").read_text()[-5000:]


@contextmanager
def serving(project: Path) -> Iterator[Address]:
    """Keep one server for all runs: not its starts are tested here, and they take longer than the runs."""
    lease = ManagedServer(project / "data").acquire("test")
    try:
        yield lease.address
    finally:
        lease.release()


def test_a_reader_of_the_target_never_sees_half_a_run(project: Path) -> None:
    script = RUNS.format(
        rounds=ROUNDS, params="{'example_test_data_ratio': 0.1 + number % 7 / 10}", arguments=""
    )
    looks = set()
    with serving(project) as address, address.connect() as connection, connection.cursor() as cursor:
        first = python(project, script.replace(f"range({ROUNDS})", "range(1)"))
        finish(first, project)
        runs = python(project, script)
        while runs.poll() is None:
            cursor.execute("START TRANSACTION")
            counts = []
            for table in ("test_x", "test_y", "predictions", "train_x", "train_y"):
                cursor.execute(f"SELECT COUNT(*) FROM example_{table}")
                counts.append(int((cursor.fetchone() or [0])[0]))
            connection.commit()
            looks.add(tuple(counts))
            time.sleep(0.01)
        finish(runs, project)
    tests = [round(150 * (0.1 + number / 10)) for number in range(7)]
    assert looks <= {(n, n, n, 150 - n, 150 - n) for n in tests}
    assert len(looks) == 7
    assert not server_is_running(project)
    assert branches(project) == ["main"]


@pytest.mark.parametrize(
    "runner", ["ThreadRunner(max_workers=4, is_async=True)", "ParallelRunner(max_workers=4)"]
)
def test_independent_nodes_save_at_the_same_time(project: Path, runner: str) -> None:
    add_pipeline(project, "wide", NODES, CATALOG)
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("\nseed: 0\n")
    arguments = f"pipeline_names=['wide'], runner={runner}"
    with serving(project):
        script = RUNS.format(rounds=ROUNDS, params="{'seed': number}", arguments=arguments)
        finish(python(project, script), project)
    assert len(messages(project)) == 2 + ROUNDS
    for n in range(8):
        changed = query(
            project,
            f"SELECT diff_type, COUNT(*) AS n FROM dolt_diff('HEAD~1', 'HEAD', 'wide_{n}') GROUP BY 1",
        )
        assert changed == [{"diff_type": "modified", "n": "200"}]
    assert "nothing to commit" in dolt(project, "status")
    assert not server_is_running(project)
