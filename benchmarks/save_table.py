"""Save a data frame to a Dolt table: by the resolver, by `to_sql`, and by Dolt's import of a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.dolt_cli import initialise, run_dolt
from kedro_doltdb.settings import Settings
from kedro_doltdb.tables.bulk_load import BulkLoad, bulk_load
from kedro_doltdb.tables.text_types import SHORT_TEXT

from .measure import Benchmark, timed

ROWS = 100_000
OURS = "first save by `DoltTableDataset`"
DOLT_IMPORT = "`dolt table import` of a CSV file that is there"


def save_table(directory: Path) -> AbstractContextManager[Benchmark]:
    """Compare first saves of 100,000 rows."""
    return first_saves(directory, frame_of(ROWS), 1.2, plain=True)


def save_million(directory: Path) -> AbstractContextManager[Benchmark]:
    """Compare first saves of 1,000,000 rows."""
    return first_saves(directory, frame_of(10 * ROWS), 0.6)


def save_texts(directory: Path) -> AbstractContextManager[Benchmark]:
    """Compare first saves of 195,000 rows of text, of which no two are the same."""
    return first_saves(directory, _texts(195_000), 1.2)


@contextmanager
def first_saves(
    directory: Path, frame: pd.DataFrame, aim: float, *, plain: bool = False, what: str = ""
) -> Iterator[Benchmark]:
    """Make two repositories in ``directory``: one with a server for SQL, one for the command line alone.

    Args:
        directory: it is there.
        frame: what is saved; its first column is its key.
        aim: the greatest ratio to Dolt's own import that we want.
        plain: whether plain `to_sql` is measured as well.
        what: the table's name, for the title.
    """
    served, alone = directory / "served", directory / "alone"
    for project in (served, alone):
        project.mkdir()
        initialise(project / "data", [])
    frame.to_csv(alone / "frame.csv", index=False)
    database = Database(served, Settings())
    engine = sa.create_engine(database.con, creator=database, poolclass=sa.NullPool)
    by_resolver = f"`to_sql` with `method=bulk_load('{frame.columns[0]}')`"
    try:
        yield Benchmark(
            f"Save {what}{len(frame):,} rows of {len(frame.columns)} columns",
            OURS,
            {
                OURS: _ours(frame, database),
                by_resolver: _to_sql(frame, engine, "keyed", bulk_load(frame.columns[0])),
                **({"plain `to_sql`": _to_sql(frame, engine, "plain")} if plain else {}),
                DOLT_IMPORT: _dolt_import(alone, frame),
                "a CSV file": lambda: timed(lambda: frame.to_csv(served / "frame.csv", index=False)),
            },
            {DOLT_IMPORT: aim},
        )
    finally:
        database.close()


def frame_of(rows: int) -> pd.DataFrame:
    """The table that the benchmarks save: 7 columns, `id` being its key."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "name": [f"item number {number}" for number in random.integers(0, rows, rows)],
            "city": random.choice(["Oslo", "Köln", "Sankt Gallen", "Rio de Janeiro"], rows),
            "price": random.normal(100, 20, rows),
            "stock": random.integers(0, 10_000, rows),
            "sold": random.random(rows) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**7, rows), unit="s"),
        }
    )


def _texts(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "title": [f"Order {number:,} of the year" for number in range(rows)],
            "note": [
                f"{number:x} was sent, and {rows - number} are still to come. " * 2 for number in range(rows)
            ],
            "email": [f"customer.{number}@example.org" for number in range(rows)],
        }
    )


def _ours(frame: pd.DataFrame, database: Database) -> Callable[[], float]:
    dataset = DoltTableDataset(
        table_name="ours", credentials=database.credentials(), primary_key=frame.columns[0]
    )

    def save() -> float:
        connection = database()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS ours")
        connection.close()
        return timed(lambda: dataset.save(frame))

    return save


def _to_sql(
    frame: pd.DataFrame, engine: sa.Engine, table: str, method: BulkLoad | None = None
) -> Callable[[], float]:
    def save() -> float:
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        seconds = timed(lambda: frame.to_sql(table, engine, if_exists="replace", index=False, method=method))
        with engine.connect() as connection:
            saved = connection.execute(sa.text(f"SELECT COUNT(*) FROM {table}")).scalar()
        if saved != len(frame):
            raise SystemExit(f"{table} has {saved} rows")
        return seconds

    return save


def import_schema(frame: pd.DataFrame, table: str, directory: Path) -> list[str]:
    """Return the options with which `dolt table import` makes a table with the key `id`.

    Dolt guesses the types, unless there are texts that are too long for what it guesses. With LONGTEXT given,
    its import takes longer than so.

    Args:
        frame: what the table is to hold.
        table: its name.
        directory: where a file with the types is written, if it takes one.
    """
    texts = [name for name, dtype in frame.dtypes.items() if pd.api.types.is_string_dtype(dtype)]
    long = {name for name in texts if frame[name].str.len().max() > SHORT_TEXT}
    if not long:
        return ["--pk", "id"]
    types = {**dict.fromkeys(texts, f"VARCHAR({SHORT_TEXT})"), **dict.fromkeys(long, "LONGTEXT")}
    columns = ", ".join(
        f"`{name}` {types.get(name, 'BIGINT' if dtype.kind == 'i' else 'DOUBLE')}"
        for name, dtype in frame.dtypes.items()
    )
    file = directory / "schema.sql"
    file.write_text(f"CREATE TABLE `{table}` ({columns}, PRIMARY KEY (`id`));")
    return ["--schema", str(file.absolute())]


def _dolt_import(project: Path, frame: pd.DataFrame) -> Callable[[], float]:
    data, rows = project / "data", len(frame)
    options = import_schema(frame, "imported", project)

    def save() -> float:
        command = ["table", "import", "--create-table", "--force", *options, "imported", "../frame.csv"]
        seconds = timed(lambda: run_dolt(command, data))
        saved = run_dolt(["sql", "-r", "csv", "-q", "SELECT COUNT(*) FROM imported"], data).split()[-1]
        if int(saved) != rows:
            raise SystemExit(f"dolt table import left {saved} rows")
        return seconds

    return save
