"""A case as data: nodes, what they are made of, and what happens to them step by step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SOURCES = ("s0", "s1")
BRANCHES = ("main", "exp")


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        name: its name.
        inputs: the datasets that it loads.
        parameter: the parameter that it takes, if it takes one.
        tweaked: it calls a helper two imports away.
        outputs: what it saves, and how: ``delta``, ``bulk``, ``csv`` or ``memory``.
    """

    name: str
    inputs: tuple[str, ...]
    parameter: str
    tweaked: bool
    outputs: dict[str, str]


@dataclass(frozen=True)
class Step:
    """Edits, and then a run.

    Attributes:
        edits: what is done before: pairs of what and a value.
        branch: ``dolt_branch``.
        runner: the runner's kind.
        to_node: ``--to-nodes``, if only a part is run.
        fails: the node that fails, if it runs.
    """

    edits: tuple[tuple[str, str, int], ...]
    branch: str = "main"
    runner: str = "sequential"
    to_node: str = ""
    fails: str = ""


@dataclass(frozen=True)
class Case:
    """A whole case."""

    seed: int
    nodes: tuple[Node, ...]
    steps: tuple[Step, ...] = field(default=())


def draw(seed: int) -> Case:
    """Return the case of a seed."""
    generator = random.Random(f"incremental {seed}")
    nodes: list[Node] = []
    made: list[str] = []
    for number in range(generator.randint(2, 6)):
        there = [*SOURCES, *made, *made]
        inputs = tuple(dict.fromkeys(generator.sample(there, min(len(there), generator.choice((1, 1, 2))))))
        kinds = generator.choices(
            ("delta", "bulk", "csv", "memory"), (5, 3, 2, 1), k=generator.choice((1, 1, 2))
        )
        outputs = {f"d{number}{letter}": kind for letter, kind in zip("ab", kinds, strict=False)}
        parameter = generator.choice(("", "p0", "p1", "group.a"))
        nodes.append(Node(f"n{number}", inputs, parameter, generator.random() < 0.5, outputs))
        made += outputs
    steps = [Step(())]
    for _ in range(generator.randint(3, 6)):
        edits = [_edit(generator, nodes) for _ in range(generator.choice((0, 1, 1, 1, 2)))]
        steps.append(
            Step(
                tuple(edits),
                generator.choices(BRANCHES, (4, 1))[0],
                generator.choices(("sequential", "thread"), (3, 1))[0],
                generator.choice(nodes).name if generator.random() < 0.15 else "",
                generator.choice(nodes).name if generator.random() < 0.25 else "",
            )
        )
    return Case(seed, tuple(nodes), tuple(steps))


def _edit(generator: random.Random, nodes: list[Node]) -> tuple[str, str, int]:
    # Few values, so that what was comes back.
    value = generator.randint(1, 3)
    what = generator.choice(
        (
            "source",
            "source",
            "parameter",
            "parameter",
            "constant",
            "helper",
            "tweak",
            "comment",
            "spoil",
            "drop",
        )
    )
    if what in ("spoil", "drop"):
        name, kind = generator.choice([pair for node in nodes for pair in node.outputs.items()])
        return (what, name, value) if kind != "memory" else ("comment", "", value)
    names = {
        "source": SOURCES, "parameter": ("p0", "p1", "group.a"), "constant": [node.name for node in nodes],
    }.get(what, ("",))  # fmt: skip
    return what, generator.choice(list(names)), value
