"""A short cut of `make torture`: docs/reliability.md has the figures of a whole one."""

from __future__ import annotations

import random

import pytest

from torture.__main__ import SCENARIOS
from torture.project import generated

TIMES = {
    "kills": 2,
    "server-kills": 2,
    "branches": 1,
    "one-branch": 1,
    "own-tables": 1,
    "state": 20,
    "pipelines": 20,
    "beside": 10,
    "endurance": 10,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_mixed_or_left(name: str) -> None:
    scenario, _ = SCENARIOS[name]
    with generated() as project:
        report = scenario(project, random.Random(0), TIMES[name])
    assert report.complaints == []
    assert report.faults >= TIMES[name]
    assert report.commits >= TIMES[name]
