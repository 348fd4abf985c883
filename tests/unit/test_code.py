"""How the code of two runs differs, asked of a real git repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import git

from kedro_doltdb.journal.store import Run
from kedro_doltdb.queries.code import CodeDiff, code_between


@pytest.fixture
def commits(tmp_path: Path) -> tuple[str, str]:
    """Two commits of a repository in which the project is a directory."""
    project = tmp_path / "project"
    project.mkdir()
    git(tmp_path, "init", "-q")
    for name in ("gone.py", "kept.py", "changed é.py"):
        (project / name).write_text(f"{name}\n" * 9)
    (tmp_path / "elsewhere.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "One")
    first = git(tmp_path, "rev-parse", "HEAD")
    (project / "gone.py").unlink()
    (project / "changed é.py").write_text("else")
    (project / "new\nline.py").write_text("new")
    (tmp_path / "elsewhere.py").write_text("2")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Two")
    return first, git(tmp_path, "rev-parse", "HEAD")


def test_the_files_of_the_project_that_differ(tmp_path: Path, commits: tuple[str, str]) -> None:
    project, (first, second) = tmp_path / "project", commits
    files = [("M", "changed é.py"), ("D", "gone.py"), ("A", "new\nline.py")]
    old, new = Run("1", git_commit=first), Run("2", git_commit=f"{second}-dirty")
    assert code_between(old, new, project) == CodeDiff(first, f"{second}-dirty", files)
    assert code_between(old, old, project) is None
    assert code_between(new, new, project) == CodeDiff(f"{second}-dirty", f"{second}-dirty", [])


def test_what_git_does_not_have(tmp_path: Path, commits: tuple[str, str]) -> None:
    first = Run("1", git_commit=commits[0])
    for name in ("f" * 40, None, "--output=x", "HEAD", "a" * 39):
        assert code_between(first, Run("2", git_commit=name), tmp_path) == CodeDiff(commits[0], name, None)
    assert code_between(first, None, tmp_path) == CodeDiff(commits[0], None, None)
    assert code_between(Run("1"), Run("2"), tmp_path) is None and code_between(None, None, tmp_path) is None
    assert not (tmp_path / "x").exists()


def test_no_git_repository(tmp_path: Path) -> None:
    old, new = Run("1", git_commit="a" * 40), Run("2", git_commit="b" * 40)
    assert code_between(old, new, tmp_path) == CodeDiff("a" * 40, "b" * 40, None)
