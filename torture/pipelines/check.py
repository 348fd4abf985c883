"""The invariant, held against one run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kedro_doltdb.errors import DoltError

from .case import PARAMETERS, Case, Node, Step
from .nodes import InjectedError, compute, rows
from .oracle import Scratch, computed
from .sql import JOURNAL, Branch, Sql

# What nothing may be asked of but that it is right: it may be refused.
MAY_REFUSE_A_RUN = {"schema main", "schema both", "schema save", "schema load", "query data"}
MAY_REFUSE_A_RESUME = {"own", "buried"}


@dataclass
class Played:
    """A run and what was found before and after it.

    Attributes:
        step: the run.
        branch: its target.
        from_nodes: what it was given as ``--from-nodes``.
        error: what it raised.
        returned: what ``session.run()`` returned.
        seen: the rows that a hook found when the run had ended, by the dataset.
        before: the branches before it, a move during it included.
        after: the branches after it.
        tables: the frames of the target that it begins with, a move included.
        files: the datasets in files that it begins with.
        moved: the table that somebody else changed, and its hash.
        failed: the run that failed before it on the target and can be resumed.
        inner: the pipeline inside it was published.
        sql: the repository.
        made: what it has to have computed, by the dataset.
        inner_tables: what the pipeline inside it has computed.
    """

    step: Step
    branch: str
    from_nodes: list[str] | None
    error: BaseException | None
    returned: dict[str, Any]
    seen: dict[str, object]
    before: Mapping[str, Branch]
    after: Mapping[str, Branch]
    tables: dict[str, pd.DataFrame]
    files: dict[str, pd.DataFrame]
    moved: Mapping[str, str] | None
    failed: Step | None
    inner: bool
    sql: Sql
    made: dict[str, pd.DataFrame] = field(default_factory=dict)
    inner_tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def resumes(self) -> bool:
        """Whether it goes on from a failed run."""
        return self.from_nodes is not None and self.failed is not None

    @property
    def failed_as_planned(self) -> bool:
        """Whether it failed because a node was made to."""
        return self.error is not None and bool(self.step.fails) and not _is_refusal(self.error)


def complaints_of(case: Case, played: Played, scratch: Scratch) -> list[str]:
    """What is wrong after a run; nothing, if all is well."""
    if played.inner:
        node = case.inner[0]
        played.inner_tables["inner_table"] = compute(node, [], [PARAMETERS["p2"]])[0]
    return [
        *(_of_a_failure(case, played) if played.error is not None else _of_a_success(case, played, scratch)),
        *_of_other_branches(case, played, scratch),
        *_of_leavings(case, played),
    ]


def _of_a_failure(case: Case, played: Played) -> Iterator[str]:
    assert played.error is not None
    if not played.failed_as_planned and not _is_refusal(played.error) and not _is_injected(played.error):
        yield f"ended in {type(played.error).__name__}: {str(played.error)[:300]}"
    elif not played.failed_as_planned and (why := _must_succeed(case, played)):
        yield f"was refused, {why}: {_words(played.error)}"
    own = [name for name in played.after if name.startswith("kedro/") and name not in played.before]
    if len(own) > 1 + played.inner:
        yield f"left the branches {own}"


def _of_a_success(case: Case, played: Played, scratch: Scratch) -> Iterator[str]:
    step = played.step
    run = case.nodes if played.from_nodes is None else case.downstream(played.from_nodes)
    if any(node.name == step.fails for node in run):
        yield "ended well, although a node failed"
        return
    if own := [name for name in played.after if name.startswith("kedro/") and name not in played.before]:
        yield f"left the branches {own}"
    if played.branch not in played.after:
        yield f"there is no branch {played.branch}"
        return
    given = {**PARAMETERS, **step.params}
    journal = _journal(played)
    parameters = journal or given
    if journal and journal != given and not played.resumes:
        yield f"the journal says {journal}, it was given {given}"
    played.made.update(computed(case, _nodes(case, played), parameters, played.tables, played.files))
    expected = {
        **(
            played.before[played.branch] if played.branch in played.before else played.before["main"]
        ).without_journal(),
        **scratch.hashes(case, {**played.inner_tables, **played.made}),
    }
    for what, found in (
        ("the target", played.after[played.branch].without_journal()),
        ("the target's working set", _without(played.after[played.branch].working, case)),
    ):
        if wrong := _different(found, expected):
            yield f"{what} is not what the whole run computes with {parameters}: {wrong}"
            return
    yield from _of_what_is_returned(case, played)
    for name, loaded in played.seen.items():
        made = played.made.get(case.entry(name).name)
        if made is not None and loaded != rows(made):
            yield f"{name}, as a hook found it after the run, is not what the run computed: {loaded!s:.200}"


def _of_what_is_returned(case: Case, played: Played) -> Iterator[str]:
    for name, dataset in played.returned.items():
        entry = case.entry(name)
        if not entry.table or entry.name not in played.made or entry.read_as:
            continue
        try:
            found = rows(dataset.load())
        except Exception as error:
            yield f"{name}, which run() returned, cannot be loaded: {str(error)[:300]}"
            continue
        if found != rows(played.made[entry.name]):
            yield f"{name}, which run() returned, is not what the run computed"


def _of_other_branches(case: Case, played: Played, scratch: Scratch) -> Iterator[str]:
    for name, before in played.before.items():
        after = played.after.get(name)
        if name == played.branch and played.error is None:
            continue
        if after is None:
            # A run that is resumed, or superseded, may take its branch along.
            if not name.startswith("kedro/"):
                yield f"the branch {name} is gone"
            continue
        expected = before.committed
        if played.inner and name == "main":
            expected = {**before.without_journal(), **scratch.hashes(case, played.inner_tables)}
        elif after.head != before.head:
            yield f"{name} has got a commit"
        found = after.without_journal() if played.inner else after.committed
        if wrong := _different(found, expected):
            yield f"{name} has changed: {wrong}"
        if not played.inner and (wrong := _different(after.working, before.working)):
            yield f"the working set of {name} has changed: {wrong}"
    new = set(played.after) - set(played.before) - {played.branch if played.error is None else ""}
    if strange := sorted(name for name in new if not name.startswith("kedro/")):
        yield f"there are the branches {strange}"


def _of_leavings(case: Case, played: Played) -> Iterator[str]:
    for name, branch in played.after.items():
        if left := sorted(set(branch.uncommitted) - {"ignored_notes"}):
            yield f"uncommitted on {name}: {left}"
    if case.ignored and "ignored_notes" not in played.after["main"].working:
        yield "the table that somebody ignores is gone from main"


def _nodes(case: Case, played: Played) -> list[Node]:
    """The nodes whose results the target must have."""
    whole = played.from_nodes is None or played.failed is not None
    return list(case.nodes) if whole else case.downstream(played.from_nodes or [])


def _must_succeed(case: Case, played: Played) -> str:
    """Why a run may not be refused; empty if it may."""
    kinds = {kind for entry in (*case.sources, *case.entries) for kind in (entry.kind, entry.read_as)}
    moved = played.moved and played.moved["table"]
    if kinds & MAY_REFUSE_A_RUN or case.theme == "nested" or (moved and moved != "bystander"):
        return ""
    if moved and any("query" in kind or "view" in kind for kind in kinds):
        return ""
    if moved and kinds & MAY_REFUSE_A_RESUME:
        return ""
    if not played.resumes:
        return "" if played.step.start == "random" else "a whole run"
    assert played.failed is not None
    same = {**PARAMETERS, **played.failed.params} == {**PARAMETERS, **played.step.params}
    if not same or played.step.start not in ("advised", "earlier") or kinds & MAY_REFUSE_A_RESUME:
        return ""
    if any(entry.declared == "late" for entry in case.entries):
        return ""
    if any(step.branch == "elsewhere" for step in case.steps):
        return ""
    return "a resume as Kedro advises it"


def _journal(played: Played) -> dict[str, int] | None:
    """The parameters that the new row of the journal on the target has; None if there is none."""
    head = played.after[played.branch].head
    if "kedro_runs" not in played.after[played.branch].committed:
        return None
    statement = "SELECT run_id, params, pipeline FROM kedro_runs"
    before = played.before.get(played.branch, played.before["main"])
    old = (
        {row[0] for row in played.sql.rows(statement, before.head)}
        if "kedro_runs" in before.committed
        else set()
    )
    for run_id, params, pipeline in played.sql.rows(statement, head):
        if run_id not in old and pipeline != "inner":
            values = json.loads(params)
            return {name: _get(values, name) for name in PARAMETERS}
    return None


def _get(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _different(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    missing = sorted(set(expected) - set(found))
    more = sorted(set(found) - set(expected))
    other = sorted(name for name in set(found) & set(expected) if found[name] != expected[name])
    words = (("missing", missing), ("too many", more), ("different", other))
    return "; ".join(f"{word} {', '.join(names)}" for word, names in words if names)


def _without(tables: Mapping[str, str], case: Case) -> dict[str, str]:
    return {name: value for name, value in tables.items() if name not in (*JOURNAL, "ignored_notes")}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_refusal(error: BaseException) -> bool:
    # Kedro itself refuses to begin at a node that reads what is in no catalog.
    by_kedro = isinstance(error, ValueError) and "Pipeline input(s)" in str(error)
    by_us = any(isinstance(one, DoltError) for one in _chain(error))
    return (by_us or by_kedro) and not _is_injected(error)


def _is_injected(error: BaseException) -> bool:
    return any(isinstance(one, InjectedError) or "InjectedError" in str(one) for one in _chain(error))


def _words(error: BaseException) -> str:
    with suppress(StopIteration):
        return next(str(one) for one in _chain(error) if isinstance(one, DoltError))[:300]
    return str(error)[:300]
