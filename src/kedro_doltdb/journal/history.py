"""The runs of a repository and the commits that hold them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pymysql

from ..dolt.names import RUN_PREFIX, RUNS
from ..errors import DoltError
from ..terminal import get_logger
from . import reader
from .message import is_kept, run_id_in

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository
    from .store import Run


logger = get_logger(__name__)

# What a run's message begins with is enough to know the run, and a stranger's may be endless.
BEGINNING = 300
# Commits in which the last run is looked for, so that a run's time does not grow with the history.
_LATEST = 20
# A stranger's log may have any number.
_MOST_UNDONE = 100


@dataclass(frozen=True)
class Entry:
    """A run in the journal.

    Attributes:
        run: its row.
        commit: the commit that brought its row and its data.
        found_on: the branch where it was found; an unpublished run's begins with ``kedro/``.
        undone: whether it was published there and taken back, by a revert or a reset.
    """

    run: Run
    commit: str
    found_on: str
    undone: bool = False

    @property
    def published(self) -> bool:
        """Whether its data reached its target branch."""
        return not self.found_on.startswith(RUN_PREFIX)

    @property
    def parent(self) -> str:
        """The commit before the run: of an unpublished one, that at which it began."""
        return f"{self.commit}~1" if self.published or not self.run.base else self.run.base


@dataclass(frozen=True)
class Log:
    """The commits of a history. They say which run came first: clocks are set back.

    Attributes:
        commits: each commit and the beginning of its message, the newest first.
        places: the commits, and which place each has: that of the oldest is 0.
        runs: the commit of each run by its id.
    """

    commits: tuple[tuple[str, str], ...]
    places: dict[str, int]
    runs: dict[str, str]

    @classmethod
    def of(cls, cursor: Cursor, ref: str = "HEAD") -> Log:
        """Return the history of ``ref``.

        Args:
            cursor: a cursor on any branch.
            ref: a commit or a branch; ``HEAD`` is the cursor's own.
        """
        cursor.execute("SELECT commit_hash, LEFT(message, %s) FROM dolt_log(%s)", (BEGINNING, ref))
        commits = cursor.fetchall()
        places = {commit: place for place, (commit, _) in enumerate(reversed(commits))}
        return cls(tuple(commits), places, first_commits(commits))

    def place(self, run_id: str) -> int:
        """Return the place of a run's commit; -1 if it is not in this history."""
        return self.places.get(self.runs.get(run_id, ""), -1)


def entries_on(repository: Repository, branch: str) -> list[Entry]:
    """Return the runs in the history of ``branch``, in the order of their commits; uncommitted edits of the
    journal do not count."""
    return _entries_on(repository, branch, {})[0]


def _entries_on(repository: Repository, branch: str, known: Mapping[str, Run]) -> tuple[list[Entry], Log]:
    with repository.on(branch) as cursor:
        found, log = reader.runs_beside(cursor, known, "HEAD"), Log.of(cursor)
        if any(run.run_id not in log.runs for run in found):
            # Its commit was squashed or reworded: the one that brought the row will do.
            cursor.execute(f"SELECT run_id, `commit` FROM dolt_blame_{RUNS}")
            log = replace(log, runs={**dict(cursor.fetchall()), **log.runs})
    entries = [Entry(run, log.runs[run.run_id], branch) for run in found if run.run_id in log.runs]
    return sorted(entries, key=lambda entry: log.place(entry.run.run_id)), log


def first_commits(log: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    """Return the commit of each run by its id, from the commits and their messages, the newest first."""
    commits: dict[str, str] = {}
    # A run that was cherry-picked is where it was first; one that was kept, where it was kept.
    for commit, message in log:
        run_id = run_id_in(message)
        if run_id and (run_id not in commits or not is_kept(message)):
            commits[run_id] = commit
    return commits


def undone_on(repository: Repository, branch: str, log: Log, known: Collection[str]) -> list[Entry]:
    """Return the runs that were published to ``branch`` and whose rows are no longer there.

    The commit of a run that was reverted is in the log still. That of one that was reset is in Dolt's reflog,
    until Dolt collects garbage; a clone has a reflog of its own.

    Args:
        repository: where the branch is.
        branch: its name.
        log: its history.
        known: the ids of runs that do not count.
    """
    with repository.on(branch) as cursor:
        cursor.execute("SELECT DISTINCT commit_hash FROM dolt_reflog(%s)", (branch,))
        reflog = [row[0] for row in cursor.fetchall()]
        messages, seen = list(log.commits), set(log.places)
        for head in [commit for commit in reflog if commit not in seen][:_MOST_UNDONE]:
            if head not in seen:
                cursor.execute(
                    "SELECT commit_hash, LEFT(message, %s) FROM dolt_log(%s)", (BEGINNING, f"HEAD..{head}")
                )
                lost = [row for row in cursor.fetchall() if row[0] not in seen]
                seen.update(commit for commit, _ in lost)
                messages += lost
        commits = first_commits(row for row in messages if not is_kept(row[1]))
        gone = [(run_id, commit) for run_id, commit in commits.items() if run_id not in known]
        found = [
            (commit, run)
            for run_id, commit in gone[:_MOST_UNDONE]
            for run in reader.runs(cursor, commit, run_id=run_id)
        ]
    return [Entry(run, commit, branch, undone=True) for commit, run in found]


def list_runs(repository: Repository, branches: Iterable[str], kept_for: set[str] | None) -> list[Entry]:
    """Return the runs that were published to any of ``branches``, and those that were kept, the oldest first.

    Those that were published and undone are there as well, unless another of the branches has them.

    Those of a branch are in the order of their commits. Others are put between them by the clock, and none
    comes before the commit that it began at.

    Args:
        repository: where they are.
        branches: whose histories count.
        kept_for: only unpublished runs that were to be published to one of these branches; None is all.

    Raises:
        DoltError: of the only branch, something else has the journal's name.
    """
    found: dict[str, Entry] = {}
    # By commit: when the last run up to it had begun, and its place in the log.
    order: dict[str, tuple[datetime, float]] = {}
    branches = list(branches)
    logs: dict[str, Log] = {}
    known: dict[str, Run] = {}
    for branch in branches:
        try:
            entries, log = _entries_on(repository, branch, known)
        except DoltError as error:
            if len(branches) == 1:
                raise
            logger.warning("The runs of %s are left out: %s", branch, error.message)
            continue
        logs[branch] = log
        known |= {entry.run.run_id: entry.run for entry in entries}
        for entry in entries:
            found.setdefault(entry.run.run_id, entry)
        started, latest = {entry.commit: entry.run.started for entry in entries}, datetime.min
        for commit, place in log.places.items():
            latest = max(latest, started.get(commit) or latest)
            order.setdefault(commit, (latest, place))
    for branch in sorted(repository.branches()):
        kept = kept_on(repository, branch)
        if kept and (kept_for is None or kept.run.branch in kept_for):
            found.setdefault(kept.run.run_id, kept)
    for branch, log in logs.items():
        for entry in undone_on(repository, branch, log, found):
            found.setdefault(entry.run.run_id, entry)

    def key(entry: Entry) -> tuple[datetime, float, datetime, str]:
        started = entry.run.started or datetime.min
        if entry.published and entry.commit in order:
            return *order[entry.commit], started, entry.run.run_id
        after, place = order.get(entry.run.base or "", (datetime.min, 0))
        return max(after, started), place + 0.5, started, entry.run.run_id

    return sorted(found.values(), key=key)


def kept_on(repository: Repository, branch: str) -> Entry | None:
    """Return the unpublished run whose branch ``branch`` is; None if it is none's, or under way still."""
    run_id = branch.removeprefix(RUN_PREFIX)
    # kedro/moving/... and kedro/state are not branches of runs.
    if run_id == branch or "/" in run_id or run_id == "state":
        return None
    try:
        with repository.on(branch) as cursor:
            runs = reader.runs(cursor, "HEAD", run_id=run_id)
    except DoltError as error:
        logger.warning("The runs of %s are left out: %s", branch, error.message)
        return None
    return Entry(runs[0], repository.head(branch), branch) if runs else None


def public_branches(repository: Repository) -> list[str]:
    """Return all branches but those of unpublished runs, the one checked out first."""
    first = repository.checked_out()
    others = repository.branches() - {first}
    return [first, *sorted(branch for branch in others if not branch.startswith(RUN_PREFIX))]


def audited_from(cursor: Cursor, base: str) -> tuple[str, list[Run]]:
    """Return the commit that a run's data is compared with, and the unpublished runs that it builds upon.

    What a failed run has left was never checked: a run that begins there answers for that, too.

    Args:
        cursor: a cursor on any branch.
        base: the commit that the run began at.
    """
    upon: list[Run] = []
    while (run := run_of(cursor, base)) and run.status != "succeeded" and run.base and run not in upon:
        upon.append(run)
        base = run.base
    return base, upon


def message_of(cursor: Cursor, commit: str) -> str:
    """Return what the message of a commit begins with: enough for the parameters of a run."""
    cursor.execute("SELECT LEFT(message, %s) FROM dolt_log(%s) LIMIT 1", (reader.LONGEST_JSON, commit))
    row = cursor.fetchone()
    return str(row[0]) if row else ""


def run_of(cursor: Cursor, commit: str) -> Run | None:
    """Return the run whose commit this is; None if it is none's."""
    cursor.execute("SELECT LEFT(message, %s) FROM dolt_log(%s) LIMIT 1", (BEGINNING, commit))
    row = cursor.fetchone()
    run_id = run_id_in(row[0]) if row else None
    if run_id is None:
        # It was squashed or reworded: the only row that it brought will do.
        try:
            cursor.execute(
                f"SELECT to_run_id FROM dolt_diff(%s, %s, '{RUNS}') WHERE diff_type = 'added' LIMIT 2",
                (f"{commit}~1", commit),
            )
        except pymysql.err.Error:
            return None
        rows = cursor.fetchall()
        if len(rows) != 1:
            return None
        run_id = str(rows[0][0])
    return next(iter(reader.runs(cursor, commit, run_id=run_id)), None)


def last_run(cursor: Cursor, ref: str) -> Run | None:
    """Return the run that succeeded last in the history of ``ref``; None if there is none.

    Args:
        cursor: a cursor on any branch.
        ref: a commit or a branch.
    """
    cursor.execute("SELECT LEFT(message, %s) FROM dolt_log(%s) LIMIT %s", (BEGINNING, ref, _LATEST))
    for run_id in filter(None, (run_id_in(row[0]) for row in cursor.fetchall())):
        run = next(iter(reader.runs(cursor, ref, run_id=run_id)), None)
        if run is not None and run.status == "succeeded":
            return run
    # The commits are mostly a user's own, or were reverted.
    log = Log.of(cursor, ref)
    for run_id in sorted(log.runs, key=log.place, reverse=True)[:_MOST_UNDONE]:
        for run in reader.runs(cursor, ref, run_id):
            if run.status == "succeeded":
                return run
    return None
