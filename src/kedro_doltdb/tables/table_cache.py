"""Copies of tables, in Arrow files outside the repository, under the tables' content hashes.

What is in a copy counts only if its signature is right, made with a key that is in the repository. So a
copy that is lost, old, cut short or forged costs time and changes no result. Nothing here raises: without a
copy the table is read from Dolt.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import state_files
from ..dolt_cli import user_home
from .table_copy import Copy, DamagedError, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from .delta import Places

MAX_BYTES = 1 << 30
_KEY_BYTES = 32
# Part of each name: files of another format are never looked at, and are the first to be deleted.
_FORMAT = "3"
_TEMPORARY = "kedro-dolt-"
_OURS = re.compile(rf"[0-9a-f]{{40}}\.arrow|{_TEMPORARY}\w+\.tmp")


class TableCache:
    """The copies that are signed with one key.

    Args:
        key: 32 secret bytes.
        directory: where they are; only its owner can read it.
        max_bytes: what all copies together may take, and a little more until somebody looks; those whose last
            use is the longest ago go first.
    """

    def __init__(self, key: bytes, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self._key = key
        self._directory = directory
        self._max_bytes = max_bytes
        self._opened: tuple[str, Copy] | None = None

    @classmethod
    def of(cls, key_file: Path | None) -> TableCache | None:
        """Return the cache of the repository whose key is in ``key_file``; None where there can be none."""
        if key_file is None or (cache := _user_cache()) is None:
            return None
        try:
            directory = cache / "kedro-dolt" / "tables"
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What a link leads to has other files and users; the copies themselves are the owner's alone.
            if not directory.is_symlink():
                directory.chmod(0o700)
            return cls(_key(key_file), directory)
        except OSError:
            return None

    def get(self, content_hash: str) -> pa.Table | None:
        """Return the rows of the table with that content, if they are here.

        Args:
            content_hash: what ``dolt_hashof_table`` says.
        """
        if (copy := self.open(content_hash)) is None:
            return None
        try:
            return copy.rows()
        except (OSError, DamagedError):
            self._path(content_hash).unlink(missing_ok=True)
            return None
        finally:
            self.close()

    def changed(self, content_hash: str, table: pa.Table, primary_key: Sequence[str]) -> Places | None:
        """Return the places of the rows in which a table differs from the one with that content.

        Args:
            content_hash: what ``dolt_hashof_table`` says of the other one.
            table: the table.
            primary_key: the columns of the key.

        Returns:
            None where its copy does not tell: rows have come or gone, or it is not here.
        """
        if (copy := self.open(content_hash)) is None:
            return None
        try:
            return copy.changed(table, primary_key)
        except (OSError, DamagedError):
            self.close()
            self._path(content_hash).unlink(missing_ok=True)
            return None

    def open(self, content_hash: str) -> Copy | None:
        """Open the copy of the table with that content, if it is here."""
        path = self._path(content_hash)
        if self._opened is None or self._opened[0] != content_hash:
            self.close()
            try:
                self._opened = content_hash, Copy.open(path, self._key, content_hash)
            except DamagedError:
                path.unlink(missing_ok=True)
                return None
            except OSError:
                return None
        with suppress(OSError):
            os.utime(path)
        return self._opened[1]

    def close(self) -> None:
        """Close the copy that is open."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def put(self, content_hash: str, table: pa.Table, replaces: str | None = None) -> None:
        """Keep a copy.

        Args:
            content_hash: what ``dolt_hashof_table`` says of the table.
            table: its rows, in the order in which Dolt gives them.
            replaces: the content that the table had before, whose copy is not needed any more.
        """
        with suppress(OSError):
            written = 0
            try:
                if not (replaces and self._become(content_hash, table, replaces)):
                    written = self._write(content_hash, table)
            finally:
                self.close()
                if replaces is not None and replaces != content_hash:
                    self._path(replaces).unlink(missing_ok=True)
            # To look at thousands of copies takes longer than to write a small one. So it is left to chance:
            # on average this comes once for each 64th of the room, whichever processes write it.
            if random.random() * self._max_bytes < 64 * written:
                self._make_room()

    def _become(self, content_hash: str, table: pa.Table, replaces: str) -> bool:
        """Make the copy that is replaced the new one, if it was compared with that."""
        if self._opened is None or self._opened[0] != replaces:
            return False
        if not self._opened[1].become(table, self._key, content_hash):
            return False
        if replaces != content_hash:
            os.replace(self._path(replaces), self._path(content_hash))
        return True

    def _write(self, content_hash: str, table: pa.Table) -> int:
        """Write a copy and return its size in bytes; one that is larger than the room is not kept."""
        descriptor, temporary = tempfile.mkstemp(".tmp", _TEMPORARY, self._directory)
        try:
            with open(descriptor, "wb") as file:
                write(file, table, self._key, content_hash)
                file.seek(0, os.SEEK_END)
                size = file.tell()
            if size > self._max_bytes:
                os.unlink(temporary)
            else:
                os.replace(temporary, self._path(content_hash))
            return size
        except BaseException:
            os.unlink(temporary)
            raise

    def _path(self, content_hash: str) -> Path:
        name = hashlib.blake2b(
            f"{_FORMAT} {content_hash}".encode(), key=self._key, digest_size=20
        ).hexdigest()
        return self._directory / f"{name}.arrow"

    def _make_room(self) -> None:
        files = []
        # Files that are not ours stay: the directory may be a link to one with others in it.
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if not _OURS.fullmatch(entry.name):
                    continue
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    files.append((found.st_mtime_ns, found.st_size, entry.path))
        left = self._max_bytes
        for _, size, path in sorted(files, reverse=True):
            left -= size
            if left < 0:
                with suppress(FileNotFoundError):
                    os.unlink(path)


def _user_cache() -> Path | None:
    home = user_home()
    if sys.platform == "darwin":
        return home and home / "Library" / "Caches"
    # The specification has relative paths ignored.
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if os.path.isabs(named) else home and home / ".cache"


def _key(file: Path) -> bytes:
    """Return the key in ``file``, which is made where it is missing or damaged."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = state_files.read(file, _KEY_BYTES + 1)
    if key is not None and len(key) == _KEY_BYTES:
        return key
    if key is not None:
        # Nobody can use it, nor the copies that were signed with it.
        file.unlink(missing_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent)
    try:
        with open(descriptor, "wb") as new:
            new.write(secrets.token_bytes(_KEY_BYTES))
            new.flush()
            os.fsync(new.fileno())
        # Of two processes that come here at once, one is the first, and its key holds for both.
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        os.unlink(temporary)
    return file.read_bytes()
