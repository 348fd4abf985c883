"""The content hash of files and directories."""

from __future__ import annotations

import os
from pathlib import Path

from kedro_doltdb.journal.edges import file_hash


def test_what_is_behind_links_counts_as_datasets_read_it(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    for directory in (data, outside / "part"):
        directory.mkdir(parents=True)
    (data / "a.csv").write_text("1")
    (outside / "part" / "b.csv").write_text("1")
    (data / "linked").symlink_to(outside)
    (data / "itself").symlink_to(data)
    before = file_hash(data)
    assert before == file_hash(data) is not None
    (outside / "part" / "b.csv").write_text("2")
    assert file_hash(data) != before


def test_a_file_of_the_same_size_and_time_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1")
    before, stat = file_hash(file), file.stat()
    file.write_text("2")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file_hash(file) != before
