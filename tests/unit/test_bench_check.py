"""`make bench-check` fails where a ratio has become worse than the tolerance allows, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare import ratios, regressions

RESULTS = """
**A whole run** (7 rounds)

| way | seconds | ours / this | aim |
| --- | --- | --- | --- |
| Dolt (ours) | 1.30 (1.29 to 1.41) | | |
| CSV files | 0.99 (0.96 to 1.03) | 1.35 (1.29 to 1.41) | ≤ 1.10 |

**100,000 rows, 0.1% changed** (4 versions)

| way | first save | save + version | this / ours | MB |
| --- | --- | --- | --- | --- |
| `DoltTableDataset` | 1.48 | 0.053 (0.048 to 0.059) |  | 8.4 |
| plain `to_sql` | 4.76 | 4.626 (4.545 to 4.677) | 93.5 (82.5 to 96.7) | 14.8 |
"""
CSV = ("A whole run", "CSV files", "ours / this")
SQL = ("100,000 rows, 0.1% changed", "plain `to_sql`", "this / ours")


def test_ratios_are_read_with_their_titles() -> None:
    assert ratios(RESULTS) == {CSV: 1.35, SQL: 93.5}


def test_the_committed_results_have_ratios() -> None:
    assert len(ratios((ROOT / "benchmarks" / "results.md").read_text())) > 50


@given(st.floats(0.1, 100), st.floats(0.01, 1), st.floats(0.01, 10))
def test_what_is_within_the_tolerance_passes_and_what_is_beyond_fails(
    before: float, tolerance: float, times: float
) -> None:
    slack = 0.02
    for key, now, within, beyond in (
        (CSV, before * times, times <= 1 + tolerance, before * times > before * (1 + tolerance) + slack),
        (SQL, before / times, times <= 1 + tolerance, before / times < before / (1 + tolerance) - slack),
    ):
        worse = regressions({key: before}, {key: now}, tolerance)
        if within:
            assert worse == []
        if beyond:
            assert len(worse) == 1 and key[1] in worse[0]


def test_what_was_not_measured_at_all_is_left_out() -> None:
    assert regressions(ratios(RESULTS), {CSV: 1.3}) == []


@pytest.mark.parametrize("measured", [{}, {("A whole run", "other", "ours / this"): 1.0}])
def test_a_comparison_that_lacks_something_is_an_error(measured: dict[tuple[str, str, str], float]) -> None:
    with pytest.raises(ValueError, match="measured"):
        regressions(ratios(RESULTS), measured)


@pytest.mark.parametrize(("ratio", "code"), [("1.40", 0), ("1.80", 1)])
def test_the_command_tells_by_its_exit_code(tmp_path: Path, ratio: str, code: int) -> None:
    (tmp_path / "committed.md").write_text(RESULTS)
    (tmp_path / "measured.md").write_text(RESULTS.replace("1.35 (1.29", f"{ratio} (1.29"))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compare", tmp_path / "committed.md", tmp_path / "measured.md"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert ("CSV files" in done.stderr) == bool(code)
