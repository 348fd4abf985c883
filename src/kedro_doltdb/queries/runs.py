"""What ``kedro dolt runs`` lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..journal.history import Entry, list_runs, public_branches
from ..journal.metrics import metrics_at
from ..journal.parameters import leaves, same
from ..journal.reader import failed_nodes, noted_checks, saved_tables

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository, TableChange


NO_EFFECT, UNDONE = "no effect", "undone"


@dataclass(frozen=True)
class ListedRun:
    """A run with what is not in its row.

    Attributes:
        entry: the run and its commit; of a group, what :func:`as_one` makes of it.
        metrics: those that it saved itself.
        changes: the tables that it changed.
        group: the runs of the group, the latest first; empty for a single run.
        code_changed: whether its code is another than that of the run before it, of whatever branch; None if
            that is not known, for want of a git commit or because there were uncommitted changes.
        tags: the names that Dolt's tags give its commit.
        checks: ``warning``, ``accepted``, or both: what its checks found that did not stop it.
        failed_nodes: the nodes that failed, by which it did.
    """

    entry: Entry
    metrics: dict[str, float]
    changes: list[TableChange]
    group: tuple[Entry, ...] = ()
    code_changed: bool | None = None
    checks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    failed_nodes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return self.entry.run.seconds

    @property
    def outcome(self) -> str:
        """How it ended, in a word or two: its status, ``no effect`` if it changed no data, or ``undone``."""
        if self.entry.undone:
            return UNDONE
        if self.entry.run.status == "succeeded" and self.entry.published and not self.changes:
            return NO_EFFECT
        return self.entry.run.status or "-"

    @property
    def rows(self) -> int:
        """How many rows it changed."""
        return sum(change.added + change.removed + change.modified for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON holds it."""
        return {
            "commit": self.entry.commit,
            "published": self.entry.published,
            "found_on": self.entry.found_on,
            "outcome": self.outcome,
            **self.entry.run.to_json(),
            "seconds": self.seconds,
            "metrics": self.metrics,
            "changes": [change.to_json() for change in self.changes],
            "noted_checks": list(self.checks),
            "tags": list(self.tags),
            "failed_nodes": list(self.failed_nodes),
            **({"runs": [entry.run.run_id for entry in self.group]} if self.group else {}),
        }


def listed_runs(
    repository: Repository, metric_tables: Iterable[str], *, branch: str | None = None,
    all_branches: bool = False, limit: int | None = None, sort: str | None = None, group: str | None = None,
) -> tuple[list[ListedRun], int]:  # fmt: skip
    """Return the runs of a branch, the latest first, kept ones included; those of a group are one.

    Args:
        repository: where they are.
        metric_tables: the tables that hold metrics.
        branch: whose runs; None is the branch checked out in ``data/``.
        all_branches: the runs of all branches.
        limit: how many at most; None is all.
        sort: a metric; the run with the highest comes first, those without it last.
        group: the runs of that group alone, one by one.

    Returns:
        Those that are listed, and how many there are.

    Raises:
        ConfigError: there is no such branch or group, or no listed run has that metric.
    """
    if branch is not None and branch not in repository.branches():
        raise ConfigError(f"There is no branch {branch}: `dolt branch` {repository.where} lists them.")
    branches = public_branches(repository) if all_branches else [branch or repository.checked_out()]
    entries = list_runs(repository, branches, None if all_branches else set(branches))[::-1]
    if group is None:
        units = _units(entries)
    elif not (units := [(entry,) for entry in entries if entry.run.run_group == group]):
        raise ConfigError(f"There is no group of runs {group} there: see `kedro dolt runs --all`.")
    total = len(units)
    if sort is None:
        units = units[:limit]
    with repository.on() as cursor:
        wanted = [_counting(unit).commit for unit in units]
        saved = _saved(cursor, list(metric_tables), units)
        metrics = metrics_at(cursor, zip(wanted, saved, strict=True))
        noted, tags, failed = _noted(cursor, units), _tags(cursor), _failed_nodes(cursor, units)
    found = list(zip(units, metrics, strict=True))
    if sort is not None:
        if units and not any(sort in named for named in metrics):
            known = sorted({name for named in metrics for name in named})
            there_is = (
                f"there is {', '.join(known)}" if known else "name their tables under `metrics` in dolt.yml"
            )
            raise ConfigError(f"No run has the metric {sort}: {there_is}.")
        found.sort(key=lambda pair: pair[1].get(sort, float("-inf")), reverse=True)
        found = found[:limit]
    # What an attempt has written that failed does not count as a change of its group.
    counted = [[entry for entry in unit if entry.published or len(unit) == 1] for unit, _ in found]
    changes = iter(repository.changes_of((entry.parent, entry.commit) for unit in counted for entry in unit))
    code = code_changes(entries)
    listed = [
        ListedRun(
            as_one(unit) if len(unit) > 1 else unit[0],
            named,
            _sum(islice(changes, len(counted_ones))),
            unit if len(unit) > 1 else (),
            code[_counting(unit).run.run_id],
            tuple(sorted({word for entry in unit for word in noted.get(entry.run.run_id, ())})),
            tuple(sorted(tag for entry in unit for tag in tags.get(entry.commit, ()))),
            tuple(failed.get(_last_failed(unit), ())),
        )
        for (unit, named), counted_ones in zip(found, counted, strict=True)
    ]
    return listed, total


def code_changes(entries: Iterable[Entry]) -> dict[str, bool | None]:
    """Return of each run, the latest first, whether its code is another than that of the run before it.

    Returns:
        By the runs' ids; None where it is not known.
    """
    found: dict[str, bool | None] = {}
    before: str | None = None
    for entry in reversed(list(entries)):
        code = entry.run.git_commit
        unknown = not code or not before or (code == before and code.endswith("-dirty"))
        found[entry.run.run_id] = None if unknown else code != before
        before = code
    return found


def _where(entry: Entry) -> str:
    """Return where the journal has what the run saved and what was found of it."""
    return entry.found_on if entry.published and not entry.undone else entry.commit


def _noted(cursor: Cursor, units: Iterable[tuple[Entry, ...]]) -> dict[str, set[str]]:
    """Return what the checks of the runs found that did not stop them, by the runs' ids."""
    found: dict[str, set[str]] = {}
    for ref, run_ids in sorted(_by_place(units).items()):
        found |= noted_checks(cursor, run_ids, ref)
    return found


def _last_failed(unit: Sequence[Entry]) -> str:
    """Return the id of the run by which a unit has failed, empty if it has not."""
    if (as_one(unit) if len(unit) > 1 else unit[0]).run.status != "failed":
        return ""
    return next((entry.run.run_id for entry in unit if entry.run.status == "failed"), "")


def _failed_nodes(cursor: Cursor, units: Iterable[tuple[Entry, ...]]) -> dict[str, list[str]]:
    """Return the nodes by which runs have failed, by the runs' ids."""
    found: dict[str, list[str]] = {}
    for ref, run_ids in sorted(_by_place(units, "failed").items()):
        found |= failed_nodes(cursor, run_ids, ref)
    return found


def _by_place(units: Iterable[tuple[Entry, ...]], status: str | None = None) -> dict[str, list[str]]:
    """Return the ids of the runs, all or of one status, by the branch or commit whose journal has them."""
    found: dict[str, list[str]] = {}
    wanted = (entry for unit in units for entry in unit if status in (None, entry.run.status))
    for entry in wanted:
        found.setdefault(_where(entry), []).append(entry.run.run_id)
    return found


def _tags(cursor: Cursor) -> dict[str, list[str]]:
    """Return the names of the tags by their commits."""
    cursor.execute("SELECT tag_hash, tag_name FROM dolt_tags")
    found: dict[str, list[str]] = {}
    for commit, name in cursor.fetchall():
        found.setdefault(commit, []).append(name)
    return found


def _saved(cursor: Cursor, metric_tables: list[str], units: Iterable[tuple[Entry, ...]]) -> list[list[str]]:
    """Return which tables of metrics each unit has saved itself; what is in the others is older."""
    units = list(units)
    saved = {
        ref: saved_tables(cursor, metric_tables, run_ids, ref) for ref, run_ids in _by_place(units).items()
    }
    found = []
    for unit in units:
        names: set[str] = set()
        for entry in unit:
            # Of a group, what an attempt has written that failed is not in its commit.
            if entry.published or len(unit) == 1:
                names |= saved[_where(entry)].get(entry.run.run_id, set())
        found.append([table for table in metric_tables if table.lower() in names])
    return found


def _units(entries: Iterable[Entry]) -> list[tuple[Entry, ...]]:
    """Return the runs alone, and those of a group together, the latest first; so are the runs of a group."""
    found: dict[str | tuple[str], list[Entry]] = {}
    for entry in entries:
        # A run that was undone is no longer a part of its group.
        is_part = entry.run.run_group and not entry.undone
        key = (str(entry.run.run_group),) if is_part else entry.run.run_id
        found.setdefault(key, []).append(entry)
    return [tuple(unit) for unit in found.values()]


def _counting(unit: Sequence[Entry]) -> Entry:
    """Return the run of a group whose commit counts: the last one that was published, if any was."""
    return next((entry for entry in unit if entry.published), unit[0])


def as_one(group: Sequence[Entry]) -> Entry:
    """Return a group of runs as if it were one run, by the name of the group.

    Args:
        group: its runs, the latest first.
    """
    # A run that was tried again counts by its last attempt.
    attempts: dict[str, Entry] = {}
    for entry in reversed(group):
        attempts[str((entry.run.pipelines, sorted(entry.run.filters.items())))] = entry
    missing = [entry.run for entry in attempts.values() if entry.run.status != "succeeded"]
    runs = [entry.run for entry in group]
    started = [run.started for run in runs if run.started]
    finished = [run.finished for run in runs if run.finished]
    counting = _counting(group)
    run = replace(
        counting.run,
        run_id=str(counting.run.run_group),
        started=min(started, default=None),
        finished=max(finished, default=None),
        status=missing[0].status if missing else "succeeded",
        error=missing[0].error if missing else None,
    )
    return replace(counting, run=run)


def _sum(changes: Iterable[list[TableChange]]) -> list[TableChange]:
    found: dict[str, TableChange] = {}
    for change in (change for changed in changes for change in changed):
        if before := found.get(change.table):
            change = replace(
                change,
                added=before.added + change.added,
                removed=before.removed + change.removed,
                modified=before.modified + change.modified,
            )
        found[change.table] = change
    return [found[table] for table in sorted(found)]


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
