"""Copies of a repository that another Dolt process has open, to be read for as long as somebody needs them.

Beside another process no server can open a repository, not even with ``--readonly``. What Dolt has
stored is never changed in place: the files of tables are linked, and of the journal, to which Dolt appends,
what is there is copied. Dolt itself leaves out the last entry if it is torn.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import state_files
from ..errors import ServerError
from ..terminal import get_logger
from .leases import FileLock, is_held
from .process import ServerProcess, holder, is_running

if TYPE_CHECKING:
    from ..dolt.address import Address

logger = get_logger(__name__)

_ATTEMPTS = 5
_JOURNAL = "v" * 32


@dataclass(frozen=True)
class CopyLease:
    """A use of a server on a copy, which ends with it.

    Attributes:
        address: where the server listens.
    """

    address: Address
    _process: ServerProcess
    _lock: FileLock
    _source: Path
    _state: object

    @classmethod
    def of(cls, data_dir: Path, copies: Path) -> CopyLease:
        """Copy a repository and serve the copy.

        Args:
            data_dir: the repository.
            copies: the directory that copies are made in, on the same file system.

        Raises:
            ServerError: it cannot be copied, or the server did not become ready.
        """
        state_files.make_directory(copies)
        directory = copies / f"{os.getpid()}-{uuid.uuid4().hex}"
        lock = FileLock(directory.with_suffix(".lock"))
        lock.acquire()
        try:
            # Dolt names a database after its directory.
            copy = directory / data_dir.resolve().name
            copy.mkdir(mode=0o700, parents=True)
            state = _copy(data_dir / ".dolt", copy / ".dolt")
            logger.warning(
                "Another Dolt process has %s open%s: this reads a copy of it as it is now.",
                data_dir,
                holder(data_dir),
            )
            process = ServerProcess(copy)
            return cls(process.find_or_start(), process, lock, data_dir, state)
        except BaseException as error:
            _remove(directory, lock)
            if isinstance(error, OSError):
                raise ServerError(
                    f"{data_dir}, which another Dolt process has open, cannot be copied: {error}."
                ) from error
            raise

    @property
    def held(self) -> bool:
        """Whether the copy is still needed, and still what the repository holds."""
        return is_running(self._source) and _state(self._source / ".dolt" / "noms") == self._state

    def release(self) -> None:
        """Stop the server and remove the copy."""
        self._process.terminate()
        _remove(self._process.data_dir.parent, self._lock)


def remove_left_copies(copies: Path) -> None:
    """Remove the copies of processes that were killed, and stop their servers.

    Args:
        copies: the directory that copies are made in.
    """
    if copies.is_symlink():
        return
    for lock in copies.glob("*.lock"):
        directory = lock.with_suffix("")
        if is_held(lock) or directory.is_symlink():
            continue
        for copy in directory.glob("*"):
            # What a stranger has put here may be a link to a project in use.
            if not any(path.is_symlink() for path in (copy, copy / ".dolt", copy / ".dolt" / "noms")):
                ServerProcess(copy).terminate()
        _remove(directory, FileLock(lock))


def copy_repository(data_dir: Path, into: Path) -> None:
    """Make a directory a repository with all that another one has, whoever has that open.

    Args:
        data_dir: the repository.
        into: the directory, which is none yet.

    Raises:
        ServerError: it cannot be copied.
    """
    try:
        _copy(data_dir.resolve() / ".dolt", into / ".dolt")
    except OSError as error:
        raise ServerError(f"{data_dir} cannot be copied: {error}.") from error


def _copy(source: Path, copy: Path) -> object:
    """Copy a directory ``.dolt``, and return the state that was copied."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy / "kedro", mode=0o700)
        before = _state(source / "noms", journal=False)
        with suppress(FileNotFoundError):
            for name in ("config.json", "repo_state.json"):
                shutil.copyfile(source / name, copy / name)
            state = _state(source / "noms")
            for directory, _, files in os.walk(source / "noms"):
                target = copy / Path(directory).relative_to(source)
                target.mkdir(exist_ok=True)
                for name in files:
                    _bring(Path(directory, name), target / name)
            if _state(source / "noms", journal=False) == before:
                return state
    raise ServerError(
        f"{source.parent}, which another Dolt process has open, cannot be copied: its files keep changing."
    )


def _bring(file: Path, target: Path) -> None:
    if file.name in ("LOCK", "journal.idx"):
        # The one is the process's own, the other is made of the journal.
        return
    if file.name not in ("manifest", _JOURNAL):
        with suppress(OSError):
            os.link(file, target)
            return
    shutil.copyfile(file, target)


def _state(noms: Path, journal: bool = True) -> object:
    """Return what differs once something was stored: without the journal, once files were replaced."""
    found: list[object] = []
    for name in ("manifest", "oldgen/manifest", *([_JOURNAL] if journal else [])):
        try:
            stat = os.stat(noms / name)
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found


def _remove(directory: Path, lock: FileLock) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    # Somebody may have put a directory in its place.
    with suppress(OSError):
        lock.path.unlink()
    lock.release()
