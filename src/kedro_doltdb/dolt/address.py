"""Where a Dolt server listens, and how one logs in.

On its own machine Dolt writes a secret into ``.dolt/sql-server.info``, readable by the repository's owner
alone, and lets the user ``__dolt_local_user__`` in with it. No password has to be invented or kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .sql import quote
from .watchdog import watch

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

HOST = "127.0.0.1"
USER = "__dolt_local_user__"
CONNECT_TIMEOUT = 30.0
# Dolt's default.
NO_LIMIT = (1 << 31) - 1


@dataclass(frozen=True)
class Tls:
    """How a connection is encrypted; the server's certificate and its host name are always checked.

    Attributes:
        ca: a file with the certificate authorities to trust, PEM; None trusts the system's.
        cert: a file with this client's certificate, if the server asks for one.
        key: a file with the key of that, if it is not in the same.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Address:
    """Where a server listens, and who logs in there.

    Attributes:
        port: its TCP port.
        password: of ``user``.
        database: the repository that it serves, by the name that it has there.
        pid: its process, if it is on this machine.
        host: its machine.
        user: the SQL user.
        tls: how connections are encrypted; None if they are not.
    """

    port: int
    password: str = field(repr=False)
    database: str
    pid: int | None = None
    host: str = HOST
    user: str = USER
    tls: Tls | None = None

    @property
    def where(self) -> str:
        """Where Dolt's own commands reach the repository, as it is said in a hint: ``in data/``."""
        return "in data/" if self.user == USER else f"on {self.host}:{self.port}/{self.database}"

    def connect(
        self,
        branch: str | None = None,
        *,
        autocommit: bool = False,
        read_timeout: float | None = None,
        qualified: bool = True,
    ) -> pymysql.Connection[Cursor]:
        """Open a connection on ``branch``, or on the branch checked out in ``data/``.

        Every name of the database means that branch then: ``data.t`` is the same table as ``t``.

        Args:
            branch: a branch, or the hash of a commit, which can only be read.
            autocommit: whether each statement is a transaction of its own.
            read_timeout: seconds that an answer may take; None waits for as long as the server lives.
            qualified: whether names qualified with the database mean the branch, too; they cannot where the
                branch checked out in ``data/`` is gone.

        Raises:
            pymysql.err.OperationalError: no server answers, or the secret or the branch is unknown to it.
        """
        connection = self._open(branch, autocommit, read_timeout or CONNECT_TIMEOUT, qualified)
        if read_timeout is None:
            connection._read_timeout = None  # type: ignore[attr-defined]
            watch(connection, (self.host, self.port), lambda seconds: self._open(None, True, seconds))
        return connection

    def _open(
        self, branch: str | None, autocommit: bool, read_timeout: float, qualified: bool = True
    ) -> pymysql.Connection[Cursor]:
        import pymysql
        from pymysql.constants import CLIENT

        # Where a server commits each transaction by itself, a run would find nothing that it has changed, and
        # where it limits results, a load would lack rows without a word.
        session = ["dolt_transaction_commit = 0", f"sql_select_limit = {NO_LIMIT}"]
        if not autocommit:
            # Dolt does not report that it is on, so PyMySQL would not turn it off by itself.
            session.append("autocommit = 0")
        if branch and qualified:
            # Without it, a name qualified with the database would mean the branch checked out in data/.
            head = pymysql.converters.escape_string(branch)
            session.append(f"SESSION {quote(f'{self.database}_head_ref')} = '{head}'")
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=f"{self.database}/{branch}" if branch else self.database,
            charset="utf8mb4",
            autocommit=autocommit,
            init_command=f"SET {', '.join(session)}",
            # The driver is to send no file, whatever a server asks for: see local_infile.py.
            client_flag=CLIENT.LOCAL_FILES,
            local_infile=False,
            **_encryption(self.tls),
            connect_timeout=10,
            # A server that has `max_connections` accepts one more and says nothing.
            read_timeout=read_timeout,
        )


def _encryption(tls: Tls | None) -> dict[str, Any]:
    """PyMySQL's arguments; with a context it does not go on without TLS where a server offers none."""
    if tls is None:
        return {"ssl_disabled": True}
    import ssl

    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return {"ssl": context}
