"""What no branch and no tag reaches any more is removed from a repository's disk.

New chunks go into a journal. Dolt's plain collection moves what is still reached into the old generation, and
never looks at that again; a full one looks at everything.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql

from .. import state_files
from ..terminal import get_logger

if TYPE_CHECKING:
    from ..dolt.address import Address

# What Dolt's own automatic collection waits for. It looks once a second, which a short run's server does not
# live to see.
GARBAGE_BYTES = 128 << 20
# Others who want the server wait while it is being stopped, and not for ever.
_PATIENCE = 60.0
_JOURNAL = "v" * 32

logger = get_logger(__name__)


@dataclass(frozen=True)
class Collected:
    """What a collection has done.

    Attributes:
        before: bytes of the repository before it.
        after: bytes after it.
        seconds: how long it took.
    """

    before: int
    after: int
    seconds: float


class Garbage:
    """The garbage of one repository.

    Args:
        data_dir: the repository, that is, the directory that holds ``.dolt``.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._noms = data_dir / ".dolt" / "noms"
        # How large the repository was when nothing was garbage.
        self._note = data_dir / ".dolt" / "kedro" / "collected"

    def collect_if_worth_it(self, address: Address) -> None:
        """Collect if much was written since the last time, and everything if the old may be half garbage.

        A full collection takes time by what it keeps. Each is made when the repository is twice what the last
        one left. So all of them together cost a fixed share of what was written, and the disk holds no more
        than twice what is reached.

        Args:
            address: the server, which nobody else uses.
        """
        journal = _size(self._noms / _JOURNAL)
        if journal < GARBAGE_BYTES:
            return
        full = self.size() > 2 * (self._left() + GARBAGE_BYTES)
        logger.info(
            "Collecting%s garbage in %s: %d MB were written since the last time.",
            " all" if full else "", self._data_dir, journal >> 20,
        )  # fmt: skip
        try:
            done = self.collect(address, full=full, timeout=_PATIENCE)
        except pymysql.err.Error as error:
            if full:
                # Not at every run from now on.
                state_files.write(self._note, str(self.size()))
            logger.warning(
                "Dolt did not collect garbage, and will at a later run, or at `kedro dolt prune`: %s",
                error.args[-1],
            )
            return
        logger.info(
            "Collected in %.1f s: %d MB before, %d MB now.", done.seconds, done.before >> 20, done.after >> 20
        )

    def collect(self, address: Address, *, full: bool, timeout: float | None = None) -> Collected:
        """Collect.

        Args:
            address: the server, which nobody else uses: Dolt may break their connections.
            full: whether to look at everything.
            timeout: seconds that it may take; None is as many as it needs.

        Raises:
            pymysql.err.Error: Dolt did not.
        """
        before, begun = self.size(), time.monotonic()
        with (
            address.connect(autocommit=True, read_timeout=timeout) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("CALL DOLT_GC('--full')" if full else "CALL DOLT_GC()")
        done = Collected(before, self.size(), time.monotonic() - begun)
        if full:
            state_files.write(self._note, str(done.after))
        return done

    def size(self) -> int:
        """Return how many bytes the repository has."""
        return sum(
            _size(Path(directory, file)) for directory, _, files in os.walk(self._noms) for file in files
        )

    def _left(self) -> int:
        try:
            return max(0, int(state_files.read(self._note, 100) or b"0"))
        except ValueError:
            return 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        # Dolt replaces files while we look.
        return 0
