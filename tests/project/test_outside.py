"""`kedro dolt` where there is no project."""

from __future__ import annotations

from pathlib import Path

from conftest import run_kedro

from kedro_doltdb.dolt_cli import find_dolt


def test_dolt_can_be_installed_outside_projects(tmp_path: Path) -> None:
    done = run_kedro(tmp_path, "dolt", "install")

    assert done.stdout.splitlines()[-1].startswith("Dolt ") and done.stdout.rstrip().endswith(find_dolt())


def test_commands_of_projects_say_that_they_need_one(tmp_path: Path) -> None:
    done = run_kedro(tmp_path, "dolt", "runs", check=False)

    assert done.returncode == 2
    assert "`kedro dolt runs` works in a Kedro project: change to its directory." in done.stderr


def test_a_project_has_all_commands(project: Path) -> None:
    listed = run_kedro(project, "dolt", "--help").stdout

    assert "install" in listed and "runs" in listed
