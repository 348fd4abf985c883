"""Five checks of the change of a large table of which few rows changed, and the same by reading it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.checks.audit import audit
from kedro_doltdb.checks.definitions import parse
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.settings import Settings

from .measure import Benchmark, timed

ROWS = 1_000_000
CHANGED = 100
CHECKS = parse(
    {
        "prices": {
            "max_rows_changed": "5%",
            "max_rows_removed": 0,
            "append_only": {"limit": True, "severity": "warn"},
            "frozen_schema": True,
            "columns_changed_within": ["price"],
        }
    }
)
_BY_READING = (
    "SELECT COUNT(*), SUM(NOT (now_.shop <=> was_.shop AND now_.stock <=> was_.stock)) "
    "FROM prices now_ JOIN prices AS OF %s was_ ON now_.id = was_.id "
    "WHERE NOT (now_.price <=> was_.price AND now_.shop <=> was_.shop AND now_.stock <=> was_.stock)"
)


@contextmanager
def checks(directory: Path) -> Iterator[Benchmark]:
    """Make a repository in ``directory`` with the table, committed, and then changed."""
    initialise(directory / "data", [])
    database = Database(directory, Settings())
    numbers = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "price": numbers.random(ROWS),
            "shop": numbers.integers(0, 500, ROWS),
            "stock": numbers.integers(0, 1000, ROWS),
        }
    )
    try:
        dataset = DoltTableDataset(table_name="prices", credentials=database.credentials(), primary_key="id")
        dataset.save(frame)
        with database.serving() as repository, repository.on() as cursor:
            cursor.execute("CALL DOLT_COMMIT('-Am', 'Before')")
            base = repository.head(repository.checked_out())
            changed = numbers.choice(ROWS, CHANGED, replace=False)
            cursor.executemany("UPDATE prices SET price = -1 WHERE id = %s", [(int(row),) for row in changed])

            def by_diff() -> None:
                statuses = {result.check_name: result.status for result in audit(cursor, base, CHECKS)}
                assert list(statuses.values()).count("passed") == 4, statuses
                assert statuses["append_only"] == "failed"

            def by_reading() -> None:
                cursor.execute(_BY_READING, (base,))
                assert cursor.fetchall() == ((CHANGED, 0),)

            ours = "five checks of the change"
            reading = "rows and columns that changed, by a join of the two states"
            yield Benchmark(
                f"Check a change of {CHANGED} of {ROWS:,} rows",
                ours,
                {ours: lambda: timed(by_diff), reading: lambda: timed(by_reading)},
                {reading: 0.05},
            )
    finally:
        database.close()
