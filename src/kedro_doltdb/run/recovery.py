"""What a run does about those before it that did not finish: keep, prune, find one to resume."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..dolt.fast_forward import finish_moves
from ..dolt.names import PUBLISH_SUFFIX, RUN_PREFIX
from ..errors import DoltError
from ..journal.edges import hash_files
from ..tables.table_build import discard_unfinished
from ..terminal import get_logger
from .publish import Publisher
from .records import Record
from .transaction import Transaction

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from .records import Records

KEPT_BRANCHES = 10
# Kedro's ids of runs are times, and we add a number where two are the same.
_RUN_BRANCH = re.compile(
    rf"{RUN_PREFIX}\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{{3}}Z(-\d+)?({re.escape(PUBLISH_SUFFIX)})?"
)

logger = get_logger(__name__)


def recover(
    repository: Repository, records: Records, is_alive: Callable[[str], bool], files: Path | None = None
) -> list[Record]:
    """Keep the runs whose process is gone, and delete the oldest kept branches.

    Args:
        repository: where their branches are.
        records: where their state is.
        is_alive: tells whether the process of the run of that name still lives.
        files: the project whose files those runs wrote; None if they may have run on another machine.

    Returns:
        The runs found dead that had written something; their branches are kept now.
    """
    with repository.locked("recovery"):
        records.tidy()
        finish_moves(repository)
        discard_unfinished(repository)
        _adopt(repository, records, is_alive)
        gone = {record.run_id for record in records.all() if not is_alive(record.run_id)}
        # Read again: a run may have ended, and said so, between the first reading and the look at its lease.
        dead = [record for record in records.all() if record.run_id in gone and record.status == "running"]
        for record in dead:
            if files:
                hash_files(record.edges, files)
        found = [
            record
            for record in dead
            if Transaction(Publisher(repository, records, record)).keep("was killed", "interrupted", "killed")
            == "kept"
        ]
        kept = [record for record in records.all() if record.status == "kept"]
        # What can be resumed is not given up for what was kept later on other branches.
        kept.sort(key=lambda record: not record.superseded)
        branches, checked_out = repository.branches(), repository.checked_out()
        for number, record in enumerate(kept, start=1):
            if record.branch not in branches:
                records.delete(record)
            elif number <= len(kept) - KEPT_BRANCHES and not why_not_deleted(
                repository, record.branch, record.head, checked_out
            ):
                repository.delete_branch(record.branch)
                records.delete(record)
    return found


def why_not_deleted(repository: Repository, branch: str, head: str | None, checked_out: str) -> str | None:
    """Return why a branch of ours must not be deleted; None if nothing of anybody's would be lost.

    Args:
        repository: where it is.
        branch: its name.
        head: the commit that we left it at; None if that is not known.
        checked_out: the branch checked out in ``data/``.
    """
    if branch == checked_out:
        return "it is checked out"
    # What somebody has committed on it since is theirs to delete.
    if head not in (None, repository.head(branch)):
        return "it has commits of yours"
    if repository.uncommitted(branch, ignored=True):
        return "it has uncommitted edits"
    return None


def _adopt(repository: Repository, records: Records, is_alive: Callable[[str], bool]) -> None:
    """Make a record for each branch of a run that has none: it was lost, or could not be read.

    It says nothing of what the run had completed, so that the run is kept as others are, and not resumed.
    """
    before, target = repository.branches(), repository.checked_out()
    known = {record.run_id: record.number for record in records.all()}
    # A run ends with its branch, then its record: what is without a record is there before and after.
    for branch in sorted(before & repository.branches()):
        run_id = branch.removeprefix(RUN_PREFIX).removesuffix(PUBLISH_SUFFIX)
        if not _RUN_BRANCH.fullmatch(branch) or run_id in known or branch == target or is_alive(run_id):
            continue
        if branch.endswith(PUBLISH_SUFFIX):
            # It may have gone with the branch of its run.
            if branch in repository.branches():
                repository.delete_branch(branch)
            continue
        base = repository.merge_base(target, branch) or ""
        record = Record(run_id, target, base, [], status="kept")
        records.save(record)
        if Transaction(Publisher(repository, records, record)).keep("lost its record") == "kept":
            # After those that its id, a time, comes after: nothing else is known.
            record.number = max((number for other, number in known.items() if other < run_id), default=0)
            records.save(record)
            logger.warning("Run %s has lost its record; what it wrote is kept on %s.", run_id, branch)


def resumable(records: Records, target: str, pipeline: list[str]) -> Record | None:
    """Return the run that failed on ``target`` right before, if it was one of the same pipeline.

    Raises:
        DoltError: what that run had completed is lost, so that a resumed run could mix its data with older.
    """
    for record in reversed(records.all()):
        if record.status == "kept" and record.target == target and not record.superseded:
            # Only a run that lost its record has no pipeline.
            if not record.pipeline or not records.is_readable(record):
                raise DoltError(
                    f"Run {record.run_id} cannot be resumed: what it had completed is lost. Run the whole "
                    f"pipeline, or start from {target} as it is with `--params dolt_from=HEAD`."
                )
            return record if record.pipeline == pipeline else None
    return None
