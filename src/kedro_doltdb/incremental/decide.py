"""Which nodes of a pipeline run, are taken from another run, or are skipped, and why: the decision alone.

Nothing here asks Dolt or Kedro. A node is skipped if an execution is on record with the same recipe (code,
parameters, catalog entries), inputs of the same content, and outputs of the content that they have now. If
only the outputs differ, they are taken from where that content is. Whatever is not known is not equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..journal.parameters import differences
from ..terminal import first_of

if TYPE_CHECKING:
    from typing import Any

    from ..journal.store import Execution
    from .facts import Facts

RUN, SKIP, TAKE, PERHAPS = "run", "skip", "take", "perhaps"


@dataclass(frozen=True)
class Known:
    """An execution on record.

    Attributes:
        run_id: the run in which it is recorded.
        execution: its row.
        ref: the commit or branch whose journal it is in.
    """

    run_id: str
    execution: Execution
    ref: str

    @property
    def computed_by(self) -> str:
        """The run that did compute it."""
        return self.execution.computed_by or self.run_id


@dataclass(frozen=True)
class Last:
    """The last execution of a node on the branch, as far as it says why the node runs now.

    Attributes:
        execution: its row.
        loads: the content of what it loaded, by dataset.
        saves: the content of what it saved, by dataset.
        params: the parameters of its run.
        run_id: that run.
    """

    execution: Execution
    loads: Mapping[str, str | None]
    saves: Mapping[str, str | None]
    params: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True)
class Decision:
    """What becomes of a node.

    Attributes:
        node: its name.
        action: ``run``, ``skip``, ``take``; or ``perhaps``, if what it loads is still to be saved.
        why: the reason, for people.
        known: the execution that is skipped or taken.
        outputs: of what is taken, the content by dataset.
    """

    node: str
    action: str
    why: str
    known: Known | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


def content_key(contents: Mapping[str, str | None]) -> str | None:
    """Return one hash of the content of several datasets; None if one is not known.

    Args:
        contents: by dataset.
    """
    if None in contents.values():
        return None
    return hashlib.sha256(json.dumps(sorted(contents.items())).encode()).hexdigest()


class Decider:
    """Decides node after node, as far as what they load is known.

    Args:
        facts: what is known of the nodes, in an order in which they can run.
        contents: the content of each dataset now; None or nothing where that is not known.
        records: the executions on record by recipe, those to prefer first.
        takeable: gives what a node of that record saved, by dataset, if it can be had; None if not.
        explain: gives the reason why a node runs that could have been skipped.
        forced: why all nodes run, if they do.
    """

    def __init__(
        self,
        facts: Sequence[Facts],
        contents: Mapping[str, str | None],
        records: Mapping[str, Sequence[Known]],
        takeable: Callable[[Facts, Known], Mapping[str, str] | None],
        explain: Callable[[Facts, Mapping[str, str | None]], str],
        forced: str = "",
    ) -> None:
        self.decisions: dict[str, Decision] = {}
        self._facts = facts
        self._contents = dict(contents)
        self._records = records
        self._takeable = takeable
        self._explain = explain
        self._forced = forced
        self._makers = {dataset: one.node for one in facts for dataset in one.saves}
        self._finished: set[str] = set()

    @property
    def contents(self) -> Mapping[str, str | None]:
        """The content of each dataset as it is known by now."""
        return self._contents

    @property
    def is_done(self) -> bool:
        """Whether all nodes are decided and what runs has run."""
        return len(self._finished) == len(self._facts)

    def next(self) -> list[Decision]:
        """Return what can be decided now: what runs can run together. Call :meth:`ran` when it has."""
        found = []
        running: set[str] = set()
        for facts in self._facts:
            if facts.node in self.decisions:
                continue
            makers = {self._makers[one] for one in facts.loads if one in self._makers}
            records = [] if self._forced or facts.untold else self._records.get(facts.recipe or "", [])
            if not records and makers <= self._finished | running:
                decision = Decision(facts.node, RUN, self._forced or self._why(facts))
            elif makers <= self._finished:
                decision = self._decide(facts, records)
            else:
                continue
            if decision.action == RUN:
                running.add(facts.node)
            else:
                self._finished.add(facts.node)
                self._contents.update(decision.outputs)
            self.decisions[facts.node] = decision
            found.append(decision)
        return found

    def ran(self, nodes: Iterable[str], contents: Mapping[str, str | None]) -> None:
        """Take in what nodes that ran have saved.

        Args:
            nodes: their names.
            contents: the content of what they saved, by dataset.
        """
        self._finished.update(nodes)
        self._contents.update(contents)

    def foretell(self) -> list[Decision]:
        """Decide for all nodes without running any; what depends on that runs perhaps."""
        open_ended: set[str] = set()
        while not self.is_done:
            for decision in self.next():
                if decision.action == RUN:
                    facts = next(one for one in self._facts if one.node == decision.node)
                    upon = sorted({one for one in facts.loads if one in open_ended})
                    if upon and self._records.get(facts.recipe or "") and not self._forced:
                        makers = ", ".join(dict.fromkeys(self._makers[one] for one in upon))
                        why = f"input {', '.join(upon)}: only if {makers} changes it"
                        self.decisions[facts.node] = Decision(facts.node, PERHAPS, why)
                    open_ended.update(facts.saves)
                    self.ran([facts.node], dict.fromkeys(facts.saves))
        return [self.decisions[one.node] for one in self._facts]

    def _decide(self, facts: Facts, records: Sequence[Known]) -> Decision:
        inputs = content_key({one: self._contents.get(one) for one in facts.loads})
        outputs = content_key({one: self._contents.get(one) for one in facts.saves})
        fitting = [one for one in records if inputs and one.execution.inputs == inputs]
        for known in fitting:
            if outputs and known.execution.outputs == outputs:
                return Decision(facts.node, SKIP, f"as run {known.computed_by} left it", known)
        for known in fitting:
            if known.execution.outputs and (saved := self._takeable(facts, known)) is not None:
                return Decision(facts.node, TAKE, f"run {known.computed_by} computed it", known, saved)
        return Decision(facts.node, RUN, self._why(facts))

    def _why(self, facts: Facts) -> str:
        return facts.untold or self._explain(facts, self._contents)


def explain(
    facts: Facts,
    contents: Mapping[str, str | None],
    last: Last | None,
    params: Mapping[str, Any],
    describe: Callable[[str], str],
    package: str = "",
) -> str:
    """Return why a node runs.

    Args:
        facts: what is known of it.
        contents: the content of the datasets now.
        last: its last execution on the branch; None if there is none.
        params: the parameters of this run, as the journal keeps them.
        describe: says how the content of an input differs from what it was.
        package: the project's package, which is left out of names.
    """
    if last is None:
        return "no run of it is on record on this branch"
    if last.execution.recipe is None:
        return f"its last run cannot be compared: {last.execution.untold or 'it is not known what it ran'}"
    found = [*_code(facts.code, last.execution.code, package), *_params(facts, last, params)]
    found += [
        f"catalog entry of {name} changed" for name in _differing(facts.entries, last.execution.entries)
    ]
    for name in sorted(facts.loads):
        if contents.get(name) is None or contents.get(name) != last.loads.get(name):
            found.append(f"input {name}: {describe(name)}")
    if not found:
        for name in facts.saves:
            if contents.get(name) is None:
                found.append(f"output {name} is not there")
            elif contents.get(name) != last.saves.get(name):
                found.append(f"output {name} is not as it was saved")
    return "; ".join(found) or "its last run cannot be compared"


def _code(now: Mapping[str, str], then: Mapping[str, str], package: str) -> list[str]:
    names = [name for name in _differing(now, then) if name]
    shown = [name.removeprefix(f"{package}.") for name in names if "(as node" not in name]
    # A lambda's name has its hash in it.
    shown = list(dict.fromkeys(name.partition("~")[0] for name in shown))
    if not shown:
        return ["its code changed"] if _differing(now, then) else []
    return [f"code of {first_of([f'`{name}`' for name in shown], 3)} changed"]


def _params(facts: Facts, last: Last, params: Mapping[str, Any]) -> list[str]:
    found = []
    for name in _differing(facts.params, last.execution.params):
        values = differences(last.params, params)
        inside = {
            leaf: pair
            for leaf, pair in values.items()
            if name == "parameters" or f"{leaf}.".startswith(f"{name}.") or name.startswith(f"{leaf}.")
        }
        found += [f"parameter {leaf} {then!r} → {now!r}" for leaf, (then, now) in inside.items()]
        if not inside:
            found.append(f"parameter {name} changed")
    return found


def _differing(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
