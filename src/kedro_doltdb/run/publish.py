"""Publish a run's branch: check what is on it, commit it, and move the target to the commit.

The target branch is only ever moved forward to a finished commit, so its readers never see half a run. The
pattern is write, audit, publish.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pymysql

from ..checks.audit import Acceptance, audit, described, refusing, storable, told, warnings
from ..dolt import answers
from ..dolt.fast_forward import EditedError, fast_forward
from ..dolt.names import PUBLISH_SUFFIX
from ..dolt.repository import Repository, TableChange
from ..errors import CheckError, PublishError
from ..journal import store
from ..journal.history import audited_from, last_run
from ..journal.message import commit_message
from ..journal.parameters import same
from ..terminal import get_logger
from .executions import executions_of
from .records import Record, Records, folded

if TYPE_CHECKING:
    from pathlib import Path

    from pymysql.cursors import Cursor

    from ..checks.definitions import Check
    from ..journal.store import CheckResult, Edge, Execution, Run

MERGE_ATTEMPTS = 20
# Of the checks that refuse a run, how many its message names.
MOST_NAMED = 20

Published: TypeAlias = "tuple[str, list[TableChange]]"
"""The commit that a branch has been moved to, and the tables that changed on it."""

logger = get_logger(__name__)


def run_before(repository: Repository, record: Record) -> Run | None:
    """Return the run before this one on its branch; None if there is none."""
    with repository.on() as cursor:
        return last_run(cursor, record.base)


def is_same(one: Run, other: Run) -> bool:
    """Return whether two runs have the same parameters and the same code, as far as is known."""
    return one.git_commit == other.git_commit and same(one.params, other.params)


class Publisher:
    """Publishes the branch of one run. Whatever it refuses stays on that branch.

    Args:
        repository: where the branch is.
        records: where the state of unfinished runs is.
        record: the run.
        checks: what must hold of its data before it is published.
        acceptance: the failures of checks that do not stop that.
        project_path: what files are relative to; None if they may be another machine's.
    """

    def __init__(
        self,
        repository: Repository,
        records: Records,
        record: Record,
        checks: Sequence[Check] = (),
        acceptance: Acceptance | None = None,
        project_path: Path | None = None,
    ) -> None:
        self.record = record
        self.repository = repository
        self.records = records
        self._checks = checks
        self._acceptance = acceptance or Acceptance()
        self._project_path = project_path
        self._results: list[CheckResult] = []

    def publish(self, message: str) -> Published | None:
        """Commit what is on the run's branch and move the target to it.

        Returns:
            None when the target has all of it already.

        Raises:
            CheckError: a check does not hold of it.
            PublishError: it cannot be published as what the run computed.
        """
        repository, record = self.repository, self.record
        if record.run:
            record.run = replace(record.run, status="succeeded", finished=store.now())
        commit = self._commit(record.branch, message, record.base)
        if commit is None:
            return None
        with repository.locked(record.target):
            return self._move_target(
                lambda tip: commit if tip == record.base else self._on_top_of(tip, commit, message)
            )

    def publish_commit(self, commit: str, message: str) -> Published | None:
        """Publish what an earlier commit on the run's branch holds, on top of the target.

        Returns:
            As :meth:`publish`.

        Raises:
            CheckError: a check does not hold of it.
            PublishError: it cannot be published as what the run computed.
        """
        # Others publish to the target while this is audited.
        seen = self.repository.head(self.record.target)
        new = self._on_top_of(seen, commit, message)
        with self.repository.locked(self.record.target):
            return self._move_target(
                lambda tip: new if tip == seen else self._on_top_of(tip, commit, message)
            )

    def publish_journal(self, *, always: bool, skipped: str = "") -> tuple[Published | None, str]:
        """Note in the journal of the target that the run has run and changed no data.

        Args:
            always: whether to do so even if its parameters and code are those of the run before.
            skipped: if all its nodes were skipped, why there is nothing to note.

        Returns:
            What was published, of the journal alone, or None and why nothing was.

        Raises:
            PublishError: it cannot be published.
        """
        repository, record = self.repository, self.record
        mine = repository.head(record.branch)
        why = ""

        def journal_on(tip: str) -> str | None:
            nonlocal why
            if others := record.touches(repository.changed_tables(mine, tip)):
                why = f"{', '.join(sorted(others))} changed on {record.target} meanwhile"
                return None
            if skipped and not always:
                why = skipped
                return None
            with repository.on() as cursor:
                before = last_run(cursor, tip)
            assert record.run is not None
            new = record.reads_changes or self._found_out()
            if before and not always and not new and is_same(before, record.run):
                why = "its parameters and its code are those of the run before"
                return None
            message = commit_message(record.run, before, effect=False)
            branch = self._make_branch(tip)
            return repository.commit_all(branch, message, self._write_journal, journal_alone=True)

        with repository.locked(record.target):
            return self._move_target(journal_on), why

    def write_journal(
        self, cursor: Cursor, run: Run, edges: list[Edge], failed: Collection[str] = ()
    ) -> None:
        """Write the run's rows of the journal, with what its checks have found and the nodes that failed."""
        executions = self._executions(edges, failed)
        store.write(cursor, run, edges, map(storable, self._results), executions)

    def _executions(self, edges: list[Edge], failed: Collection[str] = ()) -> list[Execution]:
        return executions_of(self.repository, self.records, self.record, edges, self._project_path, failed)

    def _found_out(self) -> bool:
        """Return whether an incremental run has computed what the next one need not compute again."""
        return self.record.incremental and any(
            one.execution == store.COMPUTED and one.inputs and one.outputs
            for one in self._executions(self.record.edges)
        )

    def delete_branch(self) -> None:
        """Delete the branch on which the commit to publish was made, if it is there."""
        branch = self.record.branch + PUBLISH_SUFFIX
        if branch in self.repository.branches():
            self.repository.delete_branch(branch)

    def _commit(self, branch: str, message: str, base: str) -> str | None:
        """Audit what is on ``branch`` against ``base``, and commit it with the results."""
        journal = partial(self._audit_and_write_journal, base)
        try:
            return self.repository.commit_all(branch, message, journal, verify=True)
        except pymysql.err.Error as error:
            if not answers.is_unverified(error):
                raise
            raise self._not_published(f"Dolt refused the commit: {answers.words(error)}") from error

    def _audit_and_write_journal(self, base: str, cursor: Cursor) -> str:
        upon: list[Run] = []
        if self._checks:
            base, upon = audited_from(cursor, base)
        for run in upon:
            logger.warning(
                "The run begins at what run %s left, which was not published: that is checked, too.",
                run.run_id,
            )
        # On top of a target that has moved, others wait for it: what has passed already is not read again.
        results = audit(cursor, base, self._checks, known=self._results)
        self._results = self._acceptance.applied(results)
        for result in warnings(self._results):
            logger.warning("A check failed, which is a warning: %s", described(result))
        if refused := refusing(self._results):
            raise self._refused(refused)
        self._write_journal(cursor)
        return told(self._results)

    def _write_journal(self, cursor: Cursor) -> str:
        if self.record.run:
            self.write_journal(cursor, self.record.run, self.record.edges)
        return ""

    def _refused(self, results: Sequence[CheckResult]) -> CheckError:
        record = self.record
        names = list(dict.fromkeys(result.name for result in results))
        lines = [f"  {described(result)}" for result in results[:MOST_NAMED]]
        if len(results) > MOST_NAMED:
            lines.append(f"  and {len(results) - MOST_NAMED} more")
        listed, accepted = ", ".join(names[:MOST_NAMED]), " ".join(f"--accept {name}" for name in names[:3])
        lines_of_results = "\n".join(lines)
        return CheckError(
            f"Run {record.run_id} is not published, because a check failed: {listed}.\n{lines_of_results}\n"
            f"Its data is on the branch {record.branch}. Look with `kedro dolt compare {record.target} "
            f"{record.branch}`, then run again, or publish it as it is with "
            f'`kedro dolt publish {record.run_id} {accepted} --reason "..."`.'
        )

    def _move_target(self, commit_on: Callable[[str], str | None]) -> Published | None:
        """Move the target to the commit that ``commit_on`` gives for its tip; do nothing if it gives none."""
        repository, record = self.repository, self.record
        for attempt in range(MERGE_ATTEMPTS):
            tip = repository.head(record.target)
            record.commit = commit_on(tip)
            if record.commit is None:
                return None
            self.records.save(record)
            try:
                fast_forward(repository, record.target, record.commit)
            except EditedError as error:
                raise self._not_published(
                    f"{', '.join(error.tables)} has uncommitted edits on {record.target}: commit it with "
                    "`dolt commit -a`, or, if it is new and dolt_ignore matches it, rename or drop it"
                ) from error
            except pymysql.err.Error as error:
                # Somebody who knows no lock of ours may have committed meanwhile.
                if attempt == MERGE_ATTEMPTS - 1 or repository.head(record.target) == tip:
                    raise self._not_published(f"Dolt refused the merge: {answers.words(error)}") from error
            else:
                return record.commit, repository.changes(tip, record.commit)
        raise AssertionError("unreachable")

    def _on_top_of(self, tip: str, commit: str, message: str) -> str | None:
        """Repeat the run's commit on top of a target that has moved; None when that would change nothing."""
        repository, record = self.repository, self.record
        theirs = folded(repository.changed_tables(record.base, tip))
        mine = folded(repository.changed_tables(record.base, commit))
        different = folded(repository.changed_tables(commit, tip))
        # A table that the run only produced and that is the same there is no conflict: a new run would
        # repeat it.
        produced = folded(record.writes) - folded(record.reads)
        if conflicts := sorted((record.touches(theirs) | (theirs & mine)) - (produced - different)):
            raise self._not_published(
                f"{', '.join(conflicts)}, which it read or wrote, changed on {record.target} meanwhile"
            )
        if not mine & different:
            return None
        branch = self._make_branch(tip)
        repository.take_tables(repository.changed_tables(record.base, commit), commit, branch)
        if repository.breaks_constraints(branch):
            raise self._not_published(
                f"its tables and those of {record.target} now break a foreign key together"
            )
        return self._commit(branch, message, tip)

    def _make_branch(self, tip: str) -> str:
        """Make the branch on which the commit to publish is made, and return its name."""
        branch = self.record.branch + PUBLISH_SUFFIX
        with suppress(pymysql.err.Error):
            self.repository.delete_branch(branch)
        self.repository.create_branch(branch, tip)
        return branch

    def _not_published(self, why: str) -> PublishError:
        record = self.record
        return PublishError(
            f"Run {record.run_id} is not published: {why}. Its data is on the branch {record.branch}. "
            f"Run again, or publish it elsewhere with `kedro dolt publish {record.run_id} --to <branch>`, "
            f"or look with `dolt diff {record.target} {record.branch}` {self.repository.where}."
        )
