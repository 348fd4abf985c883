"""Where a Dolt server listens, and how its own machine's processes log in.

Dolt writes a secret into ``.dolt/sql-server.info``, readable by the repository's owner alone, and lets the
user ``__dolt_local_user__`` in with it from this machine. No password has to be invented or kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .watch import watch

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

HOST = "127.0.0.1"
USER = "__dolt_local_user__"
CONNECT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Address:
    """Where a server listens, and the secret that lets this machine's processes in."""

    port: int
    password: str = field(repr=False)
    pid: int
    database: str

    def connect(
        self, branch: str | None = None, *, autocommit: bool = False, read_timeout: float | None = None
    ) -> pymysql.Connection[Cursor]:
        """Open a connection on ``branch``, or on the branch checked out in ``data/``.

        Args:
            branch: the branch.
            autocommit: whether each statement is a transaction of its own.
            read_timeout: seconds that an answer may take; None waits for as long as the server lives.

        Raises:
            pymysql.err.OperationalError: no server answers, or the secret or the branch is unknown to it.
        """
        connection = self._open(branch, autocommit, read_timeout or CONNECT_TIMEOUT)
        if read_timeout is None:
            connection._read_timeout = None  # type: ignore[attr-defined]
            watch(connection, self.port, lambda seconds: self._open(None, True, seconds))
        return connection

    def _open(self, branch: str | None, autocommit: bool, read_timeout: float) -> pymysql.Connection[Cursor]:
        import pymysql
        from pymysql.constants import CLIENT

        return pymysql.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=self.password,
            database=f"{self.database}/{branch}" if branch else self.database,
            charset="utf8mb4",
            autocommit=autocommit,
            # Dolt does not report that autocommit is on, so PyMySQL would not turn it off by itself.
            init_command=None if autocommit else "SET autocommit = 0",
            # The driver is to send no file, whatever a server asks for: see local_infile.py.
            client_flag=CLIENT.LOCAL_FILES,
            local_infile=False,
            ssl_disabled=True,
            connect_timeout=10,
            # A server that has `max_connections` accepts one more and says nothing.
            read_timeout=read_timeout,
        )
