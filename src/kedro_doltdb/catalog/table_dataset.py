"""``kedro_doltdb.DoltTableDataset``: a ``pandas.SQLTableDataset`` whose saves cost what has changed.

It takes and gives frames of other libraries than pandas, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro_datasets.pandas import SQLTableDataset

from ..dolt.repository import dolt_errors
from ..errors import ConfigError
from ..tables.bulk_load import bulk_load
from .changes import parted
from .credentials import Database
from .table_arguments import check_as, check_at, check_mode, check_save_args

if TYPE_CHECKING:
    from ..tables.table_cache import TableCache


class DoltTableDataset(SQLTableDataset):  # type: ignore[misc]
    """A table of the Dolt repository ``data/``, with a primary key.

    A save brings the table to equal the frame by writing the rows that differ. A load gives the frame that
    ``pandas.SQLTableDataset`` gives, but with booleans in the place of 0 and 1, from a copy if the table's
    content hash says that the copy is right. Frames of Polars and PyArrow, and whatever has
    ``__arrow_c_stream__``, are saved as well.

    Args:
        table_name: the table.
        credentials: ``dolt``.
        primary_key: the column of its key, or the columns in their order.
        at: a run, commit, tag or branch at which the table is read; it cannot be saved to then.
        mode: ``replace``, by default, makes the table equal the frame; ``upsert`` adds its rows and puts them
            in the place of those with the same key; ``append`` adds rows, and refuses keys that are there.
        change_column: with ``upsert``, the column that says what to do with each row, as
            ``kedro_doltdb.DoltChangesDataset`` gives it: rows marked ``removed`` are removed.
        load_args: as for ``pandas.SQLTableDataset``; with others than ``columns`` it is loaded as there.
            ``as`` is what it gives: ``pandas``, which is the default, ``polars`` or ``pyarrow``; the last two
            with SQL's exact types.
        save_args: as there, without ``method`` and ``schema``; ``if_exists`` is ``replace`` by default, or
            ``append`` or ``fail``.
        metadata: as there.

    Raises:
        ConfigError: ``save_args`` or ``load_args`` has something else in it, no key is named, ``at`` cannot
            be used, or pyarrow, or the library that ``as`` names, is not installed.

    Example:
        In ``catalog.yml``::

            sales:
              type: kedro_doltdb.DoltTableDataset
              credentials: dolt
              table_name: sales
              primary_key: [day, shop]
    """

    def __init__(
        self,
        *,
        table_name: str,
        credentials: dict[str, Any],
        primary_key: str | Sequence[str],
        at: str | None = None,
        mode: str = "replace",
        change_column: str | None = None,
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
        method = bulk_load(*(primary_key if isinstance(primary_key, list | tuple) else [primary_key]))
        super().__init__(
            table_name=table_name,
            credentials=credentials,
            load_args=load_args,
            save_args={"if_exists": "replace", **(save_args or {}), "method": method},
            metadata=metadata,
        )
        self._as, self.at, self.mode = self._load_args.pop("as", "pandas"), at, mode
        self._change_column = change_column
        in_dolt = self._database() is not None
        check_mode(mode, change_column, table_name, save_args or {})
        if self._as != "pandas":
            check_as(self._as, self._load_args, in_dolt=in_dolt)
        if at is not None:
            check_at(at, table_name, in_dolt=in_dolt)
        if in_dolt:
            check_save_args(self._save_args)

    @property
    def engine(self) -> Any:
        """SQLAlchemy's engine on the table's branch, or on the commit that ``at`` names."""
        database = self._database()
        if self.at is None or database is None:
            return super().engine
        from sqlalchemy import create_engine

        return create_engine(database.con, **{**self._connection_args, "creator": self._connect})

    def _connect(self) -> Any:
        database = self._database()
        assert database is not None
        return database() if self.at is None else database.connect_at(self.at)

    def load(self) -> Any:
        """Return the table as ``pandas.read_sql_table`` gives it, but with booleans as they were saved.

        With ``as`` it is a frame of that library.
        """
        from ..tables.booleans import with_booleans

        if self._as != "pandas":
            return self._load_exactly()

        frame: Any
        frame, booleans = self._load_fast()
        if frame is None:
            frame = pd.read_sql_table(con=self.engine, **self._load_args)
        if isinstance(frame, pd.DataFrame):
            return with_booleans(frame, booleans)
        return (with_booleans(chunk, booleans) for chunk in frame)

    def save(self, data: Any) -> None:
        """Make the table equal ``data``, without its index unless ``save_args`` say so.

        Args:
            data: a frame of pandas or Polars, a table, batch or reader of PyArrow, or anything with
                ``__arrow_c_stream__``.

        Raises:
            BulkLoadError: the frame cannot be stored exactly; the table is as it was.
            ConfigError: it is read as it was, so it cannot be saved to.
        """
        if self.at is not None:
            raise ConfigError(
                f"The dataset of the table {self._save_args['name']} has `at: {self.at}`, so it can only be "
                "read: save to an entry without `at`."
            )
        if isinstance(data, pd.Series | pd.DataFrame):
            if not self._save_whole(*_columns(data, self._save_args)):
                data.to_sql(con=self.engine, **self._save_args)
            return
        self._save_arrow(data)

    def _save_arrow(self, data: Any) -> None:
        from ..tables.arrow_frames import arrow_table

        name = self._save_args["name"]
        if (rows := arrow_table(data)) is None:
            raise ConfigError(
                f"The dataset of the table {name} was given {type(data).__name__}, which is not a frame: "
                "return one of pandas, Polars or PyArrow from the node."
            )
        if self._database() is None:
            raise ConfigError(
                f"The dataset of the table {name} takes a {type(data).__name__} only with `credentials: "
                "dolt`: give it those, or make a frame of pandas of it."
            )
        if self._save_args.get("index"):
            raise ConfigError(
                f"The dataset of the table {name} has `index: true` in its save_args, and a "
                f"{type(data).__name__} has no index: remove that."
            )
        self._save_whole(rows, [])

    def _load_fast(self) -> tuple[pd.DataFrame | None, list[str]]:
        """Return the frame, None where pandas is to load it, and the columns that hold booleans."""
        from ..dolt.sql import quote
        from ..tables.booleans import boolean_columns
        from ..tables.pandas_frame import to_frame
        from ..tables.table_read import read_table

        database, args = self._database(), self._load_args
        if database is None:
            return None, []
        rows = None
        with dolt_errors(), self._connected() as connection:
            if args.keys() <= {"table_name", "columns"}:
                rows = read_table(connection, args["table_name"], _cache(database))
            with connection.cursor() as cursor:
                table = quote(*filter(None, (args.get("schema"), args["table_name"])))
                booleans = boolean_columns(cursor, table)
        if rows is not None and (columns := args.get("columns")):
            whole = len(set(columns)) == len(columns) and set(columns) <= set(rows.column_names)
            rows = rows.select(columns) if whole else None
        return None if rows is None else to_frame(rows), booleans

    def _load_exactly(self) -> Any:
        from ..dolt.sql import quote
        from ..tables.arrow_frames import given_as
        from ..tables.booleans import boolean_columns
        from ..tables.table_read import read_exactly

        database, args = self._database(), self._load_args
        assert database is not None
        with dolt_errors(), self._connected() as connection:
            rows = read_exactly(connection, args["table_name"], args.get("columns"), _cache(database))
            with connection.cursor() as cursor:
                booleans = boolean_columns(cursor, quote(args["table_name"]))
        return given_as(self._as, rows, booleans)

    def _save_whole(self, frame: Any, indexes: list[str]) -> bool:
        """Save in one transaction; False for what pandas is to save, which then drops no table.

        Args:
            frame: of pandas, with its index as columns, or as ``arrow_table`` gives it.
            indexes: the columns that were its index.
        """
        from ..tables.keyed_table import save_frame

        database, args = self._database(), self._save_args
        if database is None:
            return False
        gone = None
        if self._change_column is not None:
            frame, gone = parted(frame, self._change_column, args["name"])
        dtype = args.get("dtype") or {}
        if not isinstance(dtype, dict):
            names = frame.columns if isinstance(frame, pd.DataFrame) else frame.column_names
            dtype = dict.fromkeys(names, dtype)
        mode = args["if_exists"] if self.mode == "replace" else self.mode
        with dolt_errors(), self._connected() as connection:
            save_frame(
                connection, args["name"], frame, args["method"], dtype, _cache(database), indexes,
                mode=mode, gone=gone, connect=self._connect,
            )  # fmt: skip
        return True

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        connection = self._connect()
        try:
            yield connection
        finally:
            # It is closed where reading broke off.
            if connection.open:
                connection.close()

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = super()._describe()
        if self._as != "pandas":
            described["load_args"]["as"] = self._as
        return described if self.at is None else {**described, "at": self.at}

    def _database(self) -> Database | None:
        database = self._connection_args.get("creator")
        return database if isinstance(database, Database) else None


def _columns(data: pd.DataFrame | pd.Series[Any], args: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with its index as columns, where ``to_sql`` has it so, and the names of these."""
    from pandas.io.sql import SQLTable

    frame = data.to_frame() if isinstance(data, pd.Series) else data
    if not args.get("index"):
        return frame, []
    nowhere: Any = SimpleNamespace(meta=SimpleNamespace(schema=None))
    table = SQLTable("frame", nowhere, frame=frame, index=True, index_label=args.get("index_label"))
    labels: list[Any] = list(table.index or ())
    frame = frame.copy(deep=False)
    frame.index.names = labels
    return frame.reset_index(), [str(label) for label in labels]


def _cache(database: Database) -> TableCache | None:
    from ..tables.table_cache import TableCache

    return TableCache.of(database.server.cache_key_file)
