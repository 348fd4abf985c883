"""Which commit brought each row of a table as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import as_dicts, columns_at
from ..dolt.sql import identifier
from .message import run_id_in

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

# How many rows one statement asks for.
_AT_ONCE = 500


@dataclass(frozen=True)
class BlamedCommit:
    """A commit that brought a row as it is."""

    name: str
    date: datetime
    author: str
    message: str

    @property
    def title(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def run_id(self) -> str | None:
        """The run whose commit it is; None if it is none's."""
        return run_id_in(self.message)


_Key = tuple[Any, ...]
_Row = tuple[Any, ...]


class RowHistory:
    """The rows of a table at each commit, read with ``AS OF``.

    Dolt's own tables of blame and history add columns of their own to the table's, with names that the table
    may have as well, and give the history of all rows.
    """

    def __init__(self, cursor: Cursor, table: str, columns: list[str], keys: list[str]) -> None:
        self._cursor = cursor
        self._table = table
        self._columns = columns
        self._keys = keys

    def rows_now(self, where: Mapping[str, str], limit: int | None) -> dict[_Key, _Row]:
        """Return the rows at the last commit that have these values, by their keys."""
        condition = " AND ".join(f"{identifier(name)} = %s" for name in where) or "TRUE"
        order = ", ".join(map(identifier, self._keys))
        end = "" if limit is None else f" LIMIT {limit}"
        return self._rows("HEAD", f"{condition} ORDER BY {order}{end}", list(where.values()))

    def _rows(self, ref: str, condition: str, values: list[Any]) -> dict[_Key, _Row]:
        self._cursor.execute(
            f"SELECT * FROM {identifier(self._table)} AS OF %s WHERE {condition}", [ref, *values]
        )
        found = {}
        for row in as_dicts(self._cursor):
            found[tuple(row[name] for name in self._keys)] = tuple(row.get(name) for name in self._columns)
        return found

    def rows_at(self, ref: str, wanted: Iterable[_Key]) -> dict[_Key, _Row]:
        """Return the rows with these keys at a commit; nothing if the table had another key there."""
        wanted = list(wanted)
        if not set(self._keys) <= set(columns_at(self._cursor, self._table, ref)):
            return {}
        found: dict[_Key, _Row] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            if len(self._keys) == 1:
                condition = f"{identifier(self._keys[0])} IN ({', '.join(['%s'] * len(part))})"
            else:
                one = " AND ".join(f"{identifier(name)} = %s" for name in self._keys)
                condition = " OR ".join([f"({one})"] * len(part))
            found |= self._rows(ref, condition, [value for key in part for value in key])
        return found

    def origins(self, rows: Mapping[_Key, _Row]) -> dict[_Key, BlamedCommit]:
        """Return the commits that brought the rows as they are: those none of whose parents has them so."""
        parents: dict[str, list[str]] = {}
        self._cursor.execute(
            "SELECT commit_hash, parent_hash FROM dolt_commit_ancestors WHERE parent_hash IS NOT NULL "
            "ORDER BY parent_index"
        )
        for commit, parent in self._cursor.fetchall():
            parents.setdefault(commit, []).append(parent)
        self._cursor.execute("SELECT commit_hash FROM dolt_diff WHERE table_name = %s", (self._table,))
        touched = {row[0] for row in self._cursor.fetchall()}
        self._cursor.execute(
            "SELECT commit_hash, date, committer, LEFT(message, 300) FROM dolt_log ORDER BY commit_order DESC"
        )
        log = [BlamedCommit(*row) for row in self._cursor.fetchall()]
        looked_for: dict[str, set[_Key]] = {log[0].name: set(rows)}
        found: dict[_Key, BlamedCommit] = {}
        # A commit comes after all its children.
        for commit in log:
            here = looked_for.pop(commit.name, set())
            its_parents = parents.get(commit.name, [])
            for parent in its_parents:
                if not here:
                    break
                if len(its_parents) == 1 and commit.name not in touched:
                    same = here
                else:
                    before = self.rows_at(parent, here)
                    same = {key for key in here if before.get(key) == rows[key]}
                looked_for.setdefault(parent, set()).update(same)
                here = here - same
            found |= dict.fromkeys(here, commit)
            if not looked_for:
                break
        return found


def writers(
    cursor: Cursor, table: str, columns: list[str], keys: list[str], wanted: Iterable[_Key]
) -> dict[_Key, str]:
    """Return what last wrote each of some rows on the cursor's branch, as it is now.

    Args:
        cursor: a cursor on the branch.
        table: a table with a primary key.
        columns: its columns.
        keys: those of the key.
        wanted: the rows' keys.

    Returns:
        By key the id of the run; without one the commit; ``this run`` of what is not committed.
    """
    history = RowHistory(cursor, table, columns, keys)
    cursor.execute("SELECT commit_hash FROM dolt_log LIMIT 1")
    head = cursor.fetchone()
    now = history.rows_at("WORKING", wanted)
    before = history.rows_at(str(head[0]), now) if head else {}
    same = {key: row for key, row in now.items() if before.get(key) == row}
    origins = history.origins(same) if same else {}
    found = {key: commit.run_id or f"commit {commit.name[:10]}" for key, commit in origins.items()}
    return {key: found.get(key, "this run") for key in now}
