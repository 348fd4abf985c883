"""What each unfinished run has done so far, kept so that another process can take up after it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .journal import Edge, Run


def folded(names: Iterable[str]) -> set[str]:
    """Names of tables as Dolt tells them apart."""
    return {name.lower() for name in names}


@dataclass
class Record:
    """A run that is under way, or whose private branch is kept.

    Attributes:
        name: the run id, with a suffix if it was taken; it names the branch ``kedro/<name>`` and the lease.
        run_id: Kedro's run id.
        target: the branch that the run publishes to.
        base: the commit that the run began at.
        pipeline: the names of its pipelines; a resumed run has the same.
        reads: tables that it reads and does not produce.
        writes: tables that it produces.
        reads_all: it has a query that may read any table.
        created_target: the target did not exist before.
        status: ``running`` or ``kept``.
        commit: the commit that was about to be published.
        superseded: another run of the target has ended since, so this one is not resumed.
        run: its row in the journal, as far as it is known.
        edges: its rows in the journal's lineage, likewise.
        parameters_read: the names of the parameters that each of its nodes loads, ``""`` for all; None in a
            record of an older version.
        runtime_params: what ``--params`` gave, as JSON values.
        head: the commit at which its branch was kept.
    """

    name: str
    run_id: str
    target: str
    base: str
    pipeline: list[str]
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    reads_all: bool = False
    created_target: bool = False
    status: str = "running"
    commit: str | None = None
    superseded: bool = False
    run: Run | None = None
    edges: list[Edge] = field(default_factory=list)
    parameters_read: dict[str, list[str]] | None = None
    runtime_params: dict[str, Any] = field(default_factory=dict)
    head: str | None = None

    @property
    def branch(self) -> str:
        """The run's private branch."""
        return f"kedro/{self.name}"

    def touches(self, tables: set[str]) -> set[str]:
        """Those of ``tables`` that the run reads or writes; Dolt tells no table from another by case."""
        mine = folded([*self.reads, *self.writes])
        return tables if self.reads_all else {table for table in tables if table.lower() in mine}


class Records(Protocol):
    """The records of a repository's unfinished runs, and beside them the datasets that are complete."""

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""

    def all(self) -> list[Record]:
        """All records, the oldest run first."""

    def tidy(self) -> None:
        """Remove what processes that were killed while they wrote a record have left."""

    def delete(self, record: Record) -> None:
        """Forget a run."""

    def add_complete(self, name: str, datasets: list[str]) -> None:
        """Note that the run ``name`` has saved ``datasets`` completely; any process of it may say so."""

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""


class FileRecords:
    """The records in ``directory``, one JSON file a run, and beside it the datasets that are complete."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""
        path = self._directory / f"{record.name}.json"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(to_json(record))
        temporary.replace(path)

    def all(self) -> list[Record]:
        """All records, the oldest run first."""
        records = []
        for path in sorted(self._directory.glob("*.json")):
            # Other runs end while we look.
            with suppress(FileNotFoundError):
                records.append(from_json(path.read_text()))
        return records

    def tidy(self) -> None:
        """Remove what processes that were killed while they wrote a record have left."""
        for path in self._directory.glob("*.tmp"):
            try:
                os.kill(int(path.suffixes[-2][1:]), 0)
            except ProcessLookupError:
                path.unlink(missing_ok=True)
            except PermissionError:
                pass

    def delete(self, record: Record) -> None:
        """Forget a run."""
        (self._directory / f"{record.name}.json").unlink(missing_ok=True)
        (self._directory / f"{record.name}.complete").unlink(missing_ok=True)

    def add_complete(self, name: str, datasets: list[str]) -> None:
        """Note that the run ``name`` has saved ``datasets`` completely; any process of it may say so."""
        with open(self._directory / f"{name}.complete", "a") as file:
            file.write("".join(json.dumps(name) + "\n" for name in datasets))

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""
        try:
            lines = (self._directory / f"{record.name}.complete").read_text().splitlines()
        except FileNotFoundError:
            return set()
        return {json.loads(line) for line in lines}


def to_json(record: Record) -> str:
    """A record as text."""
    return json.dumps({**asdict(record), "run": record.run and record.run.to_json()})


def from_json(text: str) -> Record:
    """The record of :func:`to_json`."""
    values: dict[str, Any] = json.loads(text)
    run, edges = values.get("run"), values.get("edges", [])
    return Record(**{**values, "run": run and Run.from_json(run), "edges": [Edge(**edge) for edge in edges]})
