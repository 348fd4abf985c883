"""A short cut of `make torture`: docs/reliability.md has the figures of a whole one."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from torture.__main__ import SCENARIOS
from torture.project import Project

pytestmark = pytest.mark.thorough

# Those with most processes are left to `make torture`, of which CI runs a hundredth.
TIMES = {
    "kills": 1,
    "state": 5,
    "pipelines": 15,
    "incremental": 50,
    "beside": 10,
    "disk": 2,
}


@pytest.mark.parametrize("name", TIMES)
def test_nothing_is_lost_mixed_or_left(generated: Path, name: str) -> None:
    scenario, _ = SCENARIOS[name]
    # Below tmp_path, multiprocessing's sockets would have longer paths than a system takes.
    with TemporaryDirectory(prefix="kedro dolt torture ", ignore_cleanup_errors=True) as directory:
        project = Project(Path(shutil.copytree(generated, Path(directory, "first", "iris-dolt"))))
        project.temporary.mkdir()
        report = scenario(project, random.Random(0), TIMES[name])
    assert report.complaints == []
    assert report.faults >= TIMES[name]
    assert report.commits >= TIMES[name]
