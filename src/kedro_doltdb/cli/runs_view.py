"""What ``kedro dolt runs`` prints: one line a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ..queries.runs import NO_EFFECT, UNDONE, ListedRun, differing_parameters
from .layout import BAD, CHANGED, GOOD, QUIET, Cell, Column, Data, Listing, aligned, joined, styled
from .texts import LONGEST, ROOMY, around, duration, elided_name, moment, number, shown, whole

# What a run's outcome is marked with, and the colour of it.
MARKS = {
    "succeeded": ("✓", GOOD),
    "failed": ("✗", BAD),
    "interrupted": ("■", CHANGED),
    "refused": ("⊘", CHANGED),
    NO_EFFECT: ("=", QUIET),
    UNDONE: ("↶", CHANGED),
}
_ABSENT = object()


def mark(outcome: str) -> Cell:
    """Return the mark of a run's outcome; a question mark for one that is not known."""
    return styled(*MARKS.get(outcome, ("?", CHANGED)))


def runs_listing(
    runs: Sequence[ListedRun], total: int, now: datetime, width: int, *, sort: str | None = None,
    wide: bool = False,
) -> Listing:  # fmt: skip
    """Return the list of ``kedro dolt runs``.

    Args:
        runs: those that are listed, in their order.
        total: how many there are.
        now: what counts as the present, UTC.
        width: of the terminal; names and values are shortened to a part of it.
        sort: the metric by which they are sorted.
        wide: whether everything is shown in full.
    """
    params, metrics = _parameters(runs), _metrics(runs, sort)
    name, value = (width // 8, width // 6) if not wide else (LONGEST, LONGEST)
    short = width < ROOMY and not wide
    entries = [run.entry for run in runs]
    groups = [
        f"{elided_name(run.entry.run.run_id, name)} ({len(run.group)})" if run.group else "" for run in runs
    ]
    code = [_code(run) for run in runs]
    columns = [
        Column("  Commit", [_commit(run) for run in runs]),
        Column("When", [moment(entry.run.started, now, short=short) for entry in entries]),
        Column("Took", [duration(run.seconds) for run in runs], right=True),
        Column("Branch", [elided_name(entry.run.branch or "-", name) for entry in entries]),
    ]
    if any(groups):
        # After the first parameter and the first metric.
        columns.append(Column("Group", groups, rank=4))
    # The parameter that was tried most, and the first metric, then the next of each.
    for rank, (header, values) in enumerate(params.items()):
        columns.append(Column(header, _short(values, value), rank=2 * rank + 2))
    for rank, (header, numbers) in enumerate(metrics.items()):
        texts = aligned("" if value is None else number(value) for value in numbers)
        columns.append(Column(header, texts, rank=2 * rank + 3))
    columns.append(Column("Rows", [_rows(run) for run in runs], right=True))
    if any(map(str, code)):
        columns.append(Column("Code", code))
    if any(run.tags for run in runs):
        columns.append(Column("Tags", [elided_name(", ".join(map(shown, run.tags)), name) for run in runs]))
    if any(run.checks for run in runs):
        columns.append(Column("Checks", [styled(", ".join(run.checks), CHANGED) for run in runs]))
    if wide:
        columns += _wide(runs)
    return Listing(columns, _data(runs, params, metrics), _notes(runs, total), more=" with --wide")


def _commit(run: ListedRun) -> Cell:
    return joined(mark(run.outcome), " ", styled(run.entry.commit[:10], _style(run)))


def _style(run: ListedRun) -> str:
    """Return how to show what is not on the branch: it was not published, or undone."""
    return "" if run.entry.published and not run.entry.undone else QUIET


def _parameters(runs: Sequence[ListedRun]) -> dict[str, list[Any]]:
    """Return the parameters that differ, those with the most values first, and of each that of each run."""
    by_run = differing_parameters(runs)
    names = dict.fromkeys(name for params in by_run for name in params)
    found = {name: [params.get(name, _ABSENT) for params in by_run] for name in names}
    return dict(sorted(found.items(), key=lambda item: -_distinct(item[1])))


def _metrics(runs: Sequence[ListedRun], sort: str | None) -> dict[str, list[float | None]]:
    """Return the metrics, those that are the same in all runs last, and of each that of each run."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    found = {name: [run.metrics.get(name) for run in runs] for name in names}

    def order(item: tuple[str, list[float | None]]) -> tuple[bool, bool]:
        name, values = item
        return name != sort, _distinct(value for value in values if value is not None) < 2

    return dict(sorted(found.items(), key=order))


def _distinct(values: Iterable[Any]) -> int:
    return len({json.dumps(value, sort_keys=True, default=str) for value in values})


def _short(values: Sequence[Any], longest: int) -> list[str]:
    short = iter(around([whole(value) for value in values if value is not _ABSENT], longest))
    return ["" if value is _ABSENT else next(short) for value in values]


def _rows(run: ListedRun) -> Cell:
    text = "schema" if run.changes and not run.rows else number(run.rows)
    return styled(text, _style(run))


def _code(run: ListedRun) -> Cell:
    """Return the git commit where it changed, with a star if there were uncommitted changes."""
    commit = run.entry.run.git_commit
    if not commit or run.code_changed is False:
        return ""
    dirty = "*" if commit.endswith("-dirty") else ""
    return styled(commit[:7] + dirty, CHANGED if run.code_changed else QUIET)


def _wide(runs: Sequence[ListedRun]) -> list[Column]:
    columns = [
        Column("Run", [run.entry.run.run_id for run in runs]),
        Column("Kept on", ["" if run.entry.published else run.entry.found_on for run in runs]),
        Column("Changes", [", ".join(map(str, run.changes)) for run in runs]),
        Column("MLflow", [run.entry.run.mlflow_url or run.entry.run.mlflow_run_id or "" for run in runs]),
        Column("Failed in", [", ".join(map(shown, run.failed_nodes)) for run in runs]),
        Column("Error", [shown(run.entry.run.error) if run.entry.run.error else "" for run in runs]),
    ]
    return [column for column in columns if any(map(str, column.cells))]


def _notes(runs: Sequence[ListedRun], total: int) -> list[Cell]:
    notes: list[Cell] = []
    outcomes = {run.outcome for run in runs}
    legend = [joined(mark(name), f" {name}  ") for name in MARKS if name in outcomes and name != "succeeded"]
    if legend:
        notes.append(joined(*legend, "see kedro dolt show COMMIT"))
    if len(runs) < total:
        notes.append(f"{len(runs)} of {total}: --limit 0 lists all.")
    return notes


def _data(
    runs: Sequence[ListedRun], params: dict[str, list[Any]], metrics: dict[str, list[float | None]]
) -> Data:
    headers = [
        "run_id", "commit", "started", "seconds", "branch", "group", "runs", "status", "outcome",
        "failed_nodes", "error", "published", "git_commit", "code_changed", "rows_added", "rows_removed",
        "rows_modified", "tables", "checks", "tags", "mlflow_run_id", "mlflow_url",
    ]  # fmt: skip
    rows = []
    for position, run in enumerate(runs):
        entry = run.entry
        as_json = entry.run.to_json()
        rows.append(
            [
                entry.run.run_id, entry.commit, as_json["started"], run.seconds, entry.run.branch,
                entry.run.run_group, len(run.group) or 1, entry.run.status, run.outcome,
                ", ".join(run.failed_nodes) or None, entry.run.error,
                _word(entry.published), entry.run.git_commit, _word(run.code_changed),
                *(sum(getattr(c, kind) for c in run.changes) for kind in ("added", "removed", "modified")),
                ", ".join(map(str, run.changes)), ", ".join(run.checks) or None,
                ", ".join(run.tags) or None, entry.run.mlflow_run_id, entry.run.mlflow_url,
                *(_plain(values[position]) for values in params.values()),
                *(values[position] for values in metrics.values()),
            ]
        )  # fmt: skip
    names = [*(f"params.{name}" for name in params), *(f"metrics.{name}" for name in metrics)]
    return Data([*headers, *names], rows)


def _word(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | bool):
        return json.dumps(value, ensure_ascii=False)
    return None if value is _ABSENT else value
