"""What a case is, as data: a state of the repository, a catalog, a pipeline, and runs one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# The values in parameters.yml; `group.a` is nested.
PARAMETERS = {"p0": 1, "p1": 1, "p2": 1, "group.a": 1}
TARGET = "main"
# A table of the target's that no run reads or writes.
BYSTANDER = "bystander"


@dataclass(frozen=True)
class Entry:
    """A dataset.

    Attributes:
        name: in the pipeline, without ``@``.
        kind: how it is saved (and loaded, unless ``read_as`` says otherwise): see ``write.config``.
        table: its table; none for a file or memory.
        declared: where its configuration comes from: ``catalog``, ``factory``, or ``late``, from a hook.
        read_as: the kind of its other half, ``name@read``, if it is transcoded.
    """

    name: str
    kind: str
    table: str = ""
    declared: str = "catalog"
    read_as: str = ""

    @property
    def saved_name(self) -> str:
        """The name that a node saves it under."""
        return f"{self.name}@write" if self.read_as else self.name

    @property
    def loaded_name(self) -> str:
        """The name that a node loads it under."""
        return f"{self.name}@read" if self.read_as else self.name


@dataclass(frozen=True)
class Node:
    """A node of the pipeline.

    Attributes:
        name: its name.
        inputs: the datasets that it loads, as the pipeline names them.
        parameters: the parameters that it depends on.
        outputs: the datasets that it saves.
        constant: its outputs depend on nothing.
        empty: its outputs may have no rows.
        streams: it is a generator that yields its output as one chunk.
        nests: it runs the pipeline ``inner`` in a session of its own: it ``raises`` or ``swallows`` the error
            of that, or ``awaits`` it in an event loop.
    """

    name: str
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    constant: bool = False
    empty: bool = False
    streams: bool = False
    nests: str = ""


@dataclass(frozen=True)
class Step:
    """One ``kedro run``.

    Attributes:
        start: ``whole``; else ``--from-nodes`` with the nodes that Kedro advised after the last failure
            (``advised``), ``some`` of them, an ``earlier`` node too, a ``later`` one in place of one of them,
            or a ``random`` node.
        params: ``--params``.
        runner: the runner's class.
        branch: ``dolt_branch``, if it is given.
        fails: the node that fails.
        how: it fails before it has ``begun``, at its last ``save``, or at its ``end`` after its one chunk.
        moves: the table that somebody else changes on the target.
        moved_by: the node before which that happens; before the run if none is named.
    """

    start: str = "whole"
    params: dict[str, int] = field(default_factory=dict)
    runner: str = "SequentialRunner"
    branch: str = ""
    fails: str = ""
    how: str = "begun"
    moves: str = ""
    moved_by: str = ""

    def __str__(self) -> str:
        words = [self.start, self.runner.removesuffix("Runner").lower(), str(self.params or "{}")]
        words += [f"dolt_branch={self.branch}"] * bool(self.branch)
        words += [f"{self.fails} fails ({self.how})"] * bool(self.fails)
        words += [f"{self.moves} moves {'before ' + self.moved_by if self.moved_by else 'first'}"] * bool(
            self.moves
        )
        return ", ".join(words)


@dataclass(frozen=True)
class Case:
    """A whole case.

    Attributes:
        seed: what makes it again.
        theme: what it is about.
        sources: the datasets that the pipeline reads and does not make; their tables are there at the start.
        entries: the datasets that it makes.
        views: the views that are there at the start, and the table that each shows.
        ignored: the patterns in ``dolt_ignore``.
        nodes: in an order in which they can run.
        inner: the pipeline that a node runs.
        steps: the runs.
    """

    seed: int
    theme: str
    sources: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    views: dict[str, str]
    ignored: tuple[str, ...]
    nodes: tuple[Node, ...]
    inner: tuple[Node, ...]
    steps: tuple[Step, ...]

    def entry(self, name: str) -> Entry:
        """The entry of a dataset as a node names it."""
        base = name.partition("@")[0]
        return next(entry for entry in (*self.sources, *self.entries) if entry.name == base)

    def downstream(self, names: Iterable[str]) -> list[Node]:
        """The nodes that ``--from-nodes`` with these names runs."""
        found, made = [], set[str]()
        for node in self.nodes:
            if node.name in names or made & {name.partition("@")[0] for name in node.inputs}:
                found.append(node)
                made |= {name.partition("@")[0] for name in node.outputs}
        return found

    def upstream(self, name: str) -> list[str]:
        """The nodes that a node depends on."""
        found: list[str] = []
        wanted = {name}
        for node in reversed(self.nodes):
            if node.name in wanted or wanted & {output.partition("@")[0] for output in node.outputs}:
                found += [node.name] * (node.name != name)
                wanted |= {one.partition("@")[0] for one in node.inputs}
        return found

    def __str__(self) -> str:
        lines = [f"case {self.seed} ({self.theme})"]
        for entry in (*self.sources, *self.entries):
            half = f", read as {entry.read_as}" if entry.read_as else ""
            where = "" if entry.declared == "catalog" else f", {entry.declared}"
            lines.append(f"  {entry.name}: {entry.kind} {entry.table}{half}{where}")
        for node in (*self.nodes, *self.inner):
            flags = [flag for flag in ("constant", "empty", "streams") if getattr(node, flag)]
            flags += [f"nests, {node.nests}"] * bool(node.nests)
            lines.append(
                f"  {node.name}: {', '.join((*node.inputs, *(f'params:{one}' for one in node.parameters)))}"
                f" -> {', '.join(node.outputs)} {' '.join(flags)}".rstrip()
            )
        if self.views or self.ignored:
            lines.append(f"  views {self.views}, ignored {self.ignored}")
        lines += [f"  run {number}: {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join(lines)
