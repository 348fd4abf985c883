"""The server as an object, without Kedro: leases, stale files, a process that will not die."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pymysql
import pytest
from conftest import dolt, run_kedro
from helpers import server_is_running

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import LeaseTakenError, ServerError
from kedro_doltdb.server import process as server_module
from kedro_doltdb.server.leases import FileLock, is_held
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.settings import Settings


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    initialise(data, [])
    return data


def test_the_last_lease_stops_the_server(data_dir: Path) -> None:
    first, second = ManagedServer(data_dir), ManagedServer(data_dir)
    lease = first.acquire("one")
    address = lease.address
    other = second.acquire("two")
    same = other.address
    assert same == address
    lease.release()
    assert server_is_running(data_dir.parent)
    other.release()
    assert not server_is_running(data_dir.parent)
    assert not list((data_dir / ".dolt" / "kedro" / "leases").iterdir())


def test_a_lease_that_is_taken_leaves_its_holder_alone(data_dir: Path) -> None:
    first, second = ManagedServer(data_dir), ManagedServer(data_dir)
    lease = first.acquire("one")
    try:
        with pytest.raises(LeaseTakenError):
            second.acquire("one")
        assert first.is_leased("one")
        assert server_is_running(data_dir.parent)
    finally:
        lease.release()


def test_a_program_that_listens_and_says_nothing_is_not_a_server(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As it is while Dolt starts on a port that another program has: Dolt writes its info file first.
    monkeypatch.setattr(server_module, "LOGIN_TIMEOUT", 0.2)
    monkeypatch.setattr(server_module, "BUSY_TIMEOUT", 0.0)
    lock = FileLock(data_dir / ".dolt" / "noms" / "LOCK")
    assert lock.acquire()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        info = data_dir / ".dolt" / "sql-server.info"
        info.write_text(f"{os.getpid()}:{mute.getsockname()[1]}:secret")
        end_of_patience = threading.Timer(60, mute.shutdown, [socket.SHUT_RDWR])
        end_of_patience.start()
        with pytest.raises(ServerError, match="Another Dolt process has"):
            ManagedServer(data_dir).acquire("one")
        assert end_of_patience.is_alive()
        end_of_patience.cancel()
    lock.release()


def test_only_the_owner_of_the_secret_gets_in(data_dir: Path) -> None:
    server = ManagedServer(data_dir)
    lease = server.acquire("one")
    address = lease.address
    try:
        assert address.password not in repr(address)
        for user, password in (("root", ""), ("__dolt_local_user__", ""), ("__dolt_local_user__", "guess")):
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                pymysql.connect(host="127.0.0.1", port=address.port, user=user, password=password)
        for path in (data_dir / ".dolt" / "kedro").rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
        listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False).stdout
        for line in listening.splitlines():
            if f":{address.port} " in line:
                assert f"127.0.0.1:{address.port}" in line
    finally:
        lease.release()


@pytest.mark.parametrize(
    "content",
    ["999999:4000:secret", "{pid}:4000:secret", "garbage", "", "1:2", "1:99999999:x", "9" * 5000, "-1:-1:x",
     "\0" * 40, "\udcff"],
)  # fmt: skip
def test_a_stale_info_file_does_no_harm(data_dir: Path, content: str) -> None:
    info = data_dir / ".dolt" / "sql-server.info"
    info.write_bytes(content.format(pid=os.getpid()).encode(errors="surrogateescape"))
    server = ManagedServer(data_dir)
    lease = server.acquire("one")
    lease.release()
    assert not server_is_running(data_dir.parent)


def test_a_server_whose_info_file_is_lost_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "BUSY_TIMEOUT", 0.2)
    first = ManagedServer(data_dir)
    lease = first.acquire("one")
    info = data_dir / ".dolt" / "sql-server.info"
    content = info.read_text()
    try:
        for wrong in ("", "1:2:3:4", f"{os.getpid()}:70000:x", content.replace(":", ":1", 1)):
            info.write_text(wrong)
            with pytest.raises(ServerError, match="Another Dolt process has"):
                ManagedServer(data_dir).acquire("two")
    finally:
        info.write_text("")
        lease.release()
    assert not server_is_running(data_dir.parent)


@pytest.mark.parametrize("name", ["iris.store", "my-iris", "Data X", "dáta", "a'b`c\"d"])
def test_a_repository_behind_a_symbolic_link(tmp_path: Path, name: str) -> None:
    real = tmp_path / "far" / name
    real.parent.mkdir()
    (tmp_path / "data").symlink_to(real, target_is_directory=True)
    initialise(tmp_path / "data", [])
    server = ManagedServer(tmp_path / "data")
    lease = server.acquire("one")
    address = lease.address
    try:
        repository = Repository(address, "tester <tester@localhost>")
        repository.create_branch("other", "main")
        with repository.on("other") as cursor:
            cursor.execute("SELECT active_branch()")
            assert cursor.fetchone() == ("other",)
    finally:
        lease.release()


def test_a_project_whose_path_is_relative(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_dir.parent)
    database = Database(Path("."), Settings())
    with database().cursor() as cursor:
        cursor.execute("SELECT active_branch()")
        assert cursor.fetchone() == ("main",)
    monkeypatch.chdir("/")
    database.close()
    assert not server_is_running(data_dir.parent)


def test_a_repository_below_the_directory_that_another_process_has_open(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = data_dir / "01_raw"
    nested.mkdir()
    initialise(nested, [])
    server = ManagedServer(data_dir)
    lease = server.acquire("one")
    lease.release()
    lock = FileLock(nested / ".dolt" / "noms" / "LOCK")
    assert lock.acquire()
    monkeypatch.setattr(server_module, "BUSY_TIMEOUT", 0.2)
    with pytest.raises(ServerError, match=re.escape(f"{nested} is a Dolt repository of its own")):
        server.acquire("one")
    lock.release()
    server.acquire("one").release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\0" * 90, b"\xff", None])
def test_a_repository_that_does_not_know_its_branch(data_dir: Path, content: bytes | None) -> None:
    state = data_dir / ".dolt" / "repo_state.json"
    state.unlink() if content is None else state.write_bytes(content)
    with pytest.raises(ServerError, match="is damaged, so Dolt does not know which branch") as caught:
        ManagedServer(data_dir).acquire("one")
    assert not server_is_running(data_dir.parent)
    (command,) = re.findall(r"`(echo .*)`", caught.value.message)
    subprocess.run(command, shell=True, check=True)
    server = ManagedServer(data_dir)
    server.acquire("one").release()


def test_a_repository_whose_branch_is_gone(data_dir: Path) -> None:
    (data_dir / ".dolt" / "repo_state.json").write_text('{"head": "refs/heads/gone"}')
    with pytest.raises(ServerError, match=r"cannot open .* the branch checked out there is gone") as caught:
        ManagedServer(data_dir).acquire("one")
    assert not server_is_running(data_dir.parent)
    assert "`cd data && dolt checkout <branch>`" in caught.value.message
    dolt(data_dir.parent, "checkout", "main")
    server = ManagedServer(data_dir)
    server.acquire("one").release()


def test_the_state_directory_is_removed_while_the_server_is_used(data_dir: Path) -> None:
    first, second = ManagedServer(data_dir), ManagedServer(data_dir)
    lease = first.acquire("one")
    address = lease.address
    shutil.rmtree(data_dir / ".dolt" / "kedro")
    # Others may have taken it for dead.
    assert not lease.held and not first.is_leased("one")
    other = second.acquire("one")
    same = other.address
    assert same == address and other.held
    lease.release()
    assert second.is_leased("one")
    other.release()
    first.acquire("one").release()
    assert not server_is_running(data_dir.parent)


def test_the_server_of_a_killed_process_is_adopted_and_stopped(data_dir: Path) -> None:
    script = (
        "import os, pathlib, signal\n"
        "from kedro_doltdb.server.managed import ManagedServer\n"
        f"ManagedServer(pathlib.Path({str(data_dir)!r})).acquire('killed')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert server_is_running(data_dir.parent)
    server = ManagedServer(data_dir)
    assert not server.is_leased("killed")
    lease = server.acquire("next")
    lease.release()
    assert not server_is_running(data_dir.parent)


def test_a_forked_child_does_not_keep_the_lease(data_dir: Path) -> None:
    server = ManagedServer(data_dir)
    lease = server.acquire("parent")
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        lease.lock.release()
        deadline = time.monotonic() + 10  # for the child to have been scheduled at all
        while server.is_leased("parent") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.is_leased("parent")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        server.acquire("parent").release()
    assert not server_is_running(data_dir.parent)


def test_a_server_that_ignores_sigterm_is_killed_in_the_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "STOP_TIMEOUT", 0.5)
    server = ManagedServer(data_dir)
    lease = server.acquire("one")
    real_kill = os.kill

    def deaf(pid: int, number: int) -> None:
        if number != signal.SIGTERM:
            real_kill(pid, number)

    monkeypatch.setattr(os, "kill", deaf)
    lease.release()
    assert "ignored SIGTERM" in caplog.text
    assert not server_is_running(data_dir.parent)


def test_a_server_that_does_not_start_tells_why(data_dir: Path) -> None:
    (data_dir / ".dolt" / "noms" / "manifest").write_text("broken")
    with pytest.raises(ServerError, match="exit code") as caught:
        ManagedServer(data_dir).acquire("one")
    assert str(data_dir / ".dolt" / "kedro" / "sql-server.log") in caught.value.message
    assert not server_is_running(data_dir.parent)


def test_a_lock_is_seen_by_others_and_ends_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    lock = FileLock(path)
    assert lock.acquire()
    assert is_held(path)
    assert not FileLock(path).acquire(timeout=0.05)
    lock.release()
    assert not is_held(path)


@pytest.mark.skipif(not os.access("/usr/bin/strace", os.X_OK), reason="strace is not installed")
def test_dolt_connects_to_nothing_but_this_machine(project: Path, tmp_path: Path) -> None:
    log = tmp_path / "strace.log"
    command = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(log)]
    subprocess.run(
        [*command, sys.executable, "-m", "kedro", "run"], cwd=project, check=True, capture_output=True
    )
    connects = [line for line in log.read_text().splitlines() if "sa_family=AF_INET" in line]
    assert connects
    assert [line for line in connects if 'inet_addr("127.0.0.1")' not in line] == []


def test_a_windows_user_is_told_of_wsl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kedro_doltdb.server.leases.fcntl", None)
    with pytest.raises(ServerError, match="WSL"):
        FileLock(tmp_path / "lock").acquire()


def test_importing_the_entry_points_is_cheap() -> None:
    script = (
        "import sys, kedro_doltdb.cli, kedro_doltdb.bulk_load\n"
        "print([m for m in ('pandas', 'sqlalchemy', 'pymysql', 'kedro') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_the_help_names_every_command(project: Path) -> None:
    assert "init" in run_kedro(project, "dolt", "--help").stdout
    assert "kedro dolt init" in run_kedro(project, "dolt", "init", "--help").stdout


def test_garbage_is_collected_when_much_was_written(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = data_dir / ".dolt" / "noms" / ("v" * 32)

    def write(number: int) -> int:
        server = ManagedServer(data_dir)
        lease = server.acquire("writer")
        address = lease.address
        with address.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, x TEXT)")
            rows = [(row, f"{number} {row}") for row in range(2000)]
            cursor.executemany("REPLACE INTO t VALUES (%s, %s)", rows)
            cursor.execute("CALL DOLT_COMMIT('-Am', %s)", (f"number {number}",))
        lease.release()
        return journal.stat().st_size if journal.exists() else 0

    sizes = [write(1), write(2)]
    assert 20_000 < sizes[0] < sizes[1]
    monkeypatch.setattr("kedro_doltdb.server.garbage.GARBAGE_BYTES", 20_000)
    assert write(3) == 0
    monkeypatch.undo()
    assert 0 < write(4) < sizes[0]
    count = dolt(data_dir.parent, "sql", "-r", "csv", "-q", "SELECT COUNT(*) AS n FROM t AS OF 'HEAD~1'")
    assert count.split() == ["n", "2000"]
