"""In what two commits of a table differ, from Dolt's diff, so that the cost follows the change."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
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
    """

    kind: str
    key: dict[str, Any]
    cells: dict[str, tuple[Any, Any]]


def changed_rows(
    cursor: Cursor, table: str, keys: Collection[str], old: str, new: str, limit: int,
    kinds: Collection[str] = KINDS,
) -> list[RowChange]:  # fmt: skip
    """Return the first rows that differ.

    Args:
        cursor: a cursor on any branch.
        table: a table with the same primary key at both commits.
        keys: the columns of that key.
        old: the one commit.
        new: the other, or ``WORKING``.
        limit: how many rows at most.
        kinds: of which kinds.
    """
    if not limit:
        return []
    cursor.execute(
        f"SELECT * FROM dolt_diff(%s, %s, %s) WHERE diff_type IN ({', '.join(['%s'] * len(kinds))}) LIMIT %s",
        (old, new, table, *kinds, limit),
    )
    # to_… columns, to_commit, to_commit_date, from_… columns, from_commit, from_commit_date, diff_type: by
    # position, for a column of the table may be called commit as well.
    names = [column[0] for column in cursor.description or ()]
    end_of_new = next(i for i, name in enumerate(names) if name.startswith("from_")) - 2
    changes = []
    for row in cursor.fetchall():
        values = list(zip(names, row, strict=True))
        after = {name.removeprefix("to_"): value for name, value in values[:end_of_new]}
        before = {name.removeprefix("from_"): value for name, value in values[end_of_new + 2 : -3]}
        kind = row[-1]
        source = before if kind == "removed" else after
        cells = {
            column: (before.get(column), after.get(column))
            for column in {**after, **before}
            if column not in keys and (kind != "modified" or before.get(column) != after.get(column))
        }
        changes.append(RowChange(kind, {key: source[key] for key in keys}, cells))
    return changes


def changed_lines(before: str, after: str) -> list[str]:
    """Return the lines in which two statements differ, each beginning with ``-`` or ``+``."""
    old, new = ([line.strip().rstrip(",") for line in text.splitlines()] for text in (before, after))
    return [line for line in difflib.ndiff(old, new) if line[0] in "-+"]
