"""``kedro dolt sql``: Dolt's own shell, through the server, so that runs can go on meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING

from ..dolt_cli import DoltCommandError, find_dolt
from ..errors import DoltError
from ..terminal import results

if TYPE_CHECKING:
    from ..catalog.credentials import Database


def shell(database: Database, query: str | None, branch: str | None) -> int:
    """Open a shell, or send one query, and leave the server at its end.

    Where a server runs, Dolt's commands go through it, with its secret: no user and no password are needed.

    Args:
        database: the project's, in ``data/``.
        query: what to send; None opens a shell.
        branch: the branch to be on; None is the one checked out in ``data/``.

    Returns:
        The exit code of Dolt.

    Raises:
        DoltError: there is no Dolt, or the server could not be started.
    """
    try:
        dolt = find_dolt()
    except DoltCommandError as error:
        raise DoltError(str(error)) from error
    command = [dolt, *(["--branch", branch] if branch else []), "sql"]
    command += ["--query", query] if query is not None else []
    # Every command of Dolt's leaves an empty file where temporary files go.
    with database.serving(), tempfile.TemporaryDirectory(prefix="kedro-doltdb-") as temporary:
        env = {**os.environ, "TMPDIR": temporary}
        # Ctrl-C is for the shell, which goes on after it; an ignored signal would be ignored there as well.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            done = subprocess.run(command, cwd=database.data_dir, env=env, stdout=results(), check=False)
            return done.returncode
        finally:
            signal.signal(signal.SIGINT, before)
