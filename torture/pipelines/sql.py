"""The repository of a project, asked over SQL without the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor

JOURNAL = ("kedro_runs", "kedro_lineage", "kedro_nodes", "kedro_checks")


@dataclass(frozen=True)
class Branch:
    """What a branch holds.

    Attributes:
        head: its commit.
        committed: the content hash of each table there.
        working: the same of its working set.
        uncommitted: the tables that its status names.
    """

    head: str
    committed: dict[str, str]
    working: dict[str, str]
    uncommitted: tuple[str, ...]

    def without_journal(self) -> dict[str, str]:
        """The committed tables of the pipelines."""
        return {name: value for name, value in self.committed.items() if name not in JOURNAL}


class Sql:
    """Connections to the server that runs on a directory.

    Args:
        data: the directory of the repository.
    """

    def __init__(self, data: Path) -> None:
        self._data = data

    @contextmanager
    def cursor(self, branch: str | None = None) -> Iterator[Cursor]:
        """A cursor on a branch, or at a commit."""
        _, port, secret = (self._data / ".dolt" / "sql-server.info").read_text().strip().split(":")
        connection = pymysql.connect(
            host="127.0.0.1", port=int(port), user="__dolt_local_user__", password=secret, autocommit=True,
            database=f"{self._data.name}/{branch}" if branch else self._data.name, charset="utf8mb4",
            ssl_disabled=True,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            yield cursor

    def rows(self, statement: str, branch: str | None = None) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with self.cursor(branch) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def tables(self, branch: str) -> dict[str, str]:
        """The content hash of each table of a branch's working set, or of a commit."""
        with self.cursor(branch) as cursor:
            cursor.execute("SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")
            names = sorted(row[0] for row in cursor.fetchall() if not row[0].startswith("dolt_"))
            if not names:
                return {}
            cursor.execute(f"SELECT {', '.join(['dolt_hashof_table(%s)'] * len(names))}", names)
            return dict(zip(names, cursor.fetchone() or (), strict=True))

    def content(self, table: str, branch: str) -> tuple[str, list[str]]:
        """The definition of a table of a branch or a commit, and its rows."""
        definition = self.rows(f"SHOW CREATE TABLE `{table}`", branch)[0][1]
        return definition, sorted(map(repr, self.rows(f"SELECT * FROM `{table}`", branch)))

    def snapshot(self) -> dict[str, Branch]:
        """All branches."""
        found = {}
        for name, head in self.rows("SELECT name, hash FROM dolt_branches"):
            status = self.rows("SELECT DISTINCT table_name FROM dolt_status", name)
            found[name] = Branch(
                head, self.tables(head), self.tables(name), tuple(sorted(row[0] for row in status))
            )
        return found
