"""``kedro`` in a fork, as most tests run it, does what it does in a new process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import run_kedro, start_kedro
from forked_kedro import ForkedProcess
from helpers import break_node, hashes, messages

pytestmark = pytest.mark.thorough

# What no two runs print alike, and the frames of a traceback: those of a fork begin with ours.
TIMES = (
    r"^│.*\n|\[\d\d/\d\d/\d\d \d\d:\d\d:\d\d\]|^ {19}|\d{4}-\d\d-\d\dT[\d.]+Z|[\d.]+ sec|Committed \w+|"
    r"show \w+"
)


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("", 0),
        ("raise ValueError('broken')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_a_fork_and_a_new_process_print_and_leave_the_same(
    project: Path, tmp_path: Path, code: str, returncode: int
) -> None:
    break_node(project, "report_accuracy")
    again = Path(shutil.copytree(project, tmp_path / "again"))
    seen = []
    for fork in (True, False):
        done = run_kedro(project, "run", check=False, fork=fork, BREAK=code)
        printed = [re.sub(TIMES, "", text, flags=re.MULTILINE) for text in (done.stdout, done.stderr)]
        # The next run sees to what a killed one has left.
        run_kedro(project, "run", fork=fork)
        log = [re.sub(TIMES, "", message) for message in messages(project)]
        seen.append((done.returncode, printed, log, hashes(project)))
        if fork:
            project.rename(tmp_path / "first")
            again.rename(project)
    assert seen[0] == seen[1]
    assert seen[0][0] == returncode


def test_a_fork_has_the_environment_and_the_directory_of_its_call_alone(project: Path) -> None:
    break_node(project, "report_accuracy")
    code = (
        "import os, sys; sys.exit(f'{sorted(os.environ)} {os.getcwd()} {sys.argv} {sys.path[0]} {sys.flags}')"
    )
    printed = [
        run_kedro(project, "run", check=False, fork=fork, BREAK=code, ONLY_HERE="x").stderr
        for fork in (True, False)
    ]
    assert "ONLY_HERE" in printed[0] and printed[0] == printed[1]
    assert "ONLY_HERE" not in run_kedro(project, "run", check=False, BREAK=code).stderr


def test_a_fork_that_was_started_can_be_watched_and_signalled(project: Path) -> None:
    break_node(project, "report_accuracy")
    first, second = (
        start_kedro(project, "run", BREAK=f"import time; print('here'); time.sleep({seconds})")
        for seconds in (60, 0)
    )
    assert isinstance(first, ForkedProcess)
    # They run at the same time, and the second is not waited for.
    assert "here" in second.communicate(timeout=60)[0] and second.returncode == 0
    assert first.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.01)
    os.killpg(first.pid, signal.SIGTERM)
    assert "here" in first.communicate(timeout=60)[0] and first.poll() == 128 + signal.SIGTERM
    first.send_signal(signal.SIGKILL)


def test_a_fork_that_does_not_end_is_killed_when_its_output_was_waited_for(project: Path) -> None:
    break_node(project, "report_accuracy")
    process = start_kedro(project, "run", BREAK="import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.1)
    assert process.wait(60) == -signal.SIGKILL
