"""Where a dataset's content comes from: the run, the node and the inputs, back to what no run made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at
from ..errors import ConfigError
from . import reader
from .edges import base_name
from .history import Log

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository
    from .store import Edge

# More are not shown: nobody reads them, and each is a level of the tree at worst.
_MOST_NODES = 200


@dataclass
class Origin:
    """A dataset's content and what made it.

    Attributes:
        dataset: its name.
        content_hash: what it holds; None where the journal does not know.
        run_id: the run that made it; None if no run did.
        node: the node of that run.
        commit: for a table that no run made, the commit that brought the content, and its message.
        inputs: what the node loaded.
        note: why what the node loaded is not among ``inputs``.
        computed_by: the run whose node it was, if ``run_id`` did not compute it itself.
        resumed: whether that is the failed run which ``run_id`` resumed.
    """

    dataset: str
    content_hash: str | None
    run_id: str | None = None
    node: str | None = None
    commit: str | None = None
    inputs: list[Origin] = field(default_factory=list)
    note: str = ""
    computed_by: str | None = None
    resumed: bool = False


def lineage(repository: Repository, dataset: str, ref: str) -> Origin:
    """Trace a dataset back.

    Args:
        repository: where the journal is.
        dataset: its name in the catalog, or that of its table.
        ref: the commit at which to look.

    Raises:
        ConfigError: neither the journal nor the repository knows it.
    """
    with repository.on(ref) as cursor:
        return _Tracer(repository, cursor, ref).origin(dataset)


class _Tracer:
    def __init__(self, repository: Repository, cursor: Cursor, ref: str) -> None:
        self._repository = repository
        self._cursor = cursor
        self._ref = ref
        self._runs = {run.run_id: run for run in reader.runs(cursor)}
        self._log = Log.of(cursor, ref)
        self._edges: dict[str, list[Edge]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._known_savers: dict[str, list[tuple[str, Edge]]] = {}

    def _savers(self, dataset: str) -> list[tuple[str, Edge]]:
        """Return the runs that saved a dataset, the last one first, with what they saved."""
        if dataset not in self._known_savers:
            times = {run_id: run.finished or datetime.min for run_id, run in self._runs.items()}
            found = reader.savers(self._cursor, dataset)
            found.sort(
                key=lambda item: (self._log.place(item[0]), times.get(item[0], datetime.min)), reverse=True
            )
            self._known_savers[dataset] = found
        return self._known_savers[dataset]

    def origin(self, dataset: str) -> Origin:
        savers = self._savers(dataset)
        table = next((edge.table_name for _, edge in savers if edge.table_name), None)
        table = table or (dataset if columns_at(self._cursor, dataset, self._ref) else None)
        if not savers and not table:
            raise ConfigError(
                f"No run has saved a dataset {dataset}, and there is no table of that name: "
                "conf/*/catalog.yml has the datasets' names, "
                f"`dolt ls` {self._repository.where} the tables'."
            )
        content = self._repository.table_hashes(self._ref, [table]).get(table) if table else None
        for run_id, edge in savers:
            if table is None or edge.content_hash == content:
                return self._made(dataset, edge.content_hash, run_id, edge.node)
        return self._not_made(dataset, table, content, self._ref)

    def _made(self, dataset: str, content: str | None, run_id: str, node: str) -> Origin:
        # A graph of many diamonds has more paths than anybody could read, and a stranger's may have circles.
        if (run_id, node) in self._seen or len(self._seen) == _MOST_NODES:
            note = (
                "inputs as above" if (run_id, node) in self._seen else "too much to show: ask for it by name"
            )
            return Origin(dataset, content, run_id, node, note=note, **self._computed(run_id, node))
        self._seen.add((run_id, node))
        edges = self._edges_of(run_id)
        loads = [edge for edge in edges if edge.node == node and edge.direction == "load"]
        inputs = [self._loaded(edge, run_id, edges) for edge in loads]
        for edge, origin in zip(loads, inputs, strict=True):
            if edge.read_at and not origin.note:
                origin.note = f"as of {edge.read_at[:10]}"
        return Origin(dataset, content, run_id, node, inputs=inputs, **self._computed(run_id, node))

    def _edges_of(self, run_id: str) -> list[Edge]:
        if run_id not in self._edges:
            self._edges[run_id] = reader.edges(self._cursor, run_id)
        return self._edges[run_id]

    def _computed(self, run_id: str, node: str) -> dict[str, Any]:
        by = next((edge.computed_by for edge in self._edges_of(run_id) if edge.node == node), None)
        run = self._runs.get(run_id)
        return {"computed_by": by, "resumed": bool(by and run and run.resumed_from == by)}

    def _loaded(self, load: Edge, run_id: str, edges: list[Edge]) -> Origin:
        for edge in () if load.read_at else edges:
            if edge.direction == "save" and base_name(edge.dataset) == base_name(load.dataset):
                return self._made(load.dataset, edge.content_hash, run_id, edge.node)
        run = self._runs.get(run_id)
        for earlier, edge in self._savers(load.table_name or load.dataset):
            if edge.content_hash == load.content_hash and self._is_before(earlier, run_id):
                return self._made(load.dataset, load.content_hash, earlier, edge.node)
        base = load.read_at or (run.base if run else None) or self._ref
        return self._not_made(load.dataset, load.table_name, load.content_hash, base)

    def _is_before(self, earlier: str, run_id: str) -> bool:
        """Return whether a run can have read what another one saved."""
        run, other = self._runs.get(run_id), self._runs.get(earlier)
        base = self._log.places.get((run.base if run else None) or "")
        if base is not None and earlier in self._log.runs:
            return self._log.place(earlier) <= base
        # Their commits were squashed or reworded.
        began, ended = run and run.started, other and other.finished
        return earlier != run_id and (not began or not ended or ended <= began)

    def _not_made(self, dataset: str, table: str | None, content: str | None, ref: str) -> Origin:
        """Of content that no run made, the commit that brought it, as seen from ``ref``."""
        if table is None:
            return Origin(dataset, content)
        with self._repository.on(ref) as cursor:
            cursor.execute(
                "SELECT d.commit_hash, LEFT(l.message, 300) "
                "FROM dolt_diff d JOIN dolt_log l USING (commit_hash) "
                "WHERE d.table_name = %s ORDER BY l.commit_order DESC LIMIT 1",
                (table,),
            )
            row = cursor.fetchone()
        commit = f"{row[0][:10]} {str(row[1]).partition(chr(10))[0]}" if row else "uncommitted edits"
        return Origin(dataset, content, commit=commit)
