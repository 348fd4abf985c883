"""A run as a transaction: it begins with a private branch, which is published, or kept.

A run's connections never see anybody else's writes, and nobody sees those of the run before they are
published. Exactly one of these ends it: :meth:`Transaction.publish`, :meth:`~Transaction.publish_journal`,
:meth:`~Transaction.publish_refused`, :meth:`~Transaction.keep`, :meth:`~Transaction.abort`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import pymysql

from ..dolt import answers
from ..dolt.names import PUBLISH_SUFFIX
from ..errors import DoltError
from ..journal.edges import finished_nodes, hash_tables, inputs_of, pin
from ..journal.store import TAKEN
from ..terminal import get_logger
from .publish import Published, Publisher
from .records import Record, folded
from .resume import take_over

if TYPE_CHECKING:
    from ..catalog.footprint import Footprint
    from ..journal.store import Edge, Run

logger = get_logger(__name__)


class Transaction:
    """The branches of one run.

    Args:
        publisher: what publishes its private branch, which does not exist yet.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._repository = publisher.repository
        self._records = publisher.records

    @property
    def record(self) -> Record:
        """The run."""
        return self._publisher.record

    def begin(self) -> None:
        """Note the content of the tables that the run reads, and make the private branch at its base."""
        self._note_inputs(self.record.base)
        # The record comes first: a branch without one would be nobody's.
        self._records.save(self.record)
        self._repository.create_branch(self.record.branch, self.record.base)

    def _note_inputs(self, ref: str) -> None:
        hash_tables(self._repository, inputs_of(self.record.edges), ref)

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
        record.primary_keys |= {table: list(key) for table, key in footprint.primary_keys.items()}
        late = []
        for edge in edges:
            old = known.get((edge.node, edge.dataset, edge.direction))
            if old is None or (old.table_name, old.file) != (edge.table_name, edge.file):
                known[edge.node, edge.dataset, edge.direction] = edge
                late.append(edge)
        pin(self._repository, late, record.base)
        hash_tables(
            self._repository, [edge for edge in late if edge.table_name in footprint.reads], record.base
        )
        record.edges = list(known.values())
        for execution in record.nodes:
            if execution.node in {edge.node for edge in late}:
                execution.recipe, execution.untold = None, "a hook has changed its catalog entries"

    def note_mlflow(self, run_id: str, url: str | None, tracking_uri: str | None) -> None:
        """Note the MLflow run during which this run runs, its page, and where MLflow keeps it."""
        if self.record.run:
            self.record.run.mlflow_run_id, self.record.run.mlflow_url = run_id, url
            self.record.mlflow_tracking_uri = tracking_uri
            self._records.save(self.record)

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
        rekeyed = self._add_keys(failed, folded(taken.tables))
        for edge in taken.edges:
            if edge.table_name and edge.table_name.lower() in rekeyed:
                edge.content_hash = None
        for edge in record.edges:
            if edge.table_name and not edge.read_at and edge.table_name.lower() in folded(taken.tables):
                # It was that of the base: it is read again below.
                edge.content_hash = None
        record.edges += taken.edges
        again, skipped = {one.node for one in record.nodes}, {edge.node for edge in taken.edges}
        record.nodes += [
            replace(one, execution=TAKEN, computed_by=one.computed_by or failed.run_id)
            for one in failed.nodes
            if one.node in skipped - again
        ]
        record.parameters_read = {**taken.parameters, **(record.parameters_read or {})}
        if record.run:
            record.run.resumed_from = failed.run_id
        self._note_inputs(record.branch)
        self._records.save(record)
        return taken.tables

    def _add_keys(self, failed: Record, taken: set[str]) -> set[str]:
        """Give empty tables the keys that a run gives them at its end; return those that lacked one."""
        from ..tables.bulk_load import add_missing_key

        with self._repository.on(self.record.branch) as cursor:
            return {
                table.lower()
                for table, key in failed.primary_keys.items()
                if table.lower() in taken and add_missing_key(cursor, table, key)
            }

    def publish(self, message: str) -> Published | None:
        """Commit what the run wrote, move the target to it, and end the run.

        Returns:
            None when the target has all of it already. Then :meth:`publish_journal` ends the run.

        Raises:
            CheckError: a check does not hold of it; everything stays on the branch.
            PublishError: it cannot be published as what the run computed; likewise.
        """
        published = self._publisher.publish(message)
        if published is not None:
            self._close()
        return published

    def publish_journal(self, *, always: bool, skipped: str = "") -> tuple[Published | None, str]:
        """Note in the journal of the target that the run has changed no data, and end the run.

        Args:
            always: whether to do so even if its parameters and code are those of the run before.
            skipped: if all its nodes were skipped, why there is nothing to note.

        Returns:
            What was published, of the journal alone, or None and why nothing was.

        Raises:
            PublishError: it cannot be published; everything stays on the branch.
        """
        published, why = self._publisher.publish_journal(always=always, skipped=skipped)
        # The data is as it was: what failed before can still be resumed.
        self._delete()
        return published, why

    def publish_refused(self, target: str, message: str) -> Published | None:
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
        refused, head = self.record, self.record.head
        assert refused.run is not None and head is not None
        run = replace(refused.run, status="succeeded", error=None, branch=target)
        self._publisher.record = replace(refused, target=target, run=run)
        try:
            published = self._publisher.publish_commit(head, message)
        except BaseException:
            self._publisher.delete_branch()
            self._records.save(refused)
            raise
        self._close()
        return published

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
            self._close()
            return "published"
        if record.branch not in repository.branches():
            self._records.delete(record)
            return "nothing"
        if status and record.run:
            finished_ones = self.finished_nodes()
            # What an interruption did to a node is not its fault.
            failed = self._records.failed(record) - finished_ones if status == "failed" else set()
            edges = [
                edge
                for edge in record.edges
                if edge.node in finished_ones or (edge.node in failed and edge.direction == "load")
            ]
            record.run = replace(record.run, status=status, error=error, finished=finished)
            self._write_journal_if_possible(record.run, edges, failed)
        repository.commit_all(record.branch, f"Kept from Kedro run {record.run_id}, which {why}")
        if record.created_target:
            self._delete_unused_target()
        head = repository.head(record.branch)
        if head == record.base:
            self._close()
            return "nothing"
        self._publisher.delete_branch()
        record.status, record.commit, record.head = "kept", None, head
        record.number = 1 + max((other.number for other in self._records.all()), default=0)
        self._records.save(record)
        self._supersede()
        return "kept"

    def _write_journal_if_possible(self, run: Run, edges: list[Edge], failed: set[str]) -> None:
        """Write the journal of a run that is kept; else the next run would have to, and each after it."""
        try:
            with self._repository.on(self.record.branch) as cursor:
                self._publisher.write_journal(cursor, run, edges, failed)
        except DoltError as error:
            logger.warning("Run %s is not in the journal: %s", run.run_id, error.message)
        except pymysql.err.Error as error:
            if not answers.is_answer(error):
                raise
            logger.warning("Run %s is not in the journal: %s", run.run_id, answers.words(error))

    def finished_nodes(self) -> set[str]:
        """Return the names of the nodes that are known to have finished."""
        return finished_nodes(self.record.edges, self._records.complete(self.record))

    def abort(self) -> None:
        """End a run that could not begin: undo what it did. One that failed before can still be resumed."""
        if self.record.created_target:
            self._delete_unused_target()
        self._delete()

    def _delete_unused_target(self) -> None:
        record = self.record
        with self._repository.locked(record.target), suppress(pymysql.err.Error, DoltError):
            unused = self._repository.head(record.target) == record.base
            if unused and not self._repository.uncommitted(record.target, ignored=True):
                self._repository.delete_branch(record.target)

    def _close(self) -> None:
        """Delete the run, of which nothing is kept. Those kept before it are not resumed any more."""
        self._delete()
        self._supersede()

    def _delete(self) -> None:
        there = self._repository.branches()
        for branch in (self.record.branch + PUBLISH_SUFFIX, self.record.branch):
            if branch in there:
                self._repository.delete_branch(branch)
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
