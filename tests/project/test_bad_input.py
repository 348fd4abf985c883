"""Bad input gets one clear message, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import run_kedro
from helpers import branches, messages, server_is_running


def refused(project: Path, *expected: str, **env: str) -> None:
    done = run_kedro(project, "run", check=False, **env)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    for words in expected:
        assert words in output
    assert "Traceback" not in output
    assert not server_is_running(project)
    assert messages(project) == ["Import the iris data set", "Initialize data repository"]
    assert branches(project) == ["main"]


def path_without_dolt(directory: Path) -> str:
    """A PATH with git and what a shell script needs, and no dolt."""
    directory.mkdir()
    for name in ("git", "sh", "ps"):
        found = shutil.which(name)
        assert found
        (directory / name).symlink_to(found)
    return str(directory)


def test_dolt_is_missing(project: Path, tmp_path: Path) -> None:
    refused(
        project,
        "Error: No executable `dolt` was found in the Python environment or on PATH",
        "kedro dolt install",
        PATH=path_without_dolt(tmp_path / "bin"),
    )


def test_dolt_is_not_executable(project: Path, tmp_path: Path) -> None:
    (tmp_path / "dolt").write_text("#!/bin/sh\n")
    refused(project, "DOLT_PATH names", "not an executable file", DOLT_PATH=str(tmp_path / "dolt"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("dolt version 1.20.0", "is Dolt 1.20.0, and 1.83.0 or newer is needed"),
        ("this is not Dolt", "does not answer `dolt version` as Dolt does"),
        ("dolt version 1.99.0", "stopped with exit code 3"),
    ],
)
def test_dolt_is_too_old_or_something_else(project: Path, tmp_path: Path, answer: str, message: str) -> None:
    fake = tmp_path / "dolt"
    fake.write_text(f'#!/bin/sh\necho "{answer}"\n[ "$1" = version ] || exit 3\n')
    fake.chmod(0o755)
    refused(project, "Error: ", message, DOLT_PATH=str(fake))


def test_a_taken_port(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = project / "conf" / "base" / "dolt.yml"
        settings.write_text(settings.read_text().replace("port: null", f"port: {port}"))
        refused(
            project, f"Port {port}, which conf/*/dolt.yml sets, is taken by another program", "port: null"
        )


def test_a_foreign_dolt_server_on_the_port(project: Path, generated: Path, tmp_path: Path) -> None:
    from test_lifecycle import free_port, start_server_by_hand

    other = tmp_path / "other"
    shutil.copytree(generated, other)
    port = free_port()
    server = start_server_by_hand(other, port)
    try:
        settings = project / "conf" / "base" / "dolt.yml"
        settings.write_text(settings.read_text().replace("port: null", f"port: {port}"))
        refused(project, f"Port {port}, which conf/*/dolt.yml sets, is taken by another program")
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert len(messages(other)) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prot: 3306", "`prot` is not a setting: did you mean `port`?"),
        ("port: high", "`port` must be null or a whole number from 1 to 65535, not 'high'"),
        ("on_uncommitted: ask", "`on_uncommitted` must be `commit` or `refuse`, not 'ask'"),
        ("initial_tables: {t: {file: x.csv}}", "`initial_tables.t.primary_key` must be a column"),
    ],
)
def test_a_wrong_setting(project: Path, line: str, message: str) -> None:
    (project / "conf" / "base" / "dolt.yml").write_text(line + "\n")
    refused(project, "Error: conf/*/dolt.yml: ", message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [("method: ${dolt.bulk_load:nope}", "nope"), ("method: ${dolt.bulk_load:species}", "species")],
)
def test_a_key_that_is_none(project: Path, columns: str, message: str) -> None:
    catalog = project / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("method: ${dolt.bulk_load:sample_id}", columns))
    done = run_kedro(project, "run", check=False)
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    assert messages(project) == ["Import the iris data set", "Initialize data repository"]
    assert not server_is_running(project)


def mounted(directory: Path, *options: str) -> None:
    subprocess.run(["mount", *options, str(directory)], check=True, capture_output=True)


@pytest.fixture
def can_mount() -> None:
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root, to mount a file system of its own")


def test_a_read_only_data_directory(project: Path, can_mount: None) -> None:
    data = project / "data"
    mounted(data, "--bind", str(data))
    try:
        mounted(data, "-o", "remount,bind,ro")
        done = run_kedro(project, "run", check=False)
        assert done.returncode == 1
        assert "cannot be written to" in done.stderr and "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)
    assert messages(project) == ["Import the iris data set", "Initialize data repository"]


def test_a_full_disk(project: Path, can_mount: None) -> None:
    data = project / "data"
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    # Not in pytest's directories: another session removes old ones, and must not find a mount there.
    disk = Path(tempfile.mkdtemp(prefix="kedro-dolt-disk-"))
    mounted(disk, "-t", "tmpfs", "-o", f"size={size + 4_000_000}", "tmpfs")
    try:
        shutil.move(data, disk / "data")
        data.symlink_to(disk / "data")
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        done = run_kedro(project, "run", check=False)
        assert done.returncode == 1
        assert "no space left on device" in (done.stderr + done.stdout).lower()
        filler.unlink()
        assert messages(project) == ["Import the iris data set", "Initialize data repository"]
        run_kedro(project, "run")
        assert len(messages(project)) == 3
        assert not server_is_running(project)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()
