"""The names that kedro-dolt reserves in a repository: branches under ``kedro/``, and the journal's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count

RUNS = "kedro_runs"
LINEAGE = "kedro_lineage"
CHECKS = "kedro_checks"
NODES = "kedro_nodes"
JOURNAL_TABLES = frozenset({RUNS, LINEAGE, CHECKS, NODES})

# A run's private branch is this and its id; where it is published from, if the target has moved, is that and
# the suffix.
RUN_PREFIX = "kedro/"
PUBLISH_SUFFIX = ".publish"
MOVING_PREFIX = "kedro/moving/"
BUILDING_PREFIX = "kedro/building/"
STATE_BRANCH = "kedro/state"


def numbered(name: str) -> Iterator[str]:
    """Yield ``name``, ``name-2``, ``name-3``, …"""
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def free_name(name: str, taken: Collection[str]) -> str:
    """Return ``name``, or the first of ``name-2``, ``name-3``, … that is not taken.

    Example:
        >>> free_name("main-mine", {"main-mine"})
        'main-mine-2'
    """
    return next(candidate for candidate in numbered(name) if candidate not in taken)
