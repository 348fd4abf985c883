"""``kedro_doltdb.DoltChangesDataset``: the rows that changed since the last published run read a table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset

from ..dolt.repository import dolt_errors
from ..dolt.sql import quote
from ..errors import ConfigError, DoltError
from ..terminal import get_logger
from .changes import ADDED, AFTER, BEFORE, REMOVED
from .credentials import Database

if TYPE_CHECKING:
    import pandas as pd
    from pymysql.cursors import Cursor

logger = get_logger(__name__)


class DoltChangesDataset(AbstractDataset[Any, Any]):
    """The rows of a table that were added, modified and removed since the last published run that read them.

    It loads a frame with the columns of the table and a column ``change``: ``added``, ``removed``, and for a
    modified row ``modified_before`` and ``modified_after``. Where no run of this branch has read the dataset
    before, all rows are ``added``. Outside a run all rows are, too. It cannot be saved to.

    Args:
        table_name: the table, which has a primary key.
        credentials: ``dolt``.
        columns: the columns to load; all by default.
        metadata: as for Kedro's other datasets.

    Raises:
        ConfigError: the credentials are not ``dolt``, or pyarrow is not installed.

    Example:
        In ``catalog.yml``::

            new_orders:
              type: kedro_doltdb.DoltChangesDataset
              credentials: dolt
              table_name: orders
    """

    def __init__(
        self,
        *,
        table_name: str,
        credentials: dict[str, Any],
        columns: Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        database = credentials.get("creator")
        if not isinstance(database, Database):
            raise ConfigError(
                f"Only Dolt knows the changes of the table {table_name}: give its entry `credentials: dolt`."
            )
        if find_spec("pyarrow") is None:
            raise ConfigError(
                "kedro_doltdb.DoltChangesDataset needs pyarrow: `pip install 'kedro-doltdb[fast]'`."
            )
        self.metadata = metadata
        # What tells the table of a dataset finds it there.
        self._load_args = {"table_name": table_name}
        self._database = database
        self._columns = list(columns) if columns is not None else None
        self._since: str | None = None
        self._branch: str | None = None

    @property
    def table_name(self) -> str:
        """The table."""
        return str(self._load_args["table_name"])

    def confirm(self) -> None:
        """Do nothing: what a run has read counts as read when the run is published."""

    def begin_from(self, branch: str, since: str | None) -> None:
        """Give what changes since a commit, in the run on ``branch``.

        Args:
            branch: the run's own branch.
            since: the commit; None gives all rows.
        """
        self._branch, self._since = branch, since

    def load(self) -> pd.DataFrame:
        """Return the rows that have changed.

        Raises:
            DoltError: the dataset came into the catalog after the run had begun, or there is no such table.
        """
        from ..tables.booleans import boolean_columns, with_booleans
        from ..tables.pandas_frame import to_frame

        if self._database.branch is not None and self._database.branch != self._branch:
            raise DoltError(
                f"What changed in {self.table_name} since the last run is not known, for its dataset was not "
                "in the catalog when the run began: put it into catalog.yml."
            )
        with dolt_errors(), self._database() as connection, connection.cursor() as cursor:
            query, schema = self._query(cursor)
            booleans = boolean_columns(cursor, quote(self.table_name))
            if schema is not None:
                from ..tables.rows import read_rows

                frame = to_frame(read_rows(connection, query, schema))
                if frame is not None:
                    return with_booleans(frame, booleans)
            cursor.execute(query.replace("%", "%%"), ())
            import pandas as pd

            names = [column[0] for column in cursor.description or ()]
            return pd.DataFrame(list(cursor.fetchall()), columns=names)

    def _query(self, cursor: Cursor) -> tuple[str, Any]:
        import pyarrow as pa

        from ..dolt.as_of import column_types, columns_at
        from ..tables.columns import TEXT, arrow_type

        now = columns_at(cursor, self.table_name, None)
        if not now:
            raise ConfigError(f"There is no table {self.table_name} whose changes could be loaded.")
        names = self._columns if self._columns is not None else list(now)
        if missing := [name for name in names if name not in now]:
            raise ConfigError(
                f"The table {self.table_name} has no column {missing[0]}: see `columns` of its entry."
            )
        if "change" in names:
            raise ConfigError(
                f"The table {self.table_name} has a column `change`, the name of the one that says what "
                "changed: leave it out with `columns`."
            )
        if not any(now.values()):
            raise ConfigError(
                f"The table {self.table_name} has no primary key, so its changes are not known by row: give "
                "it one, with DoltTableDataset or `method: ${dolt.bulk_load:<columns>}`."
            )
        kinds = column_types(cursor, self.table_name)
        types = {name: arrow_type(kinds[name]) for name in names}
        schema = None if None in types.values() else pa.schema({**types, "change": TEXT})
        then = columns_at(cursor, self.table_name, self._since) if self._since else {}
        if self._since and not then:
            logger.warning(
                "%s was not there at the last run: all of its rows count as added.", self.table_name
            )
        key, key_then = ([name for name, is_key in columns.items() if is_key] for columns in (now, then))
        if then and key != key_then:
            logger.warning("The key of %s has changed: all of its rows count as added.", self.table_name)
        if not then or key != key_then:
            listed = ", ".join(map(quote, names))
            return f"SELECT {listed}, '{ADDED}' AS `change` FROM {quote(self.table_name)}", schema
        changed = f"FROM dolt_diff('{self._since}', 'WORKING', {cursor.connection.literal(self.table_name)})"
        after = ", ".join(f"{quote('to_' + name)} AS {quote(name)}" for name in names)
        before = ", ".join(
            f"{quote('from_' + name) if name in then else 'NULL'} AS {quote(name)}" for name in names
        )
        return (
            f"SELECT {before}, IF(diff_type = 'removed', '{REMOVED}', '{BEFORE}') AS `change` {changed} "
            f"WHERE diff_type <> 'added' UNION ALL "
            f"SELECT {after}, IF(diff_type = 'added', '{ADDED}', '{AFTER}') {changed} "
            "WHERE diff_type <> 'removed'"
        ), schema

    def save(self, data: Any) -> NoReturn:
        """Refuse.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"The changes of {self.table_name} cannot be saved: save the table, with an entry of type "
            "kedro_doltdb.DoltTableDataset."
        )

    def _describe(self) -> dict[str, Any]:
        return {"table_name": self.table_name, "columns": self._columns}
