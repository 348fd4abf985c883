"""From which commit on a run reads the changes of a table: that of the last published run that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalog.changes_dataset import DoltChangesDataset
from ..errors import ConfigError
from ..journal import reader
from ..journal.edges import base_name, shortened
from ..journal.history import entries_on
from ..terminal import get_logger

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from ..dolt.repository import Repository
    from .records import Record

logger = get_logger(__name__)


def set_checkpoints(pipeline: Pipeline, catalog: DataCatalog, repository: Repository, record: Record) -> None:
    """Tell each dataset of changes from which commit on it gives them.

    Args:
        pipeline: the pipeline that is run.
        catalog: its catalog.
        repository: where the journal is.
        record: the run, whose branch is there.

    Raises:
        ConfigError: two nodes load the same changes, or the pipeline saves the table under another name.
    """
    datasets = {
        name: dataset
        for name in sorted({name for node in pipeline.nodes for name in node.inputs})
        if isinstance(dataset := catalog.get(name), DoltChangesDataset)
    }
    if not datasets:
        return
    _check(pipeline, datasets, record)
    published = {
        entry.run.run_id: entry.commit
        for entry in entries_on(repository, record.branch)
        if entry.run.status == "succeeded"
    }
    for name, dataset in datasets.items():
        since = _checkpoint(repository, record.base, name, dataset.table_name, published)
        dataset.begin_from(record.branch, since)
        now = repository.table_hashes(record.base, [dataset.table_name])
        if since is None or now != repository.table_hashes(since, [dataset.table_name]):
            # Even if that changes no data, it has to be known that these changes were read.
            record.reads_changes = True


def _check(pipeline: Pipeline, datasets: dict[str, DoltChangesDataset], record: Record) -> None:
    for name, dataset in datasets.items():
        nodes = [node.name for node in pipeline.nodes if name in node.inputs]
        if len(nodes) > 1:
            raise ConfigError(
                f"{nodes[0]} and {nodes[1]} both load {name}, and each is to have every change once: give "
                "each an entry of its own of type kedro_doltdb.DoltChangesDataset."
            )
        table = dataset.table_name.lower()
        for edge in record.edges:
            same = edge.direction == "save" and (edge.table_name or "").lower() == table
            if same and base_name(edge.dataset) != base_name(name):
                raise ConfigError(
                    f"This pipeline saves {dataset.table_name} as {edge.dataset} and loads its changes as "
                    f"{name}, so Kedro does not know which comes first: name them "
                    f"{base_name(edge.dataset)}@table and {base_name(edge.dataset)}@changes."
                )


def _checkpoint(
    repository: Repository, base: str, name: str, table: str, published: dict[str, str]
) -> str | None:
    with repository.on(base) as cursor:
        loads = reader.loaders(cursor, shortened(name))
    order = {run_id: place for place, run_id in enumerate(published)}
    known = [(order[run_id], run_id, edge) for run_id, edge in loads if run_id in order]
    if not known:
        return None
    _, run_id, edge = max(known, key=lambda item: item[0])
    commit = published[run_id]
    # A commit that was squashed may hold what that run has not read.
    if edge.content_hash is None or repository.table_hashes(commit, [table]) != {table: edge.content_hash}:
        logger.warning(
            "What run %s read of %s is not to be found any more: all of its rows count as added.",
            run_id,
            table,
        )
        return None
    return commit
