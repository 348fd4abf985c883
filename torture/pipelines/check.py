"""The invariant, held against one run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .case import BYSTANDER, PARAMETERS, TARGET, Case, Node
from .nodes import compute, rows
from .oracle import Scratch, computed
from .played import Played
from .sql import JOURNAL

# What nothing may be asked of but that it is right: it may be refused.
MAY_REFUSE_A_RUN = {"schema main"}
MAY_REFUSE_A_RESUME = {"own", "buried"}


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
    if not played.was_refused and not played.was_injected:
        yield f"ended in a traceback: {played.words}"
    elif not played.failed_as_planned and (why := _must_succeed(case, played)):
        yield f"was refused, {why}: {played.words}"
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
    journal = _parameters(played)
    parameters = journal or given
    if journal and journal != given and not played.resumes:
        yield f"the journal says {journal}, it was given {given}"
    played.made.update(computed(case, _nodes(case, played), parameters, played.tables, played.files))
    made = scratch.hashes(case, {**played.inner_tables, **played.made})
    expected = {**played.base.without_journal(), **made}
    for what, found in (
        ("the target", played.after[played.branch].without_journal()),
        ("the target's working set", _of_pipelines(played.after[played.branch].working)),
    ):
        # A column has a number inside Dolt, and gets another one where it is taken, by chance, in another
        # table that is there: then hashes differ, and nothing that can be seen.
        same = {
            table: expected[table]
            for table in made.keys() & found.keys()
            if found[table] == expected[table]
            or played.sql.content(table, played.branch) == scratch.contents[table]
        }
        if wrong := _different({**found, **same}, expected):
            yield f"{what} is not what the whole run computes with {parameters}: {wrong}"
            return
    yield from _of_the_lineage(case, played)
    yield from _of_what_is_returned(case, played)
    for name, loaded in played.seen.items():
        frame = played.made.get(case.entry(name).name)
        if frame is not None and loaded != rows(frame):
            yield f"{name}, as a hook found it after the run, is not what the run computed: {loaded!s:.200}"


def _of_the_lineage(case: Case, played: Played) -> Iterator[str]:
    columns = "node, dataset, direction, table_name, content_hash"
    for _, node, dataset, direction, table, content in played.new_rows(columns, "kedro_lineage"):
        if not table:
            continue
        there = played.after[played.branch] if direction == "save" else played.base
        unmoved = not played.moved or played.moved["table"] != table
        is_source = any(dataset == source.name for source in case.sources)
        if (direction == "save" or (is_source and unmoved)) and content != there.committed.get(table):
            yield f"the lineage says that {node} did {direction} {content} as {dataset}, which is not so"


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
            yield f"the branch {name} is gone"
            continue
        expected = before.committed
        if played.inner and name == TARGET:
            expected = {**before.without_journal(), **scratch.hashes(case, played.inner_tables)}
        elif after.head != before.head:
            yield f"{name} has got a commit"
        found = after.without_journal() if played.inner and name == TARGET else after.committed
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
    if case.ignored and "ignored_notes" not in played.after[TARGET].working:
        yield "the table that somebody ignores is gone from main"


def _nodes(case: Case, played: Played) -> list[Node]:
    """The nodes whose results the target must have."""
    whole = played.from_nodes is None or played.failed is not None
    return list(case.nodes) if whole else case.downstream(played.from_nodes or [])


def _must_succeed(case: Case, played: Played) -> str:
    """Why a run may not be refused; empty if it may."""
    kinds = {kind for entry in (*case.sources, *case.entries) for kind in (entry.kind, entry.read_as)}
    moved = played.moved and played.moved["table"]
    if kinds & MAY_REFUSE_A_RUN or case.theme == "nested" or (moved and moved != BYSTANDER):
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


def _parameters(played: Played) -> dict[str, int] | None:
    """The parameters that the new row of the journal on the target has; None if there is none."""
    for _, params, pipeline in played.new_rows("params, pipeline", "kedro_runs"):
        if pipeline != "inner":
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


def _of_pipelines(tables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tables.items() if name not in (*JOURNAL, "ignored_notes")}
