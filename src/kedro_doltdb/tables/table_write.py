"""Bring a table that stays in place to hold other rows, in one transaction.

What is written goes through ``LOAD DATA``, as in a full save, so that Dolt ends up with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pymysql

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .columns import to_rows
from .delta import Delta, at
from .standing import Standing
from .table_sql import content_hash, count_rows, load_rows, update_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

# A temporary table.
KEYS = "`kedro-dolt keys`"


def write_rows(
    cursor: Cursor, standing: Standing, rows: pa.Table, old: pa.Table | None, delta: Delta | None
) -> bool:
    """Make a table hold these rows and no others; the caller commits.

    Args:
        cursor: a cursor on the branch of the table.
        standing: the table, with the columns and the key of the rows.
        rows: the rows that it is to hold.
        old: the rows that it holds, of which the keys will do; None if they could not be read, which they can
            be if a foreign key refers to the table.
        delta: what tells them apart; None if that is not known.

    Returns:
        False if the table has changed meanwhile; then nothing is changed.

    Raises:
        BulkLoadError: Dolt refused a row; nothing is changed.
    """
    # To replace a row costs twice as much as to add one to an empty table.
    if not standing.referred_by and delta and 2 * len(delta) > len(rows):
        delta = None
    if not begin_writing(cursor, standing, keys=bool(delta and (len(delta.removed) or standing.unique))):
        return False
    with written_or_refused(cursor, standing, len(rows)):
        if old is None or delta is None:
            _write_all(cursor, standing, rows)
        else:
            write_difference(cursor, standing, rows, old, delta)
    return True


def begin_writing(cursor: Cursor, standing: Standing, *, keys: bool) -> bool:
    """Begin a new transaction in which a table is written to.

    Args:
        cursor: a cursor on the branch of the table.
        standing: the table.
        keys: whether there is to be the temporary table of keys, which is made before.

    Returns:
        False if the table has changed meanwhile.
    """
    if keys:
        # What makes a temporary table ends the transaction.
        lines = [f"{quote(key.name)} {key.type} NOT NULL" for key in standing.keys]
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, standing.primary_key))})")
        cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {KEYS} ({', '.join(lines)})")
    cursor.connection.begin()
    return content_hash(cursor, standing.name) == standing.content_hash


@contextmanager
def written_or_refused(cursor: Cursor, standing: Standing, count: int) -> Iterator[None]:
    """Check after the writing in the context that a table has so many rows, and undo it if that fails.

    Raises:
        BulkLoadError: it has others, or Dolt refused a row; nothing is changed.
    """
    quoted, connection = quote(standing.name), cursor.connection
    try:
        yield
        if (found := count_rows(cursor, quoted)) != count:
            raise BulkLoadError(
                f"The rows that have changed could not be written to {quoted}, it would have {found} rows in "
                f"place of {count}. Nothing was kept of them; drop the table and save again."
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


def _write_all(cursor: Cursor, standing: Standing, rows: pa.Table) -> None:
    table, columns = quote(standing.name), list(standing.columns.values())
    cursor.execute(f"DELETE FROM {table}")
    if len(rows):
        load_rows(cursor, table, to_rows(rows, columns))


def write_difference(cursor: Cursor, standing: Standing, rows: pa.Table, old: pa.Table, delta: Delta) -> None:
    """Write to a table what tells two states of some of its rows apart.

    Args:
        cursor: a cursor in the transaction that :func:`begin_writing` began.
        standing: the table.
        rows: the rows that it is to hold.
        old: those that it holds, of which the keys will do.
        delta: what tells them apart.
    """
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
        send_keys(cursor, standing, removed)
        # Dolt may give the rows of a temporary table several times, which does no harm to a DELETE.
        cursor.execute(f"DELETE old FROM {table} old JOIN {KEYS} ON {same_keys(standing)}")
    if standing.referred_by and len(delta.modified):
        update_rows(cursor, table, to_rows(at(rows, delta.modified), columns), standing.primary_key)
    if len(written):
        load_rows(cursor, table, to_rows(at(rows, written), columns), replaces)


def send_keys(cursor: Cursor, standing: Standing, keys: pa.Table) -> None:
    """Make the temporary table hold these keys of a table and no others."""
    cursor.execute(f"DELETE FROM {KEYS}")
    load_rows(cursor, KEYS, to_rows(keys, standing.keys))


def same_keys(standing: Standing) -> str:
    """Return the condition that joins a table, as ``old``, and the temporary table of its keys."""
    return " AND ".join(f"old.{quote(key.name)} = {KEYS}.{quote(key.name)}" for key in standing.keys)
