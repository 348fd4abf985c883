"""How two runs, or any two commits, differ: parameters, metrics, schemas, rows.

Rows come from Dolt's own diff functions, so the cost follows the change and not the table. See
https://docs.dolthub.com/sql-reference/version-control/dolt-sql-functions#table-functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at, count_at
from ..dolt.row_diff import RowChange, changed_lines, changed_rows, each_changed_row
from ..errors import ConfigError
from ..journal import reader
from ..journal.history import Log, entries_on
from ..journal.metrics import metrics_at
from ..journal.parameters import differences
from ..journal.revision import Point, find
from .code import CodeDiff, code_between
from .nodes import NodeDiff, differing_nodes

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository, TableChange
    from ..journal.store import CheckResult, Run


@dataclass(frozen=True)
class TableDiff:
    """A table that differs.

    Attributes:
        change: the numbers of its rows that do.
        schema: the lines of CREATE TABLE that differ, each beginning with ``-`` or ``+``.
        rows: the first rows that differ.
        comparable: whether rows can be told from each other; not when the primary key has changed.
        has_key: whether a changed row can be told from one that was removed and one that was added.
        keys: the columns of its primary key.
        columns: its columns, those that are gone at the end.
        gone: of these, the ones that the old table alone has.
        new: the ones that the new table alone has; neither of a table that is there on one side alone.
        old_count: how many rows it had; None if it was not there.
        new_count: how many rows it has; None if it is gone.
    """

    change: TableChange
    schema: list[str] = field(default_factory=list)
    rows: list[RowChange] = field(default_factory=list)
    comparable: bool = True
    has_key: bool = True
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    old_count: int | None = None
    new_count: int | None = None

    @property
    def is_new(self) -> bool:
        """Whether the table was not there before."""
        return self.old_count is None and self.new_count is not None

    @property
    def schema_word(self) -> str:
        """What happened to its schema: ``new``, ``dropped``, ``changed``, or nothing."""
        if self.change.dropped:
            return "dropped"
        return "new" if self.is_new else "changed" if self.schema else ""


@dataclass(frozen=True)
class Comparison:
    """How two commits differ.

    Attributes:
        old: the one, and the run whose data it holds.
        new: the other.
        params: the parameters that differ, by dotted name: (old, new).
        metrics: the metrics that differ, by name: (old, new); None where there was none.
        tables: the tables that differ.
        code: how their code differs; None if it does not.
        checks: what the checks of the run ``new`` have found, if it is one.
        nodes: the nodes whose code or parameters differ, as far as that is on record.
    """

    old: Point
    new: Point
    params: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[float | None, float | None]]
    tables: list[TableDiff]
    code: CodeDiff | None = None
    checks: list[CheckResult] = field(default_factory=list)
    nodes: list[NodeDiff] = field(default_factory=list)


def default_points(repository: Repository, old: str | None, new: str | None) -> tuple[Point, Point]:
    """Return the two commits to compare.

    Args:
        repository: where they are.
        old: what the user called the one; None is the run before ``new``.
        new: what the user called the other; None is the last run on the branch checked out in ``data/``.

    Raises:
        ConfigError: a name that is not known, or there are no two runs.
    """
    if old and new:
        return find(repository, old), find(repository, new)
    entries = entries_on(repository, repository.checked_out())
    if len(entries) < (1 if old else 2):
        raise ConfigError(
            f"There are {'no' if not entries else 'not two'} runs on {repository.checked_out()} to compare: "
            "see `kedro dolt runs --all`, or name two commits, `kedro dolt compare HEAD~1 HEAD`."
        )
    last = Point(entries[-1].run.run_id, entries[-1].commit, entries[-1].run)
    if old:
        return find(repository, old), last
    return Point(entries[-2].run.run_id, entries[-2].commit, entries[-2].run), last


def compare(
    repository: Repository, old: Point, new: Point, metric_tables: Iterable[str], project_path: Path, *,
    only: Iterable[str] | None = None, limit: int | None = 5,
) -> Comparison:  # fmt: skip
    """Compare two commits.

    Args:
        repository: where they are.
        old: the one.
        new: the other.
        metric_tables: the tables that hold metrics.
        project_path: the project, whose code may be in git.
        only: the tables to compare; None is all but those of the journal.
        limit: how many rows of each table to bring; None is all.

    Raises:
        ConfigError: a table of ``only`` is in neither commit.
    """
    changes = repository.changes(old.commit, new.commit)
    with repository.on() as cursor:
        if only is not None:
            for table in only:
                if not any(columns_at(cursor, table, point.commit) for point in (old, new)):
                    raise ConfigError(
                        f"There is no table {table} in {old.name} or {new.name}: `dolt ls --all` lists them."
                    )
            changes = [change for change in changes if change.table in set(only)]
        before, after = run_at(cursor, old), run_at(cursor, new)
        params = differences(before.params if before else {}, after.params if after else {})
        metric_tables = list(metric_tables)
        old_metrics, new_metrics = metrics_at(
            cursor, [(old.commit, metric_tables), (new.commit, metric_tables)]
        )
        metrics = {
            name: (old_metrics.get(name), new_metrics.get(name))
            for name in sorted({*old_metrics, *new_metrics})
            if old_metrics.get(name) != new_metrics.get(name)
        }
        tables = [_table_diff(cursor, change, old.commit, new.commit, limit) for change in changes]
        checks = reader.checks(cursor, new.run.run_id, new.commit) if new.run else []
        executions = [
            reader.executions(cursor, run.run_id, point.commit) if run else []
            for run, point in ((before, old), (after, new))
        ]
    nodes = differing_nodes(before, after, *executions)
    code = code_between(before, after, project_path)
    return Comparison(old, new, params, metrics, tables, code, checks, nodes)


def run_at(cursor: Cursor, point: Point) -> Run | None:
    """Return the run whose data a commit holds: its own, or the last one before it."""
    if point.run:
        return point.run
    runs = [run for run in reader.runs(cursor, point.commit) if run.status == "succeeded"]
    log = Log.of(cursor, point.commit)
    return max(runs, key=lambda run: (log.place(run.run_id), str(run.finished or "")), default=None)


@contextmanager
def streamed_rows(
    repository: Repository, comparison: Comparison, table: TableDiff, limit: int | None = None
) -> Iterator[Iterator[RowChange]]:
    """Yield the rows of a table that differ, however many, a few at a time in memory.

    Args:
        repository: where they are.
        comparison: of the two commits.
        table: one of its tables.
        limit: how many rows at most; None is all.
    """
    with repository.on() as cursor:
        if table.change.dropped or not table.comparable:
            yield iter(())
        else:
            old, new = comparison.old.commit, comparison.new.commit
            yield each_changed_row(cursor, table.change.table, table.keys, old, new, limit)


def _table_diff(cursor: Cursor, change: TableChange, old: str, new: str, limit: int | None) -> TableDiff:
    cursor.execute(
        "SELECT from_create_statement, to_create_statement FROM dolt_schema_diff(%s, %s, %s)",
        (old, new, change.table),
    )
    schema: list[str] = []
    for before, after in cursor.fetchall():
        schema += changed_lines(before, after)
    counts = [count_at(cursor, change.table, commit) for commit in (old, new)]
    if change.dropped:
        return TableDiff(change, schema, old_count=counts[0])
    old_columns = columns_at(cursor, change.table, old)
    new_columns = columns_at(cursor, change.table, new)
    keys = tuple(name for name, is_key in new_columns.items() if is_key)
    comparable = not old_columns or keys == tuple(name for name, is_key in old_columns.items() if is_key)
    rows = changed_rows(cursor, change.table, keys, old, new, limit) if comparable else []
    columns = tuple({**new_columns, **old_columns})
    gone = tuple(name for name in old_columns if new_columns and name not in new_columns)
    added = tuple(name for name in new_columns if old_columns and name not in old_columns)
    return TableDiff(change, schema, rows, comparable, bool(keys), keys, columns, gone, added, *counts)
