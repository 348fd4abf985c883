"""The directory of copies of tables, and what else may be there."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from kedro_doltdb.tables.table_cache import TableCache

KEY = b"k" * 32


def test_only_our_own_files_are_deleted_where_a_link_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    for name in ("data.arrow", "tmpabc.tmp", "notes.txt", f"{'g' * 40}.arrow"):
        (theirs / name).write_bytes(bytes(10_000))
    before = sorted(theirs.iterdir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "kedro-dolt").mkdir(parents=True)
    (tmp_path / "cache" / "kedro-dolt" / "tables").symlink_to(theirs)
    (theirs / "kedro-dolt-killed.tmp").write_bytes(bytes(10_000))

    cache = TableCache.of(tmp_path / "key")
    assert cache is not None
    cache._max_bytes = 5_000
    table = pa.table({"a": pa.array(range(100))})
    for number in range(20):
        cache.put(f"hash {number}", table)

    assert cache.get("hash 19") == table and cache.get("hash 0") is None
    left = sorted(theirs.iterdir())
    assert set(before) < set(left) and len(left) < len(before) + 20
    assert not (theirs / "kedro-dolt-killed.tmp").exists()
    assert theirs.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o077 == 0 for path in {*left} - {*before})


def test_a_small_copy_does_not_look_at_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looks.append(path) or scandir(path))
    rows = pa.table({"a": pa.array(range(10))})
    TableCache(KEY, tmp_path).put("first", rows)
    [first] = tmp_path.iterdir()
    size = first.stat().st_size
    looks.clear()

    room = 640 * size
    for number in range(1_280):
        # Each save has an object of its own, and often a process of its own.
        TableCache(KEY, tmp_path, room).put(f"hash {number}", rows)

    # One put in ten is to look, by chance. That none of 128 does is as likely as 0.9 ** 128, a millionth.
    assert 40 < len(looks) < 260
    assert 600 * size < sum(path.stat().st_size for path in tmp_path.iterdir()) < (640 + 128) * size
