"""``kedro_doltdb.DoltTableDataset``: a ``pandas.SQLTableDataset`` whose saves cost what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro_datasets.pandas import SQLTableDataset

from .bulk_load import bulk_load
from .database import Database
from .errors import ConfigError
from .repository import dolt_errors

if TYPE_CHECKING:
    from .table_cache import TableCache


class DoltTableDataset(SQLTableDataset):  # type: ignore[misc]
    """A table of the Dolt repository ``data/``, with a primary key.

    A save brings the table to equal the frame by writing the rows that differ. A load gives the frame that
    ``pandas.SQLTableDataset`` gives, from a copy if the table's content hash says that the copy is right.

    Args:
        table_name: the table.
        credentials: ``dolt``.
        primary_key: the column of its key, or the columns in their order.
        load_args: as for ``pandas.SQLTableDataset``; with others than ``columns`` it is loaded as there.
        save_args: as there, without ``method``; ``if_exists`` is ``replace`` by default. With others than
            ``dtype`` it is saved in full.
        metadata: as there.

    Raises:
        ConfigError: ``save_args`` has a ``method``, no key is named, or pyarrow is not installed.
    """

    def __init__(
        self,
        *,
        table_name: str,
        credentials: dict[str, Any],
        primary_key: str | Sequence[str],
        load_args: dict[str, Any] | None = None,
        save_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if find_spec("pyarrow") is None:
            raise ConfigError(
                "kedro_doltdb.DoltTableDataset needs pyarrow: `pip install 'kedro-doltdb[fast]'`, or take "
                "pandas.SQLTableDataset with `method: ${dolt.bulk_load:<columns>}`."
            )
        if save_args and "method" in save_args:
            raise ConfigError(
                f"The dataset of the table {table_name} has `primary_key`, which decides how it is saved: "
                "remove `method` from its save_args."
            )
        method = bulk_load(*([primary_key] if isinstance(primary_key, str) else primary_key))
        super().__init__(
            table_name=table_name,
            credentials=credentials,
            load_args=load_args,
            save_args={"if_exists": "replace", **(save_args or {}), "method": method},
            metadata=metadata,
        )

    def load(self) -> Any:
        """The table as ``pandas.read_sql_table`` gives it."""
        frame = self._load_fast()
        return pd.read_sql_table(con=self.engine, **self._load_args) if frame is None else frame

    def save(self, data: pd.DataFrame) -> None:
        """Make the table equal ``data``, without its index.

        Raises:
            BulkLoadError: the frame cannot be stored exactly; the table is as it was.
        """
        if not self._save_fast(data):
            data.to_sql(con=self.engine, **self._save_args)

    def _load_fast(self) -> pd.DataFrame | None:
        from .columns import to_frame
        from .keyed_table import read_table

        database = self._database()
        columns = self._load_args.get("columns")
        if database is None or not self._load_args.keys() <= {"table_name", "columns"}:
            return None
        with dolt_errors(), _connected(database) as connection:
            rows = read_table(connection, self._load_args["table_name"], _cache(database))
        if rows is None:
            return None
        if columns:
            if len(set(columns)) < len(columns) or not set(columns) <= set(rows.column_names):
                return None
            rows = rows.select(columns)
        return to_frame(rows)

    def _save_fast(self, data: pd.DataFrame) -> bool:
        from .keyed_table import save_frame

        database = self._database()
        args = self._save_args
        if (
            database is None
            or not isinstance(data, pd.DataFrame)
            or not args.keys() <= {"name", "index", "if_exists", "method", "dtype"}
            or args["if_exists"] != "replace"
            or args["index"]
        ):
            return False
        dtype = args.get("dtype") or {}
        if not isinstance(dtype, dict):
            dtype = dict.fromkeys(map(str, data.columns), dtype)
        with dolt_errors(), _connected(database) as connection:
            return save_frame(connection, args["name"], data, args["method"], dtype, _cache(database))

    def _database(self) -> Database | None:
        database = self._connection_args.get("creator")
        return database if isinstance(database, Database) else None


@contextmanager
def _connected(database: Database) -> Iterator[Any]:
    connection = database()
    try:
        yield connection
    finally:
        # It is closed where reading broke off.
        if connection.open:
            connection.close()


def _cache(database: Database) -> TableCache | None:
    from .table_cache import TableCache

    return TableCache.of(database.server.cache_key_file)
