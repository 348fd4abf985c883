"""A copy tells exactly in which rows a frame differs, becomes that frame's, and no damage of it counts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedro_doltdb.tables import table_copy
from kedro_doltdb.tables.delta import compare
from kedro_doltdb.tables.table_cache import TableCache
from kedro_doltdb.tables.table_copy import Copy, DamagedError

KEY = b"k" * 32
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "x": pa.float64(),
        "name": pa.large_string(),
        "sold": pa.bool_(),
        "raw": pa.large_binary(),
    }
)

values = st.tuples(
    st.sampled_from([0.0, -0.0, 1.5, float("nan"), None]),
    st.sampled_from(["", "a", "ä", None]),
    st.sampled_from([True, False, None]),
    st.sampled_from([b"", b"\0", None]),
)


def table(keys: list[int], rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = (
        zip(*((key, *row) for key, row in zip(keys, rows, strict=True)), strict=True) if keys else [[]] * 5
    )
    return pa.table([list(column) for column in columns], schema=SCHEMA)


def copy_of(rows: pa.Table, path: Path) -> Copy:
    with path.open("wb") as file:
        table_copy.write(file, rows, KEY, "old")
    return Copy.open(path, KEY, "old")


def raw(rows: pa.Table) -> list[bytes]:
    return [
        pa.RecordBatch.from_arrays([c.combine_chunks()], ["c"]).serialize().to_pybytes() for c in rows.columns
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.data(),
    keys=st.lists(st.integers(0, 30), unique=True).map(sorted),
    block=st.integers(1, 8),
    size=st.sampled_from([16, 1 << 22]),
)
def test_a_copy_tells_what_a_comparison_of_all_rows_tells(
    tmp_path: Path, data: st.DataObject, keys: list[int], block: int, size: int
) -> None:
    old = table(keys, data.draw(st.lists(values, min_size=len(keys), max_size=len(keys))))
    changed = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    rows = [
        data.draw(values)
        if key in changed
        else tuple(old.column(name)[place].as_py() for name in SCHEMA.names[1:])
        for place, key in enumerate(keys)
    ]
    # Where the rows are cut, and from what, makes no difference.
    new = pa.concat_tables([table([99], [(0.0, "z", True, b"")]), table(keys, rows)]).slice(1)
    with patch.object(table_copy, "BLOCK_ROWS", block), patch.object(table_copy, "BLOCK_BYTES", size):
        copy = copy_of(old, tmp_path / "copy")
        try:
            places = copy.changed(new, ["id"])
            assert places is not None
            assert places.tolist() == compare(old, new, ["id"]).modified.tolist()
            if not copy.become(new, KEY, "new"):
                return
        finally:
            copy.close()
        again = Copy.open(tmp_path / "copy", KEY, "new")
        try:
            assert raw(again.rows()) == raw(new)
        finally:
            again.close()


@pytest.mark.parametrize("keys", [[1, 2], [1, 2, 3, 4], [1, 2, 4]])
def test_other_keys_are_not_told_by_place(tmp_path: Path, keys: list[int]) -> None:
    row = (1.0, "a", True, b"")
    copy = copy_of(table([1, 2, 3], [row] * 3), tmp_path / "copy")
    assert copy.changed(table(keys, [row] * len(keys)), ["id"]) is None
    copy.close()


def test_no_damage_gives_other_rows(tmp_path: Path) -> None:
    rows = table(list(range(40)), [(float(n), f"name {n}", n % 2 == 0, b"x") for n in range(40)])
    path = tmp_path / "copy"
    with patch.object(table_copy, "BLOCK_ROWS", 16):
        copy_of(rows, path).close()
        whole = path.read_bytes()
        damaged = 0
        # Each byte of the header, and a sample of the others.
        for place in [*range(48), *random.Random(1).sample(range(48, len(whole)), 200)]:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                copy = Copy.open(path, KEY, "old")
            except DamagedError:
                damaged += 1
                continue
            try:
                assert copy.rows() == rows
            except DamagedError:
                damaged += 1
            finally:
                copy.close()
    assert damaged == 248


def test_a_copy_cut_short_is_none(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    copy_of(table([1], [(1.0, "a", True, b"")]), path).close()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            Copy.open(path, KEY, "old")


@pytest.mark.parametrize(("key", "content"), [(b"o" * 32, "old"), (KEY, "other")])
def test_a_copy_counts_for_its_key_and_its_content_alone(tmp_path: Path, key: bytes, content: str) -> None:
    copy_of(table([1], [(1.0, "a", True, b"")]), tmp_path / "copy").close()
    with pytest.raises(DamagedError):
        Copy.open(tmp_path / "copy", key, content)


def test_only_the_blocks_that_differ_are_written(tmp_path: Path) -> None:
    noise = random.Random(0)
    rows = [(noise.random(), str(noise.random()), True, b"") for _ in range(4096)]
    keys = list(range(4096))
    cache = TableCache(KEY, tmp_path)
    with patch.object(table_copy, "BLOCK_ROWS", 128):
        cache.put("first", table(keys, rows))
        [before] = [path.stat() for path in tmp_path.iterdir()]
        rows[5] = (0.5, *rows[5][1:])
        new = table(keys, rows)
        assert cache.changed("first", new, ["id"]).tolist() == [5]  # type: ignore[union-attr]
        cache.put("second", new, "first")
        [after] = [path.stat() for path in tmp_path.iterdir()]
        assert after.st_ino == before.st_ino
        # The index, of two hashes a block, is written again.
        assert after.st_size - before.st_size < before.st_size / 3
        assert cache.get("second") == new and cache.get("first") is None


def test_a_block_of_long_texts_has_fewer_rows(tmp_path: Path) -> None:
    rows = table(list(range(4000)), [(0.0, f"{number} " * 1000, True, b"") for number in range(4000)])
    copy = copy_of(rows, tmp_path / "copy")
    sizes = [[block.raw_length for block in blocks] for blocks in copy._blocks]
    assert max(map(max, sizes)) < table_copy.BLOCK_BYTES + 1000 < sum(sizes[2]) / 4
    assert [len(blocks) for blocks in sizes if blocks is not sizes[2]] == [1] * 4
    assert copy.rows() == rows
    copy.close()


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    keys, cache = list(range(256)), TableCache(KEY, tmp_path)
    with patch.object(table_copy, "BLOCK_ROWS", 16), patch.object(table_copy, "_SLACK", 0):
        new = table(keys, [(0.0, "a", True, b"")] * 256)
        cache.put("0", new)
        for number in range(1, 30):
            rows = [(float(number) if key == number else 0.0, "a", True, b"") for key in keys]
            new = table(keys, rows)
            cache.changed(str(number - 1), new, ["id"])
            cache.put(str(number), new, str(number - 1))
        [copy] = tmp_path.iterdir()
        cache.put("whole", new)
        [whole] = set(tmp_path.iterdir()) - {copy}
    assert cache.get("29") == new
    assert copy.stat().st_size < 4 * whole.stat().st_size
