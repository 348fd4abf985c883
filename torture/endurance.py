"""A thousand runs in a row: what grows, besides the data."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from .project import Project
from .report import Report

SAMPLES = 5

SCRIPT = """
import gc, json, os, sys, threading, time
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
runs, every = int(sys.argv[1]), int(sys.argv[2])
taken = []
for number in range(runs):
    begun = time.perf_counter()
    with KedroSession.create(runtime_params={"example_test_data_ratio": 0.1 + number % 7 / 10}) as session:
        session.run()
    taken.append(time.perf_counter() - begun)
    if (number + 1) % every == 0:
        gc.collect()
        print(json.dumps({
            "runs": number + 1,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            "seconds": sorted(taken)[len(taken) // 2],
            "state": sum(len(files) for _, _, files in os.walk("data/.dolt/kedro")),
            "files": sum(len(files) for _, _, files in os.walk("data/.dolt")),
            "bytes": sum(path.stat().st_size for path in Path("data/.dolt").rglob("*")),
        }), flush=True)
        taken = []
"""


@dataclass(frozen=True)
class Sample:
    """What there is after a number of runs.

    Attributes:
        runs: how many.
        descriptors: open ones of the process.
        threads: of the process.
        memory: resident bytes of the process.
        seconds: the median time of a run since the last sample.
        state: files of ours in the repository.
        files: all files of the repository.
        bytes: all bytes of the repository.
    """

    runs: int
    descriptors: int
    threads: int
    memory: int
    seconds: float
    state: int
    files: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"after {self.runs} runs: {self.descriptors} descriptors, {self.threads} threads, "
            f"{self.memory / 1e6:.0f} MB of memory, {self.seconds:.2f} s a run, {self.state} files of state, "
            f"{self.files} files and {self.bytes / 1e6:.1f} MB in the repository"
        )


def run_in_a_row(project: Project, runs: int) -> Report:
    """Run the iris pipeline again and again in one process, each run with its own server."""
    report = Report("runs in a row in one process", faults=runs)
    script = project.path.parent / "endure.py"
    script.write_text(SCRIPT)
    errors = project.path.parent / "errors"
    with open(errors, "wb") as stderr:
        done = subprocess.run(
            [sys.executable, str(script), str(runs), str(max(1, runs // SAMPLES))],
            cwd=project.path, env=project.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=stderr, text=True, check=False,
        )  # fmt: skip
    report.ends[f"exit {done.returncode}"] += 1
    samples = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        report.complain("a run", "failed", errors.read_text()[-5000:])
        return report
    report.samples = [Sample(**sample) for sample in samples]
    first, last = samples[0], samples[-1]
    for what in ("descriptors", "threads", "state", "files"):
        if last[what] > first[what]:
            report.complain(f"{runs} runs", f"{what} grew from {first[what]} to {last[what]}", "")
    report.commits = len(project.query("SELECT 1 FROM dolt_log('main') WHERE message LIKE 'Update data%'"))
    if report.commits != runs:
        report.complain(f"{runs} runs", f"made {report.commits} commits", "")
    if left := [path.name for path in project.temporary.iterdir()]:
        report.complain(f"{runs} runs", f"temporary files are left: {left[:5]}", "")
    if "No problems found" not in (words := project.dolt("fsck")):
        report.complain(f"{runs} runs", f"dolt fsck: {words}", "")
    return report
