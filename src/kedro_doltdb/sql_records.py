"""The records of unfinished runs, where the server is somebody else's: in tables on a branch of their own.

The next run, which sees to one that was killed, may come from another machine. The tables stand uncommitted
on the branch ``kedro/state``: they are nobody's data, and no history of them is wanted.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pymysql

from .records import Record, from_json, to_json

if TYPE_CHECKING:
    from .repository import Repository

BRANCH = "kedro/state"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS unfinished_runs (name VARCHAR(255) PRIMARY KEY, record LONGTEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS complete_datasets (name VARCHAR(255), dataset VARCHAR(255), "
    "PRIMARY KEY (name, dataset))",
)
_ATTEMPTS = 5
_NO_SUCH_DATABASE, _NO_SUCH_TABLE = 1049, 1146


class SqlRecords:
    """The records on the server of ``repository``."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""
        self._write("REPLACE INTO unfinished_runs VALUES (%s, %s)", (record.name, to_json(record)))

    def all(self) -> list[Record]:
        """All records, the oldest run first."""
        return [from_json(row[0]) for row in self._read("SELECT record FROM unfinished_runs ORDER BY name")]

    def tidy(self) -> None:
        """Nothing: a statement is whole or not at all."""

    def delete(self, record: Record) -> None:
        """Forget a run."""
        for table in ("unfinished_runs", "complete_datasets"):
            self._write(f"DELETE FROM {table} WHERE name = %s", (record.name,))

    def add_complete(self, name: str, datasets: list[str]) -> None:
        """Note that the run ``name`` has saved ``datasets`` completely; any process of it may say so."""
        if datasets:
            values = ", ".join(["(%s, %s)"] * len(datasets))
            args = tuple(value for dataset in datasets for value in (name, dataset))
            self._write(f"REPLACE INTO complete_datasets VALUES {values}", args)

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""
        rows = self._read("SELECT dataset FROM complete_datasets WHERE name = %s", (record.name,))
        return {row[0] for row in rows}

    def _read(self, query: str, args: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
        try:
            with self._repository.on(BRANCH) as cursor:
                cursor.execute(query, args)
                return cursor.fetchall()
        except pymysql.err.Error as error:
            # Nobody has written yet.
            if error.args[0] not in (_NO_SUCH_DATABASE, _NO_SUCH_TABLE):
                raise
            return ()

    def _write(self, statement: str, args: tuple[str, ...]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                with self._repository.on(BRANCH) as cursor:
                    cursor.execute(statement, args)
                    return
            except pymysql.err.Error as error:
                if attempt == _ATTEMPTS - 1:
                    raise
                if error.args[0] in (_NO_SUCH_DATABASE, _NO_SUCH_TABLE):
                    self._make()
                # Dolt may refuse one of two commits at once.
                time.sleep(0.02 * attempt)

    def _make(self) -> None:
        repository = self._repository
        with repository.locked("state"):
            if BRANCH not in repository.branches():
                repository.create_branch(BRANCH, repository.head(repository.checked_out()))
            with repository.on(BRANCH) as cursor:
                for statement in _TABLES:
                    cursor.execute(statement)
