"""A SQL user for other tools, for as long as a user serves the repository to them."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import state_files
from ..dolt.names import free_name
from ..dolt.sql import identifier
from ..errors import ConfigError
from ..secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository


# What a user is called that nobody has named.
_NAME = "kedro"


@contextmanager
def sql_user(
    repository: Repository, database: str, name: str | None, password: str | None, note: Path
) -> Iterator[tuple[str, str]]:
    """Let a user of this machine log in with a password for as long as the context lasts.

    Dolt keeps users on disk, so the name is noted: one that was left by a killed process is removed first.

    Args:
        repository: what is served.
        database: the one that the user may read and write.
        name: the user's name; None picks one that is free.
        password: the password; None makes one up.
        note: the file that holds the name meanwhile.

    Returns:
        The name and the password.

    Raises:
        ConfigError: the name cannot be used, or there is such a user already.
    """
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", name):
        raise ConfigError(f"{name!r} is not a valid name of a user: use letters, digits, `_`, `.` and `-`.")
    password = Secret(password or secrets.token_urlsafe(18))
    with repository.on() as cursor:
        _drop(cursor, note)
        cursor.execute("SELECT User FROM mysql.user")
        taken = {row[0] for row in cursor.fetchall()}
        if name is None:
            name = free_name(_NAME, taken)
        elif name in taken:
            raise ConfigError(
                f"There is a SQL user {name} already: choose another name with --user, "
                "or `DROP USER` it in `dolt sql`."
            )
        state_files.write(note, json.dumps({"user": name}))
        cursor.execute("CREATE USER %s@'localhost' IDENTIFIED BY %s", (name, password))
        cursor.execute(f"GRANT ALL ON {identifier(database)}.* TO %s@'localhost'", (name,))
    try:
        yield name, password
    finally:
        with repository.on() as cursor:
            _drop(cursor, note)


def _drop(cursor: Cursor, note: Path) -> None:
    """Remove the user that is noted, if any. A part of a name could be another user's."""
    if (content := state_files.read(note)) is None:
        return
    try:
        name = json.loads(content)["user"]
        cursor.execute("DROP USER IF EXISTS %s@'localhost'", (str(name),))
        note.unlink(missing_ok=True)
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        state_files.set_aside(note, "it does not name a SQL user")
