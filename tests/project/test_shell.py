"""A shell beside runs, and a shell that keeps the repository: what can be read all the same."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest
from conftest import dolt, run_kedro, start_kedro
from helpers import messages, query, server_is_running, wait_for
from test_notebook import script

from kedro_doltdb.dolt_cli import find_dolt
from kedro_doltdb.server.copies import CopyLease, remove_left_copies
from kedro_doltdb.server.managed import ManagedServer


class Terminal:
    """``kedro`` at a terminal of its own."""

    def __init__(self, project: Path, *args: str) -> None:
        self.output = ""
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(project)
            os.execv(sys.executable, [sys.executable, "-m", "kedro", *args])

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def wait_for(self, pattern: str, timeout: float = 60.0) -> str:
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.output)):
            assert time.monotonic() < deadline, self.output
            if select.select([self._file], [], [], 0.1)[0]:
                self.output += os.read(self._file, 65536).decode(errors="replace")
        self.output = self.output[found.end() :]
        return found[0]

    def wait(self) -> int:
        """Read to the end, and return the exit code."""
        while True:
            try:
                if not os.read(self._file, 65536):
                    break
            except OSError:  # Linux says so of a terminal whose last process has gone
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def dolt_shell(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A ``dolt sql`` in ``data/`` that has the repository open."""
    shell = subprocess.Popen(
        [find_dolt(), "sql"],
        cwd=project / "data",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ask(shell, "SELECT 1")
        yield shell
    finally:
        shell.communicate()


def ask(shell: subprocess.Popen[str], statement: str) -> None:
    """Send a statement and wait until it is done."""
    assert shell.stdin and shell.stdout
    shell.stdin.write(f"{statement};\nSELECT 'done' AS d;\n")
    shell.stdin.flush()
    while "done" not in (line := shell.stdout.readline()):
        assert line


def copies(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "data" / ".dolt" / "kedro" / "copies").glob("*"))


def test_a_query_prints_its_result_alone_and_leaves_no_file(project: Path, tmp_path: Path) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    dolt(project, "branch", "experiment")
    statement = "SELECT COUNT(*) AS n, active_branch() AS b FROM example_iris_data"
    assert re.search(
        r"\| 150 +\| main +\|",
        run_kedro(project, "dolt", "sql", "-q", statement, TMPDIR=str(temporary)).stdout,
    )
    done = run_kedro(project, "dolt", "sql", "--query", statement, "--branch=experiment")
    assert done.stdout.startswith("+") and re.search(r"\| 150 +\| experiment +\|", done.stdout)
    refused = run_kedro(project, "dolt", "sql", "-q", "SELECT nope", check=False)
    assert refused.returncode == 1 and "nope" in refused.stderr and refused.stdout == ""
    assert not server_is_running(project)
    assert not list(temporary.iterdir())


def test_runs_go_on_beside_the_shell(project: Path) -> None:
    with Terminal(project, "dolt", "sql") as shell:
        shell.wait_for("data/main.*> ")
        run_kedro(project, "run")
        # Ctrl-C gives up a line and not the shell.
        shell.type("SELECT 'x\x03")
        shell.type("SELECT COUNT(*) + 41000 AS n FROM kedro_runs;\n")
        shell.wait_for(r"41001")
        shell.type("UPDATE example_metrics SET value = 7 WHERE metric = 'test_rows';\n")
        shell.wait_for(r"data/main\*> ")
        shell.type("exit;\n")
        assert shell.wait() == 0
    assert not server_is_running(project)
    # As in any shell of Dolt's, an edit is uncommitted.
    assert query(project, "SELECT table_name FROM dolt_status") == [{"table_name": "example_metrics"}]
    assert len(messages(project)) == 3


@pytest.mark.thorough
def test_what_is_open_in_a_shell_can_be_read(project: Path) -> None:
    for ratio in (0.1, 0.2):
        run_kedro(project, "run", f"--params=example_test_data_ratio={ratio}")
    expected = {
        command: run_kedro(project, "dolt", *command).stdout
        for command in [("runs",), ("compare",), ("lineage", "example_metrics"), ("blame", "example_test_x")]
    }
    log = messages(project)
    with dolt_shell(project) as shell:
        for command, printed in expected.items():
            done = run_kedro(project, "dolt", *command)
            assert done.stdout == printed
            assert "Another Dolt process has" in done.stderr and "a copy of it as it is now" in done.stderr
        ask(shell, "UPDATE example_metrics SET value = 7 WHERE metric = 'test_rows'")
        assert "example_metrics ~1" in run_kedro(project, "dolt", "status").stdout
        refused = run_kedro(project, "run", check=False)
        output = " ".join((refused.stdout + refused.stderr).split())
        assert refused.returncode and "use `kedro dolt sql`, beside which runs go on" in output
        assert copies(project) == []
    assert messages(project) == log and not server_is_running(project)


@pytest.mark.usefixtures("first_run")
def test_an_opened_project_follows_what_a_shell_does(project: Path) -> None:
    said = script(
        project,
        """
        import subprocess
        from pathlib import Path
        def rows(): return int(data.sql("SELECT COUNT(*) AS n FROM t")["n"][0])
        def copies(): return len(list(Path("data/.dolt/kedro/copies").glob("*.lock")))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        shell = subprocess.Popen(["dolt", "sql"], cwd="data", text=True, **pipes)
        def ask(statement):
            shell.stdin.write(statement + "; SELECT 'done' AS d;\\n")
            shell.stdin.flush()
            while "done" not in shell.stdout.readline(): pass
        ask("CREATE TABLE t (id INT PRIMARY KEY)")
        found = []
        for number in range(3):
            ask(f"INSERT INTO t VALUES ({number})")
            found.append((rows(), rows(), copies()))
        shell.communicate("INSERT INTO t VALUES (99);")
        found.append((rows(), rows(), copies()))
        data.close()
        say([*found, copies()])
        """,
    )
    assert said == [[1, 1, 1], [2, 2, 1], [3, 3, 1], [4, 4, 0], 0]
    assert not server_is_running(project)


def test_a_copy_that_a_killed_process_has_left_is_removed_with_its_server(project: Path) -> None:
    with dolt_shell(project):
        code = (
            "import kedro_doltdb, time; data = kedro_doltdb.open(); data.sql('SELECT 1')\n"
            "open('there', 'w').close(); time.sleep(600)"
        )
        reader = subprocess.Popen([sys.executable, "-c", code], cwd=project, stdout=subprocess.DEVNULL)
        wait_for(project / "there")
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        [left] = (project / "data" / ".dolt" / "kedro" / "copies").glob("*/data")
        assert ManagedServer(left).is_running
        run_kedro(project, "dolt", "status")
        assert copies(project) == []
    run_kedro(project, "run")


def test_copies_of_a_repository_that_is_written_to_are_whole(project: Path) -> None:
    data_dir = project / "data"
    place = data_dir / ".dolt" / "kedro" / "copies"
    place.mkdir(parents=True)
    with dolt_shell(project) as shell:
        assert shell.stdin
        ask(shell, "CREATE TABLE t (id INT PRIMARY KEY, x LONGTEXT)")
        shell.stdin.write(
            "".join(f"INSERT INTO t VALUES ({n}, REPEAT('{n} ', 20000)); COMMIT;\n" for n in range(300))
        )
        shell.stdin.flush()
        seen = []
        for _ in range(8):
            lease = CopyLease.of(data_dir, place)
            with lease.address.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*), SUM(LENGTH(x) = LENGTH(id) * 20000 + 20000) FROM t")
                count, whole = cursor.fetchone() or ()
                assert count == (whole or 0)
                seen.append(count)
            lease.release()
        assert seen == sorted(seen) and copies(project) == []
        remove_left_copies(place)
    assert query(project, "SELECT COUNT(*) AS n FROM t") == [{"n": "300"}]


@pytest.mark.parametrize("given", [None, "a typed secret"])
def test_the_server_picks_a_user_and_prints_no_password_that_was_given(
    project: Path, given: str | None
) -> None:
    if given:
        dolt(project, "sql", "-q", "CREATE USER kedro@localhost IDENTIFIED BY 'not ours'")
    process = start_kedro(project, "dolt", "server", *([f"--password={given}"] if given else []))
    assert process.stdout
    printed = ""
    while "Ctrl-C stops it" not in printed:
        printed += process.stdout.readline()
    user = "kedro-2" if given else "kedro"
    assert re.search(rf"User +{user}\n", printed), printed
    assert not given or (given not in printed and f"{user}:<password>@" in printed)
    password = given or re.search(r"Password +(\S+)", printed)[1]  # type: ignore[index]
    port = int(re.search(r"127\.0\.0\.1:(\d+), for this machine", printed)[1])  # type: ignore[index]
    with pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, database="data") as login:
        cursor = login.cursor()
        cursor.execute("SELECT COUNT(*) FROM example_iris_data")
        assert cursor.fetchone() == (150,)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert {row["User"] for row in query(project, "SELECT User FROM mysql.user")} & {"kedro", "kedro-2"} == (
        {"kedro"} if given else set()
    )


def test_a_password_that_is_typed_is_not_printed(project: Path) -> None:
    with Terminal(project, "dolt", "server", "--password") as terminal:
        terminal.wait_for("Password: ")
        terminal.type("typed by hand\n")
        printed = ""
        while "Ctrl-C stops it" not in printed:
            printed += terminal.wait_for(r"[^\n]*\n")
        assert "typed" not in printed and "the one that you gave" in printed, printed
        terminal.type("\x03")
        assert terminal.wait() == 0


def test_links_in_the_place_of_copies_are_not_followed(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "x" / "data").mkdir(parents=True)
    (other / "x.lock").touch()
    (other / "y.lock").mkdir()
    place = project / "data" / ".dolt" / "kedro" / "copies"
    place.parent.mkdir()
    place.symlink_to(other)
    run_kedro(project, "dolt", "status")
    assert (other / "x" / "data").is_dir() and (other / "x.lock").exists()
    with dolt_shell(project):
        assert "No uncommitted edits" in run_kedro(project, "dolt", "status").stdout
    assert sorted(path.name for path in other.iterdir()) == ["x", "x.lock", "y.lock"]
    remove_left_copies(other)
    assert [path.name for path in other.iterdir()] == ["y.lock"]

    served = ManagedServer(project / "data")
    lease = served.acquire("user")
    (tmp_path / "left" / "y").mkdir(parents=True)
    (tmp_path / "left" / "y.lock").touch()
    (tmp_path / "left" / "y" / "data").symlink_to(project / "data")
    remove_left_copies(tmp_path / "left")
    assert served.is_running and (project / "data" / ".dolt").is_dir()
    assert list((tmp_path / "left").iterdir()) == []
    lease.release()
