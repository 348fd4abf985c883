"""The run that last changed each row: Dolt's blame joined with the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .history import run_ids_by_commit
from .tables import as_dicts, columns_at, identifier

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .repository import Repository


@dataclass(frozen=True)
class BlamedRow:
    """A row and the commit that last changed it.

    Attributes:
        key: the row's primary key by column.
        commit: the commit.
        date: of the commit.
        author: its author.
        message: the first line of its message.
        run_id: the run whose commit it is; None if a person made it.
    """

    key: dict[str, Any]
    commit: str
    date: datetime
    author: str
    message: str
    run_id: str | None


def blame(repository: Repository, table: str, where: Mapping[str, str], limit: int | None) -> list[BlamedRow]:
    """Blame the rows of a table on the branch checked out in ``data/``, by its last commit.

    Args:
        repository: where the table is.
        table: its name.
        where: key columns and the values that they must have.
        limit: how many rows at most; None is all.

    Raises:
        ConfigError: there is no such table, it has no primary key, or ``where`` names something else.
    """
    branch = repository.checked_out()
    with repository.on(branch) as cursor:
        columns = columns_at(cursor, table, "HEAD")
        keys = [name for name, is_key in columns.items() if is_key]
        if not columns:
            raise ConfigError(f"There is no table {table} on {branch}: `dolt ls` in data/ lists them.")
        if not keys:
            raise ConfigError(
                f"{table} has no primary key, so that its rows have no history: give it one in the catalog, "
                "`method: ${dolt.bulk_load:<columns>}`."
            )
        if unknown := sorted(set(where) - set(keys)):
            raise ConfigError(
                f"{', '.join(unknown)} is no column of the primary key of {table}: {', '.join(keys)} is."
            )
        rows = _blamed(cursor, table, keys, where, limit)
        runs = run_ids_by_commit(cursor)
        commits = _commits(cursor)
        merged = [row for row in rows if commits[row["commit"]].is_merge]
        origins = _origins(cursor, table, keys, merged)
    found = []
    for row in rows:
        key = {name: row[name] for name in keys}
        name = origins.get(tuple(key.values()), row["commit"])
        commit = commits[name]
        found.append(BlamedRow(key, name, commit.date, commit.author, commit.title, runs.get(name)))
    return found


def _blamed(
    cursor: Cursor, table: str, keys: list[str], where: Mapping[str, str], limit: int | None
) -> list[dict[str, Any]]:
    condition = " AND ".join(f"{identifier(name)} = %s" for name in where) or "TRUE"
    order = ", ".join(map(identifier, keys))
    cursor.execute(
        f"SELECT * FROM {identifier(f'dolt_blame_{table}')} WHERE {condition} ORDER BY {order}"
        + ("" if limit is None else " LIMIT %s"),
        [*where.values(), *([] if limit is None else [limit])],
    )
    return as_dicts(cursor)


@dataclass(frozen=True)
class _Commit:
    date: datetime
    author: str
    title: str
    parents: tuple[str, ...]

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


def _commits(cursor: Cursor) -> dict[str, _Commit]:
    cursor.execute("SELECT commit_hash, parent_hash FROM dolt_commit_ancestors WHERE parent_hash IS NOT NULL")
    parents: dict[str, tuple[str, ...]] = {}
    for commit, parent in cursor.fetchall():
        parents[commit] = (*parents.get(commit, ()), parent)
    cursor.execute("SELECT commit_hash, date, committer, message FROM dolt_log")
    return {
        commit: _Commit(date, author, message.partition("\n")[0], parents.get(commit, ()))
        for commit, date, author, message in cursor.fetchall()
    }


def _origins(
    cursor: Cursor, table: str, keys: list[str], rows: list[dict[str, Any]]
) -> dict[tuple[Any, ...], str]:
    """The commits that brought rows which Dolt's blame says came with a merge, by the rows' keys.

    Dolt compares a merge with one of its parents only. The commit that brought a row is the latest one that
    has it as it is now and none of whose parents has it so.
    """
    if not rows:
        return {}
    commits = _commits(cursor)
    condition = " AND ".join(f"{identifier(name)} = %s" for name in keys)
    origins = {}
    for row in rows:
        cursor.execute(
            f"SELECT * FROM {identifier(f'dolt_history_{table}')} WHERE {condition}",
            [row[name] for name in keys],
        )
        history = {old["commit_hash"]: _content(old) for old in as_dicts(cursor)}
        now = history.get(row["commit"])
        brought = [
            name
            for name, content in history.items()
            if name in commits
            and content == now
            and all(history.get(parent) != now for parent in commits[name].parents)
        ]
        if brought:
            origins[tuple(row[name] for name in keys)] = max(brought, key=lambda name: commits[name].date)
    return origins


def _content(row: dict[str, Any]) -> tuple[Any, ...]:
    # The commit, its committer and its date come last.
    return tuple(row.values())[:-3]
