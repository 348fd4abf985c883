"""What other users of the machine, the log, the process list and a hostile name get: nothing."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from conftest import dolt, run_kedro
from helpers import break_node, let_go, query, start_slow_run, wait_for

from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ServerError
from kedro_doltdb.secret import Secret, hidden
from kedro_doltdb.server.managed import ManagedServer


@pytest.fixture
def other_user() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Does what a function does as another user of the machine, and gives what it returns."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("only root can make another user")
    name = f"kd-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", name], check=True)
    try:
        uid = int(subprocess.run(["id", "-u", name], check=True, capture_output=True, text=True).stdout)

        def act(action: Callable[[], Any]) -> Any:
            reader, writer = os.pipe()
            if not (child := os.fork()):
                try:
                    os.setgroups([])
                    os.setgid(uid)
                    os.setuid(uid)
                    os.write(writer, json.dumps(action()).encode())
                finally:
                    os._exit(0)
            os.close(writer)
            with open(reader, "rb") as answer:
                text = answer.read()
            os.waitpid(child, 0)
            return json.loads(text)

        yield act
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


@pytest.fixture
def open_project(project: Path) -> Iterator[Path]:
    """A project where other users may look, as in a home directory of old."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        shutil.copytree(project, path := Path(directory, "iris-dolt"))
        yield path


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except (OSError, pymysql.err.Error) as error:
        return type(error).__name__
    return "done"


def reachable(directory: str) -> list[str]:
    """The files under a directory that can be read or written."""
    return [
        path
        for parent, _, names in os.walk(directory)
        for path in (os.path.join(parent, name) for name in names)
        if os.access(path, os.R_OK) or os.access(path, os.W_OK)
    ]


def test_another_user_gets_neither_in_nor_at_a_file(
    open_project: Path, other_user: Callable[[Callable[[], Any]], Any]
) -> None:
    project = open_project
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    try:
        _, port, secret = (project / "data" / ".dolt" / "sql-server.info").read_text().strip().split(":")

        def log_in(user: str, password: str) -> Any:
            return pymysql.connect(host="127.0.0.1", port=int(port), user=user, password=password)

        def attempts() -> dict[str, Any]:
            data = project / "data"
            return {
                "seen": reachable(str(data / ".dolt")) + reachable(str(data / ".doltcfg")),
                "also seen": reachable(str(data / "01_raw")),
                "logins": [
                    outcome(lambda user=user, password=password: log_in(user, password))
                    for user in ("root", "__dolt_local_user__", "dolt", "")
                    for password in ("", "dolt", "0" * 36)
                ],
                "info": outcome(lambda: (data / ".dolt" / "sql-server.info").read_text()),
                "replace": outcome(lambda: (data / ".dolt").rename(data / "old")),
                "add": outcome(lambda: (data / ".dolt" / "kedro" / "x").symlink_to("/etc/passwd")),
            }

        assert outcome(lambda: log_in("__dolt_local_user__", secret)) == "done"
        found = other_user(attempts)
    finally:
        output = let_go(project, process)
    assert "Committed" in output
    assert found.pop("seen") == []
    assert found.pop("also seen") == [str(project / "data" / "01_raw" / "iris.csv")]
    assert set(found.pop("logins")) == {"OperationalError"}
    assert set(found.values()) == {"PermissionError"}


def test_a_repository_that_somebody_else_has_put_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initialise(tmp_path / "data", [])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ServerError, match=r"\.dolt belongs to another user"):
        ManagedServer(tmp_path / "data").acquire("test")
    assert not (tmp_path / "data" / ".dolt" / "kedro").exists()


def test_users_that_somebody_else_has_put_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's directory")
    initialise(tmp_path / "data", [])
    for path in (tmp_path / "data", tmp_path / "data" / ".dolt"):
        os.chown(path, 54321, 54321)
    (tmp_path / "data" / ".doltcfg").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(ServerError, match=r"\.doltcfg belongs to another user"):
        ManagedServer(tmp_path / "data").acquire("test")


def test_statements_reach_no_other_file(project: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("1")
    server = ManagedServer(project / "data")
    lease = server.acquire("test")
    address = lease.address
    try:
        with address.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT LOAD_FILE(%s)", (str(secret),))
            assert cursor.fetchone() == (None,)
            cursor.execute("CREATE TABLE taken (id INT)")
            for statement in (
                f"LOAD DATA INFILE '{secret}' INTO TABLE taken",
                f"SELECT 1 INTO OUTFILE '{tmp_path / 'written'}'",
            ):
                with pytest.raises(pymysql.err.Error, match=r"no-files|secure-file-priv"):
                    cursor.execute(statement)
    finally:
        lease.release()
    assert not (tmp_path / "written").exists()


CREDENTIALS = "warehouse:\n  con: sqlite:///warehouse.db\n  password: hunter2-of-the-warehouse\n"


def test_no_secret_comes_out(project: Path, tmp_path: Path) -> None:
    (project / "conf" / "local" / "credentials.yml").write_text(CREDENTIALS)
    (project / "conf" / "logging.yml").write_text(
        "version: 1\nroot: {level: DEBUG, handlers: [all]}\n"
        "handlers: {all: {class: logging.StreamHandler, level: DEBUG}}\n"
    )
    break_node(project, "make_predictions")
    code = (
        "import os, pathlib, subprocess, time\n"
        "secret = pathlib.Path('data/.dolt/sql-server.info').read_text().strip().split(':')[2]\n"
        f"pathlib.Path({str(tmp_path / 'secret')!r}).write_text(secret)\n"
        "print(subprocess.run(['ps', 'axwwe'], capture_output=True, text=True).stdout)\n"
        "print(subprocess.run(['env'], capture_output=True, text=True).stdout)\n"
        "raise RuntimeError('broken')"
    )
    params = "--params=example_random_state=4"
    logging = str(project / "conf" / "logging.yml")
    outputs = []
    for args in (
        ["run", params],
        ["run", "--runner=ThreadRunner", params],
        ["catalog", "describe-datasets"],
        ["catalog", "resolve-patterns"],
        ["dolt", "status"],
        ["dolt", "runs", "--limit=0"],
    ):
        done = run_kedro(project, *args, check=False, BREAK=code, KEDRO_LOGGING_CONFIG=logging)
        outputs.append(done.stdout + done.stderr)
    wait_for(tmp_path / "secret")
    assert "RuntimeError" in outputs[0] and "sql-server --config" in outputs[0]
    assert "example_predictions" in outputs[2] and "SQLTableDataset" in outputs[3]
    branch = query(project, "SELECT name FROM dolt_branches WHERE name LIKE 'kedro/%' LIMIT 1")[0]["name"]
    outputs.append(json.dumps(query(project, f"SELECT * FROM kedro_runs AS OF '{branch}'")))
    outputs.append(dolt(project, "log", "--all"))
    outputs += [
        path.read_text(errors="replace")
        for path in (project / "data" / ".dolt" / "kedro").rglob("*")
        if path.is_file()
    ]
    for secret in ((tmp_path / "secret").read_text(), "hunter2-of-the-warehouse"):
        assert len(secret) > 10
        assert not [text for text in outputs if secret in text]


def test_nothing_of_ours_listens_beyond_this_machine(project: Path) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    try:
        port = int((project / "data" / ".dolt" / "sql-server.info").read_text().split(":")[1])
        with pytest.raises(OSError):  # noqa: PT011 - which one, depends on the system
            # Another address of this very machine.
            socket.create_connection(("127.0.0.2", port), timeout=5)
    finally:
        let_go(project, process)


@pytest.mark.parametrize("port", [1, None], ids=["nobody listens", "refused"])
def test_no_traceback_with_local_variables_shows_a_password(tmp_path: Path, port: int | None) -> None:
    from rich.console import Console
    from rich.traceback import Traceback

    from kedro_doltdb.server.external import ExternalServer

    # Kedro's own frames are not ours, nor is this one.
    password = Secret("correct horse battery staple " * 5)
    initialise(tmp_path / "data", [])
    managed = ManagedServer(tmp_path / "data")
    lease = managed.acquire("test")
    address = lease.address
    try:
        credentials: dict[str, object] = {
            "host": "127.0.0.1", "port": port or address.port, "user": "nobody", "database": "data",
        }  # fmt: skip
        external = ExternalServer.from_credentials("dolt", {**credentials, "password": password})
        broken = hidden({"password": password, "user": 3})
        for action in (
            lambda: external.acquire("one"),
            lambda: external._address.connect(),
            lambda: ExternalServer.from_credentials("dolt", broken),
        ):
            console = Console(width=200, record=True, file=io.StringIO())
            try:
                action()
            except Exception as error:
                console.print(
                    Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
                )
            else:
                pytest.fail("that was to fail")
            shown = console.export_text()
            assert "locals" in shown and "correct horse" not in shown
        assert "correct horse" not in repr(vars(external)) and address.password not in repr(vars(managed))
    finally:
        lease.release()
