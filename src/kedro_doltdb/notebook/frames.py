"""Runs and comparisons as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..journal.parameters import leaves

if TYPE_CHECKING:
    from ..dolt.row_diff import RowChange
    from ..queries.code import CodeDiff
    from ..queries.compare import Comparison
    from ..queries.runs import ListedRun

_COLUMNS = (
    "commit", "started", "seconds", "branch", "status", "outcome", "published", "error", "git_commit",
)  # fmt: skip


def runs_frame(runs: Sequence[ListedRun]) -> pd.DataFrame:
    """Return a row a run, by its id.

    Args:
        runs: the runs, in the order that the rows are to have.
    """
    rows = []
    for run in runs:
        known = run.to_json()
        rows.append(
            {
                **{name: known[name] for name in _COLUMNS},
                **{f"params.{name}": value for name, value in leaves(run.entry.run.params).items()},
                **{f"metrics.{name}": value for name, value in run.metrics.items()},
                "changes": ", ".join(map(str, run.changes)),
            }
        )
    # Parameters, then metrics, whichever run is the first that has them.
    names = dict.fromkeys(name for row in rows for name in row)
    found = [[name for name in names if name.startswith(start)] for start in ("params.", "metrics.")]
    frame = pd.DataFrame(rows, columns=[*_COLUMNS, *found[0], *found[1], "changes"])
    frame.index = pd.Index([run.entry.run.run_id for run in runs], name="run_id")
    frame["started"] = pd.to_datetime(frame["started"], utc=True)
    return frame


@dataclass(frozen=True)
class ComparisonFrames:
    """How two commits differ; a notebook shows it as a page.

    Attributes:
        old: the one, as it was called.
        new: the other.
        params: the parameters that differ, with their values ``old`` and ``new``.
        code: the files that differ between the code of the two, with git's letter as ``status``; None if the
            code is the same, or git does not have both.
        metrics: the metrics that differ, likewise, and the ``change``.
        tables: the tables that differ, with the numbers of rows ``added``, ``removed`` and ``modified``, and
            whether their ``schema`` differs.
        rows: by table, the first rows that differ.
    """

    old: str
    new: str
    params: pd.DataFrame
    code: pd.DataFrame | None
    metrics: pd.DataFrame
    tables: pd.DataFrame
    rows: Mapping[str, pd.DataFrame]

    @classmethod
    def of(cls, comparison: Comparison) -> ComparisonFrames:
        """Make frames of what ``kedro dolt compare`` prints."""
        metrics = _pairs(comparison.metrics, "metric").astype("float64")
        metrics["change"] = metrics["new"] - metrics["old"]
        changes = [
            (
                each.change.added,
                each.change.removed,
                each.change.modified,
                _schema(each.change.dropped, each.schema),
            )
            for each in comparison.tables
        ]
        names = pd.Index([each.change.table for each in comparison.tables], name="table")
        tables = pd.DataFrame(changes, names, ["added", "removed", "modified", "schema"])
        return cls(
            comparison.old.name,
            comparison.new.name,
            _pairs(comparison.params, "parameter"),
            _code(comparison.code),
            metrics,
            tables,
            {each.change.table: _rows(each.rows) for each in comparison.tables if each.rows},
        )

    def _titled(self) -> dict[str, pd.DataFrame]:
        frames = {
            "Parameters": self.params,
            "Code": self.code,
            "Metrics": self.metrics,
            "Tables": self.tables,
            **self.rows,
        }
        return {title: frame for title, frame in frames.items() if frame is not None and len(frame)}

    def __repr__(self) -> str:
        shown = [f"{self.old} → {self.new}"]
        shown += [f"{title}\n{frame}" for title, frame in self._titled().items()]
        return "\n\n".join(shown if len(shown) > 1 else [*shown, "No difference."])

    def _repr_html_(self) -> str:
        shown = [f"<p>{escape(self.old)} → {escape(self.new)}</p>"]
        for title, frame in self._titled().items():
            shown.append(f"<h4>{escape(title)}</h4>{frame._repr_html_()}")  # type: ignore[operator]
        return "\n".join(shown if len(shown) > 1 else [*shown, "<p>No difference.</p>"])


def _pairs(pairs: Mapping[str, tuple[Any, Any]], name: str) -> pd.DataFrame:
    rows = [list(pair) for pair in pairs.values()]
    return pd.DataFrame(rows, pd.Index(list(pairs), name=name), ["old", "new"])


def _code(diff: CodeDiff | None) -> pd.DataFrame | None:
    if diff is None or diff.files is None:
        return None
    paths = pd.Index([path for _, path in diff.files], name="file")
    return pd.DataFrame({"status": [status for status, _ in diff.files]}, paths)


def _schema(dropped: bool, lines: Sequence[str]) -> str:
    return "dropped" if dropped else "changed" if lines else ""


def _rows(rows: Sequence[RowChange]) -> pd.DataFrame:
    """Return rows that differ, by their key: their cells; of a modified row, what was there and what is."""
    paired = any(row.kind == "modified" for row in rows)
    found = []
    for row in rows:
        cells: dict[Any, Any] = {("diff_type", "") if paired else "diff_type": row.kind}
        for name, (old, new) in row.cells.items():
            if paired:
                cells[name, "old"], cells[name, "new"] = old, new
            else:
                cells[name] = old if row.kind == "removed" else new
        found.append(cells)
    frame = pd.DataFrame(found)
    if paired:
        frame.columns = pd.MultiIndex.from_tuples(
            list(dict.fromkeys(name for cells in found for name in cells))
        )
    if rows[0].key:
        frame.index = pd.MultiIndex.from_frame(pd.DataFrame([row.key for row in rows]))
        if frame.index.nlevels == 1:
            frame.index = frame.index.get_level_values(0)
    return frame
