"""Play many cases of incremental runs, in several processes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

from ..pipelines.scenario import LOGGING, PROCESSES
from ..project import ROOT, Project
from ..report import Report

SETTINGS = "\nfrom torture.incremental.compute import RanHooks\n\nHOOKS = (DoltHooks(), RanHooks())\n"


def play_incremental(project: Project, generator: random.Random, times: int) -> Report:
    """Play ``times`` cases; their seeds follow one another."""
    package = next(path for path in (project.path / "src").iterdir() if (path / "settings.py").exists())
    shutil.rmtree(package / "pipelines")
    with open(package / "settings.py", "a") as settings:
        settings.write(SETTINGS)
    directory = project.path.parent
    (directory / "logging.yml").write_text(LOGGING)
    env = {**project.env, "KEDRO_LOGGING_CONFIG": str(directory / "logging.yml")}
    first = generator.randrange(1 << 32)
    report = Report("random edits, run incrementally")
    running = []
    for number in range(PROCESSES):
        seeds = [str(seed) for seed in range(first, first + times)][number::PROCESSES]
        results, output = directory / f"results-{number}", directory / f"output-{number}"
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "torture.incremental.play", project.path, results, *seeds],
                cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        running.append((process, results, output))
    for process, results, output in running:
        if process.wait():
            raise AssertionError(output.read_text(errors="replace")[-5000:])
        for line in results.read_text().splitlines() if results.exists() else ():
            result = json.loads(line)
            report.faults += 1
            report.commits += 1
            report.ends.update(result["counts"])
            for complaint in result["complaints"]:
                report.complain(f"case {result['seed']}", complaint, "\n".join(result["log"]))
    return report
