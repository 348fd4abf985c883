"""What ``kedro dolt runs`` lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .history import Entry, list_runs, public_branches
from .metrics import metrics_at
from .parameters import leaves, same

if TYPE_CHECKING:
    from .repository import Repository, TableChange


@dataclass(frozen=True)
class ListedRun:
    """A run with what is not in its row.

    Attributes:
        entry: the run and its commit.
        metrics: as they were when it had run.
        changes: the tables that it changed.
    """

    entry: Entry
    metrics: dict[str, float]
    changes: list[TableChange]

    def to_json(self) -> dict[str, Any]:
        """The run as JSON holds it; ``seconds`` is how long it took."""
        run = self.entry.run
        took = (run.finished - run.started).total_seconds() if run.finished and run.started else None
        return {
            "commit": self.entry.commit,
            "published": self.entry.published,
            **run.to_json(),
            "seconds": took,
            "metrics": self.metrics,
            "changes": [change.to_json() for change in self.changes],
        }


def listed_runs(
    repository: Repository, metric_tables: Iterable[str], *, branch: str | None = None,
    all_branches: bool = False, limit: int | None = None, sort: str | None = None,
) -> list[ListedRun]:  # fmt: skip
    """The runs of a branch, those that were kept instead of published to it included, the latest first.

    Args:
        repository: where they are.
        metric_tables: the tables that hold metrics.
        branch: whose runs; None is the branch checked out in ``data/``.
        all_branches: the runs of all branches.
        limit: how many at most; None is all.
        sort: a metric; the run with the highest comes first, those without it last.

    Raises:
        ConfigError: there is no such branch, or no listed run has that metric.
    """
    if branch is not None and branch not in repository.branches():
        raise ConfigError(f"There is no branch {branch}: `dolt branch` in data/ lists them.")
    branches = public_branches(repository) if all_branches else [branch or repository.checked_out()]
    entries = list_runs(repository, branches, None if all_branches else set(branches))[::-1]
    if sort is None:
        entries = entries[:limit]
    with repository.on() as cursor:
        commits = [entry.commit for entry in entries]
        metrics = dict(zip(commits, metrics_at(cursor, metric_tables, commits), strict=True))
    if sort is not None:
        if entries and not any(sort in found for found in metrics.values()):
            known = sorted({name for found in metrics.values() for name in found})
            there_is = (
                f"there is {', '.join(known)}" if known else "name their tables under `metrics` in dolt.yml"
            )
            raise ConfigError(f"No run has the metric {sort}: {there_is}.")
        entries.sort(key=lambda entry: metrics[entry.commit].get(sort, float("-inf")), reverse=True)
        entries = entries[:limit]
    changes = repository.changes_of((entry.parent, entry.commit) for entry in entries)
    return [
        ListedRun(entry, metrics[entry.commit], changed)
        for entry, changed in zip(entries, changes, strict=True)
    ]


def differing_parameters(runs: Iterable[ListedRun]) -> list[dict[str, Any]]:
    """Of each run, the parameters that are not the same in all of ``runs``, by dotted name."""
    flat = [leaves(run.entry.run.params) for run in runs]
    names = dict.fromkeys(name for params in flat for name in params)
    differing = [
        name
        for name in names
        if any(name not in params or not same(params[name], flat[0].get(name)) for params in flat)
    ]
    return [{name: params[name] for name in differing if name in params} for params in flat]
