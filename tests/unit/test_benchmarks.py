"""The command line of the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT

from benchmarks.whole_run import entries_in


def test_a_benchmark_that_could_not_write_its_results_does_not_begin(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "memory", "--output", str(missing)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.endswith(f"--output must be a directory that can be written to, not {missing}\n")


def test_the_other_ways_keep_every_table_of_the_project() -> None:
    text = (ROOT / "{{ cookiecutter.repo_name }}" / "conf" / "base" / "catalog.yml").read_text()
    entries = [name for name in yaml.safe_load(text) if not name.startswith("_")]
    assert entries_in(text) == entries and "example_{set}_{part}" in entries
