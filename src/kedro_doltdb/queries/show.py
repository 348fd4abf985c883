"""What ``kedro dolt show`` tells of one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..dolt.names import RUN_PREFIX
from ..journal import reader
from ..journal.history import Entry
from ..journal.metrics import metrics_at
from ..journal.revision import find_run
from .runs import ListedRun

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..journal.store import CheckResult, Edge


@dataclass(frozen=True)
class ShownRun:
    """One run in full.

    Attributes:
        listed: what the list has of it.
        edges: what its nodes loaded and saved.
        checks: what its checks have found.
    """

    listed: ListedRun
    edges: list[Edge]
    checks: list[CheckResult] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON holds it."""
        return {
            **self.listed.to_json(),
            "lineage": [asdict(edge) for edge in self.edges],
            "checks": [result.to_json() for result in self.checks],
        }


def shown_run(repository: Repository, name: str, metric_tables: Iterable[str]) -> ShownRun:
    """Return the run that a user calls ``name``.

    Args:
        repository: where it is.
        name: its id, its commit, or what else :func:`~kedro_doltdb.journal.revision.find` knows.
        metric_tables: the tables that hold metrics.

    Raises:
        ConfigError: nothing has that name, several things have, or it is not a run.
    """
    point, run = find_run(repository, name)
    kept = f"{RUN_PREFIX}{run.run_id}"
    branches = repository.branches()
    is_kept = kept in branches and repository.head(kept) == point.commit
    found_on = kept if is_kept else run.branch or ""
    with repository.on() as cursor:
        here = found_on if found_on in branches else point.commit
        undone = not reader.runs(cursor, here, run.run_id)
        entry = Entry(run, point.commit, found_on, undone)
        edges = reader.edges(cursor, run.run_id, point.commit)
        saved = {str(edge.table_name).lower() for edge in edges if edge.direction == "save"}
        tables = [table for table in metric_tables if table.lower() in saved]
        checks = reader.checks(cursor, run.run_id, point.commit)
        failed = reader.failed_nodes(cursor, [run.run_id], point.commit).get(run.run_id, ())
        (metrics,) = metrics_at(cursor, [(point.commit, tables)])
    changes = repository.changes(entry.parent, entry.commit)
    return ShownRun(ListedRun(entry, metrics, changes, failed_nodes=tuple(failed)), edges, checks)
