"""Checks that are a SELECT of the user's: it finds the rows that must not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dolt import select
from ..dolt.as_of import as_dicts
from ..errors import QueryError
from .finding import Finding, failed, passed
from .tables import MOST_ROWS, NOW, plain_rows

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .definitions import Check


def query_finding(check: Check, cursor: Cursor, base: str) -> Finding:
    """Run the SELECT of a check.

    Args:
        check: one of the kind ``sql``.
        cursor: on the branch that is checked.
        base: the commit that it is compared with: ``@base`` in the SELECT; what is there now is ``@branch``.
    """
    cursor.execute("SET @base = %s, @branch = %s", (base, NOW))
    try:
        number = select.count(cursor, check.bound)
        if not number:
            return passed("no row")
        select.first(cursor, check.bound, MOST_ROWS)
        return failed(f"{number} rows", plain_rows(as_dicts(cursor)))
    except QueryError as error:
        return failed(f"it is not a SELECT that Dolt can run: {error.message}")
