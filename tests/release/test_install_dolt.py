"""scripts/install_dolt: what is there is taken, and what cannot be had is told in one error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install_dolt"


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_dolt(path: Path, version: str) -> Path:
    return executable(path, f"echo 'dolt version {version}'")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with neither Dolt, Go, apt-get nor a network."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (
        "awk",
        "bash",
        "cat",
        "chmod",
        "cp",
        "cut",
        "gzip",
        "mkdir",
        "mktemp",
        "mv",
        "rm",
        "sed",
        "sh",
        "sha256sum" if shutil.which("sha256sum") else "shasum",
        "tar",
        "uname",
    ):
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    executable(tools / "curl", "exit 6")
    return {
        "PATH": str(tools),
        "HOME": str(tmp_path / "home"),
        "GOROOT": str(tmp_path / "no go"),
        "TMPDIR": str(tmp_path),
    }


def give_release(machine: dict[str, str], name: str, archive: Path, digest: str) -> None:
    """Have ``curl`` give the archive, and a description of the release as GitHub's API writes it."""
    base = "https://github.com/dolthub/dolt/releases/download/v1.83.2"
    assets = [
        {"name": other, "digest": f"sha256:{value}", "browser_download_url": f"{base}/{other}"}
        for other, value in (("dolt-other.tar.gz", "1" * 64), (f"{name}.tar.gz", digest), ("z.msi", "2" * 64))
    ]
    description = archive.with_name("release.json")
    description.write_text(json.dumps({"tag_name": "v1.83.2", "assets": assets}, indent=2))
    executable(
        Path(machine["PATH"]) / "curl",
        f'case "$*" in\n*api.github.com*/tags/v1.83.2) cat "{description}"; exit ;;\nesac\n'
        'while [ "$1" != --output ]; do shift; done\n'
        f'case $3 in *{name}.tar.gz) cp "{archive}" "$2" ;; *) exit 22 ;; esac',
    )


def install(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=60)


def test_a_good_dolt_on_path_is_taken_and_nothing_is_written(machine: dict[str, str], tmp_path: Path) -> None:
    dolt = fake_dolt(tmp_path / "with space" / "dolt", "1.83.0")
    machine["PATH"] = f"{dolt.parent}{os.pathsep}{machine['PATH']}"
    for _ in range(2):
        done = install(machine)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"install_dolt: Dolt 1.83.0 is there: {dolt}\n"
    assert not Path(machine["HOME"]).exists()


@pytest.mark.parametrize("version", ["1.83.2", "1.100.0", "2.3.1"])
def test_dolt_path_is_taken_before_path(machine: dict[str, str], tmp_path: Path, version: str) -> None:
    old = fake_dolt(tmp_path / "old" / "dolt", "1.20.0")
    machine["PATH"] = f"{old.parent}{os.pathsep}{machine['PATH']}"
    machine["DOLT_PATH"] = str(fake_dolt(tmp_path / "mine" / "my-dolt", version))
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert f"Dolt {version} is there: {machine['DOLT_PATH']} (DOLT_PATH)" in done.stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo 'dolt version 1.82.9'", "is Dolt 1.82.9, too old: 1.83 or newer is needed"),
        ("exit 1", "does not run"),
    ],
)
def test_a_useless_dolt_path_is_an_error(
    machine: dict[str, str], tmp_path: Path, text: str, why: str
) -> None:
    machine["DOLT_PATH"] = str(executable(tmp_path / "bad-dolt", text))
    done = install(machine)
    assert done.returncode == 1
    assert machine["DOLT_PATH"] in done.stderr
    assert why in done.stderr
    assert "unset it" in done.stderr


def test_what_is_installed_is_not_installed_again(machine: dict[str, str], tmp_path: Path) -> None:
    machine["DOLT_INSTALL_DIR"] = str(tmp_path / "in here")
    fake_dolt(tmp_path / "in here" / "dolt", "1.83.2")
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert f"Dolt 1.83.2 is there: {tmp_path / 'in here' / 'dolt'}" in done.stdout
    assert f'export PATH="{tmp_path / "in here"}:$PATH"' in done.stdout


def test_the_release_archive_is_installed_over_an_old_dolt(machine: dict[str, str], tmp_path: Path) -> None:
    system, processor = os.uname().sysname.lower(), os.uname().machine
    name = f"dolt-{system}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(processor, processor) }"
    fake_dolt(tmp_path / name / "bin" / "dolt", "1.83.2")
    archive = tmp_path / "archive.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(tmp_path), name], check=True)
    give_release(machine, name, archive, hashlib.sha256(archive.read_bytes()).hexdigest())
    old = fake_dolt(tmp_path / "old" / "dolt", "1.20.0")
    machine["PATH"] = f"{old.parent}{os.pathsep}{machine['PATH']}"
    done = install(machine)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = Path(machine["HOME"]) / ".local" / "bin" / "dolt"
    assert f"Dolt 1.83.2 installed: {installed}" in done.stdout
    assert f'export PATH="{installed.parent}:$PATH"' in done.stdout
    assert os.access(installed, os.X_OK)
    assert [entry.name for entry in installed.parent.iterdir()] == ["dolt"]


@pytest.mark.parametrize(
    ("digest", "why"),
    [("0" * 64, "not the file that was published"), ("", "its digest could not be fetched")],
)
def test_an_archive_that_nothing_vouches_for_is_not_installed(
    machine: dict[str, str], tmp_path: Path, digest: str, why: str
) -> None:
    system, processor = os.uname().sysname.lower(), os.uname().machine
    name = f"dolt-{system}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(processor, processor) }"
    fake_dolt(tmp_path / name / "bin" / "dolt", "1.83.2")
    archive = tmp_path / "archive.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(tmp_path), name], check=True)
    give_release(machine, name, archive, digest)
    done = install(machine)
    assert done.returncode == 1
    assert f"release archive: {why}" in done.stderr
    assert not list(Path(machine["HOME"]).rglob("dolt"))


def test_when_nothing_works_one_error_lists_every_try(machine: dict[str, str], tmp_path: Path) -> None:
    old = fake_dolt(tmp_path / "old" / "dolt", "1.20.0")
    machine["PATH"] = f"{old.parent}{os.pathsep}{machine['PATH']}"
    done = install(machine)
    assert done.returncode == 1
    assert f"{old} is Dolt 1.20.0, too old: 1.83 or newer is needed" in done.stderr
    assert "release archive: download failed (curl exit code 6)" in done.stderr
    assert f"Go: no go on PATH or in {machine['GOROOT']}/bin" in done.stderr
    assert "set DOLT_PATH" in done.stderr
