"""What ``kedro dolt compare`` prints: parameters, code, metrics, data; what was in red, what is in green."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..queries.nodes import MOST_NODES
from ..terminal import first_of
from .check_view import check_sections
from .layout import BAD, CHANGED, GOOD, Cell, Section, aligned, joined, styled
from .show_view import counts
from .texts import LONGEST, elided, moment, number, pair, shown

if TYPE_CHECKING:
    from ..dolt.row_diff import RowChange
    from ..journal.revision import Point
    from ..queries.compare import Comparison, TableDiff

_SIGNS = {"added": ("+", GOOD), "removed": ("-", BAD), "modified": ("~", CHANGED)}
_LETTERS = {"A": GOOD, "D": BAD}
_MOST_FILES = 20


def comparison_sections(comparison: Comparison, now: datetime, width: int) -> list[Section]:
    """Return what ``kedro dolt compare`` prints.

    Args:
        comparison: what was found.
        now: what counts as the present, UTC.
        width: of the terminal; texts are shortened to a part of it.
    """
    sections = [
        _points(comparison, now),
        _parameters(comparison, min(max(width // 3, 20), LONGEST)),
        _code(comparison),
        _metrics(comparison.metrics),
        *check_sections(comparison.checks, brief=True),
        _tables(comparison.tables),
    ]
    for table in comparison.tables:
        sections += _table_sections(table, min(max(width // 5, 16), LONGEST))
    return [section for section in sections if section.rows or section.note]


def _points(comparison: Comparison, now: datetime) -> Section:
    points = [comparison.old, comparison.new]
    columns: dict[str, list[Cell]] = {"": [styled("Old", BAD), styled("New", GOOD)]}
    names = [_name(point) for point in points]
    if any(names):
        columns["Name"] = [name or "-" for name in names]
    columns["Run"] = [point.run.run_id if point.run else "-" for point in points]
    columns["Commit"] = [point.commit[:10] for point in points]
    columns["Branch"] = [(point.run and point.run.branch) or "-" for point in points]
    columns["When"] = [moment(point.run.started if point.run else None, now) for point in points]
    return Section("", list(columns), list(zip(*columns.values(), strict=True)))


def _name(point: Point) -> str:
    """Return what the user called a commit, if that is not its own name."""
    is_its_own = (point.run and point.name == point.run.run_id) or point.commit.startswith(point.name)
    return "" if is_its_own else point.name


def _parameters(comparison: Comparison, longest: int) -> Section:
    rows = [
        [elided(name, LONGEST), *_old_and_new(old, new, longest)]
        for name, (old, new) in comparison.params.items()
    ]
    return Section("Parameters", ["Parameter", "Old", "New"], rows)


def _old_and_new(old: Any, new: Any, longest: int) -> tuple[Cell, Cell]:
    if old is None or new is None:
        texts = tuple("-" if value is None else elided(shown(value), longest) for value in (old, new))
    else:
        texts = pair(old, new, longest)
    return styled(texts[0], BAD), styled(texts[1], GOOD)


def _code(comparison: Comparison) -> Section:
    code, nodes = comparison.code, _nodes(comparison)
    if code is None:
        return Section("Code", [], [], nodes)
    rows = [
        [styled(letter, _LETTERS.get(letter, CHANGED)), path]
        for letter, path in (code.files or [])[:_MOST_FILES]
    ]
    title = joined("Code  ", styled(_commit(code.old), BAD), " → ", styled(_commit(code.new), GOOD))
    notes = []
    if code.files is None:
        notes.append("Which files differ is not known: git does not have both commits here.")
    elif (more := len(code.files) - len(rows)) > 0:
        commits = f"{_commit(code.old)} {_commit(code.new)}".replace("*", "")
        notes.append(f"{more} more: `git diff --stat {commits}` shows them.")
    if any(name and name.endswith("-dirty") for name in (code.old, code.new)):
        notes.append("* with uncommitted changes, which are not known.")
    if nodes:
        notes.append(nodes)
    return Section(title, ["", ""], rows, " ".join(notes))


def _nodes(comparison: Comparison) -> str:
    names = [shown(node.node) for node in comparison.nodes if node.code]
    return f"Nodes whose code changed: {first_of(names, MOST_NODES)}." if names else ""


def _commit(name: str | None) -> str:
    if name is None:
        return "not known"
    return name.removesuffix("-dirty")[:7] + "*" * name.endswith("-dirty")


def _metrics(metrics: dict[str, tuple[float | None, float | None]]) -> Section:
    pairs = [
        (number(old), number(new)) if old is None or new is None else pair(old, new)
        for old, new in metrics.values()
    ]
    olds, news = (aligned(texts) for texts in zip(*pairs, strict=True)) if pairs else ([], [])
    changes = aligned(_change(old, new) for old, new in metrics.values())
    rows = [
        [name, styled(old, BAD), styled(new, GOOD), change]
        for name, old, new, change in zip(metrics, olds, news, changes, strict=True)
    ]
    return Section("Metrics", ["Metric", "Old", "New", "Change"], rows)


def _change(old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return "-"
    return ("+" if new > old else "") + number(new - old)


def _tables(tables: Iterable[TableDiff]) -> Section:
    rows: list[list[Cell]] = []
    for table in tables:
        change = table.change
        cells = [
            styled(f"{_SIGNS[kind][0]}{count}" if count else "", _SIGNS[kind][1])
            for kind, count in zip(_SIGNS, (change.added, change.removed, change.modified), strict=True)
        ]
        style = {"new": GOOD, "dropped": BAD}.get(table.schema_word, CHANGED)
        rows.append([change.table, *cells, styled(table.schema_word, style)])
    if not rows:
        return Section("", [], [], "No difference in the data.")
    headers = ["Table", "Added", "Removed", "Modified", "Schema"]
    if not any(str(row[-1]) for row in rows):
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    return Section("Tables", headers, rows)


def _table_sections(table: TableDiff, longest: int) -> list[Section]:
    sections = []
    name, change = table.change.table, table.change
    if table.schema:
        rows = [[styled(line[0], GOOD if line[0] == "+" else BAD), shown(line[2:])] for line in table.schema]
        sections.append(Section(f"{name}: schema", ["", "Line"], rows))
    if not table.comparable:
        note = "Its primary key is another one: the rows cannot be compared."
        return [*sections, Section(f"{name}: rows", [], [], note)]
    if not table.rows:
        return sections
    more = change.added + change.removed + change.modified - len(table.rows)
    notes = []
    if more > 0:
        notes.append(f"{more} more: --table {name} --limit {more + len(table.rows)} shows them.")
    if not table.has_key:
        notes.append("It has no primary key: a changed row is one removed and one added.")
    title, note = joined(f"{name}: ", counts(change)), " ".join(notes)
    keys = list(dict.fromkeys(key for row in table.rows for key in row.key))
    columns = list(dict.fromkeys(column for row in table.rows for column in row.cells))
    rows = [[styled(*_SIGNS[row.kind]), *_row(row, keys, columns, longest)] for row in table.rows]
    in_one = [[styled(*_SIGNS[row.kind]), _key(row), _cells(row, longest)] for row in table.rows]
    narrow = Section(title, ["", "Key", "Cells"], in_one, note)
    return [*sections, Section(title, ["", *keys, *columns], rows, note, narrow=narrow)]


def _row(row: RowChange, keys: list[str], columns: list[str], longest: int) -> list[Cell]:
    return [
        *(shown(row.key[key]) for key in keys),
        *(_cell(row, column, longest) if column in row.cells else "" for column in columns),
    ]


def _cell(row: RowChange, column: str, longest: int) -> Cell:
    old, new = row.cells[column]
    if row.kind != "modified":
        sign, style = _SIGNS[row.kind]
        return styled(elided(shown(old if sign == "-" else new), 2 * longest), style)
    before, after = pair(old, new, longest)
    return joined(styled(before, BAD), " → ", styled(after, GOOD))


def _key(row: RowChange) -> str:
    return ", ".join(f"{elided(name, LONGEST)}={shown(value)}" for name, value in row.key.items()) or "-"


def _cells(row: RowChange, longest: int) -> Cell:
    parts: list[Cell] = []
    for column in row.cells:
        parts += [", " if parts else "", f"{elided(column, LONGEST)} ", _cell(row, column, longest)]
    return joined(*parts)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return what ``kedro dolt compare --json`` prints."""

    def point(which: Point) -> dict[str, Any]:
        return {"name": which.name, "commit": which.commit, "run": which.run and which.run.to_json()}

    def both(old: Any, new: Any) -> dict[str, Any]:
        return {"old": old, "new": new}

    return {
        "old": point(comparison.old),
        "new": point(comparison.new),
        "params": {name: both(*values) for name, values in comparison.params.items()},
        "code": comparison.code and comparison.code.to_json(),
        "nodes": [node.to_json() for node in comparison.nodes],
        "metrics": {name: both(*values) for name, values in comparison.metrics.items()},
        "checks": [result.to_json() for result in comparison.checks],
        "tables": [
            {
                **table.change.to_json(),
                "schema": table.schema,
                "old_rows": table.old_count,
                "new_rows": table.new_count,
                "has_key": table.has_key,
                "comparable": table.comparable,
                "rows": [
                    {
                        "kind": row.kind,
                        "key": row.key,
                        "cells": {name: both(*values) for name, values in row.cells.items()},
                    }
                    for row in table.rows
                ],
            }
            for table in comparison.tables
        ],
    }
