"""The wheel that carries Dolt, in a new environment on a machine without Dolt and Go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from kedro_doltdb.install.go import VERSION

PACKAGING = ROOT / "packaging" / "dolt-binary"


def test_version_is_that_of_the_dolt_that_is_installed_otherwise() -> None:
    text = (PACKAGING / "pyproject.toml").read_text()

    assert re.findall(r'(?m)^version = "(\d+\.\d+\.\d+)\.\d+"$', text) == [VERSION]
    assert f'dolt = ["kedro-doltdb-dolt>={VERSION},<2"]' in (ROOT / "pyproject.toml").read_text()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with both wheels. Go's cache, and ours, are those of the machine."""
    out = tmp_path_factory.mktemp("dist")
    home = {"HOME": os.path.expanduser("~root") if os.geteuid() == 0 else os.path.expanduser("~")}
    for command in (
        [str(PACKAGING / "build.py"), "--output", str(out)],
        ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
    ):
        done = subprocess.run(
            [sys.executable, *command], env={**os.environ, **home}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_wheel_has_dolt_its_licences_and_nothing_else(wheels: Path) -> None:
    [wheel] = wheels.glob("kedro_doltdb_dolt-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
        licences = archive.read(next(name for name in files if name.endswith("LICENSES"))).decode()

    assert wheel.stat().st_size < 100e6
    assert {Path(name).name for name in files} == {"dolt", "LICENSES", "METADATA", "RECORD", "WHEEL"}
    assert not wheel.name.endswith("-linux_x86_64.whl"), "the index takes none of that name"
    for part in ("Dolt licensed under", "Go standard library", "ICU4C", "gozstd", "go-mysql-server"):
        assert part in licences


@pytest.mark.slow
def test_readme_works_without_dolt_and_go(wheels: Path, tmp_path: Path) -> None:
    env, home, work = tmp_path / "env", tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    base = {"HOME": str(home), "DO_NOT_TRACK": "1", "NO_COLOR": "1", "COLUMNS": "100"}
    base |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP"))}
    path = "/usr/bin:/bin"
    for name in ("dolt", "go"):
        assert subprocess.run(["which", name], env={"PATH": path}, capture_output=True).returncode != 0

    def run(command: str, cwd: Path) -> str:
        begun = time.monotonic()
        variables = {**base, "PATH": f"{env / 'bin'}:{path}"}
        done = subprocess.run(
            ["sh", "-c", command], cwd=cwd, env=variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        print(f"{time.monotonic() - begun:6.1f} s  {command}")
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    [dolt_wheel] = wheels.glob("kedro_doltdb_dolt-*.whl")
    [wheel] = [wheel for wheel in wheels.glob("*.whl") if wheel != dolt_wheel]
    run(f"pip install --quiet --find-links {wheels} '{wheel}[dolt]'", work)
    assert run("which dolt", work).strip() == str(env / "bin" / "dolt")
    assert f"{env}/bin/dolt" in run("kedro dolt install", work)

    run('kedro new --starter=kedro-dolt --name="Iris Dolt"', work)
    project = work / "iris-dolt"
    # Our own distribution is not on the index yet.
    run(f"pip install --quiet --find-links {wheels} -r requirements.txt", project)
    run("kedro run", project)
    run("kedro run --params example_test_data_ratio=0.3", project)
    assert "example_test_data_ratio" in run("kedro dolt compare", project)
    assert "in the Python environment" in run("kedro dolt status", project)
    assert "accuracy" in run("cd data && dolt diff HEAD~1 example_metrics", project)
    print(run(f"du -sm {env} {home} {project}", work))
