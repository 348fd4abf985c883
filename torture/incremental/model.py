"""What must be: the content of each dataset after a run, and the nodes that have to run for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .case import Case, Node, Step
from .compute import frames_of, number_of, value_in


@dataclass
class Model:
    """The state of a case: its code, parameters, files and branches, and what is on record.

    Attributes:
        constants: of each node's code, and of the two helpers.
        parameters: by name.
        files: what each file holds; None if somebody has spoilt it.
        tables: what each table holds, by branch.
        records: what each node has saved, by its name, code, parameter and inputs.
    """

    case: Case
    constants: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=lambda: {"p0": 1, "p1": 1, "group.a": 1})
    files: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def nodes(self, step: Step) -> list[Node]:
        """Return the nodes that a step asks for."""
        if not step.to_node:
            return list(self.case.nodes)
        wanted, found = {step.to_node}, []
        for node in reversed(self.case.nodes):
            if node.name in wanted or wanted & set(node.outputs):
                found.append(node)
                wanted |= set(node.inputs)
        return found[::-1]

    def run(self, step: Step) -> tuple[dict[str, Any], set[str]]:
        """Return what each dataset holds after a whole run, and which nodes have to run."""
        now = {**self.tables.get(step.branch, self.tables["main"]), **self.files}
        needed: set[str] = set()
        kinds = {name: kind for node in self.case.nodes for name, kind in node.outputs.items()}
        for node in self.nodes(step):
            saved = self.saved(node, now)
            known = self.records.get(self.key(node, now), [])
            memory = any(kinds.get(name) == "memory" for name in (*node.inputs, *node.outputs))
            lost = any(kinds[name] == "csv" and now.get(name) != value for name, value in saved.items())
            if memory or not known or lost:
                needed.add(node.name)
            now.update(saved)
        return now, needed

    def key(self, node: Node, now: dict[str, Any]) -> str:
        """Return what the result of a node depends on."""
        return repr(
            (node.name, self._code(node), self._parameter(node), [now.get(one) for one in node.inputs])
        )

    def saved(self, node: Node, now: dict[str, Any]) -> dict[str, Any]:
        """Return what a node saves."""
        values = [*self._code(node), *self._parameter(node), *(now[one] for one in node.inputs)]
        frames = frames_of(number_of(node.name, values), len(node.outputs))
        return {name: value_in(frame) for name, frame in zip(node.outputs, frames, strict=True)}

    def note(self, node: Node, now: dict[str, Any]) -> None:
        """Note that a node has run, as the run is published or kept."""
        self.records.setdefault(self.key(node, now), []).append(self.saved(node, now))

    def _code(self, node: Node) -> list[int]:
        tweak = [self.constants.get("tweak", 1)] if node.tweaked else []
        return [self.constants.get(node.name, 1), self.constants.get("helper", 1), *tweak]

    def _parameter(self, node: Node) -> list[int]:
        return [self.parameters[node.parameter]] if node.parameter else []
