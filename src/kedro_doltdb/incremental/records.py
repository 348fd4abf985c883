"""Executions on record: on the branch of a run, and wherever else their results can still be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymysql.err import Error

from ..dolt.names import BUILDING_PREFIX, MOVING_PREFIX, PUBLISH_SUFFIX, STATE_BRANCH
from ..errors import DoltError
from ..journal import reader
from ..journal.edges import base_name
from ..journal.revision import find
from .decide import Known, Last, content_key

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository
    from ..journal.store import Edge, Execution
    from .facts import Facts

# Of the branches, the last ones to be moved.
_MOST_BRANCHES = 50


def contents_of(edges: Iterable[Edge]) -> dict[str, str | None]:
    """Return the content of each dataset, by its name without what tells transcoded ones apart.

    Args:
        edges: what nodes loaded and saved.
    """
    found: dict[str, dict[str, str | None]] = {}
    for edge in edges:
        place = edge.table_name or edge.file or edge.dataset
        contents = found.setdefault(base_name(edge.dataset), {})
        # What is saved under one name and loaded under another is known where it is saved.
        contents[place] = contents.get(place) or edge.content_hash
    return {
        name: next(iter(contents.values())) if len(contents) == 1 else content_key(contents)
        for name, contents in found.items()
    }


def datasets_of(edges: Iterable[Edge], node: str, direction: str) -> set[str]:
    """Return what a node loads or saves, by name without what tells transcoded datasets apart."""
    own = (edge for edge in edges if edge.node == node and edge.direction == direction)
    return {base_name(edge.dataset) for edge in own}


def complete(executions: Iterable[Execution], edges: Iterable[Edge], unsure: Iterable[str] = ()) -> None:
    """Fill in what nodes loaded and saved, as far as the content of that is known.

    Args:
        executions: the rows to fill in.
        edges: what all nodes of the run loaded and saved.
        unsure: the datasets of which the content may have been another one when they were loaded.
    """
    edges, doubted = list(edges), set(unsure)
    contents = {name: None if name in doubted else one for name, one in contents_of(edges).items()}
    for execution in executions:
        for direction in ("load", "save"):
            names = datasets_of(edges, execution.node, direction)
            key = content_key({name: contents[name] for name in names})
            if direction == "load":
                execution.inputs = key if execution.recipe else None
            else:
                execution.outputs = key if execution.recipe and names else None


@dataclass(frozen=True)
class Source:
    """Where tables are that can be taken.

    Attributes:
        commit: the commit that holds them.
        tables: their names.
    """

    commit: str
    tables: tuple[str, ...]


@dataclass
class Results:
    """The executions on record in a repository, and their results.

    Args:
        repository: where they are.
        ref: the commit or branch that is to be worked on.

    Attributes:
        sources: where what :meth:`takeable` has found is, by node.
    """

    repository: Repository
    ref: str
    sources: dict[str, Source] = field(default_factory=dict)

    def on_branch(self, facts: Iterable[Facts]) -> dict[str, list[Known]]:
        """Return the executions with the recipes of nodes that the branch itself knows, by recipe."""
        found: dict[str, list[Known]] = {}
        with self.repository.on(self.ref) as cursor:
            _add(found, cursor, {one.recipe for one in facts if one.recipe}, self.ref)
        return found

    def everywhere(self, facts: Iterable[Facts], own: str | None = None) -> dict[str, list[Known]]:
        """Return what :meth:`on_branch` does, and then that of other branches and of kept runs.

        Args:
            facts: what is known of the nodes.
            own: the private branch of the run itself.
        """
        facts = list(facts)
        found, recipes = self.on_branch(facts), {one.recipe for one in facts if one.recipe}
        with self.repository.on() as cursor:
            cursor.execute("SELECT name FROM dolt_branches ORDER BY latest_commit_date DESC")
            names = [str(row[0]) for row in cursor.fetchall()]
            for name in [name for name in names if _has_runs(name) and name != own][:_MOST_BRANCHES]:
                try:
                    _add(found, cursor, recipes, name)
                except DoltError:
                    # Something else has the journal's name there.
                    continue
        return found

    def takeable(
        self, edges: Iterable[Edge], contents: Mapping[str, str | None], facts: Facts, known: Known
    ) -> Mapping[str, str] | None:
        """Return what an execution saved, by dataset, if that can be had now; None if not.

        Args:
            edges: what the nodes of the run load and save now.
            contents: the content of each dataset now: files can only stay as they are.
            facts: what is known of the node.
            known: the execution.
        """
        with self.repository.on() as cursor:
            then = [
                edge
                for edge in reader.edges(cursor, known.run_id, known.ref)
                if edge.node == facts.node and edge.direction == "save"
            ]
        saved = contents_of(then)
        if content_key(saved) != known.execution.outputs or set(saved) != set(facts.saves):
            return None
        now = {edge.dataset: edge for edge in edges if edge.node == facts.node and edge.direction == "save"}
        tables: dict[str, str] = {}
        for edge in then:
            name = base_name(edge.dataset)
            if edge.dataset not in now or edge.content_hash is None:
                return None
            if contents.get(name) == saved[name]:
                continue
            if edge.table_name is None or edge.table_name != now[edge.dataset].table_name:
                return None
            tables[edge.table_name] = edge.content_hash
        commit = self._commit_with(known, tables)
        if commit is None:
            return None
        self.sources[facts.node] = Source(commit, tuple(tables))
        return {name: content for name, content in saved.items() if content is not None}

    def _commit_with(self, known: Known, tables: Mapping[str, str]) -> str | None:
        """Return a commit at which tables have a content."""
        try:
            places = [find(self.repository, known.ref).commit]
            if self.repository.table_hashes(places[0], tables) == dict(tables):
                return places[0]
            commit = find(self.repository, known.run_id).commit
            return commit if self.repository.table_hashes(commit, tables) == dict(tables) else None
        except DoltError:
            return None

    def difference(self, last: Last, dataset: str, table: str | None) -> str:
        """Return in how many rows an input differs from what a node loaded last, as far as that is known.

        Args:
            last: that execution.
            dataset: the input.
            table: its table, if it is one.
        """
        before = last.loads.get(dataset)
        if before is None:
            return "what it was is not known"
        if table is None:
            return "changed"
        try:
            commit = find(self.repository, last.run_id).commit
            if self.repository.table_hashes(commit, [table]) != {table: before}:
                return "changed"
            with self.repository.on(self.ref) as cursor:
                cursor.execute(
                    "SELECT rows_added, rows_deleted, rows_modified FROM dolt_diff_stat(%s, 'WORKING', %s)",
                    (commit, table),
                )
                row = cursor.fetchone()
        except (DoltError, Error):
            return "changed"
        counts = [f"{sign}{count}" for sign, count in zip("+-~", row or (), strict=False) if count]
        return f"{' '.join(counts)} rows" if counts else "changed"

    def last(self, nodes: Iterable[str]) -> dict[str, Last]:
        """Return the last execution of each node that the branch knows."""
        found: dict[str, Last] = {}
        edges: dict[str, list[Edge]] = {}
        with self.repository.on(self.ref) as cursor:
            params = {}
            for run_id, execution in reader.executions_of(cursor, "node", nodes):
                if execution.node in found:
                    continue
                if run_id not in edges:
                    edges[run_id] = reader.edges(cursor, run_id)
                    runs = reader.runs(cursor, run_id=run_id)
                    params[run_id] = runs[0].params if runs else {}
                contents = contents_of(edges[run_id])
                loads, saves = (
                    {name: contents[name] for name in datasets_of(edges[run_id], execution.node, direction)}
                    for direction in ("load", "save")
                )
                found[execution.node] = Last(execution, loads, saves, params[run_id], run_id)
        return found


def _add(found: dict[str, list[Known]], cursor: Cursor, recipes: set[str], ref: str) -> None:
    for run_id, execution in reader.executions_of(cursor, "recipe", sorted(recipes), ref):
        if execution.recipe and execution.inputs and execution.outputs:
            known = Known(run_id, execution, ref)
            others = found.setdefault(execution.recipe, [])
            # Most runs find again what those before them have found.
            if all(
                (other.execution.inputs, other.execution.outputs) != (execution.inputs, execution.outputs)
                for other in others
            ):
                others.append(known)


def _has_runs(branch: str) -> bool:
    ours = branch.startswith((MOVING_PREFIX, BUILDING_PREFIX)) or branch == STATE_BRANCH
    return not ours and not branch.endswith(PUBLISH_SUFFIX)
