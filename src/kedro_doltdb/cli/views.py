"""What each command prints of what it has found, put into sections, a tree or JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .layout import Branch, Section
from .texts import local_time, number, shown

if TYPE_CHECKING:
    from ..journal.history import Point
    from ..journal.lineage import Origin
    from .blame import BlamedRow
    from .compare import Comparison, RowChange, TableDiff
    from .status import Status

_SIGNS = {"added": "+", "removed": "-", "modified": "~"}


def comparison_sections(comparison: Comparison) -> list[Section]:
    """What ``kedro dolt compare`` prints."""
    sections = [
        Section(
            "",
            ["", "Run or commit", "Commit", "Branch"],
            [_point("Old", comparison.old), _point("New", comparison.new)],
        )
    ]
    if comparison.params:
        rows = [
            [shown(name), *(_missing(value) for value in values)]
            for name, values in comparison.params.items()
        ]
        sections.append(Section("Parameters", ["Parameter", "Old", "New"], rows))
    if comparison.metrics:
        rows = [
            [shown(name), number(old), number(new), _change(old, new)]
            for name, (old, new) in comparison.metrics.items()
        ]
        sections.append(Section("Metrics", ["Metric", "Old", "New", "Change"], rows))
    if comparison.is_empty:
        return [*sections, Section("", [], [], "No difference in the data.")]
    rows = [
        [
            shown(table.change.table),
            *(
                str(count or "")
                for count in (table.change.added, table.change.removed, table.change.modified)
            ),
            "dropped" if table.change.dropped else "changed" if table.schema else "",
        ]
        for table in comparison.tables
    ]
    sections.append(Section("Tables", ["Table", "Added", "Removed", "Modified", "Schema"], rows))
    return [*sections, *(section for table in comparison.tables for section in _table_sections(table))]


def _point(which: str, point: Point) -> list[str]:
    branch = point.run.branch if point.run else None
    return [which, shown(point.name), point.commit[:10], shown(branch or "-")]


def _missing(value: Any) -> str:
    return "-" if value is None else shown(value)


def _change(old: float | None, new: float | None) -> str:
    return "-" if old is None or new is None else f"{new - old:+.6g}"


def _table_sections(table: TableDiff) -> list[Section]:
    sections = []
    name = shown(table.change.table)
    if table.schema:
        sections.append(
            Section(f"{name}: schema", ["", "Line"], [[line[0], shown(line[2:])] for line in table.schema])
        )
    if not table.comparable:
        note = "Its primary key is another one: the rows cannot be compared."
        return [*sections, Section(f"{name}: rows", [], [], note)]
    if not table.rows:
        return sections
    change = table.change
    more = change.added + change.removed + change.modified - len(table.rows)
    notes = []
    if more > 0:
        notes.append(f"{more} more: --table {name} --limit {more + len(table.rows)} shows them.")
    if not table.has_key:
        notes.append("It has no primary key: a changed row is one removed and one added.")
    rows = [[_SIGNS[row.kind], _key(row), _cells(row)] for row in table.rows]
    return [*sections, Section(f"{name}: rows", ["", "Key", "Cells"], rows, " ".join(notes))]


def _key(row: RowChange) -> str:
    return ", ".join(f"{shown(name)}={shown(value)}" for name, value in row.key.items()) or "-"


def _cells(row: RowChange) -> str:
    if row.kind == "modified":
        cells = (f"{shown(name)}: {shown(old)} → {shown(new)}" for name, (old, new) in row.cells.items())
    else:
        side = 0 if row.kind == "removed" else 1
        cells = (f"{shown(name)}: {shown(values[side])}" for name, values in row.cells.items())
    return ", ".join(cells)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """What ``kedro dolt compare --json`` prints."""

    def point(which: Point) -> dict[str, Any]:
        return {"name": which.name, "commit": which.commit, "run": which.run and which.run.to_json()}

    def pair(old: Any, new: Any) -> dict[str, Any]:
        return {"old": old, "new": new}

    return {
        "old": point(comparison.old),
        "new": point(comparison.new),
        "params": {name: pair(*values) for name, values in comparison.params.items()},
        "metrics": {name: pair(*values) for name, values in comparison.metrics.items()},
        "tables": [
            {
                **table.change.to_json(),
                "schema": table.schema,
                "has_key": table.has_key,
                "comparable": table.comparable,
                "rows": [
                    {
                        "kind": row.kind,
                        "key": row.key,
                        "cells": {name: pair(*values) for name, values in row.cells.items()},
                    }
                    for row in table.rows
                ],
            }
            for table in comparison.tables
        ],
    }


def blame_section(rows: Iterable[BlamedRow]) -> Section:
    """What ``kedro dolt blame`` prints."""
    cells = [
        [
            ", ".join(f"{shown(name)}={shown(value)}" for name, value in row.key.items()),
            row.commit[:10],
            local_time(row.date),
            shown(row.author),
            shown(row.run_id or "-"),
            # A run's message says no more than that it is the run's.
            "-" if row.run_id else shown(row.message),
        ]
        for row in rows
    ]
    return Section("", ["Row", "Commit", "Date", "Author", "Run", "Message"], cells)


def lineage_tree(origin: Origin) -> Branch:
    """Return what ``kedro dolt lineage`` prints."""
    content = f"  {origin.content_hash[:17]}" if origin.content_hash else ""
    label = f"{shown(origin.dataset)}{content}"
    if origin.run_id:
        label += f"  ← {shown(origin.node or '-')} in run {shown(origin.computed_by or origin.run_id)}"
        if origin.computed_by:
            label += f", resumed by {shown(origin.run_id)}"
    elif origin.commit:
        label += f"  ← no run; commit {shown(origin.commit)}"
    if origin.note:
        label += f"  ({origin.note})"
    return Branch(label, [lineage_tree(loaded) for loaded in origin.inputs])


def status_sections(status: Status) -> list[Section]:
    """What ``kedro dolt status`` prints."""
    last = status.last
    about = f"{last.run.run_id} ({last.commit[:10]})" if last else "none"
    rows = [["Branch", shown(status.branch)], ["Last run", about]]
    if status.remote:
        far = status.distance
        known = f"{far.ahead} ahead, {far.behind} behind, as last pulled or pushed" if far else "never seen"
        rows.append([shown(status.remote), known])
    if status.merging:
        held_up = ", ".join(map(shown, status.unmerged))
        rows.append(
            ["Merging", shown(status.merging) + (f", with conflicts in {held_up}" if held_up else "")]
        )
    way_out = "Finish the merge with `dolt commit`, or undo it with `dolt merge --abort`."
    sections = [Section("", ["", ""], rows, way_out if status.merging else "")]
    if status.uncommitted:
        rows = [[str(change)] for change in status.uncommitted]
        sections.append(Section("Uncommitted edits", ["Table"], rows, "`dolt diff` shows them."))
    else:
        sections.append(Section("", [], [], "No uncommitted edits."))
    if status.changed_inputs:
        rows = [[shown(name)] for name in status.changed_inputs]
        sections.append(Section("Changed since the last run read them", ["Dataset"], rows))
    elif last:
        sections.append(Section("", [], [], "What the last run read is as it was."))
    if status.ahead:
        rows = [[shown(name), str(count)] for name, count in status.ahead.items()]
        way_out = (
            "Bring one here with `kedro dolt adopt <branch>`, or delete it with `dolt branch -D <branch>`."
        )
        sections.append(Section("Ahead of this branch", ["Branch", "Commits"], rows, way_out))
    if status.unknown_tables:
        rows = [[shown(name)] for name in status.unknown_tables]
        way_out = (
            "If a dataset has another name now, keep its history with `RENAME TABLE <old> TO <new>` in "
            "`dolt sql`; if it is gone, `DROP TABLE <old>`. Then commit."
        )
        sections.append(Section("In no entry of the catalog", ["Table"], rows, way_out))
    return sections
