"""The tables that are checked, as they were and as they are now, each asked for once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pymysql

from ..dolt.answers import is_other_key
from ..dolt.as_of import column_types, columns_at
from ..dolt.names import JOURNAL_TABLES
from ..dolt.repository import changed_names
from ..dolt.row_diff import changed_lines, changed_rows
from ..dolt.sql import identifier

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

NOW = "WORKING"
# How many offending rows a result names, and how much of a text in them.
MOST_ROWS = 5
_LONGEST = 100
# The name, which no column has, under which an offending row says what last wrote it.
WRITTEN_BY = "written by"


@dataclass(frozen=True)
class Counts:
    """How many rows of a table differ.

    Attributes:
        added: rows.
        removed: rows.
        modified: rows.
        before: how many rows there were.
        note: why they are counted as they are, if that is not plain.
    """

    added: int
    removed: int
    modified: int
    before: int
    note: str = ""


class CheckedTable:
    """One table.

    Args:
        cursor: on the branch that is checked.
        base: the commit that it is compared with.
        name: the table's name.
        was: whether it was there.
        is_now: whether it is.
        changed: whether its rows or its schema differ.
    """

    def __init__(
        self, cursor: Cursor, base: str, name: str, *, was: bool, is_now: bool, changed: bool
    ) -> None:
        self.cursor = cursor
        self.base = base
        self.name = name
        self.was, self.is_now, self.changed = was, is_now, changed

    @cached_property
    def columns(self) -> dict[str, bool]:
        """Its columns, and whether they are part of the primary key; of a dropped table, what they were."""
        return columns_at(self.cursor, self.name, None) if self.is_now else self.columns_before

    @cached_property
    def columns_before(self) -> dict[str, bool]:
        """What they were."""
        return columns_at(self.cursor, self.name, self.base) if self.was else {}

    @cached_property
    def types(self) -> dict[str, str]:
        """The types of its columns, as they are now."""
        return column_types(self.cursor, self.name)

    @property
    def keys(self) -> list[str]:
        """The columns of the primary key."""
        return [name for name, is_key in self.columns.items() if is_key]

    @property
    def has_other_key(self) -> bool:
        """Whether the primary key has changed, so that no row can be told from another."""
        if not (self.was and self.is_now and self.changed):
            return False
        return (
            self.keys != [name for name, is_key in self.columns_before.items() if is_key]
            or self._statistics is None
        )

    @cached_property
    def _statistics(self) -> tuple[int, int, int] | None:
        """How many rows were added, removed and modified; None if Dolt cannot tell one row from another."""
        try:
            self.cursor.execute(
                "SELECT rows_added, rows_deleted, rows_modified FROM dolt_diff_stat(%s, %s, %s)",
                (self.base, NOW, self.name),
            )
        except pymysql.err.Error as error:
            if is_other_key(error):
                return None
            raise
        added, removed, modified = self.cursor.fetchone() or (0, 0, 0)
        return added or 0, removed or 0, modified or 0

    def column(self, name: str) -> str | None:
        """Return the name of a column as the table has it; None if it has no such column."""
        return next((column for column in self.columns if column.lower() == name.lower()), None)

    @cached_property
    def counts(self) -> Counts:
        """How many rows differ, from Dolt's statistics of the change."""
        if not self.changed:
            return Counts(0, 0, 0, self.rows_at(self.base))
        if not self.is_now:
            before = self.rows_at(self.base)
            return Counts(0, before, 0, before, "it was dropped")
        if self.has_other_key or self._statistics is None:
            before, now = self.rows_at(self.base), self.rows_at(NOW)
            note = "its primary key has changed, so that each row counts as removed and added"
            return Counts(now, before, 0, before, note)
        note = "" if self.keys else "it has no primary key: a changed row is one removed and one added"
        return Counts(*self._statistics, self.rows_at(self.base), note)

    def rows_at(self, ref: str) -> int:
        """Return how many rows it has at a commit, or now."""
        return rows_at(self.cursor, self.name, ref)

    def changed_keys(self, *kinds: str) -> tuple[dict[str, Any], ...]:
        """Return the first rows that differ so: their keys; without one, all columns."""
        if self.has_other_key or not self.is_now:
            return ()
        rows = changed_rows(self.cursor, self.name, self.keys, self.base, NOW, MOST_ROWS, kinds)
        return plain_rows(
            row.key
            or {column: old if row.kind == "removed" else new for column, (old, new) in row.cells.items()}
            for row in rows
        )

    @cached_property
    def schema_change(self) -> list[str]:
        """The lines of CREATE TABLE that differ, each beginning with ``-`` or ``+``."""
        if not self.changed:
            return []
        self.cursor.execute(
            "SELECT from_create_statement, to_create_statement FROM dolt_schema_diff(%s, %s, %s)",
            (self.base, NOW, self.name),
        )
        return [line for before, after in self.cursor.fetchall() for line in changed_lines(before, after)]

    @cached_property
    def content_hash(self) -> str:
        """The hash of its content."""
        self.cursor.execute("SELECT dolt_hashof_table(%s)", (self.name,))
        row = self.cursor.fetchone()
        return str(row[0]) if row else ""


def tables_between(cursor: Cursor, base: str) -> dict[str, CheckedTable]:
    """Return the tables that there were at ``base`` or that there are now, by their names in lower case.

    Those of the journal, Dolt's own and views are left out.
    """
    cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
    now = [row[0] for row in cursor.fetchall()]
    pairs = changed_names(cursor, base, NOW)
    was = {old.lower(): old for old, _ in pairs if old}
    changed = {name.lower() for pair in pairs for name in pair if name}
    tables = {}
    for name in [*now, *(old for folded, old in was.items() if folded not in {n.lower() for n in now})]:
        folded = name.lower()
        if folded in JOURNAL_TABLES or folded.startswith("dolt_"):
            continue
        tables[folded] = CheckedTable(
            cursor, base, name,
            was=folded in was or folded not in changed,
            is_now=name in now,
            changed=folded in changed,
        )  # fmt: skip
    return tables


def counted(cursor: Cursor, source: str, values: Sequence[Any] = ()) -> int:
    """Return how many rows there are.

    Args:
        cursor: on the branch that is checked.
        source: a SELECT from FROM on, its names as :func:`identifier` writes them.
        values: its values.
    """
    cursor.execute(f"SELECT COUNT(*) {source}", values)
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def rows_at(cursor: Cursor, table: str, ref: str) -> int:
    """Return how many rows a table has at a commit, or at :data:`NOW`."""
    return counted(cursor, f"FROM {identifier(table)} AS OF %s", (ref,))


def plain_rows(rows: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return rows as JSON can hold them, long texts cut off."""
    return tuple({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        value = f"0x{value[:_LONGEST].hex()}"
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
