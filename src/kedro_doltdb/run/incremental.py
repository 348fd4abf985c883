"""A run of which only those nodes run that have to: the rest is skipped, or taken from another run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DoltError
from ..incremental.decide import RUN, SKIP, TAKE, Decider, Decision, Known, explain
from ..incremental.facts import Facts
from ..incremental.records import Results, contents_of, datasets_of
from ..journal.edges import base_name, file_hash
from ..journal.store import SKIPPED, TAKEN, Execution
from ..terminal import get_logger

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..incremental.decide import Last
    from ..journal.store import Edge
    from .records import Record, Records

logger = get_logger(__name__)


class Incremental:
    """Decides which nodes of a run have to run, and puts in place what the others would have saved.

    Args:
        repository: where the run's branch is.
        records: where its state is.
        record: the run, which has begun.
        nodes: the names of its nodes, in an order in which they can run.
        project_path: what files are relative to.
        forced: all nodes run.
    """

    def __init__(
        self,
        repository: Repository,
        records: Records,
        record: Record,
        nodes: Sequence[str],
        project_path: Path,
        *,
        forced: bool = False,
    ) -> None:
        self._repository = repository
        self._records = records
        self._record = record
        self._project_path = project_path
        self._forced = "dolt_force is true" if forced else ""
        self._facts = facts_from(record, nodes)
        self._decider: Decider | None = None
        self._results = Results(repository, record.branch)

    @property
    def decider(self) -> Decider:
        """What decides; it is made at the first use."""
        if self._decider is None:
            contents = contents_now(
                self._repository, self._record.edges, self._record.branch, self._project_path
            )
            self._decider = decider_of(self._results, self._facts, self._record, contents, self._forced)
        return self._decider

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return self.decider.is_done

    @property
    def all_skipped(self) -> str:
        """Why there is nothing to publish, if all nodes were skipped."""
        decisions = self.decider.decisions.values()
        skipped = bool(decisions) and all(one.action == SKIP for one in decisions)
        return "every node was up to date and was skipped" if skipped else ""

    def next(self) -> list[Decision]:
        """Decide on, put in place what is taken, and return the decisions: what runs can run together.

        Raises:
            DoltError: what was to be taken could not be.
        """
        found = self.decider.next()
        for decision in found:
            if decision.action == TAKE:
                self._take(decision)
            if decision.known:
                self._note(decision, decision.known)
            if decision.action == RUN:
                logger.info("Running %s: %s", decision.node, decision.why)
        # A line for each would be most of what a run with nothing to do costs.
        for action, words in ((SKIP, "Skipping"), (TAKE, "Taking from other runs")):
            if names := [one.node for one in found if one.action == action]:
                logger.info("%s: %s", words, ", ".join(names))
        if any(decision.known for decision in found):
            self._records.save(self._record)
        return found

    def ran(self, nodes: Collection[str]) -> None:
        """Take in what nodes that ran have saved."""
        edges = [one for one in self._record.edges if one.node in nodes and one.direction == "save"]
        contents = contents_now(self._repository, edges, self._record.branch, self._project_path)
        self.decider.ran(nodes, contents)

    def summary(self) -> str:
        """Return in one line how many nodes ran, were taken and were skipped, and the time that saved."""
        decisions = list(self.decider.decisions.values())
        counts = {action: [one for one in decisions if one.action == action] for action in (RUN, TAKE, SKIP)}
        saved = [one.known.execution.seconds for one in decisions if one.known]
        text = (
            f"{len(counts[RUN])} of {len(decisions)} nodes ran, {len(counts[TAKE])} were taken from other "
            f"runs, {len(counts[SKIP])} were skipped."
        )
        if any(one is not None for one in saved):
            text += f" Those took {sum(one or 0.0 for one in saved):.1f} s when they were computed."
        return text

    def _take(self, decision: Decision) -> None:
        source, branch = self._results.sources[decision.node], self._record.branch
        self._repository.take_tables(source.tables, source.commit, branch)
        there = self._repository.table_hashes(source.commit, source.tables)
        if self._repository.table_hashes(branch, source.tables) != there:
            raise DoltError(
                f"What {decision.node} saved could not be taken from {source.commit[:10]}: run it with "
                "`--params dolt_force=true`."
            )

    def _note(self, decision: Decision, known: Known) -> None:
        record = self._record
        execution = next(one for one in record.nodes if one.node == decision.node)
        execution.execution = SKIPPED if decision.action == SKIP else TAKEN
        execution.computed_by, execution.seconds = known.computed_by, known.execution.seconds
        for edge in record.edges:
            if edge.node == decision.node:
                edge.computed_by = known.computed_by
        facts = next(one for one in self._facts if one.node == decision.node)
        self._records.add_complete(record.run_id, sorted(facts.saves))


def facts_from(record: Record, nodes: Sequence[str]) -> list[Facts]:
    """Return what was noted of nodes when a run began.

    Args:
        record: the run.
        nodes: their names, in an order in which they can run.
    """
    known, edges = {one.node: one for one in record.nodes}, record.edges
    found = []
    for node in nodes:
        one = known.get(node) or Execution(node)
        loads, saves = (tuple(sorted(datasets_of(edges, node, way))) for way in ("load", "save"))
        untold = one.untold or (None if one.recipe else "its code cannot be told")
        found.append(Facts(node, one.recipe, loads, saves, untold, one.code, one.params, one.entries))
    return found


def contents_now(
    repository: Repository, edges: Sequence[Edge], ref: str, project_path: Path
) -> dict[str, str | None]:
    """Return the content of datasets as it is now; of inputs, as it was when the run began.

    Args:
        repository: where the tables are.
        edges: what nodes load and save.
        ref: the branch.
        project_path: what files are relative to.
    """
    tables = {one.table_name for one in edges if one.table_name and one.direction == "save"}
    hashes = repository.table_hashes(ref, sorted(tables))
    found = []
    for edge in edges:
        content = edge.content_hash
        if edge.direction == "save":
            content = hashes.get(edge.table_name) if edge.table_name else None
            if edge.file:
                content = file_hash(project_path / edge.file)
        found.append(replace(edge, content_hash=content))
    return contents_of(found)


def decider_of(
    results: Results,
    facts: Sequence[Facts],
    record: Record,
    contents: Mapping[str, str | None],
    forced: str = "",
) -> Decider:
    """Return what decides for a run, with the executions on record that it needs.

    Args:
        results: the executions on record.
        facts: what is known of the nodes.
        record: the run.
        contents: the content of each dataset now.
        forced: why all nodes run, if they do.
    """
    from kedro.framework.project import PACKAGE_NAME

    last: dict[str, Last] | None = None

    def why(one: Facts, now: Mapping[str, str | None]) -> str:
        nonlocal last
        if last is None:
            last = results.last([each.node for each in facts])
        params, before = record.run.params if record.run else {}, last.get(one.node)

        def describe(dataset: str) -> str:
            tables = [edge.table_name for edge in record.edges if base_name(edge.dataset) == dataset]
            return results.difference(before, dataset, tables[0]) if before else ""

        return explain(one, now, before, params, describe, str(PACKAGE_NAME or ""))

    def takeable(one: Facts, known: Known) -> Mapping[str, str] | None:
        return results.takeable(record.edges, decider.contents, one, known)

    records = results.on_branch(facts)
    decider = Decider(facts, contents, records, lambda one, known: None, lambda one, now: "", forced)
    # To look at all branches is only worth it where something is to be found there.
    if not forced and any(one.action != SKIP for one in decider.foretell()):
        records = results.everywhere(facts, record.branch)
    decider = Decider(facts, contents, records, takeable, why, forced)
    return decider
