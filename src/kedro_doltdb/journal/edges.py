"""The edges of a run, what each node loads and saves: their names, and the content hash of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..dolt.as_of import columns_at
from ..errors import ConfigError
from .revision import find
from .store import Edge

if TYPE_CHECKING:
    from ..dolt.repository import Repository

# kedro_lineage.node and .dataset are part of a key, whose size Dolt limits.
MAX_NAME = 255


def base_name(name: str) -> str:
    """Return a dataset's name without what tells its transcoded entries apart: ``a`` for ``a@pandas``."""
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


def inputs_of(edges: Iterable[Edge]) -> list[Edge]:
    """Return what a run loaded as it was when the run began, and did not produce itself."""
    edges = list(edges)
    produced = {base_name(edge.dataset) for edge in edges if edge.direction == "save"}
    loads = [edge for edge in edges if edge.direction == "load" and edge.read_at is None]
    return [edge for edge in loads if base_name(edge.dataset) not in produced]


def hash_tables(repository: Repository, edges: Iterable[Edge], ref: str) -> None:
    """Fill in the content hashes of tables that are not known yet.

    Args:
        repository: where the tables are.
        edges: to be filled in.
        ref: the commit or branch whose tables are meant.
    """
    unknown = [edge for edge in edges if edge.table_name and not (edge.content_hash or edge.read_at)]
    tables = {edge.table_name for edge in unknown if edge.table_name}
    hashes = repository.table_hashes(ref, sorted(tables)) if tables else {}
    for edge in unknown:
        edge.content_hash = hashes.get(edge.table_name or "")


def pin(repository: Repository, edges: Iterable[Edge], head: str) -> dict[str, str]:
    """Put commits, and content hashes, in the place of what the catalog names with ``at``.

    Args:
        repository: where they are.
        edges: what the nodes of a run load and save.
        head: what ``HEAD`` means: a commit or branch.

    Returns:
        The commits by the names that they had.

    Raises:
        ConfigError: nothing has such a name, or the table was not there.
    """
    pins: dict[str, str] = {}
    for edge in edges:
        if (name := edge.read_at) is None or edge.table_name is None or edge.content_hash is not None:
            continue
        try:
            commit = pins.get(name) or find(repository, name, head).commit
        except ConfigError as error:
            raise ConfigError(
                f"The dataset {edge.dataset} cannot be read as of {name}: {error.message}"
            ) from error
        with repository.on(commit) as cursor:
            if not columns_at(cursor, edge.table_name, None):
                raise ConfigError(
                    f"The dataset {edge.dataset} cannot be read as of {name}: there was no table "
                    f"{edge.table_name} at {commit[:10]}."
                )
        pins[name] = edge.read_at = commit
        # A view has no hash.
        edge.content_hash = repository.table_hashes(commit, [edge.table_name]).get(edge.table_name)
    return pins


def hash_files(edges: Iterable[Edge], project_path: Path) -> None:
    """Fill in the hashes of files that are not known yet."""
    files: dict[str, str | None] = {}
    for edge in edges:
        if edge.content_hash is None and edge.file:
            if edge.file not in files:
                files[edge.file] = file_hash(project_path / edge.file)
            edge.content_hash = files[edge.file]


def file_hash(path: Path) -> str | None:
    """``sha256:`` and the hash of a file; of a directory, the hash of its files' names and hashes.

    Returns:
        None where there is nothing that can be read.
    """
    try:
        if path.is_dir():
            digest = hashlib.sha256()
            for file in sorted(file for file in files_in(path) if file.is_file()):
                digest.update(f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n".encode())
            return f"sha256:{digest.hexdigest()}"
        return f"sha256:{_sha256(path)}"
    except OSError:
        return None


def files_in(path: Path) -> Iterator[Path]:
    """Yield what is in a directory and below it, links to directories followed, as datasets do."""
    seen = set()
    for directory, directories, names in os.walk(path, followlinks=True):
        if (real := os.path.realpath(directory)) in seen:
            directories.clear()
            continue
        seen.add(real)
        # Which of two links comes first is the same each time.
        directories.sort()
        yield from (Path(directory, name) for name in (*directories, *names))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shortened(name: str) -> str:
    """Return ``name`` as the journal's lineage keeps it: at most 255 characters, the last ones a hash."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
