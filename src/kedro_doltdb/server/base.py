"""What a Dolt server is to those who use it, whoever runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..dolt.address import Address


class Lease(Protocol):
    """A use of a server: the server runs, and others can see that its user lives, until it is released."""

    @property
    def address(self) -> Address:
        """Where the server listens."""

    @property
    def held(self) -> bool:
        """Whether others still see it."""

    def release(self) -> None:
        """End the use. A server that runs started is stopped with the last one."""


class Server(Protocol):
    """A server: one that runs start and stop on ``data/``, or one that somebody else runs."""

    @property
    def name(self) -> str:
        """What a user knows it by."""

    @property
    def database(self) -> str:
        """The name of the repository on it."""

    @property
    def runs_dir(self) -> Path | None:
        """Where runs keep their records; None where they come from several machines and keep them on it."""

    @property
    def cache_key_file(self) -> Path | None:
        """The key that the copies of tables are signed with; None where there is no place for one."""

    def acquire(self, name: str) -> Lease:
        """Take the lease ``name``, and start the server if it is for us to start.

        Raises:
            LeaseTakenError: another process has it.
            ServerError: the server does not run, or cannot be used.
        """

    def is_leased(self, name: str) -> bool:
        """Return whether the process that took the lease ``name`` still lives."""

    def has_unfinished_runs(self) -> bool:
        """Return whether runs may have left records; only reading them tells whether they are of use."""
