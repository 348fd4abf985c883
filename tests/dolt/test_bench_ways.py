"""The benchmarks' ways to keep versions keep them, and what a version takes on disk is told."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.compare import ratios
from benchmarks.versions import markdown, measure
from benchmarks.ways import Import, Ours, Parquet, Stock, Way


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def texts(rows: int = 40) -> pd.DataFrame:
    return pd.DataFrame({"id": range(rows), "note": [f"{number} " * 200 for number in range(rows)]})


@pytest.mark.parametrize("kind", [Ours, Stock, Import, Parquet])
def test_a_way_keeps_long_texts_and_tells_how_many_rows_changed(tmp_path: Path, kind: type[Way]) -> None:
    frames = [texts(), texts()]
    frames[1].loc[:3, "note"] += "!"
    way = kind(tmp_path / "way")
    try:
        for number, frame in enumerate(frames):
            way.prepare(frame)
            way.save(frame, number)
        pd.testing.assert_frame_equal(way.load(), frames[1])
        assert way.changed_rows(0, 1) == 4
        assert 0 <= way.copies() < way.size()
    finally:
        way.close()


def test_what_a_version_takes_is_without_the_copies_for_loads(tmp_path: Path) -> None:
    found = measure(texts(), 0.1, 2, tmp_path / "ways", ways=[Ours, Parquet], change=("note", "!"))
    for way in (Ours, Parquet):
        first, all_versions = found[way.name]["bytes"]
        stored = all_versions - found[way.name]["copies"][0]
        assert found[way.name]["bytes a version"] == [pytest.approx((stored - first) / 2)]
    assert found[Ours.name]["copies"][0] > 0
    written = markdown("notes", 0.1, 2, found)
    assert [way for _, way, _ in ratios(written)] == [Parquet.name]
    assert ", of it copies 0.0 |" in written
