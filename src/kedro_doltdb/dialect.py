"""SQLAlchemy's MySQL dialect with every name quoted.

SQLAlchemy quotes the words that MySQL reserves. Dolt reserves more of them, ``std`` for one, which is what
``DataFrame.describe()`` calls a column. The entry point ``dolt.pymysql`` lets URLs name this dialect. See
https://docs.sqlalchemy.org/en/20/core/connections.html#registering-new-dialects
"""

from __future__ import annotations

import re
from typing import Any

import pymysql
from sqlalchemy.dialects.mysql.base import MySQLIdentifierPreparer
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from .errors import BulkLoadError

_REFERENCED = re.compile(r"cannot drop table (`.*`) as it is referenced in foreign key (`.*`)")


class _Quoted(MySQLIdentifierPreparer):
    def quote(self, ident: str, force: Any = None) -> str:
        return self.quote_identifier(ident)


class DoltDialect(MySQLDialect_pymysql):
    """The dialect of ``dolt+pymysql://``; its name is still ``mysql``, by which pandas knows its types."""

    preparer = _Quoted  # type: ignore[assignment]
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute a statement.

        Raises:
            BulkLoadError: it drops a table that a foreign key refers to.
        """
        try:
            super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]
        except pymysql.err.Error as error:
            # SQLAlchemy's own event of errors does not reach the statements of a connection that has looked
            # for a table, as pandas does.
            if match := _REFERENCED.search(str(error)):
                table, key = match.groups()
                raise BulkLoadError(
                    f"Table {table} cannot be replaced, because the foreign key {key} of another table "
                    "refers to it; it is as it was. Save it with a kedro_doltdb.DoltTableDataset, which "
                    "keeps the table in place, or drop the key with `ALTER TABLE ... DROP FOREIGN KEY ...`."
                ) from error
            raise
