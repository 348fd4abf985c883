"""The life of the ``dolt sql-server`` on a project's ``data/`` directory.

A process that needs the server takes a *lease*, a lock file under ``data/.dolt/kedro/leases``. The first
lease starts the server, the last one to go stops it. A server that a person started is used and left alone.

Everything that says who lives is a file lock, which the kernel drops with its process. The server we start
inherits the descriptor of a lock as well: while ``server.lock`` is held, our server runs, whatever became of
the process that started it.
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
from ..dolt.watchdog import end_idle
from ..dolt_cli import (
    MINIMUM_VERSION,
    DoltCommandError,
    check_version,
    find_dolt,
    home,
    keep_private,
    keep_quiet,
)
from ..errors import LeaseTakenError, ServerError
from ..secret import hidden
from ..terminal import get_logger
from .leases import FileLock, is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .leases import Lease

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
BUSY_TIMEOUT = 10.0
LOGIN_TIMEOUT = 5.0
# Dolt opens a repository before it listens, so what it answers then is final.
REFUSAL_TIMEOUT = 2.0
LOG_TAIL_LINES = 10
_INFO_BYTES = 4096
_JOURNAL = "v" * 32
# What Dolt's own automatic collection waits for. It looks once a second, which a short run's server does not
# live to see.
GARBAGE_BYTES = 128 << 20


class Server:
    """The server of one Dolt repository.

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
        # What the server of that process has answered in the place of a connection.
        self._refusal: tuple[int | None, str] | None = None

    def __getstate__(self) -> dict[str, object]:
        # A worker process has its own copy, and no child to wait for.
        return {**self.__dict__, "_process": None}

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return str(self.data_dir)

    @property
    def database(self) -> str:
        """What Dolt calls the repository: after its directory, whatever links lead there."""
        return self.data_dir.resolve().name

    @property
    def _info_file(self) -> Path:
        return self.data_dir / ".dolt" / "sql-server.info"

    @property
    def runs_dir(self) -> Path:
        """Where runs keep their records."""
        return self._state / "runs"

    def has_unfinished_runs(self) -> bool:
        """Return whether runs have left records; whoever reads them looks whether they are of use."""
        return any(self.runs_dir.glob("*.json"))

    @property
    def users_file(self) -> Path:
        """The SQL user that ``kedro dolt server`` has made."""
        return self._state / "sql-user"

    @property
    def cache_key_file(self) -> Path:
        """The key that the copies of tables are signed with."""
        return self._state / "cache-key"

    @property
    def log_file(self) -> Path:
        """What the server that we started last has printed."""
        return self._state / "sql-server.log"

    def acquire(self, name: str) -> tuple[FileLock, Address]:
        """Take the lease ``name`` and make sure that a server runs.

        Returns:
            The lease, to be given back with :meth:`release`, and the server's address.

        Raises:
            LeaseTakenError: another process has it.
            ServerError: ``data/`` is no Dolt repository or cannot be written, another Dolt process has it
                open, the port is taken, or the server did not become ready; the lease is not held then.
        """
        self._prepare()
        with self._exclusive():
            lease = FileLock(self._lease_file(name))
            with self._writing():
                taken = lease.acquire()
            if not taken:
                raise LeaseTakenError(f"The lease {name} is in use by another process.")
            try:
                return lease, self._find_or_start()
            except BaseException:
                self._drop(lease)
                raise

    def release(self, lease: Lease) -> None:
        """Give a lease back; the last one out stops the server, if it is one that we started."""
        assert isinstance(lease, FileLock)
        end_idle()
        if not self._state.exists():
            # The directory was moved or removed: nobody finds the server there any more.
            lease.release()
            if self._child is not None:
                self._terminate(self._child.pid)
            return
        with self._exclusive():
            self._drop(lease)
            # The lock that says whose the server is may have been removed during the run.
            if (self._is_ours() or self._child is not None) and not self._live_leases():
                self._stop()

    @property
    def is_running(self) -> bool:
        """Whether a process has the repository open."""
        return is_held(self.data_dir / ".dolt" / "noms" / "LOCK")

    def is_leased(self, name: str) -> bool:
        """Whether the process that took the lease ``name`` still lives."""
        return is_held(self._lease_file(name))

    def _lease_file(self, name: str) -> Path:
        return self._state / "leases" / f"{name}.lock"

    def _drop(self, lease: FileLock) -> None:
        if lease.held:
            lease.path.unlink(missing_ok=True)
        lease.release()

    def _live_leases(self) -> bool:
        alive = False
        for path in (self._state / "leases").glob("*.lock"):
            if is_held(path):
                alive = True
            elif path.is_dir() and not path.is_symlink():
                state_files.set_aside(path, "it is not a file")
            else:
                path.unlink(missing_ok=True)
        return alive

    def _prepare(self) -> None:
        if not (self.data_dir / ".dolt" / "noms").is_dir():
            raise ServerError(
                f"{self.data_dir} is not a Dolt repository: create it with `kedro dolt init`. A packaged "
                "project runs in a directory whose data/ is one: `dolt clone <remote> data`."
            )
        # Where others can write to data/, they can put a repository, or users of theirs, into its place.
        for directory in (self.data_dir / ".dolt", self.data_dir / ".doltcfg"):
            if _is_foreign(directory):
                raise ServerError(
                    f"{directory} belongs to another user: run as that user, "
                    "or make a repository of your own with `dolt clone`."
                )
        with self._writing():
            for directory in (self._state, self.runs_dir, self._state / "leases"):
                state_files.make_directory(directory)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ServerError(f"{self.data_dir} cannot be written to: {error}.") from error

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Serialise starting and stopping between processes."""
        lock = FileLock(self._state / "start.lock")
        with self._writing():
            taken = lock.acquire(timeout=START_TIMEOUT + STOP_TIMEOUT)
        if not taken:
            raise ServerError(
                f"Another process has been starting or stopping the server too long: {lock.path}."
            )
        try:
            yield
        finally:
            lock.release()

    def _is_ours(self) -> bool:
        return is_held(self._state / "server.lock")

    def _find_or_start(self) -> Address:
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            if address := self._running():
                return address
            if not self.is_running and (address := self._start()):
                return address
            if time.monotonic() >= deadline:
                self._check_refusal()
                self._check_nested()
                raise ServerError(
                    f"Another Dolt process has {self.data_dir} open{_holder(self.data_dir)}: close it (an "
                    "open `dolt sql` shell, for one; a server with as many connections as its "
                    "`max_connections` allows, for another) and run again."
                )
            time.sleep(0.1)

    def _running(self) -> Address | None:
        """The server that serves this repository, if one answers a login with the repository's secret."""
        import pymysql

        from ..dolt import answers

        # An info file outlives a killed server and is copied with its directory: only a server that
        # has this very repository locked is one of ours.
        if not self.is_running:
            return None
        try:
            address = self._written_address()
            # Whatever else listens on that port may accept a connection and never say a word.
            with address.connect(read_timeout=LOGIN_TIMEOUT) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT dolt_version()")
                check_server_version(str(cursor.fetchone()[0]))  # type: ignore[index]
                if not self._is_ours():
                    # A person's server has it off by default, and bulk loads need it. It is not persisted.
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
                f"another Dolt process has it open{_holder(nested)}: close that, or move it out of data/."
            )

    def _check_repository(self) -> None:
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
        self._check_repository()
        with self._writing():
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
                # No statement reads or writes other files: there is no such directory.
                "secure_file_priv": str(self._state / "no-files"),
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
            self._starter = os.getpid()
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
                return address
            if self._refusal is None or self._refusal[0] != process.pid:
                refused_since = None
            elif time.monotonic() > (refused_since := refused_since or time.monotonic()) + REFUSAL_TIMEOUT:
                self._check_refusal()
            time.sleep(0.01)
        raise ServerError(f"The Dolt server was not ready after {START_TIMEOUT:.0f} s. {self._log_tail()}")

    def _check_exit(self, code: int, port: int) -> None:
        """Raise what a person has to know of a server that ended; to be started again if it is nothing."""
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

    def _stop(self) -> None:
        address = self._running()
        if address is not None and address.pid is not None:
            try:
                self._collect_garbage(address)
            finally:
                self._terminate(address.pid)
        elif self._child is not None and self._child.poll() is None:
            self._terminate(self._child.pid)

    def _collect_garbage(self, address: Address) -> None:
        """Compact the repository if much was written to it since the last time."""
        import pymysql

        written = sum(file.stat().st_size for file in (self.data_dir / ".dolt" / "noms").glob(_JOURNAL))
        if written < GARBAGE_BYTES:
            return
        logger = get_logger(__name__)
        logger.info(
            "Collecting garbage in %s: %d MB were written since the last time.", self.data_dir, written >> 20
        )
        try:
            with address.connect(autocommit=True) as connection, connection.cursor() as cursor:
                cursor.execute("CALL DOLT_GC()")
        except pymysql.err.Error as error:
            logger.warning("Dolt did not collect garbage, and will at a later run: %s", error.args[-1])

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
        """Return whether our server does; its lock may have been removed, and its child's id be another's."""
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return self._is_ours()

    @property
    def _child(self) -> subprocess.Popen[bytes] | None:
        """The server that this very process has started; a forked one cannot wait for it."""
        return self._process if self._starter == os.getpid() else None


def _is_foreign(path: Path) -> bool:
    """Whether a path is there and belongs to another user. Root may use what is another's."""
    return hasattr(os, "geteuid") and os.path.lexists(path) and os.geteuid() not in (0, path.lstat().st_uid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_server_version(version: str) -> None:
    if tuple(int(part) for part in version.split("-")[0].split(".")) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise ServerError(
            f"The Dolt server is version {version}; kedro-dolt needs {wanted} or newer: upgrade Dolt, "
            "see https://docs.dolthub.com/introduction/installation."
        )


def _holder(data_dir: Path) -> str:
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
