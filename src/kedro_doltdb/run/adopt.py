"""Bring what another branch has to a target that may have moved, by the rules of publication."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pymysql

from ..checks.audit import accepted_as_before, audit, described, refusing, storable
from ..dolt import answers
from ..dolt.fast_forward import EditedError, fast_forward
from ..dolt.names import BUILDING_PREFIX, RUN_PREFIX
from ..errors import CheckError, ConfigError, DoltError, PublishError
from ..journal import reader, store
from ..journal.edges import inputs_of
from ..journal.message import is_kept, run_id_in
from .options import RunOptions, check_target
from .records import folded
from .target import prepare_target, push

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..catalog.credentials import Database
    from ..checks.definitions import Check
    from ..dolt.repository import Repository, TableChange
    from ..journal.store import Run


# Ends the message of a commit that was adopted on top of others, with the branch and the commit there.
_ADOPTED = "Adopted: from "


@dataclass(frozen=True)
class Adoption:
    """What a branch has got from another one.

    Attributes:
        branch: the branch.
        commits: how many commits it has got; none if it had all of them.
        changes: the tables that changed on it.
    """

    branch: str
    commits: int
    changes: list[TableChange]


@dataclass(frozen=True)
class _Commit:
    name: str
    parents: list[str]
    author: str
    message: str


def runs_to_adopt(repository: Repository, branch: str, target: str) -> list[Run]:
    """Return the runs on ``branch`` that are not on ``target``, the oldest first.

    Args:
        repository: where the branches are.
        branch: the one.
        target: the other.
    """
    with repository.on(target) as cursor:
        known = {run.run_id for run in reader.runs(cursor, "HEAD")}
    with repository.on(branch) as cursor:
        found = reader.runs(cursor, "HEAD")
    return [run for run in found if run.run_id not in known and run.status == "succeeded"]


def adopt(database: Database, repository: Repository, branch: str, to: str | None = None) -> Adoption:
    """Bring the commits of ``branch`` to a target: moved forward to it, or, if it has moved, on top.

    On top they are the same tables, a commit for each. That is only done where nothing has changed on the
    target that the runs of the branch read or wrote: a merge would be data that no run has computed.

    Args:
        database: where the branches are.
        repository: the same, served.
        branch: the branch to adopt.
        to: the target; None is the branch checked out in ``data/``.

    Raises:
        ConfigError: there is no such branch, or the target is not one to publish to.
        CheckError: a check does not hold of a run on top of the target.
        PublishError: the target has changed in what the runs read or wrote, or the branch has merge commits.
        DoltError: a branch has uncommitted edits that stand in the way.
    """
    check_branch(repository, branch)
    if to is not None:
        check_target(to)
        _check_there(repository, to)
    target = prepare_target(database, repository, RunOptions(to), f"of {branch}").branch
    if branch == target:
        raise ConfigError(f"{branch} is the branch that it would be adopted to: name another one with --to.")
    with repository.locked(target):
        tip, head = repository.head(target), repository.head(branch)
        base = last_adopted(repository, branch, target)
        if base is None:
            raise PublishError(f"{branch} and {target} have no commit in common: nothing was adopted.")
        if base == head:
            return Adoption(target, 0, [])
        commits = _commits(repository, base, head)
        _check_published(branch, commits)
        if base != tip:
            _check_untouched(repository, branch, target, base)
            head = _on_top(repository, database.checks, branch, tip, commits)
            if head == tip:
                return Adoption(target, 0, [])
        _move(repository, target, head)
        changes = repository.changes(tip, head)
    push(database, repository, target)
    return Adoption(target, len(commits), changes)


def check_branch(repository: Repository, branch: str) -> None:
    """Check that there is something to adopt.

    Raises:
        ConfigError: there is no such branch, or it is one of those that kedro-dolt keeps for itself.
        DoltError: it has uncommitted edits, which no commit holds.
    """
    if branch.lower().startswith(RUN_PREFIX):
        raise ConfigError(
            f"{branch} is what an unpublished run wrote: `kedro dolt publish` publishes it if it is whole."
        )
    _check_there(repository, branch)
    if tables := repository.uncommitted(branch):
        raise DoltError(
            f"{', '.join(tables)} has uncommitted edits on {branch}, which cannot be adopted: commit or undo "
            "them first, with `dolt commit -a` or `dolt reset --hard` on that branch."
        )


def _check_there(repository: Repository, branch: str) -> None:
    if branch not in repository.branches():
        raise ConfigError(f"There is no branch {branch}: `dolt branch` {repository.where} lists them.")


def last_adopted(repository: Repository, branch: str, target: str) -> str | None:
    """Return the last commit of ``branch`` that ``target`` has, be it as a copy on top of others.

    Args:
        repository: where the branches are.
        branch: the branch to adopt.
        target: the branch that adopts it.

    Returns:
        None if the branches have no commit in common.
    """
    with repository.on() as cursor:
        cursor.execute("SELECT message FROM dolt_log(%s) WHERE message LIKE %s", (target, f"%{_ADOPTED}%"))
        for (message,) in cursor.fetchall():
            commit = message.rpartition(", ")[2].strip()
            if re.fullmatch("[0-9a-v]{32}", commit) and repository.contains(branch, commit):
                return str(commit)
    return repository.merge_base(branch, target)


def _commits(repository: Repository, base: str, head: str) -> list[_Commit]:
    """Return the commits that ``head`` has and ``base`` has not, the oldest first."""
    with repository.on() as cursor:
        cursor.execute(
            "SELECT commit_hash, parents, CONCAT(committer, ' <', email, '>'), message "
            "FROM dolt_log(%s, '--parents')",
            (f"{base}..{head}",),
        )
        rows = list(cursor.fetchall())
    return [
        _Commit(name, [parent.strip() for parent in parents.split(",")], author, message)
        for name, parents, author, message in reversed(rows)
    ]


def _check_published(branch: str, commits: Sequence[_Commit]) -> None:
    """Refuse what an unpublished run left, which may be half a run, or what a check has refused."""
    for commit in commits:
        if is_kept(commit.message):
            run_id = run_id_in(commit.message)
            raise PublishError(
                f"{branch} is not adopted: {commit.name[:10]} on it is what the unpublished run {run_id} "
                f"left. Publish that, `kedro dolt publish {run_id}`, if it is whole, or use `--rerun`."
            )


def _check_untouched(repository: Repository, branch: str, target: str, base: str) -> None:
    # What the runs of the branch began with, and the target now; what was adopted before is the same in both.
    theirs = repository.changed_tables(base, target)
    touched = folded(repository.changed_tables(base, branch))
    anything = False
    with repository.on(branch) as cursor:
        for run in runs_to_adopt(repository, branch, target):
            edges = reader.edges(cursor, run.run_id)
            touched |= folded(edge.table_name for edge in edges if edge.table_name)
            # A dataset that is neither a table nor a file may be a query, which reads any table.
            anything |= any(not (edge.table_name or edge.file) for edge in inputs_of(edges))
    conflicts = sorted(theirs if anything else {table for table in theirs if table.lower() in touched})
    if conflicts:
        raise PublishError(
            f"{branch} is not adopted: {', '.join(conflicts)}, which its runs read or wrote, changed on "
            f"{target} since. Run them again on top of it: `kedro dolt adopt {branch} --to {target} --rerun`."
        )


def _on_top(
    repository: Repository, checks: Sequence[Check], branch: str, tip: str, commits: list[_Commit]
) -> str:
    """Repeat commits on top of ``tip``, on a branch that is deleted again; return the last one."""
    if merges := [commit.name for commit in commits if len(commit.parents) != 1]:
        raise PublishError(
            f"{branch} is not adopted: {merges[0][:10]} on it is a merge, which cannot be repeated on top. "
            f"Merge the branch itself, `dolt merge {branch}`, or run again with `--rerun`."
        )
    building = BUILDING_PREFIX + uuid.uuid4().hex
    # Whoever finds the branch can tell by the lock whether somebody still builds.
    with repository.locked(building):
        repository.create_branch(building, tip)
        try:
            for commit in commits:
                [parent] = commit.parents
                before = repository.head(building)
                repository.take_tables(repository.changed_tables(parent, commit.name), commit.name, building)
                with repository.on(building) as cursor:
                    store.copy(cursor, parent, commit.name)
                    _audit(cursor, checks, branch, before, commit)
                message = f"{commit.message.rstrip()}\n{_ADOPTED}{branch}, {commit.name}"
                repository.commit_all(building, message, author=commit.author, verify=True)
            if repository.breaks_constraints(building):
                raise PublishError(
                    f"{branch} is not adopted: its tables and the target's break a foreign key."
                )
            return repository.head(building)
        except pymysql.err.Error as error:
            if not answers.is_unverified(error):
                raise
            raise PublishError(
                f"{branch} is not adopted: Dolt refused the commit: {answers.words(error)}."
            ) from error
        finally:
            repository.delete_branch(building)


def _audit(cursor: Cursor, checks: Sequence[Check], branch: str, before: str, commit: _Commit) -> None:
    """Check a run on top of what it was not made upon. What was accepted of it stays so."""
    run_id = run_id_in(commit.message)
    if run_id is None:
        return
    results = accepted_as_before(audit(cursor, before, checks), reader.checks(cursor, run_id))
    if refused := refusing(results):
        names = ", ".join(result.name for result in refused)
        lines = "\n".join(f"  {described(result)}" for result in refused)
        raise CheckError(
            f"{branch} is not adopted: on top, a check of run {run_id} failed: {names}.\n{lines}\n"
            "With `--rerun` its runs are made again there, and what they compute can be accepted."
        )
    store.write_checks(cursor, run_id, map(storable, results))


def _move(repository: Repository, target: str, to: str) -> None:
    try:
        fast_forward(repository, target, to)
    except EditedError as error:
        raise PublishError(
            f"{', '.join(error.tables)} has uncommitted edits on {target}, so nothing was adopted: "
            "commit or undo them first."
        ) from error
    except pymysql.err.Error as error:
        raise PublishError(
            f"Nothing was adopted, because Dolt refused to move {target}: {answers.words(error)}."
        ) from error
