"""How a table stands: its columns, its key, and the rules that decide how it can be written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .columns import arrow_type
from .encoding import Column
from .table_sql import content_hash, definition, joined

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_COLLATION = "utf8mb4_0900_bin"


@dataclass(frozen=True)
class Standing:
    """A table as it stands.

    Attributes:
        name: its name, which may differ from the one asked for in upper and lower case.
        content_hash: of its schema and rows.
        columns: its columns by name, in their order.
        primary_key: the columns of its key, in their order.
        faithful: what is written to it is stored so, or refused.
        optional: each column that is not in the key can be NULL.
        unique: it has other unique columns than its key.
        referred_by: the foreign keys of other tables, and of its own, that refer to it, with their table.
    """

    name: str
    content_hash: str
    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    faithful: bool
    optional: bool
    unique: bool
    referred_by: tuple[tuple[str, str], ...]

    @property
    def keys(self) -> list[Column]:
        """The columns of its key, in their order."""
        return [self.columns[name] for name in self.primary_key]

    @property
    def references(self) -> str:
        """The foreign keys that refer to it, as they stand in a sentence."""
        return joined(f"{quote(key)} of {quote(table)}" for key, table in self.referred_by)


def look_at(cursor: Cursor, table: str) -> Standing | None:
    """Say how a table stands.

    Args:
        cursor: a cursor on the branch of the table.
        table: its name; upper and lower case are the same in SQL.

    Returns:
        None if there is none.

    Raises:
        BulkLoadError: it is a view.
    """
    name = table
    if (found := content_hash(cursor, table)) is None:
        cursor.execute("SHOW FULL TABLES")
        alike = [row for row in cursor.fetchall() if row[0].lower() == table.lower()]
        if not alike:
            return None
        name, kind = alike[0]
        if (found := content_hash(cursor, name)) is None:
            raise BulkLoadError(
                f"{quote(name)} is a {kind.lower()}, to which nothing can be saved: choose another "
                "table_name."
            )
    quoted = quote(name)
    columns, primary_key = definition(cursor, quoted)
    cursor.execute(f"SHOW CREATE TABLE {quoted}")
    unique = "UNIQUE" in str(cursor.fetchone()[1])  # type: ignore[index]
    faithful, optional = _rules(cursor, name)
    cursor.execute(
        "SELECT constraint_name, table_name FROM information_schema.referential_constraints "
        "WHERE constraint_schema = DATABASE() AND LOWER(referenced_table_name) = %s",
        (name.lower(),),
    )
    return Standing(name, found, columns, primary_key, faithful, optional, unique, tuple(cursor.fetchall()))


def _rules(cursor: Cursor, table: str) -> tuple[bool, bool]:
    """Return whether what is written to a table is stored so or refused, and whether all can be NULL."""
    cursor.execute(f"SHOW FULL COLUMNS FROM {quote(table)}")
    columns = cursor.fetchall()
    faithful = all(
        not extra and collation in (None, _COLLATION) for _, _, collation, _, _, _, extra, *_ in columns
    )
    optional = all(nullable == "YES" or key == "PRI" for _, _, _, nullable, key, *_ in columns)
    cursor.execute("SHOW TRIGGERS")
    return faithful and all(row[2].lower() != table.lower() for row in cursor.fetchall()), optional


def refuse_uncompared(standing: Standing, role: str) -> None:
    """Refuse a key by whose values rows are not found exactly.

    Args:
        standing: the table.
        role: why they are to be found, as it stands after the table's name.

    Raises:
        BulkLoadError: it has such a key.
    """
    kinds = [arrow_type(key.type) for key in standing.keys]
    if any(kind is None or pa.types.is_floating(kind) for kind in kinds):
        raise BulkLoadError(
            f"Table {quote(standing.name)}, {role}, has a key of a type whose values are not compared: only "
            "integers, text, bytes, DECIMAL, dates and times are. Give it a key of these."
        )
