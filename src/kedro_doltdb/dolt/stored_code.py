"""The code that a repository brings: triggers, procedures and events, which the server runs as its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_MOST = 10


def stored_code(cursor: Cursor) -> list[str]:
    """Return what code the cursor's branch holds, each with its kind: ``trigger audit``."""
    found: list[str] = []
    for table, kind in (("dolt_schemas", "LOWER(LEFT(type, 20))"), ("dolt_procedures", "'procedure'")):
        try:
            cursor.execute(f"SELECT {kind}, LEFT(name, 80) FROM {table} ORDER BY 1, 2 LIMIT 1000")
        except pymysql.err.Error:
            # There is none, and so there is no such table.
            continue
        # A view runs when somebody reads it.
        found += [f"{kind} {name}" for kind, name in cursor.fetchall() if kind != "view"]
    return found if len(found) <= _MOST else [*found[:_MOST], f"{len(found) - _MOST} more"]
