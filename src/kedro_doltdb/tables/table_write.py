"""Bring a table that stays in place to hold other rows, in one transaction.

What is written goes through ``LOAD DATA``, as in a full save, so that Dolt ends up with the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pymysql

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .columns import to_rows
from .delta import Delta, at
from .encoding import Column
from .table_sql import content_hash, joined, load_rows, update_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .table_plan import Plan

_OLD_KEYS = "`kedro-dolt removed keys`"


@dataclass(frozen=True)
class Standing:
    """A table as it stands.

    Attributes:
        name: its name, which may differ from the one asked for in upper and lower case.
        content_hash: of its schema and rows.
        columns: its columns by name, in their order.
        primary_key: the columns of its key, in their order.
        plain: what is written to it is stored so.
        unique: it has other unique columns than its key.
        referred_by: the foreign keys of other tables, and of its own, that refer to it, with their table.
    """

    name: str
    content_hash: str
    columns: dict[str, Column]
    primary_key: tuple[str, ...]
    plain: bool
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


def write_rows(
    cursor: Cursor, standing: Standing, plan: Plan, old: pa.Table | None, delta: Delta | None
) -> bool:
    """Make a table hold the planned rows; the caller commits.

    Args:
        cursor: a cursor on the branch of the table.
        standing: the table, with the planned columns and key.
        plan: the rows that it is to hold.
        old: the rows that it holds, of which the keys will do; None if they could not be read, which they can
            be if a foreign key refers to the table.
        delta: what tells them apart; None if that is not known.

    Returns:
        False if the table has changed meanwhile; then nothing is changed.

    Raises:
        BulkLoadError: Dolt refused a row; nothing is changed.
    """
    quoted, connection = quote(standing.name), cursor.connection
    # To replace a row costs twice as much as to add one to an empty table.
    if not standing.referred_by and delta and 2 * len(delta) > len(plan.rows):
        delta = None
    # What makes a temporary table ends the transaction, hence a new one below.
    if delta and (len(delta.removed) or standing.unique):
        # Dolt may give the rows of a temporary table several times, which does no harm to a DELETE.
        lines = [f"{quote(key.name)} {key.type} NOT NULL" for key in standing.keys]
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, standing.primary_key))})")
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {_OLD_KEYS} ({', '.join(lines)})")
    connection.begin()
    if content_hash(cursor, standing.name) != standing.content_hash:
        return False
    try:
        if old is None or delta is None:
            _write_all(cursor, standing, plan.rows)
        else:
            _write_difference(cursor, standing, plan.rows, old, delta)
        cursor.execute(f"SELECT COUNT(*) FROM {quoted}")
        if (found := cursor.fetchone()) != (len(plan.rows),):
            raise BulkLoadError(
                f"The rows that have changed could not be written to {quoted}, it would have {found} rows in "
                f"place of {len(plan.rows)}. Nothing was kept of them; drop the table and save again."
            )
    except pymysql.err.IntegrityError as error:
        connection.rollback()
        ways = ""
        if standing.referred_by:
            ways = (
                f" {standing.references} refers to the table: save what refers to these rows first, "
                "give the foreign key ON DELETE CASCADE, or drop it."
            )
        raise BulkLoadError(
            f"Dolt refused the rows of {quoted}, which is as it was: {error.args[-1]}.{ways}"
        ) from error
    except BaseException:
        if connection.open:
            connection.rollback()
        raise
    return True


def _write_all(cursor: Cursor, standing: Standing, rows: pa.Table) -> None:
    table, columns = quote(standing.name), list(standing.columns.values())
    cursor.execute(f"DELETE FROM {table}")
    if len(rows):
        load_rows(cursor, table, to_rows(rows, columns))


def _write_difference(
    cursor: Cursor, standing: Standing, rows: pa.Table, old: pa.Table, delta: Delta
) -> None:
    table, columns = quote(standing.name), list(standing.columns.values())
    removed = at(old.select(standing.primary_key), delta.removed)
    written, replaces = np.sort(np.concatenate([delta.added, delta.modified])), len(delta.modified) or None
    if standing.referred_by:
        # REPLACE removes the row first, which the foreign key forbids, or passes on to other tables.
        written, replaces = delta.added, None
    elif standing.unique:
        # REPLACE would remove rows that are equal in another unique column as well.
        removed = pa.concat_tables([removed, at(rows.select(standing.primary_key), delta.modified)])
        replaces = None
    if len(removed):
        load_rows(cursor, _OLD_KEYS, to_rows(removed, standing.keys))
        same = " AND ".join(f"old.{quote(key.name)} = gone.{quote(key.name)}" for key in standing.keys)
        cursor.execute(f"DELETE old FROM {table} old JOIN {_OLD_KEYS} gone ON {same}")
    if standing.referred_by and len(delta.modified):
        update_rows(cursor, table, to_rows(at(rows, delta.modified), columns), standing.primary_key)
    if len(written):
        load_rows(cursor, table, to_rows(at(rows, written), columns), replaces)
