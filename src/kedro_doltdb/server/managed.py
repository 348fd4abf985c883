"""The Dolt server on a project's ``data/`` directory, which runs start and stop, and who uses it.

A process that needs the server takes a *lease*, a lock file under ``data/.dolt/kedro/leases``. The first
lease starts the server, the last one to go stops it. A server that a user started is used and left alone.
File locks tell which of them live: the kernel drops a lock with its process.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .. import state_files
from ..dolt.watchdog import end_idle
from ..errors import LeaseTakenError, ServerError
from .copies import remove_left_copies
from .garbage import Garbage
from .leases import FileLock, is_held
from .process import BUSY_TIMEOUT, START_TIMEOUT, STOP_TIMEOUT, ServerProcess, writing_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..dolt.address import Address
    from .base import Lease


class ManagedServer:
    """The server of the repository in ``data_dir``.

    Args:
        data_dir: the repository, that is, the directory that holds ``.dolt``.
        port: the port to listen on; None takes a free one.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.data_dir = data_dir
        self._state = data_dir / ".dolt" / "kedro"
        self._process = ServerProcess(data_dir, port)

    @property
    def name(self) -> str:
        """What a user knows it by."""
        return str(self.data_dir)

    @cached_property
    def database(self) -> str:
        """The name of the repository on it."""
        return self._process.database

    @property
    def runs_dir(self) -> Path:
        """Where runs keep their records."""
        return self._state / "runs"

    @property
    def cache_key_file(self) -> Path:
        """The key that the copies of tables are signed with."""
        return self._state / "cache-key"

    @property
    def users_file(self) -> Path:
        """The SQL user that ``kedro dolt server`` has made."""
        return self._state / "sql-user"

    @property
    def log_file(self) -> Path:
        """The log of the server that a run started last."""
        return self._process.log_file

    @property
    def is_running(self) -> bool:
        """Whether a process has the repository open."""
        return self._process.is_running

    def has_unfinished_runs(self) -> bool:
        """Return whether runs have left records; only reading them tells whether they are of use."""
        return any(self.runs_dir.glob("*.json"))

    def acquire(self, name: str) -> Lease:
        """Take the lease ``name`` and make sure that a server runs.

        Raises:
            LeaseTakenError: another process has it.
            InUseError: another Dolt process has the repository open.
            ServerError: ``data/`` is no Dolt repository or cannot be written, the port is taken, or the
                server did not become ready; the lease is not held then.
        """
        return self._acquire(name, BUSY_TIMEOUT)

    def _acquire(self, name: str, patience: float) -> ManagedLease:
        self._prepare()
        with self._exclusive():
            lock = FileLock(self._lease_file(name))
            with writing_to(self.data_dir):
                taken = lock.acquire()
            if not taken:
                raise LeaseTakenError(f"The lease {name} is in use by another process.")
            try:
                return ManagedLease(self, lock, self._process.find_or_start(patience))
            except BaseException:
                _drop(lock)
                raise

    def is_leased(self, name: str) -> bool:
        """Return whether the process that took the lease ``name`` still lives."""
        return is_held(self._lease_file(name))

    def give_back(self, lock: FileLock) -> None:
        """Drop the lock of a lease; the last one stops the server, if it is ours."""
        end_idle()
        if not self._state.exists():
            # The directory was moved or removed: nobody finds the server there any more.
            lock.release()
            self._process.terminate()
            return
        with self._exclusive():
            _drop(lock)
            if not self._live_leases():
                self._process.stop()

    @contextmanager
    def alone(self, lease: Lease) -> Iterator[Garbage]:
        """Keep everybody else from the server for as long as the context lasts.

        Args:
            lease: that of this server which the caller has.

        Returns:
            The repository's garbage, which can be collected now.

        Raises:
            ServerError: others use it, or a user has started it.
        """
        with self._exclusive():
            mine = lease.lock.path if isinstance(lease, ManagedLease) else None
            leases = (self._state / "leases").glob("*.lock")
            others = sorted(path.stem for path in leases if path != mine and is_held(path))
            if others:
                raise ServerError(
                    f"Others use the server on {self.data_dir}: {', '.join(others[:5])}. Nothing was "
                    "changed: run this again when they have ended."
                )
            if not self._process.started_by_runs:
                raise ServerError(
                    f"You have started the server on {self.data_dir} yourself, and others may use it. "
                    "Nothing was changed: stop it, and run this again."
                )
            yield Garbage(self.data_dir)

    @property
    def _copies(self) -> Path:
        return self._state / "copies"

    def _lease_file(self, name: str) -> Path:
        return self._state / "leases" / f"{name}.lock"

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

    def check(self) -> None:
        """Make sure that there is a Dolt repository which a server can be started on; nothing is written.

        Raises:
            ServerError: there is none, it is another user's, or it is damaged.
        """
        try:
            self._check_owner()
            there = _is_directory(self.data_dir / ".dolt" / "noms")
        except PermissionError as error:
            raise ServerError(
                f"{error.filename} cannot be reached: `chmod u+rwx` the directories above it, if they are "
                "yours, or run as the user whose they are."
            ) from error
        if not there and self.data_dir.is_symlink() and not self.data_dir.exists():
            raise ServerError(
                f"{self.data_dir} is a link to {os.readlink(self.data_dir)}, which is not there: mount "
                "it, or correct the link."
            )
        if not there:
            raise ServerError(
                f"{self.data_dir} is not a Dolt repository: create it with `kedro dolt init`. A packaged "
                "project runs in a directory whose data/ is one: `dolt clone <remote> data`."
            )
        self._process.check_repository()

    def _check_owner(self) -> None:
        # Where others can write to data/, they can put a repository, or users of theirs, into its place.
        for directory in (self.data_dir / ".dolt", self.data_dir / ".doltcfg"):
            if _is_foreign(directory):
                raise ServerError(
                    f"{directory} belongs to another user: run as that user, `sudo chown -R` it to yourself, "
                    "or make a repository of your own with `dolt clone`."
                )

    def _prepare(self) -> None:
        self.check()
        with writing_to(self.data_dir):
            for directory in (self._state, self.runs_dir, self._state / "leases"):
                state_files.make_directory(directory)
        remove_left_copies(self._copies)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Serialise starting and stopping between processes."""
        lock = FileLock(self._state / "start.lock")
        with writing_to(self.data_dir):
            taken = lock.acquire(timeout=START_TIMEOUT + STOP_TIMEOUT)
        if not taken:
            raise ServerError(
                f"Another process has been starting or stopping the server too long: {lock.path}."
            )
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class ManagedLease:
    """A use of the server on ``data/``.

    Attributes:
        server: the server.
        lock: held for as long as the process that uses the server lives.
        address: where the server listens.
    """

    server: ManagedServer
    lock: FileLock
    address: Address

    @property
    def held(self) -> bool:
        """Whether others still see it."""
        return self.lock.held

    def release(self) -> None:
        """End the use; the server is stopped with the last one, if it is ours."""
        self.server.give_back(self.lock)


def _drop(lock: FileLock) -> None:
    if lock.held:
        lock.path.unlink(missing_ok=True)
    lock.release()


def _is_directory(path: Path) -> bool:
    """Return whether there is a directory.

    Raises:
        PermissionError: that cannot be told. From Python 3.14 on, ``Path.is_dir`` takes it for a no.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        raise
    except OSError:
        return False


def _is_foreign(path: Path) -> bool:
    """Return whether a path is there and belongs to another user. Root may use what is another's."""
    return hasattr(os, "geteuid") and os.path.lexists(path) and os.geteuid() not in (0, path.lstat().st_uid)
