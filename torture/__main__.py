"""Run the scenarios and print what they did as a Markdown table: ``python -m torture --help``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from . import together
from .beside import write_beside
from .changes import follow_changes
from .disk import fail_in_a_row
from .endurance import run_in_a_row
from .incremental.scenario import play_incremental
from .kills import kill_runs, kill_servers
from .ledger import Ledger
from .pipelines.scenario import play_cases
from .project import Project, generated
from .report import Report
from .state import damage_state

# The scenario, and how often it is done in a full run.
SCENARIOS: dict[str, tuple[Callable[[Project, random.Random, int], Report], int]] = {
    "kills": (lambda project, generator, times: kill_runs(Ledger(project), generator, times), 200),
    "server-kills": (lambda project, generator, times: kill_servers(Ledger(project), generator, times), 100),
    "branches": (together.on_eight_branches, 20),
    "one-branch": (together.on_one_branch, 20),
    "own-tables": (together.with_tables_of_their_own, 20),
    "state": (damage_state, 500),
    "beside": (write_beside, 300),
    "pipelines": (play_cases, 500),
    "disk": (lambda project, _, times: fail_in_a_row(project, times), 1000),
    "changes": (follow_changes, 100),
    "incremental": (play_incremental, 1000),
    "endurance": (lambda project, _, times: run_in_a_row(project, times), 1000),
}


def main() -> int:
    """Run what the command line asks for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="repeats a run's choices; default: a new one, which is printed"
    )
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="one scenario; may be repeated")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of times; default: 1")
    arguments = parser.parse_args()
    seed = random.randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"Seed {seed}. Each scenario begins with a new project.", flush=True)
    reports = []
    with generated() as original:
        for name in arguments.only or SCENARIOS:
            scenario, times = SCENARIOS[name]
            times = max(1, round(times * arguments.share))
            print(f"{name}, {times} times ...", file=sys.stderr, flush=True)
            begun = time.monotonic()
            # Not one generator for all: a scenario that is run alone makes the same choices.
            reports.append(scenario(original.copy(name), random.Random(f"{seed} {name}"), times))
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print("\n| what | faults or runs | how they ended | commits checked | complaints |")
    print("| --- | --- | --- | --- | --- |")
    for report in reports:
        print(report)
    for sample in [sample for report in reports for sample in report.samples]:
        print(sample)
    complaints = [complaint for report in reports for complaint in report.complaints]
    print("\n".join(["", *complaints, f"{len(complaints)} complaints."]))
    return bool(complaints)


if __name__ == "__main__":
    raise SystemExit(main())
