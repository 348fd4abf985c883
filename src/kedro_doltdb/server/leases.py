"""File locks that the kernel drops when their process dies, however it dies."""

from __future__ import annotations

import os
import time
import weakref
from pathlib import Path

from ..errors import ServerError
from ..state_files import open_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """An exclusive ``flock`` on ``path``; it holds against other processes and other objects alike.

    A forked child closes its copy of the descriptor, so a lock never outlives the process that took it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The descriptor, while the lock is held."""
        assert self._fd is not None
        return self._fd

    def acquire(self, timeout: float = 0.0) -> bool:
        """Take the lock, waiting up to ``timeout`` seconds; False when somebody else still has it.

        Raises:
            OSError: the file cannot be made.
            ServerError: the system has no ``flock`` (Windows).
        """
        _require_flock()
        deadline = time.monotonic() + timeout
        fd = open_file(self.path, os.O_RDWR | os.O_CREAT)
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        os.close(fd)
                        return False
                    time.sleep(0.01)
                else:
                    break
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        _open_locks.add(self)
        return True

    @property
    def held(self) -> bool:
        """Whether the lock is held, and others can see it: the file may have been removed."""
        if self._fd is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let go. A child that was given the descriptor on purpose keeps holding the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            _open_locks.discard(self)


def is_held(path: Path) -> bool:
    """Return whether some process holds a ``flock`` on ``path``; a path that is not there is not held.

    Raises:
        ServerError: the file is another user's, or the system has no ``flock`` (Windows).
    """
    _require_flock()
    try:
        fd = open_file(path, os.O_RDONLY, aside=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise ServerError(
            f"{path} belongs to another user, who has run the project here: have them remove it, or "
            "`sudo chown -R` data/.dolt to the user who runs it."
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _require_flock() -> None:
    if fcntl is None:
        raise ServerError("kedro-dolt's own Dolt server needs POSIX file locks: on Windows use WSL.")


def _close_in_child() -> None:
    for lock in list(_open_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
