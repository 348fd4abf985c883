"""The server on ``data/`` for those who only read: on a copy, while another Dolt process has it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InUseError
from .copies import CopyLease
from .managed import ManagedServer

if TYPE_CHECKING:
    from .base import Lease

# Dolt's own commands have the repository open for a moment.
_PATIENCE = 1.0


class ReadingServer(ManagedServer):
    """The server of a repository that is only read from.

    Args:
        data_dir: the repository, that is, the directory that holds ``.dolt``.
        port: the port to listen on; None takes a free one.
    """

    def acquire(self, name: str) -> Lease:
        """Take the lease ``name``; while another process has the repository open, that of a copy.

        Raises:
            LeaseTakenError, ServerError: as for a server that is written to.
        """
        try:
            return self._acquire(name, _PATIENCE)
        except InUseError:
            return CopyLease.of(self.data_dir, self._copies)
