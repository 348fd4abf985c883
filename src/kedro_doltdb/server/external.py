"""A Dolt server that somebody else runs: hosted, replicated, in a container.

Nothing is started or stopped there. What files and their locks say of a server of our own is said by SQL: a
lease is a lock of the server's (``GET_LOCK``) that lives as long as the connection that took it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..dolt import answers
from ..dolt.address import Address, Tls
from ..dolt.repository import Repository, lock_name
from ..dolt.watchdog import end_idle
from ..dolt.wire import close_in_child
from ..dolt_cli import user_home
from ..errors import ConfigError, LeaseTakenError, ServerError, suggestion
from ..secret import hidden
from .process import check_server_version

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

_KEYS = ("host", "port", "user", "password", "database", "tls", "ssl_ca", "ssl_cert", "ssl_key")
_NEEDED = ("host", "user", "password", "database")
_HERE = ("localhost", "127.0.0.1", "::1")
# Proxies cut connections that have been idle for a minute or more.
_SIGN_OF_LIFE = 15.0


class ExternalServer:
    """The server at ``address``.

    Args:
        address: where it is, who logs in, and to which database.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    @classmethod
    def from_credentials(cls, entry: str, credentials: object) -> ExternalServer:
        """Return the server that an entry of ``conf/*/credentials.yml`` names.

        Args:
            entry: the name of the entry.
            credentials: what it holds.

        Raises:
            ConfigError: a key is missing, unknown, or of the wrong kind. No value is repeated.
        """
        credentials = hidden(credentials)
        if not isinstance(credentials, Mapping):
            raise ConfigError(
                f"conf/*/credentials.yml has no mapping `{entry}`: with `managed: false` it says where the "
                "Dolt server is, by `host`, `port`, `user`, `password` and `database`."
            )
        for key in credentials:
            if key not in _KEYS:
                raise ConfigError(
                    f"conf/*/credentials.yml: `{entry}.{key}` is not a key of a server: "
                    f"{suggestion(key, _KEYS)}"
                )

        given = {key: value for key, value in credentials.items() if value is not None}
        files = {key: given.get(f"ssl_{key}") for key in ("ca", "cert", "key")}
        port = given.get("port", 3306)
        checks = {
            **{key: ("text, not empty", _is_text(given.get(key))) for key in _NEEDED},
            "port": ("a whole number from 1 to 65535", type(port) is int and 0 < port < 65536),
            "tls": ("true or false", isinstance(given.get("tls", True), bool)),
            **{f"ssl_{key}": ("a file that can be read", _can_be_read(file)) for key, file in files.items()},
        }
        for key, (expected, right) in checks.items():
            if not right:
                raise ConfigError(f"conf/*/credentials.yml: `{entry}.{key}` must be {expected}.")
        # What goes to another machine is encrypted unless somebody says that it need not be.
        encrypted = given.get("tls", bool(files["ca"]) or given["host"] not in _HERE)
        return cls(
            Address(
                port, given["password"], given["database"], host=given["host"], user=given["user"],
                tls=Tls(**files) if encrypted else None,
            )
        )  # fmt: skip

    @property
    def name(self) -> str:
        """What a user knows it by."""
        return self._address.where.removeprefix("on ")

    @property
    def database(self) -> str:
        """The name of the database on the server."""
        return self._address.database

    @property
    def runs_dir(self) -> None:
        """None: runs come from several machines, and keep their records on the server."""
        return None

    @property
    def cache_key_file(self) -> Path | None:
        """The key that the copies of tables are signed with; None where the user has no home."""
        home = user_home()
        return home and home / ".config" / "kedro-dolt" / "cache-key"

    def has_unfinished_runs(self) -> bool:
        """Return True: whether runs have left records can only be asked of the server."""
        return True

    def acquire(self, name: str) -> SqlLease:
        """Take the lease ``name``.

        Raises:
            LeaseTakenError: another process has it.
            ServerError: the server does not answer, its certificate is not trusted, or it refuses the login.
        """
        import pymysql

        address = self._address
        try:
            connection = address.connect(autocommit=True)
        except (OSError, pymysql.err.Error) as error:
            if isinstance(error, pymysql.err.Error):
                if answers.is_full(error):
                    raise answers.plain(error) from error
                if answers.is_other_server(error):
                    raise self._no_dolt(error) from error
            raise ServerError(
                f"The Dolt server {self.name} cannot be used: {error.args[-1]}. Does it run, and is `dolt` "
                "in conf/*/credentials.yml right?"
            ) from error
        lease = SqlLease(address, connection, lock_name(address.database, f"lease {name}"))
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT dolt_version()")
                check_server_version(str(cursor.fetchone()[0]))  # type: ignore[index]
            if not lease.acquire():
                raise LeaseTakenError(f"The lease {name} is in use by another process.")
        except pymysql.err.Error as error:
            lease.release()
            raise self._no_dolt(error) from error
        except BaseException:
            lease.release()
            raise
        return lease

    def _no_dolt(self, error: Exception) -> ServerError:
        return ServerError(f"{self.name} does not serve Dolt: {error.args[-1]}.")

    def is_leased(self, name: str) -> bool:
        """Return whether the process that took the lease ``name`` still lives."""
        with Repository(self._address, "").on() as cursor:
            cursor.execute("SELECT IS_USED_LOCK(%s)", (lock_name(self._address.database, f"lease {name}"),))
            return cursor.fetchone() != (None,)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _can_be_read(file: object) -> bool:
    return file is None or (isinstance(file, str) and os.access(file, os.R_OK))


_open_leases: weakref.WeakSet[SqlLease] = weakref.WeakSet()


class SqlLease:
    """A lock on the server, held by a connection of its own for as long as that lives.

    Args:
        address: where the server listens.
        connection: for the lock alone; it is closed with it.
        name: of the lock.
    """

    def __init__(self, address: Address, connection: pymysql.Connection[Cursor], name: str) -> None:
        self.address = address
        self._connection = connection
        self._name = name
        # The connection is used from two threads.
        self._lock = threading.Lock()
        self._released = threading.Event()

    def acquire(self) -> bool:
        """Take the lock; False when somebody else has it."""
        if not self._ask("SELECT GET_LOCK(%s, 0) = 1"):
            return False
        _open_leases.add(self)
        threading.Thread(target=self._stay_alive, name="dolt-lease", daemon=True).start()
        return True

    @property
    def held(self) -> bool:
        """Whether the server still knows of it."""
        import pymysql

        try:
            return self._ask("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()")
        except pymysql.err.Error:
            return False

    def release(self) -> None:
        """End the use. The server goes on."""
        self._released.set()
        _open_leases.discard(self)
        with self._lock:
            if self._connection.open:
                self._connection.close()
        end_idle()

    def close_in_child(self) -> None:
        """Forget, in a forked child, what is the parent's: without a word to the server."""
        self._lock = threading.Lock()
        self._released.set()
        close_in_child(self._connection)

    def _ask(self, query: str) -> bool:
        with self._lock, self._connection.cursor() as cursor:
            cursor.execute(query, (self._name,))
            return cursor.fetchone() == (1,)

    def _stay_alive(self) -> None:
        while not self._released.wait(_SIGN_OF_LIFE):
            if not self.held:
                return


def _in_child() -> None:
    for lease in list(_open_leases):
        lease.close_in_child()
    _open_leases.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
