"""A node that yields its output in chunks, into a table that each of them would replace.

Kedro saves each chunk by itself, so of such a table the last chunk would be left, and be published as if it
were all of it.
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .footprint import find_database, save_arguments

if TYPE_CHECKING:
    from kedro.io import AbstractDataset, DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

# A node starts and saves in one thread.
_current = threading.local()


def refuse_chunks(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Refuse the nodes that yield chunks of such a table, as far as their functions tell.

    Args:
        pipeline: what is to run.
        catalog: its datasets.

    Raises:
        ConfigError: with the first such node.
    """
    for node in pipeline.nodes:
        if inspect.isgeneratorfunction(node.func):
            for name in node.outputs:
                if _replaces(catalog.get(name)):
                    raise _refusal(node.name, name)


def node_started(node: Node, catalog: DataCatalog) -> None:
    """Begin to count what a node saves."""
    _current.replaced = {name for name in node.outputs if _replaces(catalog.get(name))}
    _current.saved = set()


def dataset_saved(name: str, node: Node) -> None:
    """Refuse the second chunk of such a table, from whatever kind of function it comes.

    Raises:
        ConfigError: the node saves it for the second time.
    """
    if name in getattr(_current, "replaced", ()):
        if name in _current.saved:
            raise _refusal(node.name, name)
        _current.saved.add(name)


def _replaces(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Say whether each save of a dataset takes the place of the rows that its Dolt table has."""
    if dataset is None or save_arguments(dataset).get("if_exists") not in ("replace", "delete_rows"):
        return False
    return find_database(dataset) is not None


def _refusal(node: str, dataset: str) -> ConfigError:
    return ConfigError(
        f"Node {node} yields {dataset} in chunks, and each chunk would replace the one before, so that only "
        "the last one would be left: set `if_exists: append` in the entry's save_args, or have the node "
        "return one frame, for example pd.concat(chunks)."
    )
