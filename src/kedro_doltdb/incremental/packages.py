"""The versions of other packages, as far as they are to count."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

_PYTHON, _PACKAGE = "(Python)", " (package)"


def versions(which: str, imported: frozenset[str]) -> dict[str, str]:
    """Return the versions that count, by the names of the packages.

    Args:
        which: ``ignore``, ``direct`` for the packages that the code refers to, or ``all`` that are installed.
        imported: the top-level modules that the code refers to.
    """
    if which == "ignore":
        return {}
    if which == "all":
        return {_PYTHON: platform.python_version(), **_installed()}
    names = {name for module in imported for name in _distributions().get(module, ())}
    return {f"{name}{_PACKAGE}": metadata.version(name) for name in sorted(names)}


def is_version(name: str) -> bool:
    """Return whether ``name`` is one that :func:`versions` gives, and not that of a definition."""
    return name == _PYTHON or name.endswith(_PACKAGE)


@cache
def _installed() -> dict[str, str]:
    return {f"{one.metadata['Name']}{_PACKAGE}": one.version for one in metadata.distributions()}


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
