"""Which Dolt tables a pipeline reads and writes, told from its graph and its catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .bulk_load import BulkLoad
from .database import Database

if TYPE_CHECKING:
    from kedro.io import AbstractDataset, DataCatalog
    from kedro.pipeline import Pipeline


@dataclass
class Footprint:
    """The tables of a pipeline.

    Attributes:
        database: where they are; None when no dataset of the pipeline is in Dolt.
        reads: tables that are read and not produced by the pipeline.
        writes: tables that the pipeline produces.
        reads_all: a query, or a dataset of a kind we do not know, may read any table.
        primary_keys: the key of each produced table that is saved by ``dolt.bulk_load``.
    """

    database: Database | None = None
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    reads_all: bool = False
    primary_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Pipeline, catalog: DataCatalog) -> Footprint:
        """Look at every dataset of ``pipeline`` in ``catalog``."""
        footprint = cls()
        # `a@query` is not the name that is produced with `a@table`, but no free input either.
        produced, free = pipeline.all_outputs(), pipeline.inputs()
        for name in sorted(pipeline.datasets()):
            dataset = catalog.get(name)
            if dataset is None or (database := find_database(dataset)) is None:
                continue
            footprint.database = database
            table = table_of(dataset)
            if table is None:
                footprint.reads_all = True
            elif name in produced:
                footprint.writes.add(table)
                method = dataset._save_args.get("method")  # type: ignore[attr-defined]
                if isinstance(method, BulkLoad):
                    footprint.primary_keys[table] = method.primary_key
            elif name in free:
                footprint.reads.add(table)
        return footprint


def likely_database(pipeline: Pipeline, catalog: DataCatalog) -> Database | None:
    """The database of some dataset of ``pipeline``, told from the catalog's configuration.

    Making the datasets takes much longer: it imports what they need.

    Returns:
        None where none is found: a dataset that a pattern makes, for one, is not there yet.
    """
    wanted = {f"{name}_credentials" for name in pipeline.datasets()}
    # Not every catalog can be written as a configuration.
    with suppress(Exception):
        _, credentials, _, _ = catalog.to_config()
        for name in wanted & set(credentials):
            if database := next(_databases(credentials[name], depth=1), None):
                return database
    return None


def find_database(dataset: AbstractDataset[Any, Any]) -> Database | None:
    """The Dolt database that a dataset was given in its credentials, if it was.

    Datasets keep their credentials in attributes of their own choice, and wrappers keep a dataset.
    """
    from kedro.io import MemoryDataset

    # A MemoryDataset holds the user's data, which may be large and is none of our business.
    return None if isinstance(dataset, MemoryDataset) else next(_databases(vars(dataset), depth=4), None)


def _databases(value: object, depth: int) -> Iterator[Database]:
    if isinstance(value, Database):
        yield value
    elif depth and isinstance(value, dict):
        for item in list(value.values()):
            yield from _databases(item, depth - 1)
    elif depth and hasattr(value, "load") and hasattr(value, "__dict__"):
        yield from _databases(vars(value), depth - 1)


def table_of(dataset: AbstractDataset[Any, Any]) -> str | None:
    """The table of a ``pandas.SQLTableDataset``; None for other kinds of datasets."""
    load_args = getattr(dataset, "_load_args", None)
    if isinstance(load_args, dict) and "table_name" in load_args and hasattr(dataset, "_save_args"):
        return str(load_args["table_name"])
    return None
