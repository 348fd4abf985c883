"""How a run joins the server: under a name that no other run has."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..dolt.repository import dolt_errors
from ..errors import DoltError, LeaseTakenError
from ..journal import reader

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..dolt.address import Address
    from ..dolt.repository import Repository
    from ..server.leases import Lease


@contextmanager
def starting(database: Database | None) -> Iterator[Callable[[], object]]:
    """Have the server of ``database`` start in another thread, and leave it at the end.

    Returns:
        A function that waits for the server and raises what its start has raised.
    """
    if database is None:
        yield lambda: None
        return
    acquire: Callable[[str], tuple[Lease, Address]] = database.server.acquire
    with ThreadPoolExecutor(1, "dolt-start") as thread:
        start = thread.submit(acquire, f"start-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            yield start.result
        finally:
            if start.exception() is None:
                database.server.release(start.result()[0])


def lease_for_run(database: Database, run_id: str, target: str | None) -> tuple[str, Lease, Address]:
    """Take a lease named after the run. Run ids are times: two clones or processes can have the same.

    Returns:
        The name, which is the run id with a suffix if that was taken, the lease and the server's address.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", run_id)
    for number in range(1, 100):
        name = plain if number == 1 else f"{plain}-{number}"
        try:
            lease, address = database.server.acquire(name)
        except LeaseTakenError:
            continue
        try:
            with dolt_errors():
                if not _is_taken(database.repository(address), name, target):
                    return name, lease, address
        except BaseException:
            database.server.release(lease)
            raise
        database.server.release(lease)
    raise DoltError(f"There are too many runs with the id {run_id}.")


def _is_taken(repository: Repository, name: str, target: str | None) -> bool:
    branches = repository.branches()
    with repository.on(target if target in branches else None) as cursor:
        return f"kedro/{name}" in branches or bool(reader.runs(cursor, run_id=name))
