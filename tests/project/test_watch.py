"""A server that hangs is not waited for; one that is busy is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from conftest import run_kedro
from helpers import branches, break_node, messages, server_is_running

from kedro_doltdb.dolt import watchdog
from kedro_doltdb.dolt.address import Address
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.server.managed import ManagedServer


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    monkeypatch.setattr(watchdog, "SILENCE", 1.0)
    monkeypatch.setattr(watchdog, "INTERVAL", 0.2)
    initialise(tmp_path / "data", [])
    server = ManagedServer(tmp_path / "data")
    lease = server.acquire("test")
    address = lease.address
    try:
        yield address
    finally:
        os.kill(address.pid, signal.SIGCONT)
        lease.release()


def test_a_busy_server_is_waited_for(address: Address) -> None:
    with address.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT SLEEP(4)")
        assert cursor.fetchone() == (0,)


def pause(pid: int) -> None:
    """Stop a process. Its threads go on for a moment after the signal was sent."""
    os.kill(pid, signal.SIGSTOP)
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    while not subprocess.check_output(command, text=True).startswith("T"):
        time.sleep(0.01)


def test_a_server_that_hangs_is_not(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    with address.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        pause(address.pid)
        with pytest.raises(pymysql.err.OperationalError, match="Lost connection"):
            cursor.execute("SELECT 2")
    assert "The Dolt server has not answered for 1 s" in caplog.text


@pytest.mark.thorough
def test_a_run_whose_server_hangs_fails_and_the_next_one_works(project: Path) -> None:
    break_node(project, "make_predictions")
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(
            "\n\nfrom kedro_doltdb.dolt import address, watchdog\nfrom kedro_doltdb.server import managed\n\n"
            "watchdog.SILENCE, watchdog.INTERVAL = 2.0, 0.5\n"
            "address.CONNECT_TIMEOUT, managed.STOP_TIMEOUT = 2.0, 2.0\n"
        )
    code = (
        "import os, pathlib, signal; "
        "os.kill(int(pathlib.Path('data/.dolt/sql-server.info').read_text().split(':')[0]), signal.SIGSTOP)"
    )
    done = run_kedro(project, "run", check=False, BREAK=code)
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "Failed while saving data" in output and "or it hangs" in output
    assert "The next run will clean up what it left: The Dolt server" in output
    assert not server_is_running(project)
    assert len(messages(project)) == 2
    done = run_kedro(project, "run")
    assert "was killed; what it wrote is kept on kedro/" in " ".join((done.stdout + done.stderr).split())
    assert len(messages(project)) == 3
    assert len(branches(project)) == 2
