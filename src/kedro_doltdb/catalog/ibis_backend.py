"""``ibis.dolt``: the backend with which a stock ``ibis.TableDataset`` works on the credentials ``dolt``.

Expressions are compiled as for MySQL and run in Dolt. Each statement has a connection of its own, which the
credentials open on the branch of the run under way: so there is nothing to share between threads, and nothing
that stays on the branch of its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa
import pymysql
from ibis.backends import HasCurrentDatabase, PyArrowExampleLoader
from ibis.backends.sql import SQLBackend
from ibis.common import exceptions
from ibis.formats.pandas import PandasData

from ..dolt.answers import is_missing_table
from ..dolt.query import select_limit
from ..dolt.repository import dolt_errors
from ..dolt.sql import quote
from ..errors import ConfigError
from ..tables.rows import read_rows
from .ibis_compiler import COMPILER
from .ibis_saves import TableSaves
from .ibis_sql import described, of_column, parsed, read_as

if TYPE_CHECKING:
    import pandas as pd
    from pymysql.cursors import Cursor


# Without these, texts that come from no table are equal in any case, GROUP_CONCAT ends after 1024 bytes, and
# seconds since 1970 depend on where the server runs.
_SESSION = (
    "SET SESSION collation_connection = 'utf8mb4_0900_bin', group_concat_max_len = 4294967295, "
    "time_zone = '+00:00'"
)


class Backend(TableSaves, SQLBackend, HasCurrentDatabase, PyArrowExampleLoader):  # type: ignore[misc]
    """Ibis on a Dolt branch."""

    name = "dolt"
    compiler = COMPILER
    supports_temporary_tables = False
    supports_python_udfs = False

    def do_connect(self, creator: Callable[[], Any] | None = None, **credentials: Any) -> None:
        """Take the credentials ``dolt``. Nothing is started until there is a statement to run.

        Args:
            creator: what opens a connection.
            credentials: what else is in them.

        Raises:
            ConfigError: they are others.
        """
        if not callable(creator):
            raise ConfigError(
                "The Ibis backend dolt works on the data of a Kedro project: give the entry "
                "`credentials: dolt`, and nothing but `backend: dolt` in its `connection`."
            )
        self._creator = creator

    def _from_url(self, url: Any, **kwargs: Any) -> Backend:
        raise ConfigError("The Ibis backend dolt has no URL: use ibis.dolt.connect(**credentials).")

    def disconnect(self) -> None:
        """Do nothing: no connection outlives its statement."""

    @contextmanager
    def _connected(self) -> Iterator[pymysql.Connection[Cursor]]:
        with dolt_errors():
            connection = self._creator()
            try:
                yield connection
            finally:
                if connection.open:
                    connection.close()

    @contextmanager
    def _safe_raw_sql(self, query: Any, **kwargs: Any) -> Iterator[Any]:
        with self._connected() as connection, connection.cursor() as cursor:
            text = self._text(query)
            _prepare(connection, text)
            cursor.execute(text, **kwargs)
            yield cursor
            connection.commit()

    def raw_sql(self, query: Any, **kwargs: Any) -> Any:
        """Run a statement and commit it; return the cursor, whose rows have all been read."""
        with self._safe_raw_sql(query, **kwargs) as cursor:
            return cursor

    def _text(self, query: Any) -> str:
        with suppress(AttributeError):
            query = query.sql(dialect=self.dialect)
        return str(query)

    @property
    def version(self) -> str:
        """The version of Dolt."""
        return str(self._value("SELECT dolt_version()"))

    @property
    def current_database(self) -> str:
        """The database and branch that tables are looked up in."""
        return str(self._value("SELECT DATABASE()"))

    def _value(self, query: str) -> Any:
        with self._safe_raw_sql(query) as cursor:
            return cursor.fetchone()[0]

    def list_databases(self, *, like: str | None = None, catalog: str | None = None) -> list[str]:
        """Return the databases of the server."""
        with self._safe_raw_sql("SHOW DATABASES") as cursor:
            return list(self._filter_with_like([row[0] for row in cursor.fetchall()], like))

    def list_tables(self, *, like: str | None = None, database: Any = None) -> list[str]:
        """Return the tables and views of the branch."""
        self._refuse_database(database)
        with self._safe_raw_sql("SHOW TABLES") as cursor:
            return list(self._filter_with_like([row[0] for row in cursor.fetchall()], like))

    def get_schema(self, name: str, *, catalog: Any = None, database: Any = None) -> sch.Schema:
        """Return the columns of a table or view with their types."""
        self._refuse_database(database or catalog)
        try:
            with self._safe_raw_sql(f"SHOW COLUMNS FROM {quote(name)}") as cursor:
                columns = cursor.fetchall()
        except Exception as error:
            cause = error.__cause__
            if isinstance(cause, pymysql.err.Error) and is_missing_table(cause):
                raise exceptions.TableNotFound(name) from error
            raise
        return sch.Schema({row[0]: of_column(row[1], nullable=row[2] == "YES") for row in columns})

    def _get_schema_using_query(self, query: str) -> sch.Schema:
        # With LIMIT 0, Dolt would describe no column.
        with self._safe_raw_sql(f"SELECT * FROM ({query}) AS described WHERE FALSE") as cursor:
            return described(cursor)

    def _refuse_database(self, database: Any) -> None:
        """Refuse other databases and branches: the run's commit would not have what is done there."""
        if database and database != self.current_database and database != (None, None):
            raise ConfigError(
                f"The Ibis backend dolt works on the run's branch alone: remove `database: {database}`."
            )

    # Results

    def _arrow(
        self, table: ir.Table, params: Mapping[Any, Any] | None = None, limit: Any = None, **kwargs: Any
    ) -> pa.Table:
        """Run an expression in Dolt and return its rows."""
        self._run_pre_execute_hooks(table)
        schema = table.schema()
        wire = pa.schema({name: read_as(kind) for name, kind in schema.items()})
        sql = self.compile(table, params=params, limit=limit, **kwargs)
        with self._connected() as connection:
            _prepare(connection, sql)
            rows = read_rows(connection, sql, wire)
        columns = [
            parsed(name, rows.column(place), kind) for place, (name, kind) in enumerate(schema.items())
        ]
        return pa.Table.from_arrays(columns, names=list(schema.names))

    def execute(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        **kwargs: Any,
    ) -> pd.DataFrame | pd.Series[Any] | Any:
        """Run an expression in Dolt and return what it gives in pandas."""
        table = expr.as_table()
        rows = self._arrow(table, params, limit, **kwargs)
        frame = rows.to_pandas(timestamp_as_object=False, date_as_object=True)
        return expr.__pandas_result__(PandasData.convert_table(frame, table.schema()))

    def to_pyarrow_batches(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        chunk_size: int = 1_000_000,
        **kwargs: Any,
    ) -> pa.ipc.RecordBatchReader:
        """Run an expression in Dolt and return its rows in Arrow."""
        table = expr.as_table()
        rows = self._arrow(table, params, limit).cast(table.schema().to_pyarrow())
        return rows.to_reader(max_chunksize=chunk_size)

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        """Do nothing: its rows are part of each query."""

    def _make_memtable_finalizer(self, name: str) -> None:
        return None


def _prepare(connection: Any, statement: str) -> None:
    connection.query(_SESSION)
    select_limit(connection, statement)
