"""A run as a transaction: write on a private branch, then publish to the target or keep.

The target branch is only ever moved forward to a finished commit, so its readers never see half a run, and a
run's connections never see anybody else's writes. The pattern is write, audit, publish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

import pymysql

from ..checks.audit import Acceptance, audit, described, refusing, storable, told, warnings
from ..dolt import answers
from ..dolt.fast_forward import EditedError, fast_forward
from ..dolt.names import PUBLISH_SUFFIX
from ..dolt.repository import Repository, TableChange
from ..errors import CheckError, DoltError, PublishError
from ..journal import store
from ..journal.edges import finished_nodes, inputs_of, pin, with_hashes
from ..journal.history import audited_from, last_run
from ..journal.message import commit_message
from ..journal.parameters import same
from ..terminal import get_logger
from .records import Record, Records, folded
from .resume import take_over

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..catalog.footprint import Footprint
    from ..checks.definitions import Check
    from ..journal.store import CheckResult, Edge, Run

MERGE_ATTEMPTS = 20
# Of the checks that refuse a run, how many its message names.
MOST_NAMED = 20

logger = get_logger(__name__)


def run_before(repository: Repository, record: Record) -> Run | None:
    """Return the run before this one on its branch; None if there is none."""
    with repository.on() as cursor:
        return last_run(cursor, record.base)


def is_same(one: Run, other: Run) -> bool:
    """Return whether two runs have the same parameters and the same code, as far as is known."""
    return one.git_commit == other.git_commit and same(one.params, other.params)


class Transaction:
    """The branches of one run.

    Args:
        repository: where they are.
        records: where the state of unfinished runs is.
        record: this run; its private branch does not exist yet.
        checks: what must hold of its data before it is published.
        acceptance: the failures of checks that do not stop that.
    """

    def __init__(
        self,
        repository: Repository,
        records: Records,
        record: Record,
        checks: Sequence[Check] = (),
        acceptance: Acceptance | None = None,
    ) -> None:
        self.record = record
        self._repository = repository
        self._records = records
        self._checks = checks
        self._acceptance = acceptance or Acceptance()
        self._results: list[CheckResult] = []

    def begin(self) -> None:
        """Note the content of the tables that the run reads, and make the private branch at its base."""
        self._note_inputs(self.record.base)
        # The record comes first: a branch without one would be nobody's.
        self._records.save(self.record)
        self._repository.create_branch(self.record.branch, self.record.base)

    def _note_inputs(self, ref: str) -> None:
        inputs = inputs_of(self.record.edges)
        with_hashes(inputs, self._hashes(inputs, ref))

    def note_late(self, footprint: Footprint, edges: list[Edge]) -> None:
        """Note datasets that came into the catalog after the run had begun.

        Args:
            footprint: of the pipeline as it is now.
            edges: likewise.
        """
        record = self.record
        known = {(edge.node, edge.dataset, edge.direction): edge for edge in record.edges}
        record.reads = sorted({*record.reads, *footprint.reads})
        record.writes = sorted({*record.writes, *footprint.writes})
        record.reads_all |= footprint.reads_all
        late = []
        for edge in edges:
            old = known.get((edge.node, edge.dataset, edge.direction))
            if old is None or (old.table_name, old.file) != (edge.table_name, edge.file):
                known[edge.node, edge.dataset, edge.direction] = edge
                late.append(edge)
        pin(self._repository, late, record.base)
        inputs = [edge for edge in late if edge.table_name in footprint.reads]
        with_hashes(
            inputs, self._repository.table_hashes(record.base, {edge.table_name or "" for edge in inputs})
        )
        record.edges = list(known.values())

    def _hashes(self, edges: list[Edge], ref: str) -> dict[str, str]:
        tables = {edge.table_name for edge in edges if edge.table_name and edge.content_hash is None}
        return self._repository.table_hashes(ref, sorted(tables)) if tables else {}

    def take_over(self, failed: Record) -> list[str] | None:
        """Put what a failed run's finished nodes saved on the branch, if this run skips them.

        Returns:
            The tables; None when this run skips no node that ``failed`` finished.

        Raises:
            DoltError: this run and what ``failed`` left could not be one whole run.
        """
        repository, record = self._repository, self.record
        changed = repository.changed_tables(failed.base, record.base)
        written = repository.changed_tables(failed.base, failed.branch)
        taken = take_over(failed, self._records.complete(failed), written, record)
        if taken is None:
            return None
        if stale := sorted(failed.touches(changed) | (changed & written)):
            raise DoltError(
                f"Run {failed.run_id} cannot be resumed: {', '.join(stale)} changed on {failed.target} "
                "since. Run the whole pipeline, or start from it as it is with `--params dolt_from=HEAD`."
            )
        repository.take_tables(taken.tables, failed.branch, record.branch)
        self._records.add_complete(record.run_id, taken.datasets)
        # What was taken over was computed from what the failed run read.
        record.reads = sorted({*record.reads, *failed.reads, *failed.writes} - set(record.writes))
        record.reads_all |= failed.reads_all
        for edge in record.edges:
            if edge.table_name and not edge.read_at and edge.table_name.lower() in folded(taken.tables):
                # It was that of the base: it is read again below.
                edge.content_hash = None
        record.edges += taken.edges
        record.parameters_read = {**taken.parameters, **(record.parameters_read or {})}
        if record.run:
            record.run.resumed_from = failed.run_id
        self._note_inputs(record.branch)
        self._records.save(record)
        return taken.tables

    def publish(self, message: str) -> tuple[str, list[TableChange]] | None:
        """Commit what the run wrote and move the target to it.

        Returns:
            The commit and the tables that changed; None when the target has all of it already. Then
            :meth:`record_without_effect` ends the run.

        Raises:
            CheckError: a check does not hold of it; everything stays on the branch.
            PublishError: it cannot be published as what the run computed; likewise.
        """
        repository, record = self._repository, self.record

        if record.run:
            record.run = replace(record.run, status="succeeded", finished=store.now())
        commit = self._commit(record.branch, message, record.base)
        if commit is None:
            return None
        with repository.locked(record.target):
            published = self._move_target(
                lambda tip: commit if tip == record.base else self._on_top_of(tip, commit, message)
            )
        if published is not None:
            self.end()
        return published

    def record_without_effect(self, *, always: bool) -> tuple[str | None, str]:
        """Note in the journal of the target that the run has run and changed no data.

        Args:
            always: whether to do so even if its parameters and code are those of the run before.

        Returns:
            The commit, of the journal alone, or None and why there is none.

        Raises:
            PublishError: it cannot be published; everything stays on the branch.
        """
        repository, record = self._repository, self.record
        mine = repository.head(record.branch)
        why = ""

        def journal_on(tip: str) -> str | None:
            nonlocal why
            if others := record.touches(repository.changed_tables(mine, tip)):
                why = f"{', '.join(sorted(others))} changed on {record.target} meanwhile"
                return None
            with repository.on() as cursor:
                before = last_run(cursor, tip)
            assert record.run is not None
            if before and not always and is_same(before, record.run):
                why = "its parameters and its code are those of the run before"
                return None
            message = commit_message(record.run, before, effect=False)
            branch = self._publish_branch(tip)
            return repository.commit_all(branch, message, self._write_journal, journal_alone=True)

        with repository.locked(record.target):
            published = self._move_target(journal_on)
        # The data is as it was: what failed before can still be resumed.
        self._forget()
        return (published[0] if published else None), why

    def publish_kept(self, target: str, message: str) -> tuple[str, list[TableChange]] | None:
        """Publish the data of a run that finished and was refused.

        Args:
            target: the branch to publish to, which is there.
            message: of the commit.

        Returns:
            As :meth:`publish`.

        Raises:
            CheckError: a check does not hold of it, and that is not accepted; it stays as it was.
            PublishError: it still cannot be published; likewise.
        """
        before, head = self.record, self.record.head
        assert before.run is not None and head is not None
        run = replace(before.run, status="succeeded", error=None, branch=target)
        self.record = replace(before, target=target, run=run)
        try:
            with self._repository.locked(target):
                published = self._move_target(lambda tip: self._on_top_of(tip, head, message))
        except BaseException:
            self._delete_publish_branch()
            self._records.save(before)
            raise
        self.end()
        return published

    def _commit(self, branch: str, message: str, base: str) -> str | None:
        """Audit what is on ``branch`` against ``base``, and commit it with the results."""
        journal = partial(self._audit_and_write_journal, base)
        try:
            return self._repository.commit_all(branch, message, journal, verify=True)
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
            self._write_run(cursor, self.record.run, self.record.edges)
        return ""

    def _write_run(self, cursor: Cursor, run: Run, edges: list[Edge]) -> None:
        hashed = with_hashes(edges, self._hashes(edges, self.record.branch))
        store.write(cursor, run, hashed, map(storable, self._results))

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

    def _move_target(self, commit_on: Callable[[str], str | None]) -> tuple[str, list[TableChange]] | None:
        """Move the target to the commit that ``commit_on`` gives for its tip; do nothing if it gives none."""
        repository, record = self._repository, self.record
        for attempt in range(MERGE_ATTEMPTS):
            tip = repository.head(record.target)
            record.commit = commit_on(tip)
            if record.commit is None:
                return None
            self._records.save(record)
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
        repository, record = self._repository, self.record
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
        branch = self._publish_branch(tip)
        repository.take_tables(repository.changed_tables(record.base, commit), commit, branch)
        if repository.breaks_constraints(branch):
            raise self._not_published(
                f"its tables and those of {record.target} now break a foreign key together"
            )
        return self._commit(branch, message, tip)

    def _publish_branch(self, tip: str) -> str:
        """Make the branch on which the commit to publish is made, and return its name."""
        branch = self.record.branch + PUBLISH_SUFFIX
        with suppress(pymysql.err.Error):
            self._repository.delete_branch(branch)
        self._repository.create_branch(branch, tip)
        return branch

    def _not_published(self, why: str) -> PublishError:
        record = self.record
        return PublishError(
            f"Run {record.run_id} is not published: {why}. Its data is on the branch {record.branch}. "
            f"Run again, or publish it elsewhere with `kedro dolt publish {record.run_id} --to <branch>`, "
            f"or look with `dolt diff {record.target} {record.branch}` {self._repository.where}."
        )

    def keep(
        self, why: str, status: str | None = None, error: str | None = None, finished: datetime | None = None
    ) -> Literal["kept", "nothing", "published"]:
        """End a run that did not finish: what it wrote stays on its branch, the target is as it was.

        Args:
            why: how it ended, to be read after "which": ``failed: KeyError``.
            status: what the journal on that branch is to say; None keeps the run out of it.
            error: the type and the first line of the error.
            finished: when it ended, UTC, if that is known.

        Returns:
            ``kept``; ``nothing`` if there was nothing to keep; ``published`` if it was stopped between the
            publication and the end.
        """
        repository, record = self._repository, self.record
        if record.commit and repository.contains(record.target, record.commit):
            self.end()
            return "published"
        if record.branch not in repository.branches():
            self._records.delete(record)
            return "nothing"
        if status and record.run:
            finished_ones = self.finished_nodes()
            edges = [edge for edge in record.edges if edge.node in finished_ones]
            record.run = replace(record.run, status=status, error=error, finished=finished)
            self._write_journal_if_possible(record.run, edges)
        repository.commit_all(record.branch, f"Kept from Kedro run {record.run_id}, which {why}")
        if record.created_target:
            self._delete_unused_target()
        head = repository.head(record.branch)
        if head == record.base:
            self.end()
            return "nothing"
        self._delete_publish_branch()
        record.status, record.commit, record.head = "kept", None, head
        record.number = 1 + max((other.number for other in self._records.all()), default=0)
        self._records.save(record)
        self._supersede()
        return "kept"

    def _write_journal_if_possible(self, run: Run, edges: list[Edge]) -> None:
        """Write the journal of a run that is kept; else the next run would have to, and each after it."""
        try:
            with self._repository.on(self.record.branch) as cursor:
                self._write_run(cursor, run, edges)
        except DoltError as error:
            logger.warning("Run %s is not in the journal: %s", run.run_id, error.message)
        except pymysql.err.Error as error:
            if not answers.is_answer(error):
                raise
            logger.warning("Run %s is not in the journal: %s", run.run_id, answers.words(error))

    def finished_nodes(self) -> set[str]:
        """Return the names of the nodes that are known to have finished."""
        return finished_nodes(self.record.edges, self._records.complete(self.record))

    def abandon(self) -> None:
        """Undo what has been begun. The run that failed before can still be resumed."""
        if self.record.created_target:
            self._delete_unused_target()
        self._forget()

    def _delete_unused_target(self) -> None:
        record = self.record
        with self._repository.locked(record.target), suppress(pymysql.err.Error, DoltError):
            unused = self._repository.head(record.target) == record.base
            if unused and not self._repository.uncommitted(record.target, ignored=True):
                self._repository.delete_branch(record.target)

    def _delete_publish_branch(self) -> None:
        branch = self.record.branch + PUBLISH_SUFFIX
        if branch in self._repository.branches():
            self._repository.delete_branch(branch)

    def _delete_branches(self) -> None:
        there = self._repository.branches()
        for branch in (self.record.branch + PUBLISH_SUFFIX, self.record.branch):
            if branch in there:
                self._repository.delete_branch(branch)

    def end(self) -> None:
        """Forget the run, of which nothing is to be kept. Those kept before it are not resumed any more."""
        self._forget()
        self._supersede()

    def _forget(self) -> None:
        self._delete_branches()
        self._records.delete(self.record)

    def _supersede(self) -> None:
        for other in self._records.all():
            if (
                other.target == self.record.target
                and other.run_id != self.record.run_id
                and other.status == "kept"
            ):
                other.superseded = True
                self._records.save(other)
