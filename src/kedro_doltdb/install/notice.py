"""How an installation speaks: what it does as it goes on, and why one of the ways to Dolt did not work."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], object]


class NotInstalledError(Exception):
    """One of the ways to Dolt does not work here; the text says which, and why."""
