"""Which datasets of a run are complete, noted as its nodes finish, in whatever process they run.

Kedro calls node hooks in the worker processes of ``ParallelRunner`` too, with hook objects of their own; all
that they share with the run is its catalog, whose credentials know the run's branch.
"""

from __future__ import annotations

import inspect
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..catalog.chunks import refusal, replaces
from ..catalog.footprint import find_database
from ..dolt.names import RUN_PREFIX
from ..dolt.repository import dolt_errors
from ..errors import DoltError
from ..journal.edges import base_name, shortened
from ..terminal import get_logger
from .record_store import records_of
from .signals import database_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kedro.io import DataCatalog
    from kedro.pipeline.node import Node

    from ..catalog.credentials import Database
    from .records import Records

logger = get_logger(__name__)


@dataclass
class _Progress:
    """A node that runs.

    Attributes:
        records: where its run is recorded; None when that is not on Dolt.
        run_id: the run.
        missing: the outputs that it has not saved yet.
        replaced: the outputs of which each save takes the place of the one before.
        noted: the datasets of the run that this thread has noted as complete.
        started: when its function was called, by the monotonic clock.
    """

    records: Records | None
    run_id: str
    missing: set[str]
    replaced: set[str]
    noted: set[str]
    started: float

    def finish(self, node: Node) -> None:
        """Note that the node has finished, and how long that took."""
        if self.records is not None:
            self.records.add_finished(self.run_id, shortened(node.name), time.monotonic() - self.started)

    def note(self, datasets: Iterable[str]) -> None:
        """Note datasets as complete, by their names in the journal: no parameters, and none a second time."""
        if self.records is None:
            return
        names = (name for name in datasets if name != "parameters" and not name.startswith("params:"))
        if new := {base_name(shortened(name)) for name in names} - self.noted:
            self.records.add_complete(self.run_id, sorted(new))
            self.noted |= new


class _Current(threading.local):
    """What runs in this thread, where a node starts and saves. A node may run another pipeline meanwhile."""

    def __init__(self) -> None:
        self.nodes: dict[Node, _Progress] = {}
        self.noted: tuple[str, set[str]] = ("", set())


_current = _Current()


def node_started(node: Node, catalog: DataCatalog) -> None:
    """Note that the node's inputs are complete, and wait for its outputs.

    Args:
        node: the node that is about to run.
        catalog: the catalog of its run.

    Example:
        In a hook::

            def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
                node_started(node, catalog)
    """
    database = _running(node, catalog)
    records = records_of(database.server, database.get_address()) if database else None
    run_id = ((database and database.branch) or "").removeprefix(RUN_PREFIX)
    replaced = {name for name in node.outputs if replaces(catalog.get(name))}
    if _current.noted[0] != run_id:
        _current.noted = run_id, set()
    progress = _Progress(records, run_id, set(node.outputs), replaced, _current.noted[1], time.monotonic())
    _current.nodes[node] = progress
    progress.note(node.inputs)


def dataset_saved(name: str, node: Node) -> None:
    """Note that the node's outputs are complete once the last of them is saved.

    Args:
        name: the dataset that the node has just saved.
        node: the node.

    Raises:
        ConfigError: the node saves in chunks what each save replaces.

    Example:
        In a hook::

            def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
                dataset_saved(dataset_name, node)
    """
    progress = _current.nodes.get(node)
    if progress is None:
        return
    if name in progress.replaced and name not in progress.missing:
        raise refusal(node.name, name)
    progress.missing.discard(name)
    if not progress.missing:
        progress.finish(node)
    # A generator saves in chunks: its outputs are complete when a node that loads them starts.
    if not progress.missing and not inspect.isgeneratorfunction(node.func):
        progress.note(node.outputs)


def node_failed(node: Node) -> None:
    """Note that the node's function has raised an error, which is the one that counts: none is raised here.

    Args:
        node: the node.

    Example:
        In a hook::

            def on_node_error(self, node: Node) -> None:
                node_failed(node)
    """
    progress = _current.nodes.get(node)
    if progress is None or progress.records is None:
        return
    try:
        with dolt_errors():
            progress.records.add_failed(progress.run_id, shortened(node.name))
    except (DoltError, OSError) as error:
        logger.warning("The journal will not say that %s has failed: %s", node.name, error)


def _running(node: Node, catalog: DataCatalog) -> Database | None:
    """Return the database of the run, if it is on its branch."""
    database = database_of(catalog)
    if database is None:
        datasets = (catalog.get(name) for name in (*node.inputs, *node.outputs))
        found = (find_database(dataset) for dataset in datasets if dataset is not None)
        database = next((candidate for candidate in found if candidate), None)
    return database if database and database.branch else None
