"""A process that has used the catalog leaves no server, however it ends, as long as it can do anything."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import server_is_running

from kedro_doltdb.dolt_cli import initialise

SCRIPT = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.settings import Settings


def sleep():
    # In pieces: Python does not wake from a sleep for a signal that came just before it.
    for _ in range(6000):
        time.sleep(0.01)


def load(database, end):
    connection = database()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    print("loaded", flush=True)
    exec(end)


if __name__ == "__main__":
    database = Database(Path.cwd(), Settings())
    exec(sys.argv[1])
"""


def leases(directory: Path) -> list[Path]:
    return list((directory / "data" / ".dolt" / "kedro" / "leases").iterdir())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    initialise(tmp_path / "data", [])
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def start(directory: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "script.py", code],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "1 / 0", "sleep()"])
def test_a_child_of_multiprocessing(directory: Path, method: str, end: str) -> None:
    process = start(
        directory,
        f"child = multiprocessing.get_context({method!r}).Process(target=load, args=(database, {end!r})); "
        "child.start(); sys.stdin.readline() and child.terminate(); child.join()",
    )
    assert process.stdout and process.stdin and process.stdout.readline() == "loaded\n"
    process.stdin.write("go\n" if end == "sleep()" else "")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert not server_is_running(directory) and not leases(directory)


def test_a_child_of_one_that_has_loaded_itself(directory: Path) -> None:
    process = start(
        directory,
        "load(database, ''); child = multiprocessing.get_context('fork').Process(target=load, "
        "args=(database, 'assert len(list(Path(\"data/.dolt/kedro/leases\").iterdir())) == 2')); "
        "child.start(); child.join(); load(database, ''); print(child.exitcode)",
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0 and output.split() == ["loaded", "loaded", "loaded", "0"]
    assert not server_is_running(directory) and not leases(directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal(directory: Path, number: int) -> None:
    process = start(directory, "load(database, 'sleep()')")
    assert process.stdout and process.stdout.readline() == "loaded\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not server_is_running(directory) and not leases(directory)


def test_a_signal_that_is_ignored_stays_ignored(directory: Path) -> None:
    process = start(
        directory, "signal.signal(signal.SIGHUP, signal.SIG_IGN); load(database, 'time.sleep(1)')"
    )
    assert process.stdout and process.stdout.readline() == "loaded\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not server_is_running(directory)
