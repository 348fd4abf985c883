"""The wheel and the sdist in new environments, as a user gets them: everything comes from pip."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, dolt
from helpers import diff_types, messages, server_is_running

from kedro_doltdb import __version__

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the sdist and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as in a new shell; return what it printed."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**env, "PWD": str(cwd)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def ours(env: Path) -> list[str]:
    """What lies in the environment that is called after us."""
    paths = [str(path.relative_to(env)) for path in env.rglob("*dolt*")]
    return sorted(path for path in paths if "doltcli" not in path)


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"], ids=["wheel", "sdist"])
def test_new_environment_from_install_to_uninstall(pattern: str, distributions: Path, tmp_path: Path) -> None:
    env, home = tmp_path / "an environment", tmp_path / "a directory"
    home.mkdir()
    run(sys.executable, "-m", "venv", env, cwd=home)
    python, kedro = env / "bin" / "python", env / "bin" / "kedro"
    pip = (python, "-m", "pip", "--disable-pip-version-check")

    run(*pip, "install", next(distributions.glob(pattern)), cwd=home)
    run(kedro, "new", "--starter=kedro-dolt", "--name=Iris Dolt", cwd=home)

    project = home / "iris-dolt"
    assert f"kedro-doltdb=={__version__}" in (project / "requirements.txt").read_text().splitlines()
    run(*pip, "install", "-r", "requirements.txt", cwd=project)
    for ratio in ("0.1", "0.2"):
        run(kedro, "run", "--params", f"example_test_data_ratio={ratio}", cwd=project)
    assert len(messages(project)) == 4
    assert diff_types(project, "example_predictions") == {"added": 15}
    assert "| > | test_rows | 30" in dolt(project, "diff", "HEAD~1", "example_metrics")

    # A third run, interrupted as from a terminal: Kedro and Dolt are one foreground job.
    third = subprocess.Popen(
        [str(kedro), "run"],
        cwd=project,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 60
    while not server_is_running(project):
        assert third.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(third.pid, signal.SIGINT)
    output = third.communicate(timeout=60)[0].decode()
    assert third.returncode != 0, output
    assert not server_is_running(project)
    assert len(messages(project)) == 4

    assert ours(env), "or the next assertion could not fail"
    run(*pip, "uninstall", "-y", "kedro-doltdb", cwd=home)
    assert ours(env) == []
