"""Which tables of a run are complete, noted as its nodes finish, in whatever process they run.

Kedro calls node hooks in the worker processes of ``ParallelRunner`` too, with hook objects of their own; all
that they share with the run is its catalog, whose credentials know the run's branch.
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

from .footprint import find_database, table_of

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline.node import Node

# A node starts and saves in one thread.
_current = threading.local()


def node_started(node: Node, catalog: DataCatalog) -> None:
    """Note that the node's inputs are complete, and wait for its outputs."""
    tables: dict[str, str] = {}
    _current.records = None
    for name in (*node.inputs, *node.outputs):
        dataset: Any = catalog.get(name)
        database = dataset and find_database(dataset)
        if database and database.branch and (table := table_of(dataset)):
            tables[name] = table
            _current.records = database.records()
            _current.run = database.branch.removeprefix("kedro/")
    _current.tables = tables
    _current.missing = set(node.outputs)
    # A generator saves in chunks: its outputs are complete when a node that reads them starts.
    _current.streams = inspect.isgeneratorfunction(node.func)
    if _current.records is not None:
        _current.records.add_complete(_current.run, [tables[name] for name in node.inputs if name in tables])


def dataset_saved(name: str, node: Node) -> None:
    """Note that the node's outputs are complete once the last of them is saved."""
    if getattr(_current, "records", None) is None:
        return
    _current.missing.discard(name)
    if not _current.missing and not _current.streams:
        outputs = [_current.tables[output] for output in node.outputs if output in _current.tables]
        _current.records.add_complete(_current.run, outputs)
