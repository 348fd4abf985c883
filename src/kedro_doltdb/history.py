"""The runs of a repository and the commits that hold them; what a person may call a commit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pymysql

from . import journal
from .errors import ConfigError
from .message import run_id_in

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .journal import Run
    from .repository import Repository

KEPT = "kedro/"


@dataclass(frozen=True)
class Entry:
    """A run in the journal.

    Attributes:
        run: its row.
        commit: the commit that brought its row and its data.
        found_on: the branch where it was found; an unpublished run's begins with ``kedro/``.
    """

    run: Run
    commit: str
    found_on: str

    @property
    def published(self) -> bool:
        """Whether its data reached its target branch."""
        return not self.found_on.startswith(KEPT)

    @property
    def parent(self) -> str:
        """The commit before the run: of an unpublished one, that at which it began."""
        return f"{self.commit}~1" if self.published or not self.run.base else self.run.base


@dataclass(frozen=True)
class Point:
    """A commit that a person has named.

    Attributes:
        name: as the person called it, or the run's id.
        commit: the commit.
        run: the run whose commit it is, if it is one's.
    """

    name: str
    commit: str
    run: Run | None = None


def entries_on(repository: Repository, branch: str) -> list[Entry]:
    """The runs in the history of ``branch``, the oldest first. Uncommitted edits of the journal count for
    nothing."""
    with repository.on(branch) as cursor:
        found = journal.runs(cursor, "HEAD")
        if not found:
            return []
        commits = _commits_by_run(cursor)
        if any(run.run_id not in commits for run in found):
            # Its commit was squashed or reworded: the one that brought the row will do.
            cursor.execute(f"SELECT run_id, `commit` FROM dolt_blame_{journal.RUNS}")
            commits = {**dict(cursor.fetchall()), **commits}
    return [Entry(run, commits[run.run_id], branch) for run in found if run.run_id in commits]


def _commits_by_run(cursor: Cursor) -> dict[str, str]:
    cursor.execute("SELECT commit_hash, message FROM dolt_log")
    commits: dict[str, str] = {}
    # The newest commit comes first. A run that was cherry-picked is where it was first; one that was kept,
    # where it was kept.
    for commit, message in cursor.fetchall():
        run_id = run_id_in(message)
        if run_id and (run_id not in commits or message.startswith("Update")):
            commits[run_id] = commit
    return commits


def run_ids_by_commit(cursor: Cursor) -> dict[str, str]:
    """The ids of the runs that commits in the history of the cursor's branch say they are of."""
    cursor.execute("SELECT commit_hash, message FROM dolt_log")
    return {commit: run_id for commit, message in cursor.fetchall() if (run_id := run_id_in(message))}


def list_runs(repository: Repository, branches: Iterable[str], kept_for: set[str] | None) -> list[Entry]:
    """The runs that were published to any of ``branches``, and those that were kept, the oldest first.

    Args:
        repository: where they are.
        branches: whose histories count.
        kept_for: only unpublished runs that were to be published to one of these branches; None is all.
    """
    found: dict[str, Entry] = {}
    for branch in branches:
        for entry in entries_on(repository, branch):
            found.setdefault(entry.run.run_id, entry)
    for branch in sorted(repository.branches()):
        if branch.startswith(KEPT):
            for entry in _kept_on(repository, branch):
                if kept_for is None or entry.run.branch in kept_for:
                    found.setdefault(entry.run.run_id, entry)
    return sorted(found.values(), key=lambda entry: (str(entry.run.started or ""), entry.run.run_id))


def _kept_on(repository: Repository, branch: str) -> list[Entry]:
    run_id = branch.removeprefix(KEPT)
    with repository.on(branch) as cursor:
        # A run that is under way has no row yet.
        return [
            Entry(run, repository.head(branch), branch) for run in journal.runs(cursor, "HEAD", run_id=run_id)
        ]


def public_branches(repository: Repository) -> list[str]:
    """All branches but those of unpublished runs, the one checked out first."""
    first = repository.checked_out()
    others = repository.branches() - {first}
    return [first, *sorted(branch for branch in others if not branch.startswith(KEPT))]


def find(repository: Repository, name: str, branch: str | None = None) -> Point:
    """The commit that a person calls ``name``.

    Args:
        repository: where it is.
        name: a run's id, a commit, a branch, a tag, ``HEAD~2``, a group of runs (its last commit), or the
            unique beginning of a run's id or of a commit.
        branch: what ``HEAD`` means; None is the branch checked out in ``data/``.

    Raises:
        ConfigError: nothing has that name, or several runs have.
    """
    runs = {
        entry.run.run_id: entry for entry in list_runs(repository, public_branches(repository), kept_for=None)
    }
    if name in runs:
        return _of_entry(runs[name])
    commit = _commit(repository, name, branch)
    if commit is not None:
        return next(
            (Point(name, commit, entry.run) for entry in runs.values() if entry.commit == commit),
            Point(name, commit),
        )
    if group := [
        entry for entry in runs.values() if name and entry.run.run_group == name and entry.published
    ]:
        return _of_entry(latest(group))
    begun = [run_id for run_id in runs if run_id.startswith(name)] if name else []
    if len(begun) == 1:
        return _of_entry(runs[begun[0]])
    if begun:
        more = f" and {len(begun) - 5} more" if len(begun) > 5 else ""
        raise ConfigError(f"{name} is the beginning of several runs' ids: {', '.join(begun[:5])}{more}.")
    raise ConfigError(
        f"{name} names no run, commit, branch or tag of data/: see `kedro dolt runs --all`, and "
        "`dolt log` and `dolt branch` in data/."
    )


def latest(entries: Iterable[Entry]) -> Entry:
    """The run that ended last."""
    return max(entries, key=lambda entry: entry.run.finished or entry.run.started or datetime.min)


def _of_entry(entry: Entry) -> Point:
    return Point(entry.run.run_id, entry.commit, entry.run)


def _commit(repository: Repository, name: str, branch: str | None) -> str | None:
    with repository.on(branch) as cursor:
        try:
            cursor.execute("SELECT hashof(%s)", (name,))
            return str(cursor.fetchone()[0])  # type: ignore[index]
        except pymysql.err.Error:
            if not re.fullmatch("[0-9a-v]{6,31}", name):
                return None
        cursor.execute("SELECT commit_hash FROM dolt_commits WHERE commit_hash LIKE %s", (f"{name}%",))
        hashes = {row[0] for row in cursor.fetchall()}
        return hashes.pop() if len(hashes) == 1 else None
