"""What a user may call a commit: a run's id, a group, a commit, a branch, a tag, or a unique beginning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pymysql

from ..dolt.names import RUN_PREFIX
from ..errors import ConfigError
from ..terminal import first_of
from . import reader
from .history import BEGINNING, first_commits, kept_on, list_runs, public_branches, run_of

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from .history import Entry
    from .store import Run


@dataclass(frozen=True)
class Point:
    """A commit that the user has named.

    Attributes:
        name: as the user called it, or the run's id.
        commit: the commit.
        run: the run whose commit it is, if it is one's.
    """

    name: str
    commit: str
    run: Run | None = None


def find(repository: Repository, name: str, branch: str | None = None) -> Point:
    """Return the commit that a user calls ``name``.

    All branches are searched only if it is not a run on the branch checked out, a commit, a branch or a tag.

    Args:
        repository: where it is.
        name: a run's id, a commit, a branch, a tag, ``HEAD~2``, a group of runs (its last commit), or the
            unique beginning of a run's id or of a commit.
        branch: what ``HEAD`` means; None is the branch checked out in ``data/``.

    Raises:
        ConfigError: nothing has that name, or several runs have.
    """
    if point := _run_here(repository, name, branch) or _commit(repository, name, branch):
        return point
    runs = {
        entry.run.run_id: entry for entry in list_runs(repository, public_branches(repository), kept_for=None)
    }
    if name in runs:
        return _of_entry(runs[name])
    if group := [
        entry
        for entry in runs.values()
        if name and entry.run.run_group == name and entry.published and not entry.undone
    ]:
        return _of_entry(group[-1])
    # No branch has the commit of a run that was reset, and Dolt does not find it by its beginning.
    begun = [
        run_id
        for run_id, entry in runs.items()
        if name and (run_id.startswith(name) or entry.commit.startswith(name))
    ]
    if len(begun) == 1:
        return _of_entry(runs[begun[0]])
    if begun:
        raise ConfigError(f"{name} is the beginning of several runs' ids: {first_of(begun, 5)}.")
    raise ConfigError(
        f"{name} names no run, commit, branch or tag: see `kedro dolt runs --all`, and `dolt log`, "
        f"`dolt branch` and `dolt tag` {repository.where}."
    )


def find_run(repository: Repository, name: str) -> tuple[Point, Run]:
    """Return what :func:`find` does, and the run that it is.

    Raises:
        ConfigError: nothing has that name, several runs have, or it is not a run.
    """
    point = find(repository, name)
    if point.run is None:
        raise ConfigError(f"{name} is not a run: `kedro dolt runs --all` lists them.")
    return point, point.run


def _of_entry(entry: Entry) -> Point:
    return Point(entry.run.run_id, entry.commit, entry.run)


def _run_here(repository: Repository, run_id: str, branch: str | None) -> Point | None:
    """Return the run with exactly this id, published to ``branch`` or kept; None if there is none."""
    with repository.on(branch) as cursor:
        runs = reader.runs(cursor, "HEAD", run_id=run_id) if run_id else []
        if runs:
            cursor.execute(
                "SELECT commit_hash, LEFT(message, %s) FROM dolt_log WHERE message LIKE %s",
                (BEGINNING, f"% Kedro run {_pattern(run_id)}%"),
            )
            commits = first_commits(cursor.fetchall())
            return Point(run_id, commits[run_id], runs[0]) if run_id in commits else None
    kept = f"{RUN_PREFIX}{run_id}"
    entry = kept_on(repository, kept) if kept in repository.branches() else None
    return _of_entry(entry) if entry else None


def _pattern(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _commit(repository: Repository, name: str, branch: str | None) -> Point | None:
    with repository.on(branch) as cursor:
        try:
            cursor.execute("SELECT hashof(%s)", (name,))
            commit = str(cursor.fetchone()[0])  # type: ignore[index]
        except pymysql.err.Error:
            if not re.fullmatch("[0-9a-v]{6,31}", name):
                return None
            cursor.execute("SELECT commit_hash FROM dolt_commits WHERE commit_hash LIKE %s", (f"{name}%",))
            hashes = {row[0] for row in cursor.fetchall()}
            if len(hashes) != 1:
                return None
            commit = hashes.pop()
        return Point(name, commit, run_of(cursor, commit))
