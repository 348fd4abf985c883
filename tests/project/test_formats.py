"""Repositories that earlier versions have written are opened, read and written to."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, run_kedro

from kedro_doltdb.run.records import VERSION

REPOSITORIES = sorted((ROOT / "tests" / "data").glob("repository-*.tar.gz"))


@pytest.mark.parametrize("archive", REPOSITORIES, ids=lambda path: path.name)
def test_a_failed_run_of_an_earlier_version_is_read_and_resumed(project: Path, archive: Path) -> None:
    shutil.rmtree(project / "data" / ".dolt")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(project / "data")], check=True)

    failed, published = json.loads(run_kedro(project, "dolt", "runs", "--json").stdout)
    assert (failed["status"], published["status"]) == ("failed", "succeeded")
    assert published["params"]["example_test_data_ratio"] == 0.2 and published["metrics"]["test_rows"] == 30

    resumed = run_kedro(
        project, "run", "--from-nodes", "report_accuracy", "--params", "example_test_data_ratio=0.3"
    )
    assert f"Resuming run {failed['run_id']}" in resumed.stdout + resumed.stderr
    last, *_ = json.loads(run_kedro(project, "dolt", "runs", "--json").stdout)
    assert last["resumed_from"] == failed["run_id"] and last["metrics"]["test_rows"] == 45


def test_each_version_of_records_has_a_repository() -> None:
    # The first version was never released.
    assert f"records {VERSION}" in (ROOT / "tests" / "data" / "README.md").read_text()


def test_a_repository_of_a_newer_version_is_told_apart(project: Path) -> None:
    shutil.rmtree(project / "data" / ".dolt")
    subprocess.run(["tar", "-xzf", str(REPOSITORIES[-1]), "-C", str(project / "data")], check=True)
    [record] = (project / "data" / ".dolt" / "kedro" / "runs").glob("*.json")
    from kedro_doltdb.run import records

    values = json.loads(record.read_text())
    values |= {"version": VERSION + 1}
    del values["checksum"]
    text = json.dumps(values, sort_keys=True)
    record.write_text(f'{text[:-1]}, "checksum": "{records._hash(text)}"}}')

    done = run_kedro(project, "run")

    assert f"it is of version {VERSION + 1}, and this kedro-dolt reads {VERSION}" in done.stdout + done.stderr
