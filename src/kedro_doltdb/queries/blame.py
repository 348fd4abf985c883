"""The run that last changed each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at
from ..errors import ConfigError
from ..journal.blame import RowHistory

if TYPE_CHECKING:
    from ..dolt.repository import Repository


@dataclass(frozen=True)
class BlamedRow:
    """A row and the commit that last changed it.

    Attributes:
        key: the row's primary key by column.
        commit: the commit.
        date: of the commit.
        author: its author.
        message: the first line of its message.
        run_id: the run whose commit it is; None if a user made it.
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
            raise ConfigError(
                f"There is no table {table} on {branch}: `dolt ls` {repository.where} lists them."
            )
        if not keys:
            raise ConfigError(
                f"{table} has no primary key, so that its rows have no history: give it one in the catalog, "
                "`method: ${dolt.bulk_load:<columns>}`."
            )
        if unknown := sorted(set(where) - set(keys)):
            raise ConfigError(
                f"{', '.join(unknown)} is not a column of the primary key of {table}: {', '.join(keys)} is."
            )
        history = RowHistory(cursor, table, list(columns), keys)
        rows = history.rows_now(where, limit)
        commits = history.origins(rows)
    found = []
    for key in rows:
        commit = commits[key]
        named = dict(zip(keys, key, strict=True))
        found.append(BlamedRow(named, commit.name, commit.date, commit.author, commit.title, commit.run_id))
    return found
