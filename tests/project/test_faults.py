"""What goes wrong around a run: bounded waiting, one clear error, and nothing half committed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import run_kedro, start_kedro
from helpers import (
    break_node,
    let_go,
    messages,
    server_is_running,
    start_slow_run,
    wait_for,
)

from kedro_doltdb.dolt_cli import find_dolt
from kedro_doltdb.errors import ServerError
from kedro_doltdb.run.records import FileRecords
from kedro_doltdb.server.leases import is_held
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.server.process import _free_port

pytestmark = pytest.mark.thorough


def patch(project: Path, code: str) -> None:
    """Run code in every Kedro process of the project, workers included."""
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(f"\n\n{code}\n")


def server_pid(project: Path) -> int:
    return int((project / "data" / ".dolt" / "sql-server.info").read_text().partition(":")[0])


def assert_the_next_run_works(project: Path) -> None:
    before = messages(project)
    assert "Committed" in (done := run_kedro(project, "run")).stdout + done.stderr
    assert messages(project)[1:] == before
    assert not server_is_running(project)


def test_a_connection_that_drops_in_a_save(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch(
        project,
        "import os, socket, threading\nfrom kedro_doltdb.tables import parallel_load as module\n\n\n"
        "def load(cursor, *args):\n"
        "    threading.Timer(0.5, cursor.connection._sock.shutdown, (socket.SHUT_RDWR,)).start()\n"
        "    cursor.execute('SELECT SLEEP(20)')\n\n\n"
        "if 'HEALED' not in os.environ:\n"
        "    module.load_rows = load",
    )
    done = run_kedro(project, "run", check=False)
    assert done.returncode == 1
    assert "what the run wrote is kept on kedro/" in " ".join((done.stdout + done.stderr).split())
    assert not server_is_running(project)
    assert len(messages(project)) == 2
    monkeypatch.setenv("HEALED", "1")
    assert_the_next_run_works(project)


def test_a_server_that_answers_slowly_is_waited_for(project: Path) -> None:
    process = start_kedro(project, "run")
    wait_for(project / "data" / ".dolt" / "sql-server.info")
    stops = 0
    while process.poll() is None:
        if server_is_running(project):
            try:
                os.kill(pid := server_pid(project), signal.SIGSTOP)
            except (ProcessLookupError, FileNotFoundError):
                continue
            time.sleep(0.2)
            os.kill(pid, signal.SIGCONT)
            stops += 1
        time.sleep(0.05)
    output = process.communicate(timeout=60)[0]
    assert stops > 2
    assert process.returncode == 0 and "Committed" in output
    assert not server_is_running(project)


def test_a_server_that_has_as_many_connections_as_it_takes(project: Path, tmp_path: Path) -> None:
    patch(project, "from kedro_doltdb.dolt import address\n\naddress.CONNECT_TIMEOUT = 2.0")
    config = tmp_path / "config.yaml"
    server = ManagedServer(project / "data")
    port = _free_port()
    config.write_text(f"listener: {{host: 127.0.0.1, port: {port}, max_connections: 1}}\n")
    process = subprocess.Popen(
        [find_dolt(), "sql-server", "--config", str(config)],
        cwd=project / "data", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not server._process._running():
            time.sleep(0.05)
        done = run_kedro(project, "run", check=False)
        assert done.returncode == 1
        assert "as many as its `max_connections` allows" in " ".join((done.stdout + done.stderr).split())
        assert "Traceback" not in done.stdout + done.stderr
    finally:
        process.terminate()
        process.wait(30)
    assert len(messages(project)) == 2
    assert_the_next_run_works(project)


@pytest.mark.parametrize("removed", [False, True], ids=["moved", "removed"])
def test_a_directory_that_goes_away_during_a_run(project: Path, removed: bool) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    pid = server_pid(project)
    (project / "data").rename(project / "moved")
    if removed:
        shutil.rmtree(project / "moved")
    output = let_go(project, process)
    assert process.returncode == 1, output
    assert "data" in output and "Committed" not in output
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    if not removed:
        (project / "moved").rename(project / "data")
        assert len(messages(project)) == 2
        assert_the_next_run_works(project)


@pytest.mark.parametrize("part", ["", "leases"])
def test_what_runs_know_of_each_other_is_removed_during_a_run(project: Path, part: str) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run", "--params", "example_test_data_ratio=0.3")
    shutil.rmtree(project / "data" / ".dolt" / "kedro" / part)
    output = " ".join(let_go(project, process).split())
    assert process.returncode == 1 and "Traceback" not in output
    assert "what the run wrote is kept on kedro/" in output
    assert output.count("or its lock there, and other runs may have taken it for dead") == 1
    assert not server_is_running(project) and len(messages(project)) == 2
    assert_the_next_run_works(project)


def test_the_server_of_a_killed_run_is_stopped_though_nothing_says_whose_it_is(project: Path) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    shutil.rmtree(project / "data" / ".dolt" / "kedro")
    process.kill()
    process.communicate()
    assert server_is_running(project)
    assert_the_next_run_works(project)


def test_what_was_being_written_when_a_run_was_killed_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    alive = tmp_path / f"2026-11-24T01.04.06.644Z.json.{os.getpid()}-abc_1.tmp"
    left = tmp_path / f"2026-11-24T01.04.06.644Z.json.{dead.pid}-abc_1.tmp"
    for path in (alive, left):
        path.touch()
    FileRecords(tmp_path).tidy()
    assert list(tmp_path.iterdir()) == [alive]


def test_a_lock_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's file")
    lock = tmp_path / "run.lock"
    lock.touch(mode=0o600)
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            is_held(Path("run.lock"))
        except ServerError as error:
            os._exit(0 if "belongs to another user" in error.message else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
