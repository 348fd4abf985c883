"""`kedro dolt doctor` finds what is wrong, says what to do about it, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import dolt, run_kedro
from helpers import server_is_running

from kedro_doltdb.dolt_cli import find_dolt
from kedro_doltdb.queries import project_checks
from kedro_doltdb.template_version import CURRENT


def findings(project: Path, **env: str) -> dict[str, list[dict[str, Any]]]:
    """What is not ok, by the name of the check."""
    done = run_kedro(project, "dolt", "doctor", "--json", check=False, **env)
    assert "Traceback" not in done.stderr, done.stderr
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["healthy"] else 1)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in answer["findings"]:
        if finding["level"] != "ok":
            found.setdefault(finding["check"], []).append(finding)
    return found


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def settings(project: Path) -> Path:
    return next((project / "src").glob("*/settings.py"))


def no_wiring(project: Path) -> None:
    replace(settings(project), "HOOKS = (DoltHooks(),)", "HOOKS = ()")


def wrong_resolver(project: Path) -> None:
    replace(settings(project), '"dolt.bulk_load": bulk_load', '"dolt.bulk_load": print')


def no_resolver(project: Path) -> None:
    replace(settings(project), '"dolt.bulk_load": bulk_load', "")


def not_read(project: Path) -> None:
    replace(settings(project), '"config_patterns": {"dolt": ["dolt*", "dolt*/**"]},', "")


def misspelled(project: Path) -> None:
    replace(project / "conf/base/dolt.yml", "port: null", "prot: null")


def no_repository(project: Path) -> None:
    shutil.rmtree(project / "data" / ".dolt")


def mixed_up(project: Path) -> None:
    shutil.copytree(project / "data" / ".dolt", project / ".dolt")


def missing_file(project: Path) -> None:
    (project / "data/01_raw/iris.csv").unlink()


def old_template(project: Path) -> None:
    replace(project / "pyproject.toml", f"template = {CURRENT}", "template = 0")


def damaged_state(project: Path) -> None:
    (project / "data/.dolt/repo_state.json").write_text("{")


def no_key(project: Path) -> None:
    dolt(project, "sql", "-q", "CREATE TABLE keyless (x INT); INSERT INTO keyless VALUES (1)")


def diverged(project: Path) -> None:
    remote = project.parent / "remote"
    remote.mkdir()
    (project / "conf/local/dolt.yml").write_text(f"remote: {{url: 'file://{remote}'}}\n")
    dolt(project, "remote", "add", "origin", f"file://{remote}")
    for number in (1, 2):
        dolt(project, "sql", "-q", f"CREATE TABLE t{number} (x INT PRIMARY KEY)")
        dolt(project, "commit", "-Am", f"table {number}")
        if number == 1:
            dolt(project, "push", "origin", "main")
            dolt(project, "reset", "--hard", "HEAD~1")


def other_remote(project: Path) -> None:
    (project / "conf/local/dolt.yml").write_text("remote: {url: 'file:///nowhere'}\n")
    dolt(project, "remote", "add", "origin", "http://localhost:1/data")


def in_a_merge(project: Path) -> None:
    for branch, value in (("other", 2), ("main", 1)):
        if branch == "other":
            dolt(project, "checkout", "-b", branch)
        dolt(project, "sql", "-q", f"UPDATE example_iris_data SET petal_length = {value} WHERE sample_id = 1")
        dolt(project, "commit", "-am", branch)
        if branch == "other":
            dolt(project, "checkout", "main")
    subprocess.run([find_dolt(), "merge", "other"], cwd=project / "data", check=False, capture_output=True)


def no_import(project: Path) -> None:
    with open(settings(project), "a") as file:
        file.write("import nothing_of_that_name\n")


def no_requirement(project: Path) -> None:
    file = project / "requirements.txt"
    file.write_text("".join(line for line in file.open() if not line.startswith("kedro-doltdb")))


def misspelled_credentials(project: Path) -> None:
    file = project / "conf/base/catalog.yml"
    file.write_text(file.read_text().replace("credentials: dolt", "credentials: dolts", 1))


def not_mounted(project: Path) -> None:
    shutil.move(project / "data", project / "elsewhere")
    (project / "data").symlink_to(project / "nowhere")
    (project / "conf/local/dolt.yml").write_text("initial_tables: []\n")


BROKEN: list[tuple[Callable[[Path], None], str, str, str]] = [
    (no_wiring, "wiring", "error", "HOOKS = (DoltHooks(),)"),
    (wrong_resolver, "wiring", "error", "custom_resolvers"),
    (no_resolver, "catalog", "error", "custom_resolvers"),
    (not_read, "settings", "error", "config_patterns"),
    (misspelled, "settings", "error", "did you mean `port`"),
    (no_repository, "data directory", "error", "kedro dolt init"),
    (mixed_up, "data directory", "warning", "remove the .dolt outside data/"),
    (missing_file, "initial tables", "warning", "Bring the file back"),
    (old_template, "template", "warning", f"template = {CURRENT}"),
    (damaged_state, "data directory", "error", "repo_state.json"),
    (no_key, "keys", "warning", "dolt.bulk_load:<key columns>"),
    (diverged, "remote", "error", "dolt branch main-mine main"),
    (other_remote, "remote", "error", "dolt remote remove origin"),
    (in_a_merge, "merge", "error", "dolt merge --abort"),
    (no_import, "wiring", "error", "No module named 'nothing_of_that_name'"),
    (no_requirement, "requirements", "warning", "Add `kedro-doltdb`"),
    (misspelled_credentials, "catalog", "error", "Did you mean `credentials: dolt`?"),
    (not_mounted, "data directory", "error", "which is not there: mount it"),
]


@pytest.mark.parametrize(
    ("damage", "check", "level", "remedy"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_project_is_told_what_to_do(
    project: Path, damage: Callable[[Path], None], check: str, level: str, remedy: str
) -> None:
    damage(project)

    found = findings(project)

    assert list(found) == [check]
    assert any(one["level"] == level and remedy in one["found"] + one["remedy"] for one in found[check])


def test_data_that_is_gone_is_cloned_or_made_again(project: Path) -> None:
    shutil.rmtree(project / "data")

    found = findings(project)

    assert list(found) == ["initial tables", "data directory"]
    assert "kedro dolt init" in found["data directory"][0]["found"] + found["data directory"][0]["remedy"]


def test_a_healthy_project_is_left_as_it_was(project: Path) -> None:
    run_kedro(project, "run")
    kedro = project / "data" / ".dolt" / "kedro"
    before = (
        dolt(project, "log", "--all", "--oneline"),
        sorted(os.listdir(project)),
        sorted(os.listdir(kedro)),
    )

    assert findings(project) == {}

    assert not server_is_running(project)
    after = dolt(project, "log", "--all", "--oneline"), sorted(os.listdir(project)), sorted(os.listdir(kedro))
    assert after == before


def test_a_dolt_that_is_too_old_is_an_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "dolt").write_text("#!/bin/sh\necho dolt version 1.20.0\n")
    (tmp_path / "dolt").chmod(0o755)

    [finding] = findings(project, DOLT_PATH=str(tmp_path / "dolt"))["dolt"]

    assert "1.83.0 or newer is needed" in finding["found"] and "kedro dolt install" in finding["found"]


def test_another_process_on_the_data_is_named(project: Path) -> None:
    with subprocess.Popen(
        [find_dolt(), "sql"], cwd=project / "data", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        try:
            assert shell.stdin and shell.stdout
            shell.stdin.write(b"SELECT 1;\n")
            shell.stdin.flush()
            shell.stdout.readline()
            [finding] = findings(project)["data directory"]
        finally:
            shell.kill()

    assert str(shell.pid) in finding["found"] and "kedro dolt sql" in finding["remedy"]


@pytest.mark.parametrize(("free", "level"), [(10 << 20, "error"), (500 << 20, "warning"), (5 << 30, "ok")])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(
        project_checks.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, free)
    )  # type: ignore[attr-defined]

    assert [found[0] for found in project_checks.check_disk(tmp_path)] == [level]


def test_data_that_cannot_be_written_or_is_anothers(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for unwritable, expected in (
        ("noms", "error"), ("manifest", "error"), ("data", "warning"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(project_checks.os, "access", lambda path, mode: path.name != unwritable)  # noqa: B023
            [(level, found, remedy)] = project_checks.check_data_directory(project)
        assert level == expected and found.endswith("cannot be written to") and "chmod -R" in remedy
        assert Path(found.split(" cannot")[0]).name == unwritable.replace("manifest", "noms")
    with monkeypatch.context() as patch:
        flags = SimpleNamespace(f_flag=os.ST_RDONLY)
        patch.setattr(project_checks.os, "statvfs", lambda path: flags)
        [(level, found, _)] = project_checks.check_data_directory(project)
    assert level == "error" and found.endswith("is read-only")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(Exception, match="belongs to another user"):
        list(project_checks.check_data_directory(project))


def test_a_run_tells_once_of_a_newer_template(project: Path) -> None:
    old_template(project)
    words = "made by template 0"
    assert words in run_kedro(project, "run").stdout
    assert words not in run_kedro(project, "run").stdout


@pytest.mark.skipif(not hasattr(os, "geteuid") or shutil.which("setpriv") is None, reason="needs setpriv")
@pytest.mark.parametrize("closed", ["data", "data/.dolt"])
def test_data_that_cannot_be_reached_is_named_without_a_traceback(project: Path, closed: str) -> None:
    # For root, too: what an earlier run as root in a container has left is the usual case.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    (project / closed).chmod(0)
    try:
        for command in (("dolt", "doctor"), ("run",)):
            done = subprocess.run(
                [*drop, sys.executable, "-m", "kedro", *command],
                cwd=project, env={**os.environ, "PWD": str(project)}, capture_output=True, text=True,
            )  # fmt: skip
            said = " ".join((done.stdout + done.stderr).split())
            assert done.returncode == 1 and "Traceback" not in said, said
            assert f"{project / 'data/.dolt/noms'} cannot be reached: `chmod u+rwx`" in said
    finally:
        (project / closed).chmod(0o700)
