"""Copies of tables, in Arrow files outside the repository, under the tables' content hashes.

What is in a copy counts only if its signature is right, made with a key that is in the repository. So a
copy that is lost, old, cut short or forged costs time and changes no result. Nothing here raises: without a
copy the table is read from Dolt.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import re
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from .. import state_files
from ..dolt_cli import user_home

MAX_BYTES = 1 << 30
_BLOCK_ROWS = 1 << 16
_KEY_BYTES = 32
_SIGNATURE_BYTES = 32
# Part of each name: files of another format are never looked at, and are the first to be deleted.
_FORMAT = "1"
_TEMPORARY = "kedro-dolt-"
_OURS = re.compile(rf"[0-9a-f]{{40}}\.arrow|{_TEMPORARY}\w+\.tmp")


class TableCache:
    """The copies that are signed with one key.

    Args:
        key: 32 secret bytes.
        directory: where they are; only its owner can read it.
        max_bytes: what all copies together may take; those whose last use is the longest ago go first.
    """

    def __init__(self, key: bytes, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self._key = key
        self._directory = directory
        self._max_bytes = max_bytes

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
        path = self._path(content_hash)
        try:
            # Read, not mapped: the file must not change between the check and the use.
            content = path.read_bytes()
            body = memoryview(content)[_SIGNATURE_BYTES:]
            signature = self._signature(content_hash)
            signature.update(body)
            if not hmac.compare_digest(signature.digest(), content[:_SIGNATURE_BYTES]):
                path.unlink()
                return None
            os.utime(path)
        except OSError:
            return None
        return pa.ipc.open_stream(pa.py_buffer(body)).read_all()

    def put(self, content_hash: str, table: pa.Table, replaces: str | None = None) -> None:
        """Keep a copy.

        Args:
            content_hash: what ``dolt_hashof_table`` says of the table.
            table: its rows, in the order in which Dolt gives them.
            replaces: the content that the table had before, whose copy is not needed any more.
        """
        with suppress(OSError):
            if replaces is not None and replaces != content_hash:
                self._path(replaces).unlink(missing_ok=True)
            descriptor, temporary = tempfile.mkstemp(".tmp", _TEMPORARY, self._directory)
            try:
                with open(descriptor, "wb") as file:
                    file.write(bytes(_SIGNATURE_BYTES))
                    signed = _Signed(file, self._signature(content_hash))
                    options = pa.ipc.IpcWriteOptions(compression="lz4")
                    with pa.ipc.new_stream(signed, table.schema, options=options) as writer:
                        writer.write_table(table, _BLOCK_ROWS)
                    size = file.tell()
                    file.seek(0)
                    file.write(signed.signature.digest())
                if size > self._max_bytes:
                    os.unlink(temporary)
                    return
                os.replace(temporary, self._path(content_hash))
            except BaseException:
                os.unlink(temporary)
                raise
            self._make_room()

    def _path(self, content_hash: str) -> Path:
        name = hashlib.blake2b(
            f"{_FORMAT} {content_hash}".encode(), key=self._key, digest_size=20
        ).hexdigest()
        return self._directory / f"{name}.arrow"

    def _signature(self, content_hash: str) -> hashlib.blake2b:
        start = content_hash.encode() + b"\0"
        return hashlib.blake2b(start, key=self._key, digest_size=_SIGNATURE_BYTES)

    def _make_room(self) -> None:
        files = []
        # Files that are not ours stay: the directory may be a link to one with others in it.
        for path in self._directory.iterdir():
            if not _OURS.fullmatch(path.name):
                continue
            with suppress(FileNotFoundError):
                found = path.stat()
                files.append((found.st_mtime_ns, found.st_size, path))
        left = self._max_bytes
        for _, size, path in sorted(files, reverse=True):
            left -= size
            if left < 0:
                path.unlink(missing_ok=True)


class _Signed(io.RawIOBase):
    """A file that signs what is written to it, so that no copy of it is needed in memory."""

    def __init__(self, file: BinaryIO, signature: hashlib.blake2b) -> None:
        self._file = file
        self.signature = signature

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.signature.update(data)
        return self._file.write(data)


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
