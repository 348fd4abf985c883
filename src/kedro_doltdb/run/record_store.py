"""Where the records of unfinished runs are kept: files beside a server of ours, tables on somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dolt.repository import Repository
from .records import FileRecords
from .sql_records import SqlRecords

if TYPE_CHECKING:
    from ..dolt.address import Address
    from ..server.base import Server
    from .records import Records


def records_of(server: Server, address: Address) -> Records:
    """Return the records of unfinished runs.

    Args:
        server: the server of the repository.
        address: where it listens; the records may be on it.
    """
    return FileRecords(server.runs_dir) if server.runs_dir else SqlRecords(Repository(address, ""))
