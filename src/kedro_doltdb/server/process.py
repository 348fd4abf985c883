"""The process ``dolt sql-server`` on a repository: found, started, stopped.

While the lock ``server.lock`` is held, our server runs, whatever has happened to the process that started it:
the server inherits the lock's descriptor.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import state_files
from ..dolt.address import HOST, Address
from ..dolt_cli import (
    MINIMUM_VERSION,
    DoltCommandError,
    check_version,
    find_dolt,
    home,
    keep_private,
    keep_quiet,
)
from ..errors import InUseError, ServerError
from ..secret import hidden
from ..terminal import get_logger
from .garbage import Garbage
from .leases import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
BUSY_TIMEOUT = 10.0
LOGIN_TIMEOUT = 5.0
# Dolt opens a repository before it listens, so what it answers then is final.
REFUSAL_TIMEOUT = 2.0
LOG_TAIL_LINES = 10
_INFO_BYTES = 4096


class ServerProcess:
    """The server process of one Dolt repository. Whoever starts or stops it holds ``start.lock`` meanwhile.

    Args:
        data_dir: the repository, that is, the directory that holds ``.dolt``.
        port: the port to listen on; None takes a free one.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port
        self._state = data_dir / ".dolt" / "kedro"
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = 0
        # Where it listens, once it has let us in.
        self._child_address: Address | None = None
        # Of the server that runs.
        self._started_by_us = False
        # What the server of that process has answered in the place of a connection.
        self._refusal: tuple[int | None, str] | None = None

    def __getstate__(self) -> dict[str, object]:
        # A worker process has its own copy, and no child to wait for.
        return {**self.__dict__, "_process": None}

    @property
    def database(self) -> str:
        """What Dolt calls the repository: after its directory, whatever links lead there."""
        return self.data_dir.resolve().name

    @property
    def log_file(self) -> Path:
        """What the server that we started last has printed."""
        return self._state / "sql-server.log"

    @property
    def started_by_runs(self) -> bool:
        """Whether a run or a command of ours has started the server that was found last."""
        return self._started_by_us

    @property
    def is_running(self) -> bool:
        """Whether a process has the repository open."""
        return is_running(self.data_dir)

    def find_or_start(self, patience: float = BUSY_TIMEOUT) -> Address:
        """Return the address of the server that runs, or of one that is started now.

        Args:
            patience: seconds to wait for another Dolt process to close the repository.

        Raises:
            InUseError: another Dolt process has the repository open.
            ServerError: the port is taken, or the server did not become ready.
        """
        deadline = time.monotonic() + patience
        while True:
            if address := self._running():
                return address
            if not self.is_running and (address := self._start()):
                return address
            if time.monotonic() >= deadline:
                self._check_refusal()
                self._check_nested()
                raise InUseError(
                    f"Another Dolt process has {self.data_dir} open{holder(self.data_dir)}: close it and run "
                    "again. If it is a `dolt sql` shell, use `kedro dolt sql`, beside which runs go on; if "
                    "a server, it may have as many connections as its `max_connections` allows."
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server, if runs started it, and collect its garbage if there is much."""
        address = self._running()
        if address is not None and address.pid is not None:
            if not self._started_by_us:
                return
            try:
                Garbage(self.data_dir).collect_if_worth_it(address)
            finally:
                self._terminate(address.pid)
        elif self._child is not None and self._child.poll() is None:
            self._terminate(self._child.pid)

    def terminate(self) -> None:
        """Stop our server of a repository that is not needed any more."""
        if self._child is not None:
            self._terminate(self._child.pid)
        elif (address := self._running()) and self._started_by_us and address.pid is not None:
            self._terminate(address.pid)

    @property
    def _info_file(self) -> Path:
        return self.data_dir / ".dolt" / "sql-server.info"

    @property
    def _no_files(self) -> Path:
        return self._state / "no-files"

    def _has_lock(self) -> bool:
        return is_held(self._state / "server.lock")

    def _running(self) -> Address | None:
        """Return the server of this repository, if one answers a login with the repository's secret."""
        import pymysql

        from ..dolt import answers

        # An info file outlives a killed server and is copied with its directory: only a server that
        # has this very repository locked is one of ours.
        if not self.is_running:
            return None
        if self._child_address and self._child and self._child.poll() is None and self._has_lock():
            # This process has started it, and was let in then.
            return self._child_address
        try:
            address = self._written_address()
            # Whatever else listens on that port may accept a connection and never say a word.
            with address.connect(read_timeout=LOGIN_TIMEOUT) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT dolt_version(), @@GLOBAL.secure_file_priv")
                version, directory = map(str, cursor.fetchone() or ("0", ""))
                check_server_version(version)
                # The lock that says so may have been removed since we started it.
                same = os.path.realpath(directory) == os.path.realpath(self._no_files)
                self._started_by_us = same or self._has_lock()
                if not self._started_by_us:
                    # A user's server has it off by default, and bulk loads need it. It is not persisted.
                    cursor.execute("SET GLOBAL local_infile = 1")
        except (OSError, ValueError):
            return None
        except pymysql.err.Error as error:
            # The server lets us in, and does not open the repository.
            self._refusal = (address.pid, answers.words(error)) if answers.is_answer(error) else None
            return None
        self._refusal = None
        return address

    def _written_address(self) -> Address:
        """Return what Dolt has written of the server that it started last.

        Raises:
            OSError, ValueError: there is no such file, or it holds something else.
        """
        file = state_files.open_file(self._info_file, os.O_RDONLY, aside=False)
        with open(file, "rb") as info:
            pid, port, secret = hidden(info.read(_INFO_BYTES).decode().strip().split(":"))
        if not (0 < int(port) < 1 << 16 and 0 < int(pid) < 1 << 31):
            raise ValueError
        return Address(int(port), secret, self.database, int(pid))

    def _check_refusal(self) -> None:
        """Raise what a server answers that runs and does not open the repository."""
        if self._refusal is None:
            return
        words = self._refusal[1]
        hint = "see its log, data/.dolt/kedro/sql-server.log, and `dolt status` in data/"
        if "cannot resolve default branch head" in words:
            hint = (
                "the branch checked out there is gone. Check out another: `cd data && dolt checkout <branch>`"
            )
        raise ServerError(f"The Dolt server cannot open {self.data_dir}: {words}: {hint}.")

    def _check_nested(self) -> None:
        """Raise what to do about a repository in a directory of ``data/`` that another process has open."""
        found = re.search(r'database "(.*)" is locked by another', self._log_tail())
        nested = self.data_dir / found[1] if found and found[1] != self.database else None
        if nested is not None and nested.is_dir() and not self.is_running:
            raise ServerError(
                f"{nested} is a Dolt repository of its own, which a server on {self.data_dir} opens too, and "
                f"another Dolt process has it open{holder(nested)}: close that, or move it out of data/."
            )

    def check_repository(self) -> None:
        """Raise what would keep Dolt from saying which branch is checked out."""
        file = self.data_dir / ".dolt" / "repo_state.json"
        try:
            state = json.loads(file.read_bytes())
            if isinstance(state, dict) and isinstance(state.get("head"), str):
                return
        except (OSError, ValueError, RecursionError):
            pass
        raise ServerError(
            f"{file} is damaged, so Dolt does not know which branch is checked out: "
            f"""`echo '{{"head": "refs/heads/main"}}' > {file}`, then add your remotes again."""
        )

    def _start(self) -> Address | None:
        """Start the server; None when somebody else has opened the repository or taken the port meanwhile."""
        try:
            dolt = find_dolt()
        except DoltCommandError as error:
            raise ServerError(str(error)) from error
        self.check_repository()
        with writing_to(self.data_dir):
            keep_quiet(self.data_dir)
            for name in (".dolt", ".doltcfg"):
                keep_private(self.data_dir / name)
            # Dolt replaces what another server has left there, unless it is a directory.
            with suppress(FileNotFoundError):
                os.close(state_files.open_file(self._info_file, os.O_RDONLY))
        port = self.port or _free_port()
        config = self._state / "sql-server.yaml"
        lock = FileLock(self._state / "server.lock")
        if not lock.acquire():
            return None
        # JSON is YAML. Dolt reads the file once, when it starts.
        settings = {
            "log_level": "warning",
            "listener": {"host": HOST, "port": port},
            # Events come with a clone, and would run whenever a server does.
            "behavior": {"event_scheduler": "OFF"},
            "system_variables": {
                "local_infile": 1,
                # They read every table of every branch in the background, and write while branches are made.
                "dolt_stats_enabled": 0,
                # No statement reads or writes other files: there is no such directory.
                "secure_file_priv": str(self._no_files),
            },
        }
        try:
            state_files.write(config, json.dumps(settings))
            log_flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
            with open(state_files.open_file(self.log_file, log_flags), "wb") as log:
                self._process = subprocess.Popen(
                    [dolt, "sql-server", "--config", str(config), "--skip-root-user-initialization"],
                    cwd=self.data_dir,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[lock.fd],
                )
            self._starter, self._child_address = os.getpid(), None
        except OSError as error:
            raise ServerError(f"Dolt could not be started: {error}.") from error
        finally:
            lock.release()
        try:
            return self._wait_until_ready(self._process, port)
        except BaseException:
            if self._process.poll() is None:
                self._terminate(self._process.pid)
            raise

    def _environment(self) -> dict[str, str]:
        # The server leaves temporary files wherever it is told to put them.
        temporary = self._state / "tmp"
        state_files.empty_directory(temporary)
        env = {**os.environ, "DOLT_DISABLE_EVENT_FLUSH": "1", "TMPDIR": str(temporary)}
        if home() is None:
            env["DOLT_ROOT_PATH"] = str(temporary)
        return env

    def _wait_until_ready(self, process: subprocess.Popen[bytes], port: int) -> Address | None:
        deadline = time.monotonic() + START_TIMEOUT
        refused_since: float | None = None
        while time.monotonic() < deadline:
            if process.poll() is not None:
                self._check_exit(process.returncode, port)
                return None
            if (address := self._running()) and address.pid == process.pid:
                self._child_address = address
                return address
            if self._refusal is None or self._refusal[0] != process.pid:
                refused_since = None
            elif time.monotonic() > (refused_since := refused_since or time.monotonic()) + REFUSAL_TIMEOUT:
                self._check_refusal()
            time.sleep(0.01)
        raise ServerError(f"The Dolt server was not ready after {START_TIMEOUT:.0f} s. {self._log_tail()}")

    def _check_exit(self, code: int, port: int) -> None:
        """Raise what the user has to know of a server that ended; return if it can be started again."""
        log = self._log_tail()
        if "locked by another" in log or ("already in use" in log and self.port is None):
            return
        if "already in use" in log:
            raise ServerError(
                f"Port {port}, which conf/*/dolt.yml sets, is taken by another program: "
                "stop that program, or set `port: null` to take a free one."
            )
        try:
            check_version(find_dolt())
        except DoltCommandError as error:
            raise ServerError(str(error)) from error
        raise ServerError(f"The Dolt server stopped with exit code {code}. {log}")

    def _log_tail(self) -> str:
        log = (state_files.read(self.log_file) or b"").decode(errors="replace")
        return f"Its log, {self.log_file}, ends:\n" + "\n".join(log.splitlines()[-LOG_TAIL_LINES:])

    def _terminate(self, pid: int) -> None:
        """Stop our server and wait until it has gone. It may be writing, so SIGKILL is the last resort."""
        for number, timeout in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
            if number is signal.SIGKILL:
                get_logger(__name__).warning(
                    "The Dolt server (process %d) ignored SIGTERM for %.0f s and is killed.",
                    pid,
                    STOP_TIMEOUT,
                )
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + timeout
            while self._lives(pid) and time.monotonic() < deadline:
                time.sleep(0.005)
            if not self._lives(pid):
                break
        if self._child is not None and self._child.pid == pid:
            self._child.wait()
            self._process = None

    def _lives(self, pid: int) -> bool:
        """Return whether our server does; its lock may have been removed, and its id be another's."""
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return self._has_lock() or (self.is_running and _exists(pid))

    @property
    def _child(self) -> subprocess.Popen[bytes] | None:
        """The server that this very process has started; a forked one cannot wait for it."""
        return self._process if self._starter == os.getpid() else None


@contextmanager
def writing_to(data_dir: Path) -> Iterator[None]:
    """Raise a ``ServerError`` for what the system refuses in the context.

    Args:
        data_dir: the repository that is written to.
    """
    try:
        yield
    except OSError as error:
        raise ServerError(f"{data_dir} cannot be written to: {error}.") from error


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_server_version(version: str) -> None:
    if tuple(int(part) for part in version.split("-")[0].split(".")) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise ServerError(
            f"The Dolt server is version {version}; kedro-dolt needs {wanted} or newer: upgrade Dolt where "
            "it runs, with `kedro dolt install` or `pip install 'kedro-doltdb[dolt]'`."
        )


def is_running(data_dir: Path) -> bool:
    """Return whether a process has a repository open."""
    return is_held(data_dir / ".dolt" / "noms" / "LOCK")


def holder(data_dir: Path) -> str:
    """Name the process that has the repository open, where the system tells (Linux)."""
    lock = (data_dir / ".dolt" / "noms" / "LOCK").resolve()
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if fd.readlink() == lock and int(fd.parts[2]) != os.getpid():
                command = (
                    (fd.parent.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                return f" (process {fd.parts[2]}, `{command.strip()}`)"
    return ""
