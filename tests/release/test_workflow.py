"""The workflow for GitHub Actions, as far as it can be held without running it there."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from conftest import ROOT

from kedro_doltdb import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / ".github" / "workflows" / "ci.yml").read_text()


@pytest.fixture(scope="module")
def jobs(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text)["jobs"])


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def test_actions_are_pinned_by_commit_and_name_their_version(text: str) -> None:
    used = re.findall(r"uses: (.*)", text)

    assert used
    assert [use for use in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


@pytest.mark.parametrize("name", ["nightly.yml", "release.yml"])
def test_other_workflows_keep_the_same_rules(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / name).read_text()
    jobs = yaml.safe_load(text)["jobs"]
    used = re.findall(r"uses: (.*)", text)

    assert used
    assert [use for use in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []
    assert [job for job, about in jobs.items() if not 0 < about.get("timeout-minutes", 0) <= 60] == []
    may_write = {job for job, about in jobs.items() if "write" in about.get("permissions", {}).values()}
    assert may_write == ({"publish", "release"} if name == "release.yml" else set())
    called = {
        target for line in re.findall(r"run: make (.*)", text) for target in line.split() if "=" not in target
    }
    assert called <= set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))


def test_nothing_is_published_before_it_was_tested() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]

    assert [jobs[job]["needs"] for job in ("test", "publish", "release")] == [
        ["build"],
        ["test"],
        ["publish"],
    ]


def release_notes(*args: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "release_notes"
    return subprocess.run([sys.executable, str(script), *args], capture_output=True, text=True, check=False)


def test_a_tag_that_is_not_the_version_is_refused() -> None:
    for tag in ("v9.9.9", "dolt-v9.9.9.9"):
        assert "error: the tag is" in release_notes(tag).stderr


def test_issue_forms_and_the_citation_can_be_read() -> None:
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(form.read_text())
    assert "kedro dolt doctor --json" in (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_gate_waits_for_every_other_job(jobs: dict[str, Any]) -> None:
    assert jobs["gate"]["needs"] == [name for name in jobs if name != "gate"]


def test_no_job_may_write_or_run_on_for_hours(text: str, jobs: dict[str, Any]) -> None:
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if job.get("permissions", {}) != {}] == []
    assert [name for name, job in jobs.items() if not 0 < job.get("timeout-minutes", 0) <= 60] == []


def test_pythons_tested_are_the_pythons_promised(jobs: dict[str, Any], project: dict[str, Any]) -> None:
    tested = jobs["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    promised = [item for item in project["classifiers"] if item.startswith(prefix)]

    assert [f"{prefix}{python.removeprefix('3.')}" for python in tested] == promised
    assert project["requires-python"] == f">={tested[0]}"


def test_targets_called_are_in_the_makefile(text: str) -> None:
    called = {
        target for line in re.findall(r"run: make (.*)", text) for target in line.split() if "=" not in target
    }
    defined = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())

    assert called
    assert called <= set(defined)


@pytest.mark.parametrize("name", ["ruff-check", "ruff-format"])
def test_a_hook_before_a_commit_looks_at_what_make_check_looks_at(name: str) -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    [hook] = [hook for hook in repository["hooks"] if hook["id"] == name]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [file for file in listed.stdout.splitlines() if re.search(hook["files"], file)]
    command = [sys.executable, *hook["entry"].split()[1:], *(["--check"] if name == "ruff-format" else [])]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True)
    assert len(files) > 100 and done.returncode == 0, done.stdout + done.stderr
