"""Which tables a run takes over from the failed run that it resumes, or why it may not.

A resumed run must publish what the whole run would have published. So all that the skipped nodes saved comes
along, each of them must have finished, and nothing that they depend on may be different now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import DoltError
from ..journal.edges import base_name, finished_nodes, shortened
from ..journal.parameters import differences, leaves
from ..journal.store import Edge
from ..terminal import first_of
from .records import folded

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

    from .records import Record


@dataclass(frozen=True)
class TakeOver:
    """What a run takes over from a failed one.

    Attributes:
        tables: the tables of the nodes that it skips.
        edges: what those nodes loaded and saved, marked with the run that computed it.
        datasets: what they saved, by name.
        parameters: the names of the parameters that they loaded, by node.
    """

    tables: list[str]
    edges: list[Edge]
    datasets: list[str]
    parameters: dict[str, list[str]]


def nodes_to_resume_from(pipeline: Pipeline, catalog: DataCatalog, finished: Collection[str]) -> list[str]:
    """Return what ``--from-nodes`` has to name so that a run goes on from one that did not finish.

    That is what Kedro advises: the first nodes of those that did not finish, and of those whose outputs they
    need and find in no dataset that lasts.

    Args:
        pipeline: the pipeline of the run that did not finish.
        catalog: its catalog.
        finished: the names of the nodes that did, as the journal has them.

    Returns:
        The names; none where every node has to run again, or none has.
    """
    makers = {base_name(output): node for node in pipeline.nodes for output in node.outputs}
    again: dict[str, Node] = {}
    waiting = [node for node in pipeline.nodes if shortened(node.name) not in finished]
    while waiting:
        node = waiting.pop()
        if node.name not in again:
            again[node.name] = node
            gone = (name for name in node.inputs if getattr(catalog.get(name), "_EPHEMERAL", True))
            waiting += [makers[base_name(name)] for name in gone if base_name(name) in makers]
    if not again or len(whole := pipeline.from_nodes(*again).nodes) == len(pipeline.nodes):
        return []
    return sorted(node.name for node in pipeline.only_nodes(*(n.name for n in whole)).grouped_nodes[0])


def take_over(failed: Record, complete: set[str], written: set[str], run: Record) -> TakeOver | None:
    """Decide what ``run`` takes over from ``failed``.

    Args:
        failed: the run to resume.
        complete: the datasets that its nodes saved completely.
        written: the tables that differ between its branch and the commit it began at.
        run: the run that is to resume it.

    Returns:
        None when ``failed`` finished no node that ``run`` skips, and none of those has written anything.

    Raises:
        DoltError: the result could not be that of a whole run.
    """
    again = {edge.node for edge in run.edges}
    skipped = {edge.node for edge in failed.edges} - again
    finished = finished_nodes(failed.edges, complete)
    edges = [edge for edge in failed.edges if edge.node in skipped]
    tables = {edge.table_name for edge in edges if edge.direction == "save" and edge.table_name}
    # What was noted of the finished nodes may be lost, and the run would mix what they wrote with older data.
    if not skipped & finished and not folded(tables) & folded(written):
        return None
    _check_finished(failed, edges, finished)
    _check_same_circumstances(failed, run, skipped, again)
    _check_tables(failed, tables, written, again)
    _check_files(failed, edges, run)
    return TakeOver(
        sorted(table for table in written if table.lower() in folded(tables)),
        [replace(edge, computed_by=edge.computed_by or failed.run_id) for edge in edges],
        sorted({base_name(edge.dataset) for edge in edges if edge.direction == "save"}),
        {node: names for node, names in (failed.parameters_read or {}).items() if node in skipped},
    )


def _check_finished(failed: Record, edges: Iterable[Edge], finished: set[str]) -> None:
    unfinished = sorted({edge.node for edge in edges if edge.direction == "save"} - finished)
    if unfinished:
        raise _refusal(
            failed,
            f"{first_of(sorted(unfinished), 5)} did not finish and would not run now",
            "Name in --from-nodes all the nodes that Kedro advised",
        )


def _check_same_circumstances(failed: Record, run: Record, skipped: set[str], again: set[str]) -> None:
    if failed.run is None or run.run is None or failed.parameters_read is None:
        raise _refusal(failed, "an older version of kedro-dolt kept it", "")
    if failed.run.environment != run.run.environment:
        raise _refusal(
            failed,
            f"it ran in the environment {failed.run.environment}, and this is {run.run.environment}",
            f"Repeat --env {failed.run.environment}",
        )
    for name, (then, now) in differences(failed.run.params, run.run.params).items():
        readers = _readers(name, failed, skipped)
        # --params can reach the catalog, too; what only nodes load that run again is theirs.
        given = name in leaves(failed.runtime_params) or name in leaves(run.runtime_params)
        if not readers and not (given and not _readers(name, run, again)):
            continue
        why = f"{name} was {then!r} and is {now!r} now"
        if readers:
            why += f", and {first_of(sorted(readers), 5)} ran with it"
        raise _refusal(
            failed, why, f"Repeat it: --params {name}={then}" if then is not None else "Leave it out"
        )


def _readers(parameter: str, record: Record, nodes: Collection[str]) -> list[str]:
    """Return those of ``nodes`` that load a parameter, or one that it is a part of, or a part of it."""

    def reads(name: str) -> bool:
        return not name or f"{parameter}.".startswith(f"{name}.") or name.startswith(f"{parameter}.")

    read = record.parameters_read or {}
    return sorted(node for node in nodes if any(map(reads, read.get(node, ()))))


def _check_tables(failed: Record, tables: set[str], written: set[str], again: set[str]) -> None:
    saves = [edge for edge in failed.edges if edge.direction == "save" and edge.table_name]
    if unknown := sorted(
        table for table in written if table.lower() not in folded(e.table_name or "" for e in saves)
    ):
        raise _refusal(
            failed,
            f"it changed {', '.join(unknown)}, and no dataset that kedro-dolt can see into is that table",
            "Give the table a catalog entry of its own, of type pandas.SQLTableDataset",
        )
    both = folded(tables) & folded(edge.table_name or "" for edge in saves if edge.node in again)
    if both := both & folded(written):
        raise _refusal(failed, f"{', '.join(sorted(both))} is saved by a node that runs again, too", "")


def _check_files(failed: Record, edges: Iterable[Edge], run: Record) -> None:
    """Check that files of skipped nodes are as those left them: other runs write to the same ones."""
    saved = {base_name(edge.dataset): edge for edge in edges if edge.direction == "save" and edge.file}
    for load in run.edges:
        save = saved.get(base_name(load.dataset)) if load.direction == "load" else None
        if save and (save.content_hash is None or save.content_hash != load.content_hash):
            raise _refusal(failed, f"{load.file or save.file} is not known to be as {save.node} left it", "")


def _refusal(failed: Record, why: str, way_out: str) -> DoltError:
    way_out = f"{way_out}, or run" if way_out else "Run"
    return DoltError(
        f"Run {failed.run_id} cannot be resumed: {why}. {way_out} the whole pipeline; to begin with what "
        f"{failed.target} holds instead: `--params dolt_from=HEAD`."
    )
