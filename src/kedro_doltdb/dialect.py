"""SQLAlchemy's MySQL dialect with every name quoted.

SQLAlchemy quotes the words that MySQL reserves. Dolt reserves more of them, ``std`` for one, which is what
``DataFrame.describe()`` calls a column. The entry point ``dolt.pymysql`` lets URLs name this dialect. See
https://docs.sqlalchemy.org/en/20/core/connections.html#registering-new-dialects
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.dialects.mysql.base import MySQLIdentifierPreparer
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from .errors import BulkLoadError

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import ExceptionContext

_REFERENCED = re.compile(r"cannot drop table (`.*`) as it is referenced in foreign key (`.*`)")


class _Quoted(MySQLIdentifierPreparer):
    def quote(self, ident: str, force: Any = None) -> str:
        return self.quote_identifier(ident)


class DoltDialect(MySQLDialect_pymysql):
    """The dialect of ``dolt+pymysql://``; its name is still ``mysql``, by which pandas knows its types."""

    preparer = _Quoted  # type: ignore[assignment]
    supports_statement_cache = True

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Have the errors of an engine looked at that is being made."""
        event.listen(engine, "handle_error", _explain)


def _explain(context: ExceptionContext) -> None:
    """Say what to do about a table that pandas cannot replace.

    Raises:
        BulkLoadError: in the place of Dolt's own error.
    """
    if match := _REFERENCED.search(str(context.original_exception)):
        table, key = match.groups()
        raise BulkLoadError(
            f"Table {table} cannot be replaced, because the foreign key {key} of another table refers to it. "
            "Save it with a `kedro_doltdb.DoltTableDataset`, which keeps the table in place, or drop the "
            "foreign key: `ALTER TABLE <the other table> DROP FOREIGN KEY <the key>`. The table is as it was."
        ) from context.original_exception
