"""The records of unfinished runs, where the server is somebody else's: in tables on a branch of their own.

The next run, which sees to one that was killed, may come from another machine. The tables stand uncommitted
on the branch ``kedro/state``: they are nobody's data, and no history of them is wanted.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import pymysql

from ..dolt.answers import is_missing_table
from ..dolt.names import STATE_BRANCH
from ..dolt.sql import identifier
from ..state_files import UnreadableError
from ..terminal import get_logger
from .records import Record, from_json, in_order, to_json

if TYPE_CHECKING:
    from ..dolt.repository import Repository

# The columns as Dolt shows them, and how many of them are the key.
_TABLES = {
    "unfinished_runs": ({"name": "varchar(255)", "record": "longtext"}, 1),
    "complete_datasets": ({"name": "varchar(255)", "dataset": "varchar(255)"}, 2),
    "failed_nodes": ({"name": "varchar(255)", "node": "varchar(255)"}, 2),
}
_UNREADABLE = ".unreadable"
_ATTEMPTS = 5


class SqlRecords:
    """The records on the server of ``repository``."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""
        self._write(
            "REPLACE INTO unfinished_runs (name, record) VALUES (%s, %s)", (record.run_id, to_json(record))
        )

    def all(self) -> list[Record]:
        """Return all records as :class:`FileRecords` does. One that cannot be read is renamed."""
        records = []
        query = "SELECT name, record FROM unfinished_runs WHERE name NOT LIKE %s ORDER BY name"
        for name, text in self._read(query, (f"%{_UNREADABLE}",)):
            try:
                records.append(from_json(text, name))
            except UnreadableError as error:
                self._set_aside(name, str(error))
        return in_order(records)

    def _set_aside(self, name: str, why: str) -> None:
        aside = name[: 255 - len(_UNREADABLE)] + _UNREADABLE
        self._write("DELETE FROM unfinished_runs WHERE name = %s", (aside,))
        self._write("UPDATE unfinished_runs SET name = %s WHERE name = %s", (aside, name))
        get_logger(__name__).warning(
            "The record of run %s on the branch %s cannot be used (%s) and is set aside as %s.",
            name, STATE_BRANCH, why, aside,
        )  # fmt: skip

    def tidy(self) -> None:
        """Set aside what has the name of a table of ours and is something else."""
        there = {name.lower(): (name, kind) for name, kind in self._read("SHOW FULL TABLES")}
        for table, (columns, keys) in _TABLES.items():
            name, kind = there.get(table, (table, ""))
            if kind == "BASE TABLE":
                found = self._read(f"SHOW COLUMNS FROM {identifier(name)}")
                ours = [
                    (*column, "PRI" if number < keys else "") for number, column in enumerate(columns.items())
                ]
                fits = [(row[0], row[1].lower(), row[3]) for row in found[: len(ours)]] == ours
                # A newer version may have added some.
                if fits and all(row[2] == "YES" and row[3] != "PRI" for row in found[len(ours) :]):
                    continue
            if kind:
                self._set_table_aside(name, set(there))

    def _set_table_aside(self, name: str, taken: set[str]) -> None:
        free = (f"{name}_unreadable{number or ''}" for number in count())
        aside = next(new for new in free if new.lower() not in taken)
        self._write(f"RENAME TABLE {identifier(name)} TO {identifier(aside)}", ())
        get_logger(__name__).warning(
            "%s cannot be used (%s) and is set aside as %s. Nothing else is lost; look at it or drop it.",
            f"{name} on the branch {STATE_BRANCH}", "it is not the table that runs keep there", aside,
        )  # fmt: skip

    def delete(self, record: Record) -> None:
        """Forget a run."""
        for table in _TABLES:
            self._write(f"DELETE FROM {table} WHERE name = %s", (record.run_id,))

    def add_complete(self, run_id: str, datasets: list[str]) -> None:
        """Note that the run ``run_id`` has saved ``datasets`` completely; any process of it may say so."""
        if datasets:
            values = ", ".join(["(%s, %s)"] * len(datasets))
            args = tuple(value for dataset in datasets for value in (run_id, dataset))
            self._write(f"REPLACE INTO complete_datasets (name, dataset) VALUES {values}", args)

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""
        rows = self._read("SELECT dataset FROM complete_datasets WHERE name = %s", (record.run_id,))
        return {row[0] for row in rows}

    def add_finished(self, run_id: str, node: str, seconds: float) -> None:
        """Note nothing: files may be another machine's, and how long nodes take is not worth a connection."""

    def finished(self, record: Record) -> dict[str, tuple[float, float]]:
        """Return nothing: see :meth:`add_finished`."""
        return {}

    def add_failed(self, run_id: str, node: str) -> None:
        """Note that a node of the run ``run_id`` has failed; any process of it may say so."""
        self._write("REPLACE INTO failed_nodes (name, node) VALUES (%s, %s)", (run_id, node))

    def failed(self, record: Record) -> set[str]:
        """Return the nodes of the run that are known to have failed."""
        rows = self._read("SELECT node FROM failed_nodes WHERE name = %s", (record.run_id,))
        return {row[0] for row in rows}

    def is_readable(self, record: Record) -> bool:
        """Return whether :meth:`complete` knows what the run has saved completely: rows are whole or not."""
        return True

    def _read(self, query: str, args: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
        for attempt in range(_ATTEMPTS):
            try:
                with self._repository.on(STATE_BRANCH) as cursor:
                    cursor.execute(query, args)
                    return cursor.fetchall()
            except pymysql.err.Error as error:
                if self._is_missing(error):
                    return ()
                # Another run may have made the branch just now.
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.02 * attempt)
        raise AssertionError("unreachable")

    def _write(self, statement: str, args: tuple[str, ...]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                with self._repository.on(STATE_BRANCH) as cursor:
                    cursor.execute(statement, args)
                    return
            except pymysql.err.Error as error:
                if attempt == _ATTEMPTS - 1:
                    raise
                if self._is_missing(error):
                    self._make()
                # Dolt may refuse one of two commits at once.
                time.sleep(0.02 * attempt)

    def _is_missing(self, error: pymysql.err.Error) -> bool:
        """Return whether nobody has written yet.

        What Dolt answers of a branch that is not there depends on the user's rights (``Access denied``).
        """
        return is_missing_table(error) or STATE_BRANCH not in self._repository.branches()

    def _make(self) -> None:
        repository = self._repository
        with repository.locked("state"):
            if STATE_BRANCH not in repository.branches():
                repository.create_branch(STATE_BRANCH, repository.head(repository.checked_out()))
            with repository.on(STATE_BRANCH) as cursor:
                for table, (columns, keys) in _TABLES.items():
                    declared = ", ".join(f"{name} {kind} NOT NULL" for name, kind in columns.items())
                    key = ", ".join(list(columns)[:keys])
                    cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({declared}, PRIMARY KEY ({key}))")
