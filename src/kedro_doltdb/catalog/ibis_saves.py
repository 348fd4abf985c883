"""How the Ibis backend saves: what an expression gives is read, and saved as a ``DoltTableDataset`` saves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.common import exceptions

from ..dolt.sql import quote
from ..errors import ConfigError
from ..tables.arrow_frames import arrow_table
from ..tables.bulk_load import BulkLoad, bulk_load
from ..tables.keyed_table import save_frame
from ..tables.standing import look_at

if TYPE_CHECKING:
    from ..tables.table_cache import TableCache


class TableSaves:
    """The part of the backend that makes, fills and drops tables."""

    _creator: Callable[[], Any]
    _connected: Callable[[], AbstractContextManager[Any]]
    _safe_raw_sql: Callable[[str], AbstractContextManager[Any]]
    _refuse_database: Callable[[Any], None]
    _arrow: Callable[[ir.Table], pa.Table]
    table: Callable[[str], ir.Table]

    def create_table(
        self,
        name: str,
        /,
        obj: Any = None,
        *,
        schema: Any = None,
        database: Any = None,
        temp: bool = False,
        overwrite: bool = False,
        primary_key: str | Sequence[str] | None = None,
    ) -> ir.Table:
        """Make a table of what an expression gives, or of a frame; the rows that differ are written.

        Args:
            name: the table.
            obj: the expression, of this or another backend, or a frame of any library.
            schema: the columns and their types, for a table without rows or in the place of its own.
            database: None.
            temp: False.
            overwrite: whether it may be there already.
            primary_key: the columns of its key; None keeps the one it has, if it is there.

        Raises:
            BulkLoadError: a value cannot be stored exactly, or a key is missing, NULL or duplicate; nothing
                was changed.
        """
        self._refuse_database(database)
        if temp:
            raise exceptions.UnsupportedOperationError(
                "The Ibis backend dolt does not support temporary tables: use a table, or an expression."
            )
        rows = self._rows_of(obj, schema)
        with self._connected() as connection:
            with connection.cursor() as cursor:
                standing = look_at(cursor, name)
            if standing is not None and not overwrite:
                raise exceptions.IbisError(f"Table {name} is there already: set `mode: overwrite`.")
            key = _names(primary_key)
            if standing and not key and set(standing.primary_key) <= set(rows.column_names):
                key = standing.primary_key
            save_frame(connection, name, rows, _method(key), {}, self._cache())
        return self.table(name)

    def insert(
        self,
        name: str,
        /,
        obj: Any,
        *,
        database: Any = None,
        overwrite: bool = False,
        primary_key: str | Sequence[str] | None = None,
    ) -> None:
        """Add to a table what an expression gives, or a frame, by the names of the columns.

        Args:
            name: the table.
            obj: as for :meth:`create_table`.
            database: None.
            overwrite: whether it takes the place of the rows that are there.
            primary_key: the key that the table has; None takes what it has.

        Raises:
            BulkLoadError: as for :meth:`create_table`.
        """
        if overwrite:
            self.create_table(name, obj, database=database, overwrite=True, primary_key=primary_key)
            return
        self._refuse_database(database)
        rows = self._rows_of(obj, None)
        with self._standing(name) as (connection, standing):
            key = _names(primary_key) or standing.primary_key
            save_frame(connection, name, rows, _method(key), {}, None, mode="append")

    def upsert(
        self,
        name: str,
        /,
        obj: Any,
        on: str | Sequence[str] | None = None,
        *,
        database: Any = None,
        primary_key: str | Sequence[str] | None = None,
    ) -> None:
        """Add what an expression gives, or a frame, to a table; a row whose key is there takes its place.

        Args:
            name: the table.
            obj: as for :meth:`create_table`.
            on: the table's key.
            database: None.
            primary_key: the same, where the entry names it for the table's first save.

        Raises:
            BulkLoadError: as for :meth:`create_table`, or ``on`` is not the table's key.
        """
        self._refuse_database(database)
        rows = self._rows_of(obj, None)
        with self._standing(name) as (connection, _):
            method = bulk_load(*(_names(on) or _names(primary_key)))
            save_frame(connection, name, rows, method, {}, None, mode="upsert")

    def drop_table(self, name: str, /, *, database: Any = None, force: bool = False) -> None:
        """Drop a table; with ``force`` it need not be there."""
        self._drop("TABLE", name, database, force)

    def create_view(self, name: str, /, obj: Any, **kwargs: Any) -> ir.Table:
        """Refuse: Dolt has no content hash of a view, so a run could not tell whether it changed one.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "The Ibis backend dolt does not support views: set `materialized: table` in the save_args of "
            f"{name}."
        )

    def drop_view(self, name: str, /, *, database: Any = None, force: bool = False) -> None:
        """Drop a view; with ``force`` it need not be there."""
        self._drop("VIEW", name, database, force)

    def _drop(self, kind: str, name: str, database: Any, force: bool) -> None:
        self._refuse_database(database)
        # Not through sqlglot, of which some versions leave the name out.
        with self._safe_raw_sql(f"DROP {kind} {'IF EXISTS ' if force else ''}{quote(name)}"):
            pass

    @contextmanager
    def _standing(self, name: str) -> Iterator[tuple[Any, Any]]:
        with self._connected() as connection:
            with connection.cursor() as cursor:
                standing = look_at(cursor, name)
            if standing is None:
                raise exceptions.TableNotFound(name)
            yield connection, standing

    def _rows_of(self, obj: Any, schema: Any) -> pa.Table:
        wanted = None if schema is None else ibis.schema(schema).to_pyarrow()
        if obj is None:
            if wanted is None:
                raise ValueError(
                    "The Ibis backend dolt makes a table of rows or of a schema: give one of them."
                )
            rows = wanted.empty_table()
        elif isinstance(obj, ir.Expr):
            op = obj.op()
            if isinstance(op, ops.InMemoryTable):
                # Its values go as they are, through no SQL.
                rows = op.data.to_pyarrow(op.schema)
            elif all(backend == self for backend in obj._find_backends()[0]):
                rows = self._arrow(obj.as_table())
            else:
                rows = obj.as_table().to_pyarrow()
        else:
            rows = arrow_table(obj)
            if rows is None:
                memtable = ibis.memtable(obj).op()
                rows = memtable.data.to_pyarrow(memtable.schema)
        if wanted is not None and obj is not None:
            rows = rows.select(wanted.names).cast(wanted)
        normal = arrow_table(rows)
        assert normal is not None
        return normal

    def _cache(self) -> TableCache | None:
        from ..tables.table_cache import TableCache

        server = getattr(self._creator, "server", None)
        return TableCache.of(server.cache_key_file) if server else None


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _method(key: Sequence[str]) -> BulkLoad:
    return bulk_load(*key) if key else BulkLoad(())
