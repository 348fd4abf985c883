"""Play many cases, in several processes that each play one after another."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..project import ROOT, Project
from ..report import Report
from .write import write_package

PROCESSES = 2
# Kedro's own shows each dataset.
LOGGING = "version: 1\ndisable_existing_loggers: false\n"


def play_cases(project: Project, generator: random.Random, times: int) -> Report:
    """Play ``times`` cases; their seeds follow one another, so that each theme has its turn."""
    first = generator.randrange(1 << 32)
    report = Report("random pipelines, failures and resumes")
    for result in play(project, range(first, first + times)):
        report.faults += 1
        report.commits += result["published"]
        report.ends.update(result["ends"])
        for complaint in result["complaints"]:
            again = f"repeat it with `python -m torture.pipelines {result['seed']}`"
            report.complain(
                f"case {result['seed']}",
                f"{complaint} ({again})",
                "\n".join([result["description"], *result["log"]]),
            )
    return report


def play(project: Project, seeds: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Play the cases of ``seeds`` in copies of a new project; yields a ``play.Result`` each, as a dict."""
    write_package(project.path)
    directory = project.path.parent
    (directory / "logging.yml").write_text(LOGGING)
    env = {**project.env, "KEDRO_LOGGING_CONFIG": str(directory / "logging.yml")}
    shares = [share for number in range(PROCESSES) if (share := list(map(str, seeds))[number::PROCESSES])]
    processes = []
    for number, share in enumerate(shares):
        results, output = directory / f"results-{number}", directory / f"output-{number}"
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "torture.pipelines.play", project.path, results, *share],
                # The package `torture` is found from there.
                cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        processes.append((process, results, output))
    for process, results, output in processes:
        if process.wait():
            raise AssertionError(output.read_text(errors="replace")[-5000:])
        yield from _results(results)


def _results(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)
