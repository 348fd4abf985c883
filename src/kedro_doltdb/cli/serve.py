"""``kedro dolt server``: the repository served in the foreground."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..dolt.address import HOST
from ..errors import ServerError
from ..server.temporary_user import sql_user
from ..terminal import echo

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..server.managed import ManagedServer


def serve(database: Database, server: ManagedServer, user: str | None, password: str | None) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the terminal.

    Args:
        database: the project's.
        server: its server.
        user: the SQL user to let in; None picks a name.
        password: the user's password, which is not printed; None makes one up, which is.

    Raises:
        ConfigError: the user's name cannot be used.
        ServerError: the server could not be started, or has ended by itself.
    """
    stopped = threading.Event()
    for wanted in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has no SIGHUP. There it is for the server to say what is missing.
        if hasattr(signal, wanted):
            signal.signal(getattr(signal, wanted), lambda *_: stopped.set())
    with database.serving() as repository:
        name, port = repository.database, repository.port
        with sql_user(repository, name, user, password, server.users_file) as (made, secret):
            echo(_instructions(name, port, made, None if password else secret))
            while not stopped.wait(1):
                if not server.is_running:
                    raise ServerError("The Dolt server has ended by itself; start it again.")
            with suppress(OSError):
                echo("\nStopped.")


def _instructions(database: str, port: int, user: str, password: str | None) -> str:
    login = f"{quote(user)}:{'<password>' if password is None else quote(password, safe='')}"
    lines: list[tuple[str, Any]] = [
        ("Server", f"{HOST}:{port}, for this machine only"),
        ("Database", f"{database}   (a branch: {database}/<branch>)"),
        ("User", user),
        ("Password", password or "the one that you gave"),
        ("URL", f"mysql+pymysql://{login}@{HOST}:{port}/{database}"),
        ("pandas", 'pd.read_sql("SHOW TABLES", "<that URL>")'),
        ("mysql", f"mysql --host {HOST} --port {port} --user {user} --password {database}"),
        ("DBeaver", f"New connection, MySQL: host {HOST}, port {port}, database {database}, this user and "
                    "password; driver property allowPublicKeyRetrieval = true"),
    ]  # fmt: skip
    width = max(len(label) for label, _ in lines)
    table = "\n".join(f"{label:<{width}}  {value}" for label, value in lines)
    return f"{table}\nCtrl-C stops it; the user ends with it. `port:` in dolt.yml keeps the port the same."
