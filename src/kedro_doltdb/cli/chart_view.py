"""What ``kedro dolt runs --chart`` prints: a metric over the runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from ..errors import ConfigError
from ..queries.runs import ListedRun
from .layout import QUIET, STRONG, Cell, Column, Data, Listing, aligned, joined, styled
from .runs_view import mark
from .texts import elided_name, moment, number

_NARROWEST, _WIDEST = 10, 60


def chart_listing(runs: Sequence[ListedRun], metric: str, now: datetime, width: int) -> Listing:
    """Return a line a run, the latest first, on which a point stands for its metric.

    Args:
        runs: those that are listed.
        metric: the metric.
        now: what counts as the present, UTC.
        width: of the terminal.

    Raises:
        ConfigError: none of the runs has that metric.
    """
    values = [run.metrics.get(metric) for run in runs]
    there = [value for value in values if value is not None and math.isfinite(value)]
    if not there:
        known = sorted({name for run in runs for name in run.metrics})
        there_is = (
            f"there is {', '.join(known)}" if known else "name their tables under `metrics` in dolt.yml"
        )
        raise ConfigError(f"No run has the metric {metric}: {there_is}.")
    columns = [
        Column("  Commit", [joined(mark(run.outcome), f" {run.entry.commit[:10]}") for run in runs]),
        Column("When", [moment(run.entry.run.started, now, short=True) for run in runs]),
        Column("Branch", [elided_name(run.entry.run.branch or "-", width // 8) for run in runs], rank=1),
        Column(metric, aligned("" if value is None else number(value) for value in values)),
    ]
    room = min(max(width - 65, _NARROWEST), _WIDEST)
    low, high = min(there), max(there)
    columns.append(Column("", [_line(value, low, high, room) for value in values]))
    data = Data(
        ["run", "commit", "started", metric],
        [
            [run.entry.run.run_id, run.entry.commit, run.entry.run.started, value]
            for run, value in zip(runs, values, strict=True)
        ],
    )
    return Listing(columns, data, [f"From {number(low)} on the left to {number(high)} on the right."])


def _line(value: float | None, low: float, high: float, room: int) -> Cell:
    if value is None or not math.isfinite(value):
        return ""
    # Halved, for the difference of two floats may be larger than any.
    span = high / 2 - low / 2
    place = round((value / 2 - low / 2) / span * (room - 1)) if span else 0
    return joined(styled("─" * place, QUIET), styled("●", STRONG), styled("─" * (room - 1 - place), QUIET))
