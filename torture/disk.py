"""Runs that fail, each after it has changed 50,000 rows: the disk holds what the kept ones hold."""

from __future__ import annotations

import json
import subprocess
import sys

from kedro_doltdb.run.recovery import KEPT_BRANCHES
from kedro_doltdb.server.garbage import GARBAGE_BYTES

from .project import Project
from .report import Report

NODES = '''

def make_rows(iris, params):
    """Make 50,000 rows that differ in every run."""
    import random

    generator = random.Random(params["example_test_data_ratio"])
    rows = pd.DataFrame({"id": range(50_000), "value": [generator.random() for _ in range(50_000)]})
    return rows, len(rows)


def fail(number):
    """Fail."""
    raise RuntimeError("as planned")
'''
REGISTRY = """
from kedro.pipeline import Node, Pipeline

from .pipelines.iris import nodes


def register_pipelines():
    return {"__default__": Pipeline([
        Node(nodes.make_rows, ["example_iris_data", "parameters"], ["many_rows", "number"],
             name="make_rows"),
        # Not the rows: to load them would take half of the time, and does nothing to the disk.
        Node(nodes.fail, "number", "nothing", name="fail"),
    ])}
"""
CATALOG = """
many_rows:
  type: pandas.SQLTableDataset
  table_name: many_rows
  credentials: dolt
  save_args:
    if_exists: replace
    index: false
    method: ${dolt.bulk_load:id}
"""
SCRIPT = """
import json, sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
for number in range(int(sys.argv[1])):
    try:
        with KedroSession.create(runtime_params={"example_test_data_ratio": number / 1e6}) as session:
            session.run()
    except RuntimeError as error:
        assert str(error) == "as planned"
    noms = Path("data/.dolt/noms")
    print(json.dumps(sum(path.stat().st_size for path in noms.rglob("*") if path.is_file())), flush=True)
"""


def fail_in_a_row(project: Project, runs: int) -> Report:
    """Let runs fail in one process, each with its own server, and watch the size of the repository."""
    report = Report("failed runs of 50,000 changed rows", faults=runs)
    package = next((project.path / "src").glob("*/settings.py")).parent
    with open(package / "pipelines" / "iris" / "nodes.py", "a") as nodes:
        nodes.write(NODES)
    (package / "pipeline_registry.py").write_text(REGISTRY)
    with open(project.path / "conf" / "base" / "catalog.yml", "a") as catalog:
        catalog.write(CATALOG)
    before = project.log("main")
    script, errors = project.path.parent / "fail.py", project.path.parent / "errors"
    script.write_text(SCRIPT)
    with open(errors, "wb") as stderr:
        done = subprocess.run(
            [sys.executable, str(script), str(runs)], cwd=project.path, env=project.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False,
        )  # fmt: skip
    report.ends[f"exit {done.returncode}"] += 1
    sizes = [json.loads(line) for line in done.stdout.splitlines() if line.isdecimal()]
    report.commits = len(sizes)
    if done.returncode or len(sizes) != runs:
        report.complain("a run", "did not fail as planned", errors.read_text()[-5000:])
        return report
    kept = project.query("SELECT name FROM dolt_branches WHERE name LIKE 'kedro/%'")
    if len(kept) != min(runs, KEPT_BRANCHES + 1):
        # The runs that begin delete, so the last one is still there beside the ten.
        report.complain(f"{runs} runs", f"{len(kept)} branches are kept", "")
    if project.log("main") != before:
        report.complain(f"{runs} runs", "main has moved", "")
    project.dolt("gc", "--full")
    noms = project.data / ".dolt" / "noms"
    reached = sum(path.stat().st_size for path in noms.rglob("*") if path.is_file())
    # Twice what is reached and what may be written before the next look, the journal, and the last run.
    bound = 2 * (reached + GARBAGE_BYTES) + GARBAGE_BYTES + reached
    report.samples.append(
        f"{runs} failed runs: {max(sizes) / 1e6:.0f} MB at most, {sizes[-1] / 1e6:.0f} MB at the end, "
        f"{reached / 1e6:.0f} MB are reached"
    )
    if max(sizes) > bound:
        report.complain(f"{runs} runs", f"{max(sizes)} bytes on the disk, more than {bound}", "")
    return report
