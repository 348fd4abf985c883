"""In what two commits of a table differ, from Dolt's diff, so that the cost follows the change."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

KINDS = ("added", "removed", "modified")


@dataclass(frozen=True)
class RowChange:
    """A row that differs.

    Attributes:
        kind: ``added``, ``removed`` or ``modified``.
        key: its primary key by column; nothing in a table without one.
        cells: by column, the values (old, new); of a modified row, those that differ.
        same: by column, the other values of a modified row.
    """

    kind: str
    key: dict[str, Any]
    cells: dict[str, tuple[Any, Any]]
    same: dict[str, Any] = field(default_factory=dict)


def changed_rows(
    cursor: Cursor, table: str, keys: Collection[str], old: str, new: str, limit: int | None,
    kinds: Collection[str] = KINDS,
) -> list[RowChange]:  # fmt: skip
    """Return the first rows that differ.

    Args:
        cursor: a cursor on any branch.
        table: a table with the same primary key at both commits.
        keys: the columns of that key.
        old: the one commit.
        new: the other, or ``WORKING``.
        limit: how many rows at most; None is all.
        kinds: of which kinds.
    """
    return list(each_changed_row(cursor, table, keys, old, new, limit, kinds)) if limit != 0 else []


def each_changed_row(
    cursor: Cursor, table: str, keys: Collection[str], old: str, new: str, limit: int | None = None,
    kinds: Collection[str] = KINDS,
) -> Iterator[RowChange]:  # fmt: skip
    """Yield the rows that differ, as :func:`changed_rows` returns them, a few at a time in memory."""
    from pymysql.cursors import SSCursor

    end = "" if limit is None else f" LIMIT {limit:d}"
    # The rows are left with the server until they are asked for.
    with cursor.connection.cursor(SSCursor) as rows:
        rows.execute(
            f"SELECT * FROM dolt_diff(%s, %s, %s) WHERE diff_type IN ({', '.join(['%s'] * len(kinds))}){end}",
            (old, new, table, *kinds),
        )
        # to_… columns, to_commit, to_commit_date, from_… columns, from_commit, from_commit_date, diff_type:
        # by position, for a column of the table may be called commit as well.
        names = [column[0] for column in rows.description or ()]
        end_of_new = next(i for i, name in enumerate(names) if name.startswith("from_")) - 2
        after = {name.removeprefix("to_"): place for place, name in enumerate(names[:end_of_new])}
        before = {
            name.removeprefix("from_"): place
            for place, name in enumerate(names[end_of_new + 2 : -3], end_of_new + 2)
        }
        for row in rows:
            yield _change(row, keys, before, after)


def _change(
    row: tuple[Any, ...], keys: Collection[str], before: dict[str, int], after: dict[str, int]
) -> RowChange:
    kind = row[-1]
    source = before if kind == "removed" else after
    cells, same = {}, {}
    for column in {**after, **before}:
        if column in keys:
            continue
        was = row[before[column]] if column in before else None
        now = row[after[column]] if column in after else None
        if kind != "modified" or was != now:
            cells[column] = (was, now)
        else:
            same[column] = now
    return RowChange(kind, {key: row[source[key]] for key in keys}, cells, same)


def changed_lines(before: str, after: str) -> list[str]:
    """Return the lines in which two statements differ, each beginning with ``-`` or ``+``."""
    old, new = ([line.strip().rstrip(",") for line in text.splitlines()] for text in (before, after))
    return [line for line in difflib.ndiff(old, new) if line[0] in "-+"]
