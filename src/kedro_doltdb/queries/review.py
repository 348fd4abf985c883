"""All that a review of two runs shows: the comparison, the pipeline, each table that differs in detail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at
from ..journal.blame import RowHistory
from ..journal.history import entries_on
from ..journal.revision import Point, find
from .compare import default_points, run_at, streamed_rows
from .picture import Picture, picture
from .profile import Profile
from .schema import SchemaChange, schema_changes

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..dolt.row_diff import RowChange
    from ..journal.store import Run
    from .compare import Comparison, TableDiff

# Of a table: rows that are counted into its profile, rows that are shown, rows whose writer is looked for.
PROFILED = 100_000
MOST_SHOWN = 2000
_BLAMED = 100


@dataclass(frozen=True)
class Commit:
    """Who made a commit, and when."""

    author: str
    date: Any


@dataclass(frozen=True)
class TableReview:
    """A table that differs, in detail.

    Attributes:
        diff: the numbers.
        schema: how its schema has changed.
        profile: the cells that differ, of the first :data:`PROFILED` rows.
        rows: the first rows that differ.
        writers: by the keys of some of them, what wrote the old values.
    """

    diff: TableDiff
    schema: list[SchemaChange]
    profile: Profile
    rows: list[RowChange] = field(default_factory=list)
    writers: dict[tuple[Any, ...], str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows differ."""
        change = self.diff.change
        return change.added + change.removed + change.modified


@dataclass(frozen=True)
class Review:
    """Two runs, for whoever is to decide.

    Attributes:
        comparison: how they differ.
        runs: the runs whose data the two commits hold; None where there is none.
        commits: who made the two commits.
        picture: the pipeline.
        tables: the tables that differ.
        unchanged: the names of those that do not, and how many rows each has.
        checked_out: the branch checked out in ``data/``.
        uncommitted: the tables with uncommitted edits on it, which no commit shows.
    """

    comparison: Comparison
    runs: tuple[Run | None, Run | None]
    commits: tuple[Commit, Commit]
    picture: Picture
    tables: list[TableReview]
    unchanged: list[tuple[str, int | None]]
    checked_out: str = ""
    uncommitted: list[str] = field(default_factory=list)


def review_points(repository: Repository, old: str | None, new: str | None) -> tuple[Point, Point]:
    """Return the two commits to review: those of ``compare``; of the only run, it and the commit before.

    Raises:
        ConfigError: a name that is not known, or there is no run.
    """
    if old is None and new is None:
        entries = entries_on(repository, repository.checked_out())
        if len(entries) == 1:
            entry = entries[0]
            before = find(repository, entry.parent)
            before = replace(before, name=before.run.run_id if before.run else before.commit[:10])
            return before, Point(entry.run.run_id, entry.commit, entry.run)
    return default_points(repository, old, new)


def review(repository: Repository, comparison: Comparison, shown: int = MOST_SHOWN) -> Review:
    """Return all that a review shows. The cost follows what differs.

    Args:
        repository: where it is.
        comparison: of the two commits, without rows.
        shown: how many rows of a table to bring.
    """
    commits = comparison.old.commit, comparison.new.commit
    with repository.on() as cursor:
        runs = run_at(cursor, comparison.old), run_at(cursor, comparison.new)
        who = _commit(cursor, commits[0]), _commit(cursor, commits[1])
    pictured = picture(repository, comparison, *runs)
    changed = {table.change.table for table in comparison.tables}
    # Two datasets may be views of one table.
    unchanged = {
        each.table: each.new_count
        for each in pictured.datasets
        if each.table and each.status == "unchanged" and each.table not in changed
    }
    tables = [_table(repository, comparison, table, shown) for table in comparison.tables]
    branch = repository.checked_out()
    return Review(
        comparison, runs, who, pictured, tables, sorted(unchanged.items()),
        branch, repository.uncommitted(branch),
    )  # fmt: skip


def _commit(cursor: Any, commit: str) -> Commit:
    cursor.execute("SELECT committer, email, date FROM dolt_log(%s) LIMIT 1", (commit,))
    row = cursor.fetchone() or ("", "", None)
    return Commit(f"{row[0]} <{row[1]}>", row[2])


def _table(repository: Repository, comparison: Comparison, diff: TableDiff, shown: int) -> TableReview:
    commits = comparison.old.commit, comparison.new.commit
    with repository.on() as cursor:
        schema = schema_changes(cursor, diff, *commits)
    profile = Profile()
    with streamed_rows(repository, comparison, diff, PROFILED) as rows:
        passing = profile.passing(rows)
        found = list(islice(passing, shown))
        for _ in passing:
            pass
    writers = _writers(repository, diff, commits[0], found)
    return TableReview(diff, schema, profile, found, writers)


def _writers(
    repository: Repository, diff: TableDiff, old: str, rows: list[RowChange]
) -> dict[tuple[Any, ...], str]:
    """Return what wrote the old values of the first rows."""
    wanted = [tuple(row.key.values()) for row in rows if row.kind != "added"][:_BLAMED]
    if not wanted or not diff.has_key:
        return {}
    with repository.on(old) as cursor:
        table = diff.change.table
        history = RowHistory(cursor, table, list(columns_at(cursor, table, old)), list(diff.keys))
        origins = history.origins(history.rows_at(old, wanted))
    return {key: commit.run_id or f"commit {commit.name[:10]}" for key, commit in origins.items()}
