"""What tells two states of a table apart, row by row, in Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@dataclass(frozen=True)
class Delta:
    """What tells two states of a table apart.

    Attributes:
        removed: the places of the rows that are to go, among the old ones.
        added: the places of the rows whose keys are new, among the new ones.
        modified: the places of those that differ from the old one with the same key, likewise.
    """

    removed: Places
    added: Places
    modified: Places

    def __len__(self) -> int:
        return len(self.removed) + len(self.added) + len(self.modified)


def compare(old: pa.Table, new: pa.Table, primary_key: Sequence[str]) -> Delta:
    """Return what has to be removed from and written to ``old`` to make it ``new``; both have unique keys.

    Args:
        old: the rows that stand.
        new: the rows that are to stand, with the same columns.
        primary_key: the columns of the key.
    """
    if len(old) == len(new) and not _rows_differing(old.select(primary_key), new.select(primary_key)).any():
        none = np.empty(0, np.int64)
        return Delta(none, none, np.flatnonzero(_rows_differing(old, new)))
    delta, places = _matched(old, new, primary_key)
    stays = delta.modified
    return replace(delta, modified=stays[_rows_differing(at(old, places), at(new, stays))])


def by_key(old: pa.Table, new: pa.Table, primary_key: Sequence[str]) -> Delta:
    """Return the difference that keys alone tell: every row whose key stays counts as modified.

    Args:
        old: the keys that stand.
        new: the rows that are to stand.
        primary_key: the columns of the key.
    """
    return _matched(old, new, primary_key)[0]


def matching(old: pa.Table, keys: pa.Table, primary_key: Sequence[str]) -> pa.Table:
    """Return the rows of ``old`` that have one of the keys, each key once and in their order.

    Args:
        old: the rows; those with the same key are equal.
        keys: unique keys.
        primary_key: the columns of the key.
    """
    return at(old, _matched(old, keys, primary_key)[1])


def _matched(old: pa.Table, new: pa.Table, primary_key: Sequence[str]) -> tuple[Delta, Places]:
    """Return the difference by key, and the places among the old rows of those whose key stays."""
    old_keys, new_keys = _codes(old, new, primary_key)
    places = pc.index_in(new_keys, value_set=old_keys)
    is_new = places.is_null().to_numpy(zero_copy_only=False)
    places = places.drop_null().to_numpy()
    removed = np.ones(len(old), bool)
    removed[places] = False
    return Delta(np.flatnonzero(removed), np.flatnonzero(is_new), np.flatnonzero(~is_new)), places


def at(rows: pa.Table, places: Places) -> pa.Table:
    """Return the rows at ``places``, in that order."""
    if len(places) == len(rows) and (not len(places) or (places == np.arange(len(rows))).all()):
        return rows
    return rows.take(places)


def _codes(old: pa.Table, new: pa.Table, primary_key: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Return a number for each key, the same in both tables."""
    codes = None
    for name in primary_key:
        chunks = [*old.column(name).chunks, *new.column(name).chunks]
        column = _numbered(pa.chunked_array(chunks, old.schema.field(name).type))
        if codes is None:
            codes = column
        else:
            codes = _numbered(pa.array(codes.to_numpy() * len(column) + column.to_numpy()))
    assert codes is not None
    return codes.slice(0, len(old)), codes.slice(len(old))


def _numbered(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    encoded = values.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.cast(pa.int64())


def _rows_differing(old: pa.Table, new: pa.Table) -> np.ndarray[Any, Any]:
    """Return which rows differ in a column, to the bit."""
    changed = np.zeros(len(new), bool)
    for name in new.column_names:
        changed |= differing(old.column(name), new.column(name))
    return changed


def differing(old: pa.ChunkedArray, new: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return which values of a column differ, to the bit."""
    if pa.types.is_floating(new.type):
        # 0.0 and -0.0 are equal as numbers.
        bits = pa.int64() if new.type == pa.float64() else pa.int32()
        old, new = (
            pa.chunked_array([chunk.view(bits) for chunk in values.chunks], bits) for values in (old, new)
        )
    differ = pc.not_equal(old, new)
    if differ.null_count:
        differ = pc.if_else(differ.is_null(), pc.xor(old.is_null(), new.is_null()), differ)
    return np.asarray(differ.to_numpy(), bool)
