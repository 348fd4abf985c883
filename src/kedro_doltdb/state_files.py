"""The files that runs keep under ``data/.dolt/kedro``: written whole or not at all, and never trusted.

A power cut, a full disk, another version or a careless hand can leave anything there. What cannot be used is
set aside under another name with one warning, and the run goes on without it. Nothing is followed through a
symbolic link, so that a copied project cannot have a file elsewhere overwritten.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .dolt_cli import replace_file
from .terminal import get_logger

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MODE = 0o600
_DIRECTORY_MODE = 0o700
# A link, a directory, a socket or a pipe, as opening them for a file says it.
_NO_FILE = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.ENOTSUP, errno.EOPNOTSUPP}
_TRIES = 4


class UnreadableError(Exception):
    """A file of ours holds what we did not write; the text says what is wrong with it."""


def read(path: Path, limit: int = 64 << 20) -> bytes | None:
    """Return what a file holds, at most ``limit`` bytes of it; None if there is no such file.

    Raises:
        OSError: the disk fails, or the file is another user's.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with open(descriptor, "rb") as file:
        return file.read(limit)


def write(path: Path, content: str | bytes) -> None:
    """Write or replace a file so that a power cut leaves the old or the new.

    Raises:
        OSError: the directory is missing or cannot be written to, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    for last in (False, False, True):
        try:
            return replace_file(path, data)
        except OSError as error:
            if last:
                raise
            if isinstance(error, PermissionError) and _make_accessible(path.parent):
                continue
            if not path.is_dir() or path.is_symlink():
                raise
            set_aside(path, "it is not a file")


def append(path: Path, text: str) -> None:
    """Add lines to a file in one write. They are not forced to the disk: it must not matter if they get lost.

    Raises:
        OSError: as for :func:`write`.
    """
    with open(open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", buffering=0) as file:
        file.write(text.encode())


def open_file(path: Path, flags: int, *, aside: bool = True) -> int:
    """Open a regular file, made with mode 0600 where ``flags`` say so.

    Args:
        path: the file.
        flags: those of :func:`os.open`.
        aside: whether anything else that is there is set aside; if not, it counts as missing.

    Returns:
        Its descriptor.

    Raises:
        FileNotFoundError: there is none, and it is not to be made.
        OSError: it is another user's, or the disk fails.
    """
    # Neither a pipe nor a link to one may keep us waiting.
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, flags, _MODE)
        except PermissionError:
            if not (_make_accessible(path) or _make_accessible(path.parent)):
                raise
            continue
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
        else:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
        if not aside:
            raise FileNotFoundError(errno.ENOENT, "Not a file", str(path))
        set_aside(path, "it is not a file")
    raise OSError(errno.EBUSY, "Others keep changing it", str(path))


def make_directory(path: Path) -> None:
    """Make a directory for the owner alone; whatever else is there is set aside.

    Raises:
        OSError: its parent is missing or cannot be written to, or it is another user's.
    """
    for _ in range(_TRIES):
        try:
            path.mkdir(mode=_DIRECTORY_MODE)
        except FileExistsError:
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                set_aside(path, "it is not a directory")
                continue
            if mode & _DIRECTORY_MODE != _DIRECTORY_MODE:
                path.chmod(_DIRECTORY_MODE)
        except PermissionError:
            if not _make_accessible(path.parent):
                raise
            continue
        return
    raise OSError(errno.EBUSY, "Others keep changing it", str(path))


def empty_directory(path: Path) -> None:
    """Make a directory empty, or make it. What resists is set aside.

    Raises:
        OSError: as for :func:`make_directory`.
    """
    if path.is_dir() and not path.is_symlink():
        for found in (path, *path.rglob("*")):
            if found.is_dir() and not found.is_symlink():
                _make_accessible(found)
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            set_aside(path, "it cannot be removed")
    make_directory(path)


def set_aside(path: Path, why: str) -> None:
    """Rename what cannot be used to ``<name>.unreadable`` and say so once.

    Args:
        path: what it is; nothing happens if it has gone.
        why: what is wrong with it.

    Raises:
        OSError: it cannot be renamed.
    """
    with _alone_in(path.parent):
        # Another process may have been here first, and have put a good one into its place.
        if why == "it is not a file" and path.is_file() and not path.is_symlink():
            return
        aside, number = path.with_name(f"{path.name}.unreadable"), 1
        while True:
            try:
                # The latest one will do.
                path.replace(aside)
                break
            except FileNotFoundError:
                return
            except OSError as error:
                # A directory with something in it, or one of the two is a directory.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
                    raise
                number += 1
                aside = path.with_name(f"{path.name}.unreadable-{number}")
    get_logger(__name__).warning(
        "%s cannot be used (%s) and is set aside as %s. Nothing else is lost; look at it or delete it.",
        path, why, aside.name,
    )  # fmt: skip


def tidy(directory: Path) -> None:
    """Remove the temporary files that processes which were killed while they wrote have left."""
    for path in directory.glob("*.tmp"):
        if match := re.search(r"\.(\d+)(-\w+)?\.tmp$", path.name):
            try:
                os.kill(int(match[1]), 0)
            except (ProcessLookupError, OverflowError):
                with suppress(OSError):
                    path.unlink()
            except PermissionError:
                pass


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Have one process at a time set things aside in a directory."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_accessible(path: Path) -> bool:
    """Let the owner read and write a file or directory; return whether that has changed anything."""
    try:
        mode = path.lstat().st_mode
        wanted = _DIRECTORY_MODE if stat.S_ISDIR(mode) else _MODE
        if stat.S_ISLNK(mode) or mode & wanted == wanted:
            return False
        path.chmod(stat.S_IMODE(mode) | wanted)
    except OSError:
        return False
    return True
