"""One git repository for code and data: Dolt keeps its database in a ref of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import run_kedro
from helpers import git, messages

from kedro_doltdb.dolt.remote import git_remote_url
from kedro_doltdb.errors import ConfigError


@pytest.fixture
def shared(project: Path) -> Path:
    """A project in git, whose remote is a bare repository beside it."""
    git(project.parent, "init", "--bare", "hub repository.git")
    (project / "conf/base/dolt.yml").open("a").write(
        "\nremote:\n  url: git\n  pull: before_run\n  push: after_run\n  on_push_failure: fail\n"
    )
    git(project, "init")
    git(project, "add", "-A")
    git(project, "commit", "-m", "Begin")
    git(project, "remote", "add", "origin", "../hub repository.git")
    return project


def test_a_clone_of_the_code_has_the_data_and_both_share_runs(shared: Path) -> None:
    refused = run_kedro(shared, "run", check=False)
    assert refused.returncode == 1 and "has no branch yet" in refused.stdout + refused.stderr
    git(shared, "push", "origin", "main")
    run_kedro(shared, "run")
    assert "refs/dolt/data" in git(shared, "ls-remote", "origin")

    clone = shared.parent / "clone"
    git(shared.parent, "clone", "hub repository.git", "clone")
    assert "is a clone of git+file://" in run_kedro(clone, "dolt", "init").stdout
    run_kedro(clone, "run", "--params", "example_test_data_ratio=0.3")
    run_kedro(shared, "run", "--params", "example_test_data_ratio=0.4")

    runs = json.loads(run_kedro(shared, "dolt", "runs", "--json").stdout)
    assert [run["params"]["example_test_data_ratio"] for run in runs] == [0.4, 0.3, 0.2]
    assert messages(shared)[1] == messages(clone)[0]
    # The code's branches are not touched.
    assert len(git(shared, "log", "--oneline", "origin/main").splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ada:secret@example.org/ada/iris.git", "git+https://example.org/ada/iris.git"),
        ("git@example.org:ada/iris.git", "git+ssh://git@example.org/ada/iris.git"),
        ("ssh://git@example.org:2222/iris.git", "git+ssh://git@example.org:2222/iris.git"),
        ("file:///srv/iris.git", "git+file:///srv/iris.git"),
        ("/srv/my iris.git", "git+file:///srv/my%20iris.git"),
    ],
)
def test_the_url_of_git_is_written_as_dolt_takes_it(tmp_path: Path, url: str, expected: str) -> None:
    git(tmp_path, "init")
    git(tmp_path, "remote", "add", "hub", url)

    assert git_remote_url(tmp_path) == expected


def test_a_directory_without_a_git_remote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="git remote add origin"):
        git_remote_url(tmp_path)
