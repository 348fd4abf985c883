"""What projects may import stays: by its public name, and by the paths that earlier projects know it by."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_kedro
from helpers import branches, break_node, messages, server_is_running

import kedro_doltdb

TEMPLATE = ROOT / "{{ cookiecutter.repo_name }}" / "src" / "{{ cookiecutter.python_package }}"
EARLIER = Path(__file__).parent / "earlier_projects"
MOVED = [f"kedro_doltdb.{name}" for name in ("bulk_load", "database", "progress", "run.DoltRun")]


def python(code: str) -> str:
    """Run ``code`` in a Python of its own, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", kedro_doltdb.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(kedro_doltdb, name).__name__ == name


def test_the_names_that_generated_projects_import() -> None:
    assert {
        "DoltHooks", "DoltRun", "DoltTableDataset", "attach", "bulk_load", "dataset_saved", "get_logger",
        "node_failed", "node_started", "BulkLoadError", "ConfigError", "DoltError", "LeaseTakenError",
        "PublishError", "QueryError", "RemoteError", "ServerError", "DoltData", "open", "compare",
        "ComparisonFrames",
    } <= set(kedro_doltdb.__all__)  # fmt: skip


def test_the_hooks_of_the_library_are_those_of_the_template() -> None:
    library = ROOT / "src" / "kedro_doltdb" / "hooks.py"
    assert not library.is_symlink(), "a checkout without symbolic links would have a broken library"
    assert library.read_text("utf-8") == (TEMPLATE / "hooks.py").read_text("utf-8")


@pytest.mark.parametrize("name", ["hooks.py", "settings.py"])
def test_a_generated_project_imports_public_names_alone(name: str) -> None:
    assert "kedro_doltdb." not in (TEMPLATE / name).read_text("utf-8").partition('"""\n\n')[2]


def test_the_function_and_the_module_of_one_name_get_on() -> None:
    code = (
        "from kedro_doltdb.bulk_load import bulk_load as old; from kedro_doltdb import bulk_load as new; "
        "import kedro_doltdb; print(old('a') == new('a') == kedro_doltdb.bulk_load('a'))"
    )
    assert python(code) == "True"


@pytest.mark.parametrize("hooks", ["hooks_of_catalog.py", "hooks_with_own_thread.py"])
def test_a_project_of_an_earlier_version_runs(project: Path, hooks: str) -> None:
    package = project / "src" / "iris_dolt"
    shutil.copy(EARLIER / hooks, package / "hooks.py")
    shutil.copy(EARLIER / "settings.py", package / "settings.py")
    break_node(project, "make_predictions")

    done = run_kedro(project, "run", PYTHONWARNINGS="default::DeprecationWarning")
    output = " ".join((done.stdout + done.stderr).split())
    assert "Committed" in output
    assert messages(project)[0].startswith("Update data from Kedro run 2")
    for moved in MOVED:
        assert f"{moved} has moved" in re.sub(r" warnings\.py:\d+", "", output)

    failed = run_kedro(project, "run", "--params", "example_test_data_ratio=0.3", check=False, BREAK="1 / 0")
    assert failed.returncode and "kept on" in failed.stdout + failed.stderr
    assert len(branches(project)) == 2 and len(messages(project)) == 3
    assert not server_is_running(project)
