"""SQLAlchemy's MySQL dialect, as Dolt and pandas need it.

Every name is quoted. SQLAlchemy quotes the words that MySQL reserves; Dolt reserves more of them, ``std`` for
one, which is what ``DataFrame.describe()`` calls a column. Floating-point numbers stay what the driver gives,
and a percent sign in a query is one. The entry point ``dolt.pymysql`` lets URLs name this dialect. See
https://docs.sqlalchemy.org/en/20/core/connections.html#registering-new-dialects
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pymysql
from sqlalchemy.dialects.mysql import DOUBLE
from sqlalchemy.dialects.mysql.base import MySQLIdentifierPreparer
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import reflection

from ..errors import BulkLoadError
from .query import execute

if TYPE_CHECKING:
    from sqlalchemy import Connection

_REFERENCED = re.compile(r"cannot drop table (`.*`) as it is referenced in foreign key (`.*`)")


class _Quoted(MySQLIdentifierPreparer):
    def quote(self, ident: str, force: Any = None) -> str:
        return self.quote_identifier(ident)


class _ExactDouble(DOUBLE):
    """A DOUBLE that is read as it is: SQLAlchemy makes a Decimal of ten digits of it unless told otherwise.

    pandas tells it so, but those before 3.1 do not reach the types of SQLAlchemy 2.1.
    """

    def __init__(
        self, precision: int | None = None, scale: int | None = None, asdecimal: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(precision, scale, asdecimal, **kwargs)


class DoltDialect(MySQLDialect_pymysql):
    """The dialect of ``dolt+pymysql://``; its name is still ``mysql``, by which pandas knows its types."""

    preparer = _Quoted  # type: ignore[assignment]
    supports_statement_cache = True
    ischema_names = {**MySQLDialect_pymysql.ischema_names, "double": _ExactDouble}  # noqa: RUF012

    @reflection.cache
    def get_table_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the names of the tables."""
        return [name for name, kind in self._kinds(connection, schema, **kw) if kind == "BASE TABLE"]

    @reflection.cache
    def get_view_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the names of the views."""
        return [name for name, kind in self._kinds(connection, schema, **kw) if kind != "BASE TABLE"]

    @reflection.cache
    def _kinds(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[tuple[str, str]]:
        # pandas looks for tables and for views before each load and each save; SQLAlchemy asks twice.
        where = self.identifier_preparer.quote_identifier(schema or self.default_schema_name or "")
        return [(row[0], row[1]) for row in connection.exec_driver_sql(f"SHOW FULL TABLES FROM {where}")]

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute a statement whose percent signs, if it takes no values, need not be doubled.

        Raises:
            BulkLoadError: it drops a table that a foreign key refers to.
            QueryError: the statement and its values do not fit.
        """
        try:
            execute(cursor, statement, parameters)
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
