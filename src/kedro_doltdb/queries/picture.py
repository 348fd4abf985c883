"""The pipeline of two runs as one graph: what became of each dataset and each node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..dolt.as_of import count_at
from ..journal import reader
from ..journal.edges import base_name
from ..journal.store import FAILED, SKIPPED, TAKEN

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..journal.store import Edge, Execution, Run
    from .compare import Comparison
    from .nodes import NodeDiff


@dataclass(frozen=True)
class PicturedDataset:
    """A dataset.

    Attributes:
        name: its name in the catalog.
        table: its table, if it has one.
        file: its file, if it has one.
        status: ``unchanged``, ``changed``, ``new``, ``gone``, or ``not kept`` if nothing is known of its
            content.
        old_count: how many rows its table had.
        new_count: how many it has.
    """

    name: str
    table: str | None
    file: str | None
    status: str
    old_count: int | None = None
    new_count: int | None = None


@dataclass(frozen=True)
class PicturedNode:
    """A node.

    Attributes:
        name: its name.
        status: ``ran``, or ``new`` if it ran for the first time; ``skipped`` by an incremental run, ``taken
            over`` from another run; ``failed``; ``not finished`` by a run that did not succeed, ``not run``
            by one of another part of the pipeline, ``gone``; or ``unknown``: it saves nothing by which a run
            that did not succeed could tell.
        diff: its code and parameters, if they are known to be others than those of the old run.
    """

    name: str
    status: str
    diff: NodeDiff | None = None


@dataclass(frozen=True)
class Picture:
    """The graph.

    Attributes:
        datasets: its datasets.
        nodes: its nodes.
        arrows: from where to where: (``dataset``, ``node``) pairs of names, and whether it is a load.
    """

    datasets: list[PicturedDataset]
    nodes: list[PicturedNode]
    arrows: list[tuple[str, str, bool]]


def picture(repository: Repository, comparison: Comparison, old: Run | None, new: Run | None) -> Picture:
    """Return the pipeline of two runs as the journal has it.

    Args:
        repository: where the journal is.
        comparison: of the two commits.
        old: the run whose data the one holds.
        new: the run whose data the other holds.
    """
    commits = comparison.old.commit, comparison.new.commit
    with repository.on() as cursor:
        before = reader.edges(cursor, old.run_id, commits[0]) if old else []
        after = reader.edges(cursor, new.run_id, commits[1]) if new else []
        executions = reader.executions(cursor, new.run_id, commits[1]) if new else []
    names = {edge.table_name for edge in (*before, *after) if edge.table_name and not edge.read_at}
    # A view has no hash, and nothing is asked of it: its query may be anybody's.
    hashes = [repository.table_hashes(commit, names) for commit in commits]
    datasets = []
    with repository.on() as cursor:
        for name, found in _by_dataset(before, after).items():
            edge = (found[1] or found[0])[-1]
            table = edge.table_name if not edge.read_at else None
            if table and any(table in known for known in hashes):
                was, now = (known.get(table) for known in hashes)
                counts = [
                    count_at(cursor, table, commit) if content else None
                    for commit, content in zip(commits, (was, now), strict=True)
                ]
                datasets.append(PicturedDataset(name, table, None, _status(was, now), *counts))
            else:
                was, now = (_content(edges) for edges in found)
                # A run that says nothing of a file may have been of another part, or have failed before it.
                known = found[1] or _is_same_part(old, new)
                status = _status(was, now) if known else "not kept"
                datasets.append(PicturedDataset(name, None, edge.file, status))
    arrows = dict.fromkeys(
        (base_name(edge.dataset), edge.node, edge.direction == "load") for edge in (*after, *before)
    )
    diffs = {one.node: one for one in comparison.nodes}
    nodes = [
        PicturedNode(name, status, diffs.get(name))
        for name, status in _nodes(before, after, executions, old, new).items()
    ]
    return Picture(datasets, nodes, list(arrows))


def _by_dataset(before: Iterable[Edge], after: Iterable[Edge]) -> dict[str, tuple[list[Edge], list[Edge]]]:
    found: dict[str, tuple[list[Edge], list[Edge]]] = {}
    for which, edges in ((1, after), (0, before)):
        for edge in edges:
            found.setdefault(base_name(edge.dataset), ([], []))[which].append(edge)
    return found


def _content(edges: Iterable[Edge]) -> str | None:
    return next((edge.content_hash for edge in edges if edge.content_hash), None)


def _status(old: str | None, new: str | None) -> str:
    if old is None and new is None:
        return "not kept"
    if old is None or new is None:
        return "new" if old is None else "gone"
    return "unchanged" if old == new else "changed"


def _is_whole(run: Run) -> bool:
    return run.status == "succeeded" and not run.filters


def _is_same_part(old: Run | None, new: Run | None) -> bool:
    """Return whether what the new run does not have is gone: it had as much to run as the old one."""
    return new is None or (_is_whole(new) and (old is None or old.pipelines == new.pipelines))


def _nodes(
    before: list[Edge], after: list[Edge], executions: Iterable[Execution], old: Run | None, new: Run | None
) -> dict[str, str]:
    """Return what became of each node."""
    # Of a run that did not succeed the journal has the nodes that finished or failed.
    earlier, later = ({edge.node: None for edge in edges} for edges in (before, after))
    how = {one.node: one.execution for one in executions}
    # A node that loads nothing has no edges when it failed.
    failed = [name for name, one in how.items() if one == FAILED]
    # A journal of an older version says it of the edges alone.
    taken_over = {edge.node for edge in after if edge.computed_by}
    saving = {edge.node for edge in before if edge.direction == "save"}
    succeeded = new is None or new.status == "succeeded"

    def status(name: str) -> str:
        if how.get(name) == FAILED:
            return "failed"
        if name in later:
            if how.get(name) == SKIPPED:
                return "skipped"
            if how.get(name) == TAKEN or name in taken_over:
                return "taken over"
            return "new" if old and _is_whole(old) and name not in earlier else "ran"
        if not succeeded:
            return "not finished" if name in saving else "unknown"
        return "gone" if _is_same_part(old, new) else "not run"

    return {name: status(name) for name in {**later, **dict.fromkeys(failed), **earlier}}
