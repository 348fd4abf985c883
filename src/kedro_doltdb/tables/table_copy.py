"""One copy of a table: a file in which each column is cut into blocks, so that only what changes is written.

At its beginning is the place of an index, and a signature of that under the table's content hash. The index
has the SHA-256 of each block, as it is in memory and as it is in the file. So a block of a frame is known to
be equal to one of the copy without reading that, and what is read is known to be what was written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from .columns import block_rows
from .delta import Places, differing

if TYPE_CHECKING:
    from pathlib import Path

# What a block has at most: of long texts, as many rows would be as large as the frame.
BLOCK_ROWS, BLOCK_BYTES = 1 << 16, 1 << 22
# How much of a file beyond twice its blocks may be those of earlier states.
_SLACK = 1 << 20
# The index' offset and length, and its signature.
_HEADER = struct.Struct("<QQ32s")


class DamagedError(Exception):
    """The file is not what was written."""


class _Block(NamedTuple):
    """A block of one column: where it is in the file, and what it holds."""

    offset: int
    length: int
    raw_length: int
    raw_hash: str
    stored_hash: str


class Copy:
    """A copy whose index is right; whether its blocks are is seen when they are read.

    Args:
        file: the file.
        content_hash: of the table.
        schema: likewise.
        rows: how many there are.
        sizes: how many of them a block has, for each column.
        blocks: of each column.
    """

    def __init__(
        self,
        file: BinaryIO,
        content_hash: str,
        schema: pa.Schema,
        rows: int,
        sizes: list[int],
        blocks: list[list[_Block]],
    ) -> None:
        self._file = file
        self._content_hash = content_hash
        self._schema = schema
        self._rows = rows
        self._sizes = sizes
        self._blocks = blocks
        # The table that it was compared with last, and the hashes of that.
        self._compared: tuple[pa.Table, list[list[str]]] | None = None

    @classmethod
    def open(cls, path: Path, key: bytes, content_hash: str) -> Copy:
        """Open a copy.

        Args:
            path: its file.
            key: what it is signed with.
            content_hash: of the table that it is to be a copy of.

        Raises:
            OSError: there is none.
            DamagedError: it is not the copy of that table, or was not signed with that key.
        """
        file: BinaryIO
        try:
            file = path.open("r+b")
        except PermissionError:
            file = path.open("rb")
        try:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise DamagedError
            offset, length, signature = _HEADER.unpack(header)
            if offset + length > os.fstat(file.fileno()).st_size:
                raise DamagedError
            file.seek(offset)
            index = file.read(length)
            if not hmac.compare_digest(_signature(key, content_hash, index), signature):
                raise DamagedError
            found = json.loads(index)
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(found["schema"])))
            blocks = [[_Block(*block) for block in column] for column in found["blocks"]]
            return cls(file, content_hash, schema, found["rows"], found["block_rows"], blocks)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def rows(self) -> pa.Table:
        """Return the table.

        Raises:
            DamagedError: a block is not what was written.
        """
        columns = [
            pa.chunked_array([self._read(place, block) for block in blocks], field.type)
            for place, (field, blocks) in enumerate(zip(self._schema, self._blocks, strict=True))
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def changed(self, table: pa.Table, primary_key: Sequence[str]) -> Places | None:
        """Return the places of the rows in which a table differs from the copy, to the bit.

        Args:
            table: the table; its rows are in the order of the key.
            primary_key: the columns of the key.

        Returns:
            None if it has other columns or other keys: then rows have to be matched.

        Raises:
            DamagedError: a block is not what was written.
        """
        if table.schema != self._schema or len(table) != self._rows:
            return None
        # The keys come first: where they differ, nothing else counts.
        names = [*primary_key, *(name for name in table.column_names if name not in primary_key)]
        hashes: dict[str, list[str]] = {}
        found = np.zeros(len(table), bool)
        for name in names:
            place, column, hashes[name] = self._schema.get_field_index(name), table.column(name), []
            each = self._sizes[place]
            for number, (start, raw) in enumerate(_raw_blocks(column, each)):
                hashes[name].append(_hash(raw))
                block = self._blocks[place][number]
                if block.raw_hash == hashes[name][-1]:
                    continue
                new = column.slice(start, each)
                differ = differing(pa.chunked_array([self._read(place, block)]), new)
                if name in primary_key and differ.any():
                    return None
                found[start : start + each] |= differ
        self._compared = table, [hashes[name] for name in table.column_names]
        return np.flatnonzero(found)

    def become(self, table: pa.Table, key: bytes, content_hash: str) -> bool:
        """Make the file the copy of the table that it was compared with last, by writing what differs.

        Returns:
            False if it is better written anew.
        """
        if self._compared is None or self._compared[0] is not table:
            return False
        pairs = [
            (block, found)
            for blocks, hashes in zip(self._blocks, self._compared[1], strict=True)
            for block, found in zip(blocks, hashes, strict=True)
        ]
        changed = sum(block.raw_hash != found for block, found in pairs)
        if not changed and content_hash == self._content_hash:
            return True
        live = sum(block.length for block, _ in pairs)
        end = os.fstat(self._file.fileno()).st_size
        if end > 2 * live + _SLACK or 2 * changed > len(pairs):
            return False
        self._file.seek(end)
        for place, hashes in enumerate(self._compared[1]):
            column, each = table.column(place), self._sizes[place]
            for number, found in enumerate(hashes):
                if self._blocks[place][number].raw_hash != found:
                    raw = _raw(column.slice(number * each, each))
                    self._blocks[place][number] = _write_block(self._file, raw)
        _write_index(self._file, table, self._sizes, self._blocks, key, content_hash)
        return True

    def _read(self, place: int, block: _Block) -> pa.Array:
        self._file.seek(block.offset)
        stored = self._file.read(block.length)
        # Read, not mapped: the file must not change between the check and the use.
        if _hash(stored) != block.stored_hash:
            raise DamagedError
        raw = pa.Codec("lz4").decompress(stored, block.raw_length)
        return pa.ipc.read_record_batch(raw, pa.schema([self._schema.field(place)])).column(0)


def write(file: BinaryIO, table: pa.Table, key: bytes, content_hash: str) -> None:
    """Write the copy of a table to an empty file.

    Args:
        file: the file.
        table: the table.
        key: what to sign it with.
        content_hash: of the table.
    """
    file.write(bytes(_HEADER.size))
    sizes = [block_rows([column], BLOCK_ROWS, BLOCK_BYTES) for column in table.columns]
    blocks = [
        [_write_block(file, raw) for _, raw in _raw_blocks(column, each)]
        for column, each in zip(table.columns, sizes, strict=True)
    ]
    _write_index(file, table, sizes, blocks, key, content_hash)


def _write_block(file: BinaryIO, raw: pa.Buffer) -> _Block:
    stored = pa.Codec("lz4").compress(raw, asbytes=True)
    offset = file.tell()
    file.write(stored)
    return _Block(offset, len(stored), len(raw), _hash(raw), _hash(stored))


def _write_index(
    file: BinaryIO,
    table: pa.Table,
    sizes: list[int],
    blocks: list[list[_Block]],
    key: bytes,
    content_hash: str,
) -> None:
    schema = base64.b64encode(table.schema.serialize()).decode()
    found = {"schema": schema, "rows": len(table), "block_rows": sizes, "blocks": blocks}
    index = json.dumps(found).encode()
    offset = file.tell()
    file.write(index)
    # What is interrupted before this is still the copy that it was.
    file.flush()
    file.seek(0)
    file.write(_HEADER.pack(offset, len(index), _signature(key, content_hash, index)))
    file.flush()


def _raw_blocks(column: pa.ChunkedArray, each: int) -> Iterator[tuple[int, pa.Buffer]]:
    for start in range(0, len(column), each):
        yield start, _raw(column.slice(start, each))


def _raw(block: pa.ChunkedArray) -> pa.Buffer:
    """Return a block as bytes that depend on its values alone, not on where it was cut from."""
    array: Any = block.chunk(0) if block.num_chunks == 1 else block.combine_chunks()
    return pa.RecordBatch.from_arrays([array], ["block"]).serialize()


def _hash(data: bytes | pa.Buffer) -> str:
    return hashlib.sha256(data).hexdigest()


def _signature(key: bytes, content_hash: str, index: bytes) -> bytes:
    return hmac.digest(key, content_hash.encode() + b"\0" + index, "sha256")
