"""Ways to keep the versions of a table: ours, other ways with Dolt, and those without it."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from kedro.io import Version
from kedro_datasets.pandas import CSVDataset, ParquetDataset, SQLQueryDataset

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.dolt_cli import initialise, run_dolt
from kedro_doltdb.settings import Settings
from kedro_doltdb.tables.bulk_load import BulkLoad, bulk_load

from .save_table import import_schema


class Way(ABC):
    """A way to keep the versions of one table, in a directory of its own.

    Attributes:
        name: what the tables of results call it.
        slow: it is measured with fewer versions.
    """

    name: str
    slow = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)

    def prepare(self, frame: pd.DataFrame) -> None:
        """What is not measured before a save."""
        return

    @abstractmethod
    def save(self, frame: pd.DataFrame, number: int) -> None:
        """Save the frame as the version with that number, counted from 0."""

    @abstractmethod
    def load(self) -> pd.DataFrame:
        """The latest version."""

    def load_cold(self) -> None:
        """Prepare a load without what makes a second one quicker; only where there is such a thing."""
        return

    @abstractmethod
    def load_old(self, number: int) -> pd.DataFrame:
        """The version with that number."""

    def changed_rows(self, old: int, new: int) -> int:
        """How many rows differ between two versions: both are loaded and compared, if it takes that."""
        before, after = self.load_old(old).set_index("id"), self.load_old(new).set_index("id")
        return int((before != after.reindex(before.index)).any(axis=1).sum())

    def size(self) -> int:
        """The bytes of all versions on disk, garbage collected."""
        return _bytes_in(self.directory)

    def copies(self) -> int:
        """How much of ``size`` is for quicker loads alone."""
        return 0

    def close(self) -> None:
        """Stop what runs."""
        return


class OnServer(Way):
    """A table of a Dolt server; a version is a commit."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        initialise(directory / "data", [])
        self.database = Database(directory, Settings())
        self.engine = sa.create_engine(self.database.con, creator=self.database, poolclass=sa.NullPool)
        self.commits: list[str] = []
        self.sql("SELECT 1")

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        connection = self.database()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, args)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def commit(self, number: int) -> None:
        [(commit,)] = self.sql("CALL DOLT_COMMIT('-A', '--allow-empty', '-m', %s)", f"version {number}")
        self.commits.append(commit)

    def load_old(self, number: int) -> pd.DataFrame:
        query = f"SELECT * FROM versions AS OF '{self.commits[number]}'"
        credentials = self.database.credentials()
        frame: pd.DataFrame = SQLQueryDataset(sql=query, credentials=credentials).load()
        return frame

    def changed_rows(self, old: int, new: int) -> int:
        return len(
            self.sql("SELECT * FROM dolt_diff(%s, %s, 'versions')", self.commits[old], self.commits[new])
        )

    def size(self) -> int:
        self.sql("CALL DOLT_GC()")
        return super().size()

    def close(self) -> None:
        self.engine.dispose()
        self.database.close()


class Ours(OnServer):
    name = "`DoltTableDataset`"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        # The copies are in the directory, so that they count as the disk that this way takes.
        self.cache = directory / "cache"
        self.dataset = DoltTableDataset(
            table_name="versions", credentials=self.database.credentials(), primary_key="id"
        )

    def save(self, frame: pd.DataFrame, number: int) -> None:
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        self.dataset.save(frame)
        self.commit(number)

    def load(self) -> pd.DataFrame:
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        frame: pd.DataFrame = self.dataset.load()
        return frame

    def load_old(self, number: int) -> pd.DataFrame:
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        frame: pd.DataFrame = DoltTableDataset(
            table_name="versions",
            credentials=self.database.credentials(),
            primary_key="id",
            at=self.commits[number],
        ).load()
        return frame

    def load_cold(self) -> None:
        shutil.rmtree(self.cache, ignore_errors=True)

    def copies(self) -> int:
        return _bytes_in(self.cache)


class OursCold(Ours):
    name = "`DoltTableDataset`, its copies lost each time"

    def prepare(self, frame: pd.DataFrame) -> None:
        self.load_cold()


class ToSql(OnServer):
    name = "plain `to_sql`, replace"
    slow = True
    method: BulkLoad | None = None

    def save(self, frame: pd.DataFrame, number: int) -> None:
        frame.to_sql("versions", self.engine, if_exists="replace", index=False, method=self.method)
        self.commit(number)

    def load(self) -> pd.DataFrame:
        return pd.read_sql_table("versions", self.engine)


class Stock(ToSql):
    name = "a stock entry with `${dolt.bulk_load:id}`"
    method = bulk_load("id")


class Import(Way):
    name = "`dolt table import` of a CSV file, `dolt commit`"
    slow = True

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self.csv = directory.parent / "import.csv"
        initialise(self.data, [])

    def prepare(self, frame: pd.DataFrame) -> None:
        frame.to_csv(self.csv, index=False)
        self.options = import_schema(frame, "versions", self.directory)

    def save(self, frame: pd.DataFrame, number: int) -> None:
        verb = ["--replace-table"] if number else ["--create-table", *self.options]
        run_dolt(["table", "import", *verb, "versions", str(self.csv)], self.data)
        run_dolt(["commit", "-A", "--allow-empty", "-m", f"version {number}"], self.data)

    def load(self) -> pd.DataFrame:
        return self.load_old(-1)

    def load_old(self, number: int) -> pd.DataFrame:
        target = self.directory.parent / "export.csv"
        run_dolt(["table", "export", "--force", "versions", str(target)], self.data)
        return pd.read_csv(target)

    def changed_rows(self, old: int, new: int) -> int:
        ref = f"HEAD~{new - old}"
        rows = run_dolt(
            ["sql", "-r", "csv", "-q", f"SELECT COUNT(*) FROM dolt_diff('{ref}', 'HEAD', 'versions')"],
            self.data,
        )
        return int(rows.split()[-1])

    def size(self) -> int:
        run_dolt(["gc"], self.data)
        return super().size()


class Parquet(Way):
    name = "Kedro's versioned Parquet"
    dataset, ending = ParquetDataset, "parquet"

    def _at(self, number: int) -> Any:
        version = f"2026-01-01T00.00.00.{number:03d}Z"
        return self.dataset(
            filepath=(self.directory / f"versions.{self.ending}").as_posix(),
            version=Version(version, version),
        )

    def save(self, frame: pd.DataFrame, number: int) -> None:
        self._at(number).save(frame)
        self.latest = number

    def load(self) -> pd.DataFrame:
        return self.load_old(self.latest)

    def load_old(self, number: int) -> pd.DataFrame:
        frame: pd.DataFrame = self._at(number).load()
        return frame


class Csv(Parquet):
    name = "Kedro's versioned CSV"
    dataset, ending = CSVDataset, "csv"
    slow = True


class Delta(Way):
    name = "Delta Lake, overwrite"

    def save(self, frame: pd.DataFrame, number: int) -> None:
        from deltalake import write_deltalake

        write_deltalake(str(self.directory / "delta"), frame, mode="overwrite")

    def load(self) -> pd.DataFrame:
        return self._load(None)

    def load_old(self, number: int) -> pd.DataFrame:
        return self._load(number)

    def _load(self, version: int | None) -> pd.DataFrame:
        from deltalake import DeltaTable

        frame: pd.DataFrame = DeltaTable(str(self.directory / "delta"), version=version).to_pandas()
        return frame


class Iceberg(Way):
    name = "Apache Iceberg, overwrite"

    def __init__(self, directory: Path) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        super().__init__(directory)
        location = directory.absolute()
        # Iceberg has no nanoseconds yet.
        self.catalog = SqlCatalog(
            "bench", uri=f"sqlite:///{location}/catalog.db", warehouse=f"file://{location}",
            **{"downcast-ns-timestamp-to-us-on-write": "true"},
        )  # fmt: skip
        self.catalog.create_namespace("bench")
        self.snapshots: list[int] = []

    def save(self, frame: pd.DataFrame, number: int) -> None:
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        if number == 0:
            self.catalog.create_table("bench.versions", schema=rows.schema)
        table = self.catalog.load_table("bench.versions")
        (table.overwrite if number else table.append)(rows)
        snapshot = table.current_snapshot()
        assert snapshot is not None
        self.snapshots.append(snapshot.snapshot_id)

    def load(self) -> pd.DataFrame:
        return self._load(None)

    def load_old(self, number: int) -> pd.DataFrame:
        return self._load(self.snapshots[number])

    def _load(self, snapshot: int | None) -> pd.DataFrame:
        frame: pd.DataFrame = self.catalog.load_table("bench.versions").scan(snapshot_id=snapshot).to_pandas()
        return frame


class Dvc(Way):
    name = "DVC on Parquet, its commands"
    slow = True

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.file = directory / "versions.parquet"
        self._run("git", "init", "-q")
        self._run("git", "config", "user.name", "bench")
        self._run("git", "config", "user.email", "bench@localhost")
        self._dvc("init", "-q")
        self._dvc("config", "core.analytics", "false")

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)

    def _dvc(self, *args: str) -> None:
        self._run(sys.executable, "-m", "dvc", *args)

    def save(self, frame: pd.DataFrame, number: int) -> None:
        frame.to_parquet(self.file)
        self._dvc("add", "-q", self.file.name)
        self._run("git", "add", "--all")
        self._run("git", "commit", "-q", "--allow-empty", "-m", f"version {number}")
        self._run("git", "tag", f"v{number}")

    def load(self) -> pd.DataFrame:
        return pd.read_parquet(self.file)

    def load_old(self, number: int) -> pd.DataFrame:
        self._run("git", "checkout", "-q", f"v{number}", f"{self.file.name}.dvc")
        self._dvc("checkout", "-q", self.file.name)
        return pd.read_parquet(self.file)


class HardLinks(Way):
    """What lakeFS does, on one disk: a version is a directory, and what has not changed is linked."""

    name = "Parquet, a directory of hard links a version"

    def _file(self, number: int) -> Path:
        return self.directory / str(number) / "versions.parquet"

    def save(self, frame: pd.DataFrame, number: int) -> None:
        file, before = self._file(number), self._file(number - 1)
        file.parent.mkdir()
        frame.to_parquet(file)
        if before.exists() and filecmp.cmp(before, file, shallow=False):
            file.unlink()
            os.link(before, file)
        self.latest = number

    def load(self) -> pd.DataFrame:
        return self.load_old(self.latest)

    def load_old(self, number: int) -> pd.DataFrame:
        return pd.read_parquet(self._file(number))

    def size(self) -> int:
        files = [path.stat() for path in self.directory.rglob("*.parquet")]
        return sum({file.st_ino: file.st_size for file in files}.values())


class Sqlite(Way):
    """SQLite keeps no versions: each is a file."""

    name = "SQLite, a file a version"
    slow = True

    def _engine(self, number: int) -> sa.Engine:
        return sa.create_engine(f"sqlite:///{self.directory / str(number)}.db", poolclass=sa.NullPool)

    def save(self, frame: pd.DataFrame, number: int) -> None:
        frame.to_sql("versions", self._engine(number), index=False)
        self.latest = number

    def load(self) -> pd.DataFrame:
        return self.load_old(self.latest)

    def load_old(self, number: int) -> pd.DataFrame:
        return pd.read_sql_table("versions", self._engine(number))


class DuckDb(Way):
    """DuckDB keeps no versions: each is a file."""

    name = "DuckDB, a file a version"

    def save(self, frame: pd.DataFrame, number: int) -> None:
        import duckdb

        with duckdb.connect(str(self.directory / f"{number}.db")) as connection:
            connection.register("frame", frame)
            connection.execute("CREATE TABLE versions AS SELECT * FROM frame")
        self.latest = number

    def load(self) -> pd.DataFrame:
        return self.load_old(self.latest)

    def load_old(self, number: int) -> pd.DataFrame:
        import duckdb

        with duckdb.connect(str(self.directory / f"{number}.db"), read_only=True) as connection:
            frame: pd.DataFrame = connection.execute("SELECT * FROM versions").df()
            return frame


def _bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


WAYS: list[type[Way]] = [
    Ours, OursCold, ToSql, Import, Parquet, HardLinks, Csv, Sqlite, DuckDb, Delta, Iceberg, Dvc,
]  # fmt: skip
