"""Signals to runs, and to the server under them, at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from .ledger import RATIOS, Ledger
from .project import Project
from .report import Report

RUNNERS = ("SequentialRunner", "SequentialRunner", "ThreadRunner", "ParallelRunner")


def kill_runs(ledger: Ledger, generator: random.Random, times: int) -> Report:
    """SIGKILL, SIGTERM or SIGINT to ``kedro run`` at a random moment of its life; a plain run follows."""
    report = Report("signals to `kedro run`")
    longest = duration_of(ledger.project, _run(generator))
    for number in range(times):
        ledger.edit(f"edit {number} of a user")
        runner = generator.choice(RUNNERS)
        arguments = [*_run(generator), "--runner", runner]
        process, what = signalled(ledger.project, generator, longest, arguments, runner)
        report.faults += 1
        _settle(ledger, report, process, what, generator)
    return report


def kill_servers(ledger: Ledger, generator: random.Random, times: int) -> Report:
    """SIGKILL to the server at a random moment of the run that uses it; a plain run follows."""
    report = Report("SIGKILL of the server")
    longest = duration_of(ledger.project, _run(generator))
    while report.faults < times:
        ledger.edit(f"edit {report.faults} beside a server")
        runner = generator.choice(RUNNERS)
        process = ledger.project.start(*_run(generator), "--runner", runner)
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


def signalled(
    project: Project,
    generator: random.Random,
    longest: float,
    arguments: Sequence[str],
    runner: str,
    beside: Callable[[], object] = lambda: None,
    *,
    signals: bool = True,
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a run, and send it a signal at a random moment of its life.

    Args:
        project: the project.
        generator: makes the choices.
        longest: the seconds that a run takes which nothing disturbs.
        arguments: of ``kedro``.
        runner: the runner that they name.
        beside: is called at that moment, before the signal.
        signals: whether there is a signal at all.

    Returns:
        The process, and in words what was done to it.
    """
    sent = generator.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    # A terminal's Ctrl-C reaches the whole group, a supervisor's signal the process alone.
    whole_group = generator.random() < 0.5
    moment = generator.uniform(0, longest * (1.5 if runner == "ParallelRunner" else 1.05))
    process = project.start(*arguments)
    time.sleep(moment)
    beside()
    if not signals:
        return process, runner
    with suppress(ProcessLookupError):
        (os.killpg if whole_group else os.kill)(process.pid, sent)
    return process, f"{sent.name} after {moment:.3f} s to {runner}{' and its group' if whole_group else ''}"


def settled(project: Project, report: Report, process: subprocess.Popen[bytes], what: str) -> tuple[str, str]:
    """Wait for the end of a disturbed run; return how it ended, and what it printed."""
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
    report.ends[end] += 1
    if end == "exit 0" and "Committed" not in output and "changed no data" not in output:
        report.complain(what, "exit code 0 and no word of a commit", output)
    return end, output


def tidy_up(process: subprocess.Popen[bytes]) -> None:
    """End what Python's multiprocessing leaves running when ParallelRunner's process is killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def duration_of(project: Project, arguments: Sequence[str]) -> float:
    """Return the seconds that a run takes which nothing disturbs."""
    begun = time.monotonic()
    code, output = project.kedro(*arguments)
    assert code == 0, output
    return time.monotonic() - begun


def _settle(
    ledger: Ledger, report: Report, process: subprocess.Popen[bytes], what: str, generator: random.Random
) -> None:
    """Look at what the disturbed run printed, do a plain run, and check everything."""
    _, output = settled(ledger.project, report, process, what)
    ledger.heard(output)
    next_code, next_output = ledger.project.kedro(*_run(generator))
    ledger.heard(next_output)
    if next_code:
        report.complain(what, "the next run failed", f"{output}\n--- next\n{next_output}")
    for complaint in ledger.complaints():
        report.complain(what, complaint, f"{output}\n--- next\n{next_output}")
    report.commits = ledger.commits
    tidy_up(process)


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _run(generator: random.Random) -> list[str]:
    return ["run", "--params", f"example_test_data_ratio={generator.choice(RATIOS)}"]
