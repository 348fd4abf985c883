"""Which Dolt tables a pipeline reads and writes, told from its graph and its catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..tables.bulk_load import BulkLoad
from .credentials import Database

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
        elsewhere: datasets in other databases of the same server, which are not part of the run's commit.
    """

    database: Database | None = None
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    reads_all: bool = False
    primary_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, pipeline: Pipeline, catalog: DataCatalog) -> Footprint:
        """Look at every dataset of ``pipeline`` in ``catalog``.

        Raises:
            ConfigError: a dataset names a branch, and would read or write past the run's own, or is saved and
                has ``at``.
        """
        footprint = cls()
        # `a@query` is not the name that is produced with `a@table`, but no free input either.
        produced, free = pipeline.all_outputs(), pipeline.inputs()
        for name in sorted(pipeline.datasets()):
            dataset = catalog.get(name)
            if dataset is None or (database := find_database(dataset)) is None:
                continue
            footprint.database = database
            _check_names_no_branch(name, dataset, database.name)
            if (at := at_of(dataset)) is not None:
                # Nothing that anybody does meanwhile changes what it reads.
                if name in produced:
                    raise ConfigError(
                        f"The dataset {name} has `at: {at}` in the catalog, so it can only be read, and this "
                        "pipeline saves it: save to an entry without `at`."
                    )
            elif other_database(dataset, database.name):
                footprint.elsewhere.add(name)
            elif (table := table_of(dataset)) is None:
                footprint.reads_all = True
            elif name in produced:
                footprint.writes.add(table)
                method = _arguments(dataset, "_save_args").get("method")
                if isinstance(method, BulkLoad):
                    footprint.primary_keys[table] = method.primary_key
            elif name in free:
                footprint.reads.add(table)
        return footprint


def likely_database(pipeline: Pipeline, catalog: DataCatalog) -> Database | None:
    """Return the database of some dataset of ``pipeline``, told from the catalog's configuration.

    Making the datasets takes much longer: it imports what they need.

    Returns:
        None where none is found: a dataset that a pattern makes, for example, is not there yet.
    """
    # Not every catalog has a configuration.
    with suppress(Exception):
        config = catalog.config_resolver.config
        for name in pipeline.datasets():
            if database := next(_databases(config.get(name), depth=4), None):
                return database
    return None


def find_database(dataset: AbstractDataset[Any, Any]) -> Database | None:
    """Return the Dolt database that a dataset was given in its credentials, if it was.

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
    """Return the table of a ``pandas.SQLTableDataset`` or ``ibis.TableDataset``, or of one in a wrapper.

    Returns:
        None for other kinds of datasets, and for a table of another database.
    """
    # Ibis' TableDataset has it elsewhere.
    table = _arguments(dataset, "_load_args").get("table_name") or getattr(
        unwrapped(dataset), "_table_name", None
    )
    database = find_database(dataset)
    if table is None or (database and other_database(dataset, database.name)):
        return None
    return str(table)


def at_of(dataset: AbstractDataset[Any, Any]) -> str | None:
    """Return the run, commit, tag or branch at which a dataset is read; None if it is read as it is."""
    at = getattr(unwrapped(dataset), "at", None)
    return at if isinstance(at, str) else None


def other_database(dataset: AbstractDataset[Any, Any], name: str) -> str | None:
    """Return the database that ``schema`` in a dataset's arguments names, unless it is ``name`` itself."""
    for schema in _schemas(dataset):
        if schema.lower() != name.lower():
            return schema
    return None


def _check_names_no_branch(name: str, dataset: AbstractDataset[Any, Any], database: str) -> None:
    query = _arguments(dataset, "_load_args").get("sql")
    if query is None and (file := getattr(unwrapped(dataset), "_filepath", None)) is not None:
        # Where the file is elsewhere, or not there, the dataset says so.
        with suppress(OSError):
            query = Path(str(file)).read_text()
    branch = re.compile(rf"{re.escape(database)}/", re.IGNORECASE)
    named = any(branch.match(schema) for schema in _schemas(dataset))
    if named or (isinstance(query, str) and re.search(rf"`{branch.pattern}", query, re.IGNORECASE)):
        raise ConfigError(
            f"The dataset {name} names a branch (`{database}/...`), past the branch of the run: choose the "
            "run's with `--params dolt_branch=...`, or read another with `... AS OF '<branch>'`."
        )


def _schemas(dataset: AbstractDataset[Any, Any]) -> list[str]:
    arguments = (_arguments(dataset, name) for name in ("_load_args", "_save_args"))
    names = [name for given in arguments for key in ("schema", "database") if (name := given.get(key))]
    return [str(name) for name in names]


def _arguments(dataset: AbstractDataset[Any, Any], name: str) -> dict[str, Any]:
    arguments = getattr(unwrapped(dataset), name, None)
    return arguments if isinstance(arguments, dict) else {}


def unwrapped(dataset: AbstractDataset[Any, Any]) -> AbstractDataset[Any, Any]:
    """Return the dataset in a wrapper: the one that was given the credentials."""
    from kedro.io import AbstractDataset, MemoryDataset

    while not isinstance(getattr(dataset, "_load_args", None), dict):
        for value in vars(dataset).values():
            if isinstance(value, AbstractDataset) and not isinstance(value, MemoryDataset):
                dataset = value
                break
        else:
            break
    return dataset


def save_arguments(dataset: AbstractDataset[Any, Any]) -> dict[str, Any]:
    """Return the ``save_args`` of a dataset, or of the one in a wrapper.

    Args:
        dataset: any dataset.
    """
    return _arguments(dataset, "_save_args")
