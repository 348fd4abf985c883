"""The workflow for GitHub Actions, as far as it can be held without running it there."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import yaml
from conftest import ROOT

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
