"""Delete the branches that runs have left and nobody needs: kept ones, and those of reruns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..journal.history import entries_on
from ..journal.store import now
from .records import Record
from .recovery import KEPT_BRANCHES, recover, why_not_deleted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..dolt.repository import Repository
    from .records import Records

# Kedro's ids of runs are times. Whatever else is under rerun/ is somebody's own.
_RERUN = re.compile(r"rerun/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z(-\d+)*")


@dataclass(frozen=True)
class Leftover:
    """A branch that a run has left.

    Attributes:
        branch: its name.
        what: what it holds, in words.
        date: when it was left, UTC.
        spared: why it is not deleted, None if it is.
    """

    branch: str
    what: str
    date: datetime
    spared: str | None = None


@dataclass(frozen=True)
class Pruned:
    """What became of the branches that runs have left.

    Attributes:
        leftovers: those that are deleted, and those that must stay though they are old enough.
        keep: how many of either kind stay.
        latest: how many stay because of that.
        young: how many more stay because they are not old enough.
    """

    leftovers: list[Leftover]
    keep: int
    latest: int
    young: int


def prune(
    repository: Repository, records: Records, is_alive: Callable[[str], bool], files: Path, *,
    keep: int | None = None, older_than: timedelta | None = None, dry_run: bool = False,
) -> Pruned:  # fmt: skip
    """Delete the branches of unpublished runs and of reruns, but the latest of either.

    Args:
        repository: where they are.
        records: those of unpublished runs.
        is_alive: tells whether the process of the run of that name still lives.
        files: the project.
        keep: how many of either stay; None is as many as runs keep by themselves, or none if there is an age.
        older_than: only what is older than that is deleted.
        dry_run: whether to delete nothing.

    Returns:
        What was deleted, or would be, and what was not.
    """
    if keep is None:
        keep = KEPT_BRANCHES if older_than is None else 0
    if not dry_run:
        recover(repository, records, is_alive, files)
    with repository.locked("recovery"):
        kept = {record.branch: record for record in records.all() if record.status == "kept"}
        found, latest, young = [], 0, 0
        for candidates in (list(kept), _reruns(repository)):
            dates = _dates(repository, candidates)
            # Kept ones are in the order in which they ended, for clocks are set back.
            there = [branch for branch in candidates if branch in dates]
            old = there[: max(0, len(there) - keep)]
            latest += len(there) - len(old)
            for branch in old:
                if older_than and dates[branch] > now() - older_than:
                    young += 1
                    continue
                leftover = _judged(repository, branch, kept.get(branch), dates[branch])
                found.append(leftover)
                if not dry_run and leftover.spared is None:
                    repository.delete_branch(branch)
                    if branch in kept:
                        records.delete(kept[branch])
    return Pruned(found, keep, latest, young)


def _reruns(repository: Repository) -> list[str]:
    branches = [branch for branch in repository.branches() if _RERUN.fullmatch(branch)]
    dates = _dates(repository, branches)
    return sorted(branches, key=lambda branch: dates[branch])


def _dates(repository: Repository, branches: list[str]) -> dict[str, datetime]:
    with repository.on() as cursor:
        cursor.execute("SELECT name, latest_commit_date FROM dolt_branches")
        return {name: date for name, date in cursor.fetchall() if name in branches}


def _judged(repository: Repository, branch: str, record: Record | None, date: datetime) -> Leftover:
    checked_out = repository.checked_out()
    if record is not None:
        status = record.run.status if record.run and record.run.status else "unfinished"
        why = why_not_deleted(repository, branch, record.head, checked_out)
        return Leftover(branch, f"{status} run for {record.target}", date, why)
    entries = [entry for entry in entries_on(repository, branch) if entry.run.branch == branch]
    head = entries[-1].commit if entries else ""
    return Leftover(branch, "rerun", date, why_not_deleted(repository, branch, head, checked_out))
