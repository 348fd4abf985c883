"""The code of a run, in a git worktree of its own, with the data beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dolt_cli import keep_private, replace_file, run_dolt
from ..errors import ConfigError, DoltError
from ..git import git
from ..server.copies import copy_repository

if TYPE_CHECKING:
    from ..journal.store import Run


def restore(project_path: Path, run: Run, commit: str, into: Path) -> Path:
    """Make a project of a run's code, whose ``data/`` is on a branch at a commit.

    The data is a repository of its own, whose files are links to what never changes in the original one.

    Args:
        project_path: the project that the run was one of.
        run: the run.
        commit: where the branch of the data begins.
        into: a directory that is not there yet.

    Returns:
        The directory of the restored project.

    Raises:
        ConfigError: the run's code is not in git.
        DoltError: the directory is there, or git or Dolt refused; nothing was made.
    """
    if into.exists():
        raise DoltError(f"{into} is there already: name a directory that is not.")
    restored = _add_worktree(project_path, run, into)
    try:
        data = restored / "data"
        data.mkdir(exist_ok=True)
        copy_repository(project_path / "data", data)
        keep_private(data / ".dolt")
        branch = branch_name(run)
        # Not by a checkout, to which the edits in the original would come along.
        run_dolt(["branch", "--force", branch, commit], data)
        state = data / ".dolt" / "repo_state.json"
        content = {**json.loads(state.read_bytes()), "head": f"refs/heads/{branch}"}
        replace_file(state, json.dumps(content).encode())
    except BaseException:
        remove_worktree(project_path, into)
        raise
    return restored


def branch_name(run: Run) -> str:
    """Return the name of the branch that a run is restored to."""
    return f"restored/{run.run_id}"


def write_parameters(restored: Path, parameters: Mapping[str, Any]) -> Path | None:
    """Write a run's parameters into ``conf/local`` of a restored project.

    Returns:
        The file; None if they cannot be written so that Kedro reads what is meant.
    """
    import yaml

    file = restored / "conf" / "local" / "parameters.yml"
    try:
        text = yaml.safe_dump(dict(parameters), allow_unicode=True, sort_keys=False)
    except yaml.YAMLError:
        return None
    # Kedro would look up what stands in such a text.
    if file.exists() or "${" in text:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# The parameters of the run, whatever conf/base says.\n{text}", encoding="utf-8")
    return file


@contextmanager
def code_of(project_path: Path, run: Run) -> Iterator[Path]:
    """Yield a project with the code of a run and the data and local configuration of this one.

    Args:
        project_path: the project.
        run: the run.

    Raises:
        ConfigError: the run's code is not in git.
        DoltError: git refused.
    """
    with tempfile.TemporaryDirectory(prefix="kedro-doltdb-") as directory:
        into = Path(directory, "code")
        there = _add_worktree(project_path, run, into)
        try:
            for name in ("data", "conf/local"):
                (there / name).mkdir(parents=True, exist_ok=True)
                for entry in (project_path / name).glob("*"):
                    if not (there / name / entry.name).exists():
                        (there / name / entry.name).symlink_to(entry.resolve())
            yield there
        finally:
            remove_worktree(project_path, into)


def _add_worktree(project_path: Path, run: Run, into: Path) -> Path:
    commit = (run.git_commit or "").removesuffix("-dirty")
    if not commit or commit.startswith("-"):
        raise ConfigError(f"The code of run {run.run_id} is not known: it was in no git repository.")
    try:
        top = Path(git(project_path, "rev-parse", "--show-toplevel"))
        git(project_path, "worktree", "add", "--detach", str(into.absolute()), commit)
    except subprocess.CalledProcessError as error:
        words = " ".join(str(error.stderr).split())
        raise DoltError(
            f"git does not give the code of run {run.run_id}, {commit[:10]}: {words}. If it is on another "
            "machine, `git fetch --all` first."
        ) from error
    except OSError as error:
        raise DoltError(f"git cannot be run: {error}.") from error
    return into / project_path.resolve().relative_to(top.resolve())


def remove_worktree(project_path: Path, into: Path) -> None:
    """Remove a worktree, with all that is in it, and have git forget it."""
    shutil.rmtree(into, ignore_errors=True)
    subprocess.run(["git", "worktree", "prune"], cwd=project_path, capture_output=True, check=False)
