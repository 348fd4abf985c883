"""The names that kedro-dolt reserves in a repository: branches under ``kedro/``, and the journal's tables."""

from __future__ import annotations

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
