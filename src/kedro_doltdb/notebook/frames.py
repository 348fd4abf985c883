"""Runs and comparisons as frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..journal.parameters import leaves

if TYPE_CHECKING:
    from ..dolt.row_diff import RowChange
    from ..queries.code import CodeDiff
    from ..queries.compare import Comparison, TableDiff
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
        params: a row for each parameter that differs, by ``parameter``: its values ``old`` and ``new``
            (object; None where there was none).
        code: a row for each ``file`` that differs between the code of the two, with git's letter as
            ``status``; None if the code is the same, or git does not have both.
        metrics: a row for each metric that differs, by ``metric``: ``old``, ``new``, ``change`` (float64).
        tables: a row for each table that differs, by ``table``: the numbers of rows ``added``, ``removed``
            and ``modified`` (int64), whether its ``schema`` is ``new``, ``dropped``, ``changed`` or the same
            (empty), and how many rows it has in all, ``old_rows`` and ``new_rows`` (Int64; missing where it
            is not there).
        rows: by table, a row for each of the first rows that differ, by primary key: ``diff_type``
            (``added``, ``removed`` or ``modified``), and of each column that differs in one of them a pair
            ``(column, "old")`` and ``(column, "new")``. Integers are Int64, floats float64, dates with a time
            datetime64; anything else is as the driver gives it, such as text, ``bytes`` and ``Decimal``.

    Example:
        The rows in which predictions differ, of the last two runs::

            kedro_doltdb.compare().rows["example_predictions"]
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
        return cls(
            comparison.old.name,
            comparison.new.name,
            _pairs(comparison.params, "parameter"),
            _code(comparison.code),
            metrics,
            _tables(comparison.tables),
            {each.change.table: _rows(each.rows, each.keys) for each in comparison.tables if each.rows},
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


def _tables(tables: Sequence[TableDiff]) -> pd.DataFrame:
    changes = [
        (each.change.added, each.change.removed, each.change.modified, each.schema_word) for each in tables
    ]
    names = pd.Index([each.change.table for each in tables], name="table")
    frame = pd.DataFrame(changes, names, ["added", "removed", "modified", "schema"])
    frame = frame.astype(dict.fromkeys(["added", "removed", "modified"], "int64"))
    frame["old_rows"] = pd.array([each.old_count for each in tables], "Int64")
    frame["new_rows"] = pd.array([each.new_count for each in tables], "Int64")
    return frame


def _rows(rows: Sequence[RowChange], keys: Sequence[str]) -> pd.DataFrame:
    """Return rows that differ, by their key: what was there, and what is."""
    kinds = pd.Series([row.kind for row in rows])
    columns: dict[tuple[str, str], pd.Series[Any]] = {("diff_type", ""): kinds}
    for name in dict.fromkeys(name for row in rows for name in row.cells):
        pairs = [row.cells.get(name) or (row.same.get(name),) * 2 for row in rows]
        columns[name, "old"] = _series(pair[0] for pair in pairs)
        columns[name, "new"] = _series(pair[1] for pair in pairs)
    frame = pd.concat(columns, axis=1)
    if keys:
        levels = [pd.Index(_series(row.key[name] for row in rows), name=name) for name in keys]
        frame.index = levels[0] if len(levels) == 1 else pd.MultiIndex.from_arrays(levels)
    return frame


def _series(values: Iterable[Any]) -> pd.Series[Any]:
    found = list(values)
    types = {type(value) for value in found if value is not None}
    # A larger one is no 64-bit integer, and a float would not be the same number.
    if types == {int} and all(value is None or -(2**63) <= value < 2**63 for value in found):
        return pd.Series(pd.array(found, "Int64"))
    if types == {float}:
        return pd.Series(found, dtype="float64")
    if types == {datetime}:
        return pd.Series(pd.to_datetime(pd.Series(found, dtype=object), errors="coerce"))
    return pd.Series(found, dtype=object)
