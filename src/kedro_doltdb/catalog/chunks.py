"""A node that yields its output in chunks, into a table that each of them would replace.

Kedro saves each chunk by itself, so of such a table the last chunk would be left, and be published as if it
were all of it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .footprint import find_database, save_arguments, unwrapped

if TYPE_CHECKING:
    from kedro.io import AbstractDataset, DataCatalog
    from kedro.pipeline import Pipeline


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
                if replaces(catalog.get(name)):
                    raise refusal(node.name, name)


def replaces(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Return whether each save of a dataset takes the place of the rows that its Dolt table has."""
    if dataset is None:
        return False
    # Ibis' TableDataset has a mode of its own.
    mode = save_arguments(dataset).get("if_exists") or getattr(unwrapped(dataset), "_mode", None)
    if mode not in ("replace", "delete_rows", "overwrite"):
        return False
    return find_database(dataset) is not None


def refusal(node: str, dataset: str) -> ConfigError:
    """Return the error for a node that saves such a table in chunks.

    Args:
        node: its name.
        dataset: the table's dataset.
    """
    return ConfigError(
        f"Node {node} yields {dataset} in chunks, and each chunk would replace the one before, so that only "
        "the last one would be left: set `if_exists: append` in the entry's save_args, or have the node "
        "return one frame, for example pd.concat(chunks)."
    )
