"""What became of a run's nodes, with the content of what they loaded and saved as far as that is sure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ..incremental.records import complete
from ..journal.edges import base_name, hash_tables, inputs_of
from ..journal.store import COMPUTED, FAILED, Execution
from .files import changed_files
from .records import folded

if TYPE_CHECKING:
    from pathlib import Path

    from ..dolt.repository import Repository
    from ..journal.store import Edge
    from .records import Record, Records


def executions_of(
    repository: Repository, records: Records, record: Record, edges: list[Edge], project_path: Path | None,
    failed: Collection[str] = (),
) -> list[Execution]:  # fmt: skip
    """Return the executions of the nodes of ``edges``, filled in.

    Args:
        repository: where the run's tables are.
        records: where it has noted what has finished.
        record: the run.
        edges: what its nodes loaded and saved. Hashes of tables that are not known yet are filled in.
        project_path: what files are relative to; None if they may be another machine's.
        failed: the nodes that failed, whether or not they are in ``edges``.
    """
    hash_tables(repository, edges, record.branch)
    nodes = {edge.node for edge in edges} - set(failed)
    executions = [one for one in record.nodes if one.node in nodes]
    finished = records.finished(record)
    for execution in executions:
        if execution.execution == COMPUTED and execution.node in finished:
            execution.seconds = finished[execution.node][1]
    unsure = _changed_tables(repository, record, edges) | changed_files(edges, record, finished, project_path)
    complete(executions, edges, unsure)
    return [*executions, *_failed(record, failed)]


def _failed(record: Record, nodes: Collection[str]) -> list[Execution]:
    """Return the executions of nodes that failed: without a recipe nothing is taken for their result."""
    known = {one.node: one for one in record.nodes}
    return [
        replace(known.get(node, Execution(node)), execution=FAILED, recipe=None, untold="it failed")
        for node in sorted(nodes)
    ]


def _changed_tables(repository: Repository, record: Record, edges: list[Edge]) -> set[str]:
    """Return the datasets whose tables somebody has changed since, by a dataset that does not say so."""
    inputs = inputs_of(edges)
    now = repository.table_hashes(record.branch, {one.table_name for one in inputs if one.table_name})
    saved = folded(one.table_name for one in edges if one.direction == "save" and one.table_name)
    return {
        base_name(one.dataset)
        for one in inputs
        if one.table_name
        and one.table_name.lower() not in saved
        and now.get(one.table_name) != one.content_hash
    }
