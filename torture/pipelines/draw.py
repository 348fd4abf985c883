"""A random case from its seed."""

from __future__ import annotations

import random

from .case import BYSTANDER, PARAMETERS, Case, Entry, Node, Step

THEMES = (
    "plain", "parameters", "some nodes", "cached", "own classes", "qualified names", "late entries", "views",
    "ignored", "moved target", "nested", "streams",
)  # fmt: skip
VISIBLE = ("stock", "bulk", "delta", "bulk")
# What each theme's tables are, one time in two.
KINDS = {
    "cached": ("cached bulk", "cached stock"),
    "own classes": ("own", "buried"),
    "qualified names": ("schema both", "schema save", "schema load", "schema main"),
}
READ_AS = ("stock", "query", "query data", "view", "columns")
RUNNERS = ("SequentialRunner",) * 7 + ("ThreadRunner",) * 2 + ("ParallelRunner",)
# Not with ParallelRunner: Kedro refuses the first two.
SINGLE_PROCESS = ("cached bulk", "cached stock")


def draw(seed: int) -> Case:
    """The case of ``seed``; its theme goes round, so that twelve in a row have them all."""
    return _Draw(seed).case()


class _Draw:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"case {seed}")
        self.seed = seed
        self.theme = THEMES[seed % len(THEMES)]
        self.sources: list[Entry] = []
        self.entries: list[Entry] = []
        self.nodes: list[Node] = []
        self.views: dict[str, str] = {}

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def case(self) -> Case:
        for number in range(self.random.randint(1, 2)):
            self._source(number)
        for number in range(self.random.randint(2, 6)):
            self._node(number)
        inner: tuple[Node, ...] = ()
        if self.theme == "nested":
            index = self.random.randrange(len(self.nodes))
            values = {
                **vars(self.nodes[index]),
                "nests": self.random.choice(("raises", "swallows", "awaits")),
            }
            self.nodes[index] = Node(**values)
            self.entries.append(Entry("inner_table", self.random.choice(VISIBLE), "inner_table"))
            inner = (Node("inner", (), ("p2",), ("inner_table",)),)
        ignored: tuple[str, ...] = ()
        if self.theme == "ignored":
            tables = [entry.table for entry in self.entries if entry.table]
            count = min(len(tables), self.random.randint(1, 2))
            ignored = ("ignored_notes", *self.random.sample(tables, count))
        return Case(
            self.seed, self.theme, tuple(self.sources), tuple(self.entries), self.views, ignored,
            tuple(self.nodes), inner, tuple(self._steps()),
        )  # fmt: skip

    def _source(self, number: int) -> None:
        table = f"source_{number}"
        kind = "stock"
        if self.theme == "views":
            kind = self.random.choice(("query", "view", "query view", "stock"))
        elif self.theme == "qualified names":
            kind = self.random.choice(("query data", "schema both", "stock"))
        elif self.chance(0.15):
            kind = self.random.choice(("query", "delta"))
        if "view" in kind:
            self.views[f"view_of_{table}"] = table
        self.sources.append(Entry(f"in_{number}", kind, table))

    def _node(self, number: int) -> None:
        loaded = [entry.loaded_name for entry in self.sources if not entry.name.endswith("_before")]
        loaded += [entry.loaded_name for entry in self.entries] * 2
        wanted = self.random.sample(loaded, min(len(loaded), self.random.choice((0, 1, 1, 2, 2, 3))))
        inputs = tuple(dict.fromkeys(wanted))
        outputs = tuple(self._entry(f"{number}{letter}") for letter in "ab"[: self.random.choice((1, 1, 2))])
        if (
            self.theme == "streams"
            and self.chance(0.3)
            and outputs[0].kind in VISIBLE
            and not outputs[0].read_as
        ):
            # It reads its table as it was before.
            before = Entry(f"{outputs[0].name}_before", "stock", outputs[0].table)
            self.sources.append(before)
            inputs = (before.name, *inputs)
        parameters = self.random.sample(sorted(PARAMETERS), self.random.choice((0, 1, 1, 1, 2)))
        self.nodes.append(
            Node(
                f"n{number}", inputs, tuple(parameters), tuple(entry.saved_name for entry in outputs),
                constant=self.chance(0.05),
                empty=self.theme == "streams" and self.chance(0.2),
                # Chunks that would replace one another are refused.
                streams=self.theme == "streams" and outputs[-1].kind == "append" and len(outputs) == 1,
            )
        )  # fmt: skip
        self.entries += outputs

    def _entry(self, suffix: str) -> Entry:
        place = self.random.random()
        if place < 0.15:
            return Entry(f"m{suffix}", "memory")
        if place < 0.25:
            return Entry(f"f{suffix}", "csv")
        kind = self.random.choice(VISIBLE)
        if self.theme in KINDS and self.chance(0.5):
            kind = self.random.choice(KINDS[self.theme])
        if self.theme == "streams" and self.chance(0.4):
            kind = "append"
        name, declared, read_as = f"t{suffix}", "catalog", ""
        if self.chance(0.1 if self.theme != "late entries" else 0.3):
            declared, name = "factory", f"t{suffix}_{kind.replace(' ', '_')}"
        elif self.theme == "late entries" and self.chance(0.6):
            declared = "late"
        if self.chance(0.1):
            name = f"space.{name}"
        table = name.replace(".", "_")
        if declared == "catalog" and self.chance(0.5 if self.theme == "views" else 0.05):
            read_as = self.random.choice(READ_AS if self.theme == "views" else READ_AS[:2])
            if read_as == "view":
                self.views[f"view_of_{table}"] = table
        return Entry(name, kind, table, declared, read_as)

    def _steps(self) -> list[Step]:
        steps = [self._step() for _ in range(self.random.choice((0, 1, 1, 2)))]
        branch = "exp" if self.theme == "moved target" and self.chance(0.4) else ""
        failing = self._step(branch=branch, **self._failure())
        steps.append(failing)
        params = failing.params
        if self.chance(0.8 if self.theme == "parameters" else 0.05):
            params = self.random.choice(({}, self._params(), {**params, self._parameter(): 9}))
        start = self.random.choice(("advised", "advised", "advised", "earlier", "whole"))
        if self.theme == "some nodes":
            start = self.random.choice(("some", "later"))
        if self.chance(0.08):
            # Somewhere else in between: what is in files is that run's afterwards.
            steps.append(self._step(branch="elsewhere"))
        resumed = self._step(start=start, params=params, branch=branch)
        if self.chance(0.15):
            steps.append(Step(**{**vars(resumed), **self._failure()}))
            resumed = self._step(start="advised", params=params, branch=branch)
        steps.append(resumed)
        if (start in ("some", "later") or params != failing.params) and self.chance(0.6):
            # It is to be refused; then it is done as it should have been.
            steps.append(self._step(start="advised", params=failing.params, branch=branch))
        if self.chance({"moved target": 0.8, "views": 0.15}.get(self.theme, 0.02)):
            steps[-1] = Step(**{**vars(steps[-1]), **self._move()})
        if self.chance(0.3):
            steps.append(self._step(start=self.random.choice(("whole", "random"))))
        return steps

    def _step(self, **values: object) -> Step:
        runner = self.random.choice(RUNNERS)
        if runner == "ParallelRunner" and any(entry.kind in SINGLE_PROCESS for entry in self.entries):
            runner = "ThreadRunner"
        if self.theme == "nested":
            runner = "SequentialRunner"
        return Step(**{"params": self._params(), "runner": runner, **values})  # type: ignore[arg-type]

    def _params(self) -> dict[str, int]:
        names = self.random.sample(sorted(PARAMETERS), self.random.randint(0, len(PARAMETERS)))
        return {name: self.random.randint(2, 8) for name in sorted(names)}

    def _parameter(self) -> str:
        return self.random.choice(sorted(PARAMETERS))

    def _failure(self) -> dict[str, str]:
        # Later ones rather than the first: there is more to resume.
        node = max(self.random.choices(self.nodes, k=2), key=self.nodes.index)
        last = self._entry_of(node.outputs[-1])
        ways = ["begun"] + ["save"] * bool(last.table) + ["end"] * 2 * node.streams
        return {"fails": node.name, "how": self.random.choice(ways)}

    def _entry_of(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name.partition("@")[0])

    def _move(self) -> dict[str, str]:
        written = [entry.table for entry in self.entries if entry.table and entry.table != "inner_table"]
        read = [source.table for source in self.sources]
        table = self.random.choice((BYSTANDER, self.random.choice(read), self.random.choice(written or read)))
        return {"moves": table, "moved_by": self.random.choice(("", self.random.choice(self.nodes).name))}
