"""``kedro_doltdb.DoltTableDataset``: a ``pandas.SQLTableDataset`` whose saves cost what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro_datasets.pandas import SQLTableDataset

from ..dolt.repository import dolt_errors
from ..errors import BulkLoadError, ConfigError
from ..tables.bulk_load import bulk_load
from .changes import ADDED, AFTER, CHANGES, REMOVED
from .credentials import Database

if TYPE_CHECKING:
    from ..tables.table_cache import TableCache


_SAVE_ARGS = {"name", "method", "if_exists", "index", "index_label", "dtype", "chunksize"}


class DoltTableDataset(SQLTableDataset):  # type: ignore[misc]
    """A table of the Dolt repository ``data/``, with a primary key.

    A save brings the table to equal the frame by writing the rows that differ. A load gives the frame that
    ``pandas.SQLTableDataset`` gives, but with booleans in the place of 0 and 1, from a copy if the table's
    content hash says that the copy is right.

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
        save_args: as there, without ``method`` and ``schema``; ``if_exists`` is ``replace`` by default, or
            ``append`` or ``fail``.
        metadata: as there.

    Raises:
        ConfigError: ``save_args`` has something else in it, no key is named, ``at`` cannot be used, or
            pyarrow is not installed.
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
        self.at = at
        self.mode = mode
        self._change_column = change_column
        self._check_mode(save_args or {})
        if at is not None:
            self._check_at()
        if self._database() is not None:
            self._refuse_arguments()

    def _check_mode(self, save_args: dict[str, Any]) -> None:
        name = self._load_args["table_name"]
        if self.mode not in ("replace", "upsert", "append"):
            raise ConfigError(
                f"The dataset of the table {name} has `mode: {self.mode}`: choose replace, upsert or append."
            )
        if self._change_column is not None and self.mode != "upsert":
            raise ConfigError(
                f"The dataset of the table {name} has `change_column`, which only `mode: upsert` reads: set "
                "that, or remove it."
            )
        if self.mode != "replace" and "if_exists" in save_args:
            raise ConfigError(
                f"The dataset of the table {name} has `mode: {self.mode}` and `if_exists` in its save_args: "
                "remove `if_exists`."
            )

    def _check_at(self) -> None:
        name = self._load_args["table_name"]
        if not isinstance(self.at, str) or not self.at:
            raise ConfigError(
                f"The dataset of the table {name} has `at: {self.at}`, which was read as "
                f"{type(self.at).__name__}: name a run, commit, tag or branch, in quotes."
            )
        if self._database() is None:
            raise ConfigError(
                f"The dataset of the table {name} has `at: {self.at}`, and only Dolt knows how a table was: "
                "give it `credentials: dolt`, or remove `at`."
            )

    def _refuse_arguments(self) -> None:
        args, name = self._save_args, self._save_args["name"]
        if unknown := sorted(args.keys() - _SAVE_ARGS):
            raise ConfigError(
                f"The dataset of the table {name} has `{unknown[0]}` in its save_args, which a "
                "DoltTableDataset does not know: remove it, or take pandas.SQLTableDataset."
            )
        if args["if_exists"] not in ("replace", "append", "fail"):
            raise ConfigError(
                f"The dataset of the table {name} has `if_exists: {args['if_exists']}` in its save_args: "
                "choose replace, which keeps the table in place, append or fail."
            )

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
        """Return the table as ``pandas.read_sql_table`` gives it, but with booleans as they were saved."""
        from ..tables.booleans import with_booleans

        frame: Any
        frame, booleans = self._load_fast()
        if frame is None:
            frame = pd.read_sql_table(con=self.engine, **self._load_args)
        if isinstance(frame, pd.DataFrame):
            return with_booleans(frame, booleans)
        return (with_booleans(chunk, booleans) for chunk in frame)

    def save(self, data: pd.DataFrame) -> None:
        """Make the table equal ``data``, without its index unless ``save_args`` say so.

        Raises:
            BulkLoadError: the frame cannot be stored exactly; the table is as it was.
            ConfigError: it is read as it was, so it cannot be saved to.
        """
        if self.at is not None:
            raise ConfigError(
                f"The dataset of the table {self._save_args['name']} has `at: {self.at}`, so it can only be "
                "read: save to an entry without `at`."
            )
        if not self._save_whole(data):
            data.to_sql(con=self.engine, **self._save_args)

    def _load_fast(self) -> tuple[pd.DataFrame | None, list[str]]:
        """Return the frame, None where pandas is to load it, and the columns that hold booleans."""
        from ..dolt.sql import quote
        from ..tables.booleans import boolean_columns
        from ..tables.columns import to_frame
        from ..tables.keyed_table import read_table

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

    def _save_whole(self, data: pd.DataFrame | pd.Series[Any]) -> bool:
        """Save in one transaction; False for what pandas is to save, which then drops no table."""
        from ..tables.keyed_table import look_at, save_frame

        database, args = self._database(), self._save_args
        if database is None or not isinstance(data, pd.DataFrame | pd.Series):
            return False
        frame, indexes = _columns(data, args)
        frame, gone = self._without_removed(frame)
        dtype = args.get("dtype") or {}
        if not isinstance(dtype, dict):
            dtype = dict.fromkeys(frame.columns, dtype)
        with dolt_errors(), self._connected() as connection:
            if args["if_exists"] != "replace":
                with connection.cursor() as cursor:
                    if look_at(cursor, args["name"]) is not None:
                        return False
            grows = args["if_exists"] == "append"
            save_frame(
                connection, args["name"], frame, args["method"], dtype, _cache(database), indexes,
                grows=grows or self.mode != "replace", mode=self.mode, gone=gone,
            )  # fmt: skip
        return True

    def _without_removed(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the rows that are to stand, and those that are to go, without the column that says so."""
        if self._change_column is None:
            return frame, None
        name, table = self._change_column, self._save_args["name"]
        if name not in frame.columns:
            raise BulkLoadError(
                f"The frame for {table} has no column {name!r}, which `change_column` names: nothing was "
                "saved."
            )
        changes = frame[name]
        if unknown := sorted(set(map(str, changes)) - set(CHANGES)):
            raise BulkLoadError(
                f"The column {name!r} of the frame for {table} has {unknown[0]!r}: it may have "
                f"{', '.join(CHANGES)}. Nothing was saved."
            )
        rest = frame.drop(columns=name)
        return rest[changes.isin([ADDED, AFTER])], rest[changes == REMOVED]

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
