"""What each node of a pipeline loads and saves, and the content hash of it: the journal's lineage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .footprint import find_database, table_of
from .journal import Edge

if TYPE_CHECKING:
    from kedro.io import AbstractDataset, DataCatalog
    from kedro.pipeline import Pipeline

# kedro_lineage.node and .dataset are part of a key, whose size Dolt limits.
MAX_NAME = 255


def edges_of(pipeline: Pipeline, catalog: DataCatalog, project_path: Path) -> list[Edge]:
    """The edges of ``pipeline``, parameters left out; inputs that are files are hashed already.

    Args:
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.
        project_path: what files are relative to.
    """
    produced = {base_name(name) for name in pipeline.all_outputs()}
    edges = []
    for node in pipeline.nodes:
        for direction, names in (("load", node.inputs), ("save", node.outputs)):
            for name in dict.fromkeys(names):
                if name == "parameters" or name.startswith("params:"):
                    continue
                dataset = catalog.get(name)
                edge = Edge(shortened(node.name), shortened(name), direction)
                if dataset is not None and find_database(dataset):
                    edge.table_name = table_of(dataset)
                elif dataset is not None and (file := file_of(dataset, base_name(name) in produced)):
                    edge.file = _relative(file, project_path)
                    if base_name(name) not in produced:
                        edge.content_hash = file_hash(project_path / edge.file)
                edges.append(edge)
    return edges


def base_name(name: str) -> str:
    """A dataset's name without the part that tells its transcoded entries apart: ``a@pandas`` is ``a``."""
    return name.partition("@")[0]


def finished_nodes(edges: Iterable[Edge], complete: set[str]) -> set[str]:
    """Return the names of the nodes that are known to have finished.

    Args:
        edges: all edges of a run that did not finish.
        complete: the datasets that are noted as complete. A node's are noted all at once, or when another
            node begins to load them: one will do, and what its node loaded was complete before.
    """
    inputs: dict[str, set[str]] = {}
    makers: dict[str, str] = {}
    for edge in edges:
        name = base_name(edge.dataset)
        if edge.direction == "save":
            makers[name] = edge.node
        else:
            inputs.setdefault(edge.node, set()).add(name)
    finished: set[str] = set()
    waiting = [makers[name] for name in complete if name in makers]
    while waiting:
        node = waiting.pop()
        if node not in finished:
            finished.add(node)
            waiting += [makers[name] for name in inputs.get(node, ()) if name in makers]
    return finished


def with_hashes(edges: list[Edge], tables: Mapping[str, str]) -> list[Edge]:
    """Fill in the hashes of tables that are not known yet.

    Args:
        edges: to be filled in.
        tables: the content hash of each table as it is now.

    Returns:
        The same edges.
    """
    for edge in edges:
        if edge.content_hash is None and edge.table_name:
            edge.content_hash = tables.get(edge.table_name)
    return edges


def hash_files(edges: Iterable[Edge], project_path: Path) -> None:
    """Fill in the hashes of files that are not known yet."""
    files: dict[str, str | None] = {}
    for edge in edges:
        if edge.content_hash is None and edge.file:
            if edge.file not in files:
                files[edge.file] = file_hash(project_path / edge.file)
            edge.content_hash = files[edge.file]


def file_of(dataset: AbstractDataset[Any, Any], produced: bool) -> Path | None:
    """The local file or directory of a dataset, of the version that the run saves or loads.

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


def file_hash(path: Path) -> str | None:
    """``sha256:`` and the hash of a file; of a directory, the hash of its files' names and hashes.

    Returns:
        None where there is nothing that can be read.
    """
    try:
        if path.is_dir():
            digest = hashlib.sha256()
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                digest.update(f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n".encode())
            return f"sha256:{digest.hexdigest()}"
        return f"sha256:{_sha256(path)}"
    except OSError:
        return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _relative(path: Path, project_path: Path) -> str:
    return (path.relative_to(project_path) if path.is_relative_to(project_path) else path).as_posix()


def shortened(name: str) -> str:
    """Return ``name`` as the journal's lineage keeps it: at most 255 characters, the last ones a hash."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
