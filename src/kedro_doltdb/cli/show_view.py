"""What ``kedro dolt show`` prints: one run in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..journal.edges import inputs_of
from ..journal.parameters import leaves
from ..queries.runs import NO_EFFECT, UNDONE
from .check_view import check_sections
from .layout import BAD, CHANGED, GOOD, QUIET, Cell, Section, aligned, joined, styled
from .runs_view import mark
from .texts import duration, local_time, number, shown, whole

if TYPE_CHECKING:
    from ..dolt.repository import TableChange
    from ..journal.store import Edge
    from ..queries.runs import ListedRun
    from ..queries.show import ShownRun


def show_sections(run: ShownRun) -> list[Section]:
    """Return what ``kedro dolt show`` prints."""
    parts = (_facts, _parameters, _metrics, _saved, _read)
    sections = [section for part in parts if (section := part(run)).rows]
    return [*sections, *check_sections(run.checks)]


def _facts(shown_run: ShownRun) -> Section:
    entry = shown_run.listed.entry
    run = entry.run
    facts: list[tuple[str, Cell | None]] = [
        ("Run", run.run_id),
        ("Status", _outcome(shown_run.listed)),
        ("Failed in", ", ".join(map(shown, shown_run.listed.failed_nodes))),
        ("Error", run.error and styled(run.error, BAD)),
        ("Commit", entry.commit),
        ("Branch", f"{run.branch}, kept on {entry.found_on}" if not entry.published else run.branch),
        ("Started", local_time(run.started)),
        ("Took", duration(shown_run.listed.seconds)),
        ("Pipeline", run.pipeline),
        *((name.replace("_", " ").capitalize(), _listed(value)) for name, value in run.filters.items()),
        ("Environment", run.environment),
        ("Group", run.run_group),
        ("Began at", run.base),
        ("Resumed from", run.resumed_from),
        ("Code", code(run.git_commit)),
        ("MLflow", run.mlflow_url or run.mlflow_run_id),
        ("Versions", ", ".join(f"{name} {shown(version)}" for name, version in run.versions.items())),
    ]
    return Section("", ["", ""], [[styled(name, QUIET), value] for name, value in facts if value], folds=True)


def _outcome(run: ListedRun) -> Cell:
    words = {
        NO_EFFECT: ": it changed no data",
        UNDONE: f": it is no longer on {run.entry.found_on}, or was reverted there",
    }
    return joined(mark(run.outcome), f" {run.outcome}{words.get(run.outcome, '')}")


def _listed(values: Any) -> str:
    return ", ".join(map(shown, values)) if isinstance(values, list) else shown(values)


def code(git_commit: str | None) -> str | None:
    """Return a commit of the code in words; None for none."""
    if git_commit is None:
        return None
    commit = git_commit.removesuffix("-dirty")
    return commit if commit == git_commit else f"{commit}, with uncommitted changes"


def _parameters(shown_run: ShownRun) -> Section:
    run = shown_run.listed.entry.run
    given, values = leaves(run.runtime_params), leaves(run.params)
    rows = [[name, "--params" if name in given else "", whole(value)] for name, value in values.items()]
    return Section("Parameters", ["Parameter", "Given by", "Value"], rows, folds=True)


def _metrics(run: ShownRun) -> Section:
    values = aligned(number(value) for value in run.listed.metrics.values())
    rows = list(zip(run.listed.metrics, values, strict=True))
    return Section("Metrics", ["Metric", "Value"], rows, folds=True)


def _saved(run: ShownRun) -> Section:
    changes = {change.table: change for change in run.listed.changes}
    rows: list[list[Cell]] = []
    for edge in run.edges:
        if edge.direction == "save" and (edge.table_name or edge.file):
            change = changes.pop(edge.table_name or "", None)
            rows.append([edge.dataset, edge.node, counts(change) if edge.table_name else "", _content(edge)])
    # A table that no dataset tells of.
    rows += [[change.table, "-", counts(change), ""] for change in changes.values()]
    return Section("Saved", ["Dataset", "By", "Rows changed", "Content"], rows)


def _read(run: ShownRun) -> Section:
    rows = {
        edge.dataset: [edge.dataset, edge.table_name or edge.file or "", _content(edge)]
        for edge in inputs_of(run.edges)
        if edge.table_name or edge.file
    }
    return Section("Read", ["Dataset", "Table or file", "Content"], list(rows.values()))


def _content(edge: Edge) -> Cell:
    return styled((edge.content_hash or "").removeprefix("sha256:")[:10], QUIET)


def counts(change: TableChange | None) -> Cell:
    """Return how many rows of a table were added, removed and modified."""
    if change is None:
        return styled("none", QUIET)
    if change.dropped:
        return styled("dropped", BAD)
    numbers = [("+", change.added, GOOD), ("-", change.removed, BAD), ("~", change.modified, CHANGED)]
    parts = [styled(f"{sign}{count}", style) for sign, count, style in numbers if count]
    spaced = [part for number in parts for part in (" ", number)][1:]
    return joined(*spaced) if parts else styled("schema", CHANGED)
