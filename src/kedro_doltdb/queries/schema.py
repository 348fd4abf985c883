"""How the schema of a table has changed, and whether what reads the table may break."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..dolt.as_of import ColumnInfo, described_at

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .compare import TableDiff

_SIZES = (
    ("tinyint", "smallint", "mediumint", "int", "bigint"),
    ("float", "double"),
    ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
)


@dataclass(frozen=True)
class SchemaChange:
    """One change of a table's schema.

    Attributes:
        what: the column, or ``primary key``, ``table``, ``other``.
        old: what it was; empty if it was not there.
        new: what it is; empty if it is gone.
        breaking: whether what reads the table may no longer work.
    """

    what: str
    old: str
    new: str
    breaking: bool


def schema_changes(cursor: Cursor, table: TableDiff, old: str, new: str) -> list[SchemaChange]:
    """Return how the schema of a table has changed between two commits.

    Args:
        cursor: a cursor on any branch.
        table: the table.
        old: the one commit.
        new: the other.
    """
    if table.change.dropped:
        return [SchemaChange("table", "there", "", True)]
    if table.is_new:
        return [SchemaChange("table", "", "new", False)]
    if not table.schema and table.comparable:
        return []
    name = table.change.table
    return changes_between(described_at(cursor, name, old), described_at(cursor, name, new))


def changes_between(old: dict[str, ColumnInfo], new: dict[str, ColumnInfo]) -> list[SchemaChange]:
    """Return what differs between two lists of columns; what is none of a column's is ``other``."""
    found = []
    for name in {**new, **old}:
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            was, now = (column.text if column else "" for column in (before, after))
            found.append(SchemaChange(name, was, now, after is None))
        elif before.text != after.text:
            breaking = not _holds(after.type, before.type) or (after.null and not before.null)
            found.append(SchemaChange(name, before.text, after.text, breaking))
    keys = [", ".join(name for name, column in columns.items() if column.is_key) for columns in (old, new)]
    if keys[0] != keys[1]:
        found.append(SchemaChange("primary key", keys[0] or "none", keys[1] or "none", True))
    return found or [SchemaChange("other", "", "indexes, constraints, defaults or comments", False)]


def _holds(wide: str, narrow: str) -> bool:
    """Return whether a type gives the same values as another one, and perhaps more."""
    if wide == narrow:
        return True
    one, other = (re.fullmatch(r"(\w+)(?:\((\d+)\))?", text) for text in (wide, narrow))
    if not one or not other:
        return False
    for family in _SIZES:
        if one[1] in family and other[1] in family:
            if one[1] == other[1]:
                return int(one[2] or 0) >= int(other[2] or 0)
            return family.index(one[1]) > family.index(other[1])
    return False
