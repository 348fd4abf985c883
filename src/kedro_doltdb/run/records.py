"""What each unfinished run has done so far, kept so that another process can take up after it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from .. import state_files
from ..dolt.names import RUN_PREFIX, RUNS
from ..journal.store import Edge, Execution, Run, columns_of
from ..state_files import UnreadableError


def folded(names: Iterable[str]) -> set[str]:
    """Return names of tables as Dolt tells them apart."""
    return {name.lower() for name in names}


@dataclass
class Record:
    """A run that is under way, or whose private branch is kept.

    Attributes:
        run_id: Kedro's id of the run, with a suffix if that was taken; it names the branch and the lease.
        target: the branch that the run publishes to.
        base: the commit that the run began at.
        pipeline: the names of its pipelines; a resumed run has the same.
        reads: tables that it reads and does not produce.
        writes: tables that it produces.
        primary_keys: the key of each table that it saves by ``dolt.bulk_load``.
        reads_all: it has a query that may read any table.
        created_target: the target did not exist before.
        status: ``running`` or ``kept``.
        commit: the commit that was about to be published.
        superseded: another run of the target has ended since, so this one is not resumed.
        run: its row in the journal, as far as it is known.
        edges: its rows in the journal's lineage, likewise.
        nodes: its rows in the journal's list of nodes, likewise.
        parameters_read: the names of the parameters that each of its nodes loads, ``""`` for all; None in a
            record of an older version.
        runtime_params: what ``--params`` gave, as JSON values.
        head: the commit at which its branch was kept.
        incremental: only what has changed is run.
        reads_changes: it reads changes of a table that no published run has read.
        mlflow_tracking_uri: where MLflow keeps the run that the journal names, if that may be noted.
        number: the kept runs are counted in the order in which they ended, for clocks are set back.
    """

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
    nodes: list[Execution] = field(default_factory=list)
    parameters_read: dict[str, list[str]] | None = None
    runtime_params: dict[str, Any] = field(default_factory=dict)
    head: str | None = None
    incremental: bool = False
    reads_changes: bool = False
    number: int = 0
    primary_keys: dict[str, list[str]] = field(default_factory=dict)
    mlflow_tracking_uri: str | None = None

    @property
    def branch(self) -> str:
        """The run's private branch."""
        return f"{RUN_PREFIX}{self.run_id}"

    def touches(self, tables: set[str]) -> set[str]:
        """Return those of ``tables`` that the run reads or writes; case makes no difference to Dolt."""
        mine = folded([*self.reads, *self.writes])
        return tables if self.reads_all else {table for table in tables if table.lower() in mine}


class Records(Protocol):
    """The records of a repository's unfinished runs, and beside them the datasets that are complete."""

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""

    def all(self) -> list[Record]:
        """Return all records: those of runs under way, then of those that were kept, the last one last."""

    def tidy(self) -> None:
        """Remove what processes that were killed while they wrote a record have left."""

    def delete(self, record: Record) -> None:
        """Forget a run."""

    def add_complete(self, run_id: str, datasets: list[str]) -> None:
        """Note that the run ``run_id`` has saved ``datasets`` completely; any process of it may say so."""

    def add_finished(self, run_id: str, node: str, seconds: float) -> None:
        """Note that a node of the run ``run_id`` has finished now, and what its function took."""

    def finished(self, record: Record) -> dict[str, tuple[float, float]]:
        """Return by node when it finished, as a time stamp, and the seconds that it took; what is known."""

    def add_failed(self, run_id: str, node: str) -> None:
        """Note that a node of the run ``run_id`` has failed; any process of it may say so."""

    def failed(self, record: Record) -> set[str]:
        """Return the nodes of the run that are known to have failed."""

    def is_readable(self, record: Record) -> bool:
        """Return whether :meth:`complete` knows what the run has saved completely."""

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""


class FileRecords:
    """The records in ``directory``, one JSON file a run, and beside it the datasets that are complete.

    A file that cannot be read as it was written is set aside, and its run is as one without a record.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, record: Record) -> None:
        """Write or replace a record, whole or not at all."""
        with self._directory_again():
            state_files.write(self._directory / f"{record.run_id}.json", to_json(record))

    def all(self) -> list[Record]:
        """Return all records: those of runs under way, then of those that were kept, the last one last."""
        records = []
        for path in sorted(self._directory.glob("*.json")):
            # Other runs end while we look.
            if (content := state_files.read(path)) is None:
                continue
            try:
                records.append(from_json(content.decode(), path.stem))
            except (ValueError, UnreadableError) as error:
                state_files.set_aside(path, _reason(error))
        return in_order(records)

    def tidy(self) -> None:
        """Remove what processes that were killed while they wrote a record have left."""
        state_files.tidy(self._directory)

    def delete(self, record: Record) -> None:
        """Forget a run."""
        for suffix in ("json", "complete", "finished", "failed"):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                (self._directory / f"{record.run_id}.{suffix}").unlink()

    def add_complete(self, run_id: str, datasets: list[str]) -> None:
        """Note that the run ``run_id`` has saved ``datasets`` completely; any process of it may say so."""
        with self._directory_again():
            lines = "".join(json.dumps([_checksum(dataset), dataset]) + "\n" for dataset in datasets)
            state_files.append(self._directory / f"{run_id}.complete", lines)

    def add_finished(self, run_id: str, node: str, seconds: float) -> None:
        """Note that a node of the run ``run_id`` has finished now, and what its function took."""
        with self._directory_again():
            line = json.dumps([node, time.time(), seconds])
            state_files.append(self._directory / f"{run_id}.finished", line + "\n")

    def finished(self, record: Record) -> dict[str, tuple[float, float]]:
        """Return by node when it finished, as a time stamp, and the seconds that it took; what is known."""
        found: dict[str, tuple[float, float]] = {}
        path = self._directory / f"{record.run_id}.finished"
        # What is not noted, or not understood, only makes a node run again.
        with suppress(ValueError, TypeError, RecursionError, UnreadableError):
            for line in (state_files.read(path) or b"").decode().splitlines():
                node, when, seconds = json.loads(line)
                found[str(node)] = float(when), float(seconds)
        return found

    def add_failed(self, run_id: str, node: str) -> None:
        """Note that a node of the run ``run_id`` has failed; any process of it may say so."""
        with self._directory_again():
            state_files.append(self._directory / f"{run_id}.failed", json.dumps(node) + "\n")

    def failed(self, record: Record) -> set[str]:
        """Return the nodes of the run that are known to have failed."""
        path = self._directory / f"{record.run_id}.failed"
        with suppress(ValueError, RecursionError, UnreadableError):
            lines = (state_files.read(path) or b"").decode().splitlines()
            return {str(json.loads(line)) for line in lines}
        return set()

    def is_readable(self, record: Record) -> bool:
        """Return whether :meth:`complete` knows what the run has saved completely."""
        self.complete(record)
        return not (self._directory / f"{record.run_id}.complete.unreadable").exists()

    def complete(self, record: Record) -> set[str]:
        """Return the datasets that the run has saved completely."""
        path = self._directory / f"{record.run_id}.complete"
        try:
            lines = [json.loads(line) for line in (state_files.read(path) or b"").decode().splitlines()]
            if any(checksum != _checksum(dataset) for checksum, dataset in lines):
                raise UnreadableError("it is damaged")
            return {dataset for _, dataset in lines}
        except (ValueError, TypeError, RecursionError, UnreadableError) as error:
            state_files.set_aside(path, _reason(error))
            return set()

    @contextmanager
    def _directory_again(self) -> Iterator[None]:
        """Make the directory where somebody has removed it during the run; never the repository."""
        if not self._directory.is_dir():
            for directory in (self._directory.parent, self._directory):
                state_files.make_directory(directory)
        yield


VERSION = 2


def in_order(records: list[Record]) -> list[Record]:
    """Return records, given by name, as :meth:`Records.all` does: older versions gave no number."""
    return sorted(records, key=lambda record: record.number)


def to_json(record: Record) -> str:
    """Return a record as text, with a checksum."""
    # Not `asdict`, which copies all edges value by value: there may be thousands.
    values = {
        "version": VERSION,
        **vars(record),
        "run": record.run and record.run.to_json(),
        "edges": [vars(edge) for edge in record.edges],
        "nodes": [vars(node) for node in record.nodes],
    }
    text = json.dumps(values, sort_keys=True)
    return f'{text[:-1]}, "checksum": "{_hash(text)}"}}'


def from_json(text: str, run_id: str) -> Record:
    """Return the record of :func:`to_json`. What a newer version has added to it is left out.

    Args:
        text: what was stored.
        run_id: of the run that it was stored for.

    Raises:
        UnreadableError: it is damaged, or of a version that this one cannot understand.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("checksum", None) != _checksum(values):
            raise UnreadableError("it is damaged")
        if not isinstance(version := values.get("version"), int) or version > VERSION:
            raise UnreadableError(f"it is of version {version}, and this kedro-dolt reads {VERSION}")
        if version == 1:
            # There, run_id is without the suffix.
            values["run_id"] = values["name"]
        run, edges = values.get("run"), values.get("edges", [])
        _, columns = columns_of(RUNS)
        nodes = [Execution(**_known(Execution, node)) for node in values.get("nodes", [])]
        record = Record(
            **{
                **_known(Record, values),
                "run": run and Run.from_json({name: run[name] for name in columns if name in run}),
                "edges": [Edge(**_known(Edge, edge)) for edge in edges],
                "nodes": nodes,
            }
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableError(_reason(error)) from error
    except (TypeError, AttributeError, KeyError) as error:
        raise UnreadableError("it lacks what a record has") from error
    if record.run_id != run_id:
        raise UnreadableError("it is another run's")
    return record


def _known(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in (field.name for field in fields(kind)) if name in values}


def _checksum(values: object) -> str:
    return _hash(json.dumps(values, sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, UnreadableError):
        return str(error)
    return "it is empty or cut short" if isinstance(error, json.JSONDecodeError) else "it is not JSON"
