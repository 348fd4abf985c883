"""``kedro_doltdb.open``: a project's data in a notebook or a script, for reading."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymysql.err import Error

from ..catalog.footprint import at_of, find_database, table_of, unwrapped
from ..catalog.project import Project
from ..dolt.answers import plain
from ..dolt.as_of import columns_at
from ..dolt.query import read
from ..dolt.sql import quote
from ..dolt_cli import DoltCommandError, find_dolt
from ..errors import ConfigError
from ..journal.revision import find
from ..server.managed import ManagedServer

if TYPE_CHECKING:
    import pandas as pd
    from doltcli import Dolt

    from ..catalog.credentials import Database
    from ..dolt.repository import Repository
    from .frames import ComparisonFrames


def open(path: str | os.PathLike[str] | None = None) -> DoltData:
    """Open the data of a Kedro project.

    Args:
        path: the project's directory, or any below it; None is the current one.

    Raises:
        ConfigError: it is in no Kedro project, or the project's configuration cannot be used.

    Example:
        >>> import kedro_doltdb
        >>> with kedro_doltdb.open() as data:
        ...     data.load("example_metrics", at="HEAD~1").columns.tolist()
        ['metric', 'value']
    """
    return DoltData(Project.around(Path(path or ".").expanduser().resolve()))


def compare(
    old: str | None = None, new: str | None = None, *, tables: Iterable[str] | None = None,
    limit: int | None = 5, path: str | os.PathLike[str] | None = None,
) -> ComparisonFrames:  # fmt: skip
    """Return how two runs of a Kedro project differ, as frames.

    Args:
        old: a run, commit, tag or branch; None is the run before ``new``.
        new: the other; None is the last run on the branch checked out in ``data/``.
        tables: the tables to compare; None is all but those of the journal.
        limit: how many rows of each table to bring; None is all that differ, and all are in memory then.
        path: the project's directory, or any below it; None is the current one.

    Raises:
        ConfigError: a name that is not known, there are no two runs, or it is in no Kedro project.

    Example:
        >>> import kedro_doltdb
        >>> kedro_doltdb.compare().params.index.tolist()
        ['example_test_data_ratio']
    """
    with open(path) as data:
        return data.compare(old, new, tables=tables, limit=limit)


class DoltData:
    """The data of a Kedro project, to be read: its tables at any commit, its runs and how they differ.

    The Dolt server is started or joined at the first use, and left by :meth:`close`, at the end of a
    ``with``, or when the process ends. Runs go on beside it.

    Args:
        project: the project.

    Example:
        >>> import kedro_doltdb
        >>> data = kedro_doltdb.open()
        >>> data.load("example_iris_data").shape
        (150, 6)
        >>> data.sql("SELECT COUNT(*) AS n FROM example_iris_data", at="v1.0")["n"].tolist()
        [150]
        >>> data.runs()["params.example_test_data_ratio"].tolist()
        [0.2, 0.1]
        >>> data.close()
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._database = project.database(replica=True)

    def __enter__(self) -> DoltData:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DoltData({str(self._project.metadata.project_path)!r})"

    def close(self) -> None:
        """Leave the server; the next use joins it again."""
        self._database.close()

    def load(self, name: str, at: str | None = None) -> Any:
        """Return a dataset of the catalog as it is, or as it was.

        Args:
            name: a dataset whose entry has ``credentials: dolt``, or a table that has no entry.
            at: a run, commit, tag or branch; None is the branch checked out in ``data/``, uncommitted edits
                included.

        Returns:
            What ``catalog.load`` would give: of a table, a frame.

        Raises:
            ConfigError: nothing of Dolt's has that name, or nothing that of ``at``.
        """
        with self._reading() as repository:
            if at is None:
                return self._load(repository, self._database, name, None)
            commit = find(repository, at).commit
            with self._database.at(commit) as database:
                return self._load(repository, database, name, commit)

    def sql(
        self,
        query: str,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        at: str | None = None,
    ) -> pd.DataFrame:
        """Return the rows that a query finds, each column with its type.

        Args:
            query: a query that only reads, with ``%s`` or ``%(name)s`` for values.
            params: the values.
            at: as for :meth:`load`.

        Raises:
            QueryError: it may write, or it does not fit its values.
            DoltError: Dolt refused it.
        """
        from ..tables.query_frame import query_frame

        with self._reading() as repository:
            commit = find(repository, at).commit if at is not None else None
            connection = self._database.get_address().connect(commit)
            with connection, connection.cursor() as cursor:
                read(cursor, query, params)
                return query_frame(cursor)

    def runs(self) -> pd.DataFrame:
        """Return the runs of all branches, those that were kept included, the latest first.

        Returns:
            A row a run: its commit, start and status, its parameters as columns ``params.<name>``, its
            metrics as ``metrics.<name>``, and ``changes``, the rows that it changed by table.
        """
        from ..queries.runs import listed_runs
        from .frames import runs_frame

        with self._reading() as repository:
            found, _ = listed_runs(repository, self._database.settings.metrics, all_branches=True)
        return runs_frame(found)

    def compare(
        self, old: str | None = None, new: str | None = None, *, tables: Iterable[str] | None = None,
        limit: int | None = 5,
    ) -> ComparisonFrames:  # fmt: skip
        """Return how two runs differ. What it costs follows the number of rows that differ.

        Args:
            old: a run, commit, tag or branch; None is the run before ``new``.
            new: the other; None is the last run on the branch checked out in ``data/``.
            tables: the tables to compare; None is all but those of the journal.
            limit: how many rows of each table to bring; None is all that differ, and all are in memory then.

        Raises:
            ConfigError: a name that is not known, or there are no two runs.
        """
        from ..queries.compare import compare, default_points
        from .frames import ComparisonFrames

        with self._reading() as repository:
            points = default_points(repository, old, new)
            found = compare(
                repository, *points, self._database.settings.metrics, self._database.project_path,
                only=tables, limit=limit,
            )  # fmt: skip
        return ComparisonFrames.of(found)

    @property
    def doltcli(self) -> Dolt:
        """doltcli's object for ``data/``, with Dolt's own commands; it works beside a running server.

        Raises:
            ConfigError: doltcli or Dolt is not installed, or the data is not in ``data/``.
        """
        if not isinstance(self._database.server, ManagedServer):
            raise ConfigError(
                f"The data is on {self._database.server.name}, and doltcli works on directories: use `sql`, "
                "which reaches Dolt's tables and functions as well."
            )
        try:
            from doltcli import Dolt
            from doltcli.utils import set_dolt_path
        except ImportError as error:
            raise ConfigError(
                "doltcli is not installed: `pip install doltcli`, or, with Python 3.12 or newer, "
                "`pip install --no-deps doltcli`, for its requirement typed-ast cannot be installed there."
            ) from error
        try:
            set_dolt_path(find_dolt())
        except DoltCommandError as error:
            raise ConfigError(str(error)) from error
        return Dolt(str(self._database.data_dir))

    @contextmanager
    def _reading(self) -> Iterator[Repository]:
        try:
            self._database.renew()
            # A server that has ended meanwhile is started again.
            self._database().close()
            yield self._database.repository(self._database.get_address())
        except Error as error:
            # What Dolt says is enough: the driver's traceback would fill the notebook.
            raise plain(error) from None

    def _load(self, repository: Repository, database: Database, name: str, commit: str | None) -> Any:
        """Load the dataset of that name, or the table without an entry, from a database at a commit."""
        dataset = self._project.catalog(database.credentials()).get(name)
        if dataset is not None and find_database(dataset) is None:
            raise ConfigError(
                f"The dataset {name} is not in Dolt: load it with Kedro's catalog, `%load_ext kedro.ipython`."
            )
        table = name if dataset is None else table_of(dataset)
        if dataset is not None and at_of(dataset) is not None:
            if commit is None:
                return dataset.load()
            # What the call says goes before what the entry says.
            vars(unwrapped(dataset))["at"] = None
        if table is not None:
            with repository.on(commit) as cursor:
                there = bool(columns_at(cursor, table, None))
            if not there:
                raise ConfigError(
                    f"There is no table {table}{f' at {commit[:10]}' if commit else ''}: conf/*/catalog.yml "
                    'has the datasets, `sql("SHOW TABLES")` lists the tables.'
                )
        if dataset is not None:
            return dataset.load()
        from kedro_datasets.pandas import SQLTableDataset

        from ..tables.booleans import boolean_columns, with_booleans

        with repository.on(commit) as cursor:
            booleans = boolean_columns(cursor, quote(name))
        frame = SQLTableDataset(table_name=name, credentials=database.credentials()).load()
        return with_booleans(frame, booleans)
