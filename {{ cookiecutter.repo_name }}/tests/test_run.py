"""The whole pipeline on a real Dolt repository, which is not the project's own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro_doltdb.dolt_cli import run_dolt


@pytest.fixture
def project_copy(project_path: Path, package_name: str, tmp_path: Path) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(project_path, copy, ignore=shutil.ignore_patterns(".dolt", ".doltcfg", ".git", ".venv"))
    subprocess.run([sys.executable, "-m", "kedro", "dolt", "init"], cwd=copy, check=True)
    return copy


def test_run_is_one_commit(project_copy: Path) -> None:
    with KedroSession.create(project_copy, runtime_params={"example_test_data_ratio": 0.1}) as session:
        session.run()

    data = project_copy / "data"
    log = run_dolt(["log", "--oneline"], data).splitlines()
    assert len(log) == 3
    assert "example_test_data_ratio" in log[0]
    predictions = run_dolt(["sql", "-r", "csv", "-q", "SELECT COUNT(*) FROM example_predictions"], data)
    assert predictions.split()[-1] == "15"
    assert "nothing to commit" in run_dolt(["status"], data)
