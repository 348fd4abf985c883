"""What one check has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rows = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        status: ``passed``, ``failed`` or ``skipped``.
        found: in words.
        rows: the first rows that are not allowed.
        content_hash: of the tables that were read whole, if the result holds as long as they are the same.
    """

    status: str
    found: str
    rows: Rows = ()
    content_hash: str | None = None


def passed(found: str) -> Finding:
    """Return what a check finds that holds."""
    return Finding("passed", found)


def failed(found: str, rows: Rows = ()) -> Finding:
    """Return what a check finds that does not hold."""
    return Finding("failed", found, rows)


def skipped(why: str) -> Finding:
    """Return why a check cannot be made."""
    return Finding("skipped", why)


def judged(good: bool, found: str, rows: Callable[[], Rows]) -> Finding:
    """Return what a check finds; the rows are looked for if it does not hold."""
    return passed(found) if good else failed(found, rows())
