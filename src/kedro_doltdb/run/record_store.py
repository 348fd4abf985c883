"""Where the records of unfinished runs are kept: files beside a server of ours, tables on somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dolt.repository import Repository
from ..server.external import ExternalServer
from .records import FileRecords
from .sql_records import SqlRecords

if TYPE_CHECKING:
    from ..dolt.address import Address
    from ..server.managed import Server
    from .records import Records


def records_of(server: Server | ExternalServer, address: Address) -> Records:
    """Return the records of unfinished runs.

    Args:
        server: the server of the repository.
        address: where it listens.
    """
    if isinstance(server, ExternalServer):
        return SqlRecords(Repository(address, ""))
    return FileRecords(server.runs_dir)
