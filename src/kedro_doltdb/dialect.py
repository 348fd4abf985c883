"""SQLAlchemy's MySQL dialect with every name quoted.

SQLAlchemy quotes the words that MySQL reserves. Dolt reserves more of them, ``std`` for one, which is what
``DataFrame.describe()`` calls a column. The entry point ``dolt.pymysql`` lets URLs name this dialect. See
https://docs.sqlalchemy.org/en/20/core/connections.html#registering-new-dialects
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.mysql.base import MySQLIdentifierPreparer
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql


class _Quoted(MySQLIdentifierPreparer):
    def quote(self, ident: str, force: Any = None) -> str:
        return self.quote_identifier(ident)


class DoltDialect(MySQLDialect_pymysql):
    """The dialect of ``dolt+pymysql://``; its name is still ``mysql``, by which pandas knows its types."""

    preparer = _Quoted  # type: ignore[assignment]
    supports_statement_cache = True
