"""Signals to runs, and to the server under them, at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress

from .ledger import RATIOS, Ledger
from .report import Report

RUNNERS = ("SequentialRunner", "SequentialRunner", "ThreadRunner", "ParallelRunner")


def kill_runs(ledger: Ledger, generator: random.Random, times: int) -> Report:
    """SIGKILL, SIGTERM or SIGINT to ``kedro run`` at a random moment of its life; a plain run follows."""
    report = Report("signals to `kedro run`")
    longest = _duration(ledger)
    for number in range(times):
        ledger.edit(f"edit {number} of a user")
        signalled = generator.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        # A terminal's Ctrl-C reaches the whole group, a supervisor's signal the process alone.
        whole_group = generator.random() < 0.5
        runner = generator.choice(RUNNERS)
        moment = generator.uniform(0, longest * (1.5 if runner == "ParallelRunner" else 1.05))
        what = f"{signalled.name} after {moment:.3f} s to {runner}{' and its group' if whole_group else ''}"
        process = ledger.project.start("run", "--runner", runner, "--params", _ratio(generator))
        time.sleep(moment)
        with suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, signalled)
        report.faults += 1
        _settle(ledger, report, process, what, generator)
    return report


def kill_servers(ledger: Ledger, generator: random.Random, times: int) -> Report:
    """SIGKILL to the server at a random moment of the run that uses it; a plain run follows."""
    report = Report("SIGKILL of the server")
    longest = _duration(ledger)
    while report.faults < times:
        ledger.edit(f"edit {report.faults} beside a server")
        runner = generator.choice(RUNNERS)
        process = ledger.project.start("run", "--runner", runner, "--params", _ratio(generator))
        while process.poll() is None and (pid := ledger.project.server_pid) is None:
            time.sleep(0.002)
        # A server is there for a quarter of the time that a run takes, whatever the runner.
        moment = generator.uniform(0, longest * 0.3)
        time.sleep(moment)
        if process.poll() is None and pid and pid == ledger.project.server_pid:
            os.kill(pid, signal.SIGKILL)
            report.faults += 1
        what = f"SIGKILL of the server {moment:.3f} s after its start, under {runner}"
        _settle(ledger, report, process, what, generator)
    return report


def _settle(
    ledger: Ledger, report: Report, process: subprocess.Popen[bytes], what: str, generator: random.Random
) -> None:
    """Look at what the disturbed run printed, do a plain run, and check everything."""
    project = ledger.project
    try:
        end = _end(process.wait(timeout=60))
    except subprocess.TimeoutExpired:
        # A Ctrl-C while ParallelRunner starts multiprocessing's manager, before any hook is called: Python
        # joins it for ever.
        end = "hung in multiprocessing"
        if project.server_runs:
            report.complain(what, "hangs, and a server runs", project.output.read_text(errors="replace"))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    output = project.output.read_text(errors="replace")
    ledger.heard(output)
    report.ends[end] += 1
    if end == "exit 0" and "Committed" not in output and "changed no data" not in output:
        report.complain(what, "exit code 0 and no word of a commit", output)
    next_code, next_output = project.kedro("run", "--params", _ratio(generator))
    ledger.heard(next_output)
    if next_code:
        report.complain(what, "the next run failed", f"{output}\n--- next\n{next_output}")
    for complaint in ledger.complaints():
        report.complain(what, complaint, f"{output}\n--- next\n{next_output}")
    report.commits = ledger.commits
    # What Python's multiprocessing leaves running when ParallelRunner's process is killed.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _ratio(generator: random.Random) -> str:
    return f"example_test_data_ratio={generator.choice(RATIOS)}"


def _duration(ledger: Ledger) -> float:
    begun = time.monotonic()
    ledger.heard(ledger.project.kedro("run", "--params", "example_test_data_ratio=0.1")[1])
    return time.monotonic() - begun
