"""How a run joins the server: under a name that no other run has."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from ..dolt.names import RUN_PREFIX, numbered
from ..dolt.repository import dolt_errors
from ..errors import DoltError, LeaseTakenError
from ..journal import reader

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..dolt.repository import Repository
    from ..server.base import Lease

_MOST_WITH_ONE_ID = 99


@contextmanager
def starting(database: Database | None) -> Iterator[Callable[[], object]]:
    """Have the server of ``database`` start in another thread, and leave it at the end.

    Returns:
        A function that waits for the server and raises what its start has raised.
    """
    if database is None:
        yield lambda: None
        return
    with ThreadPoolExecutor(1, "dolt-start") as thread:
        start = thread.submit(database.server.acquire, f"start-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            yield start.result
        finally:
            if start.exception() is None:
                start.result().release()


def lease_for_run(database: Database, kedro_run_id: str, target: str | None) -> tuple[str, Lease]:
    """Take a lease named after the run. Kedro's ids are times: two clones or processes can have the same.

    Args:
        database: whose server is used.
        kedro_run_id: Kedro's id of the run.
        target: the branch to publish to, if it is known already.

    Returns:
        The run's own id, which is Kedro's with a suffix if that was taken, and the lease.

    Raises:
        DoltError: there are a hundred runs of that id.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", kedro_run_id)
    for run_id in islice(numbered(plain), _MOST_WITH_ONE_ID):
        try:
            lease = database.server.acquire(run_id)
        except LeaseTakenError:
            continue
        try:
            with dolt_errors():
                if not _is_taken(database.repository(lease.address), run_id, target):
                    return run_id, lease
        except BaseException:
            lease.release()
            raise
        lease.release()
    raise DoltError(f"There are too many runs with the id {kedro_run_id}.")


def _is_taken(repository: Repository, run_id: str, target: str | None) -> bool:
    with repository.reusing():
        branches = repository.branches()
        with repository.on(target if target in branches else None) as cursor:
            return f"{RUN_PREFIX}{run_id}" in branches or reader.has_run(cursor, run_id)
