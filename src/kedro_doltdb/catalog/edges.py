"""What each node of a pipeline loads and saves, told from its graph and its catalog."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..journal.edges import base_name, file_hash, shortened
from ..journal.store import Edge
from .footprint import at_of, find_database, table_of

if TYPE_CHECKING:
    from kedro.io import AbstractDataset, DataCatalog
    from kedro.pipeline import Pipeline


def edges_of(pipeline: Pipeline, catalog: DataCatalog, project_path: Path) -> list[Edge]:
    """Return the edges of ``pipeline``, parameters left out; inputs that are files are hashed already.

    What they are read at is as ``at`` in the catalog names it, and yet to be pinned.

    Args:
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.
        project_path: what files are relative to.
    """
    produced = {base_name(name) for name in pipeline.all_outputs()}

    # Many nodes may load the same dataset, and a file may be large.
    @cache
    def found(name: str) -> dict[str, str | None]:
        if (dataset := catalog.get(name)) is None:
            return {}
        if find_database(dataset):
            return {"table_name": table_of(dataset), "read_at": at_of(dataset)}
        is_produced = base_name(name) in produced
        if (file := file_of(dataset, is_produced)) is None:
            return {}
        path = _relative(file, project_path)
        return {"file": path, "content_hash": None if is_produced else file_hash(project_path / path)}

    return [
        Edge(shortened(node.name), shortened(name), direction, **found(name))
        for node in pipeline.nodes
        for direction, names in (("load", node.inputs), ("save", node.outputs))
        for name in dict.fromkeys(names)
        if name != "parameters" and not name.startswith("params:")
    ]


def file_of(dataset: AbstractDataset[Any, Any], produced: bool) -> Path | None:
    """Return the local file or directory of a dataset, of the version that the run saves or loads.

    Args:
        dataset: any dataset.
        produced: the run saves it.
    """
    from kedro.io import AbstractVersionedDataset, DatasetError

    if getattr(dataset, "_protocol", "file") != "file":
        return None
    if isinstance(dataset, AbstractVersionedDataset):
        # The load path of what is yet to be saved would be that of the version before, and would stay it.
        with suppress(DatasetError):
            return Path(str(dataset._get_save_path() if produced else dataset._get_load_path()))
        return None
    for name in ("_filepath", "_path"):
        value = getattr(dataset, name, None)
        if isinstance(value, str | os.PathLike) and "://" not in str(value):
            return Path(value)
    return None


def _relative(path: Path, project_path: Path) -> str:
    return (path.relative_to(project_path) if path.is_relative_to(project_path) else path).as_posix()
