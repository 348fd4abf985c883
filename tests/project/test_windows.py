"""What a user on Windows gets, as far as Linux and macOS can tell: this has not run on Windows.

In the processes of these tests, our modules find as little in Python as they would there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, run_kedro

pytestmark = pytest.mark.thorough

SITECUSTOMIZE = """
import builtins, os, signal, types

def without(module, *names):
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update({name: value for name, value in vars(module).items() if name not in names})
    return copy

POSIX = ("fork", "getuid", "geteuid", "killpg", "register_at_fork", "setsid", "O_CLOEXEC")
WINDOWS = {"os": without(os, *POSIX), "signal": without(signal, "SIGKILL", "SIGHUP")}
original = builtins.__import__

def as_on_windows(name, globals=None, *args, **kwargs):
    # For us alone: Python's own modules are those for this system.
    if (globals or {}).get("__name__", "").startswith("kedro_doltdb"):
        if name == "fcntl":
            raise ImportError("No module named 'fcntl'")
        if name in WINDOWS:
            return WINDOWS[name]
    return original(name, globals, *args, **kwargs)

builtins.__import__ = as_on_windows
"""


@pytest.fixture(autouse=True)
def no_posix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "site"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(SITECUSTOMIZE)
    monkeypatch.setenv("PYTHONPATH", str(directory))


def test_new_project_and_its_catalog_need_no_server(tmp_path: Path) -> None:
    run_kedro(tmp_path, "new", f"--starter={ROOT}", "--name=Iris Dolt")

    listed = run_kedro(tmp_path / "iris-dolt", "catalog", "describe-datasets")
    assert "example_predictions" in listed.stdout


@pytest.mark.parametrize("command", ["run", "dolt runs", "dolt status", "dolt server --user ada"])
def test_what_needs_a_server_names_wsl_in_one_line(command: str, project: Path) -> None:
    done = run_kedro(project, *command.split(), check=False)

    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert output.count("on Windows use WSL") == 1, output
    assert "Traceback" not in output
