"""Repositories that earlier versions have written are opened, read and written to."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, dolt, run_kedro
from helpers import branches, break_node, let_go, messages, query, start_slow_run

from kedro_doltdb import __version__
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

    done = run_kedro(project, "run", COLUMNS="400")

    assert f"it is of version {VERSION + 1}, and this kedro-dolt reads {VERSION}" in done.stdout + done.stderr


REFUSED = (
    f"kedro-doltdb 9.1.0 has changed the format of the journal here, which this version, {__version__}, does"
)
REMEDY = "`pip install 'kedro-doltdb>=9.1.0'`"


def change_format(project: Path) -> None:
    """Do what a newer version would do at its first run."""
    dolt(project, "sql", "-q", "ALTER TABLE kedro_runs ADD COLUMN needs_9_1_0 VARCHAR(1)")
    dolt(project, "commit", "-am", "A run of a newer version")


def test_a_journal_of_a_newer_format_is_read_and_not_written_to(project: Path) -> None:
    run_kedro(project, "run")
    dolt(project, "branch", "theirs")
    change_format(project)
    dolt(project, "sql", "-q", "DELETE FROM example_iris_data WHERE sample_id = 1")
    before = messages(project), branches(project), query(project, "SELECT * FROM dolt_status")
    assert before[2]

    for arguments in ((), ("--params", "dolt_branch=new"), ("--params", "dolt_branch=new,dolt_from=main")):
        refused = run_kedro(project, "run", *arguments, check=False)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert REFUSED in refused.stderr and REMEDY in refused.stderr
    assert REFUSED in run_kedro(project, "dolt", "adopt", "theirs", check=False).stderr
    assert (messages(project), branches(project), query(project, "SELECT * FROM dolt_status")) == before

    listed = run_kedro(project, "dolt", "runs", "--json")
    assert len(json.loads(listed.stdout)) == 1
    assert "may misread it" in listed.stderr and REMEDY in listed.stderr
    examined = json.loads(run_kedro(project, "dolt", "doctor", "--json", check=False).stdout)
    [journal] = [finding for finding in examined["findings"] if finding["check"] == "journal"]
    assert journal["level"] == "error" and REMEDY in journal["found"]

    # A branch that no newer version has written to goes on, until it is merged.
    run_kedro(project, "run", "--params", "dolt_branch=theirs,example_test_data_ratio=0.3")
    dolt(project, "reset", "--hard")
    dolt(project, "checkout", "theirs")
    dolt(project, "merge", "main")
    assert len(json.loads(run_kedro(project, "dolt", "runs", "--json").stdout)) == 2
    assert REFUSED in run_kedro(project, "run", check=False).stderr


def test_a_format_that_changes_during_a_run_keeps_the_run(project: Path) -> None:
    run_kedro(project, "run")
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run", "--params", "example_test_data_ratio=0.3")
    change_format(project)
    said = let_go(project, process)

    assert process.returncode == 1 and REMEDY in said.replace("\n", " ")
    assert messages(project)[0] == "A run of a newer version"
    [kept] = [name for name in branches(project) if name != "main"]
    assert kept in said
