"""A primary and a standby, by Dolt's own cluster configuration: read from one, fail over, lose nothing."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dolt_server import _free_port
from external_dolt import PASSWORD, External, kedro, use
from helpers import break_node, let_go, start_slow_run

pytestmark = pytest.mark.thorough


@pytest.fixture
def cluster(generated: Path, tmp_path: Path) -> Iterator[tuple[External, External]]:
    """Two servers; the first is the primary and has the project's data."""
    ports = _free_port(), _free_port()
    servers = []
    for here, there in ((0, 1), (1, 0)):
        url = f"http://127.0.0.1:{ports[there]}/{{database}}"
        configuration = {
            "standby_remotes": [{"name": f"server{there}", "remote_url_template": url}],
            "bootstrap_role": ("primary", "standby")[here],
            "bootstrap_epoch": 1,
            "remotesapi": {"address": "127.0.0.1", "port": ports[here]},
        }
        data = None if here else generated / "data"
        servers.append(External(tmp_path / f"server{here}", data, configuration))
    try:
        for server in reversed(servers):
            server.start()
        # A statement that writes waits until the standby has it.
        for server in servers:
            server.root("SET GLOBAL dolt_cluster_ack_writes_timeout_secs = 5", branch="")
        servers[0].let_in()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.stop(signal.SIGKILL)


def promote(server: External, epoch: int) -> None:
    server.root(f"CALL dolt_assume_cluster_role('primary', {epoch})", branch="")


def run(project: Path, ratio: float) -> str:
    output = kedro(project, "run", "--params", f"example_test_data_ratio={ratio}")
    assert "Committed" in output, output
    return output


def ratios(server: External) -> list[str]:
    """The parameter of each published run, the newest first."""
    return re.findall(r'"example_test_data_ratio": ([\d.]+)', " ".join(server.messages()))


def test_failover_loses_nothing(
    project: Path, cluster: tuple[External, External], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cluster
    monkeypatch.setenv("DOLT_SECRET", PASSWORD)
    use(project, first.port, replica=second.port)
    run(project, 0.1)
    run(project, 0.2)
    assert (second.messages(), second.hashes()) == (first.messages(), first.hashes())

    # The role is handed over; what was the primary is the standby now.
    first.root("CALL dolt_assume_cluster_role('standby', 2)", branch="")
    assert "read-only" in kedro(project, "run", code=1)
    promote(second, 2)
    use(project, second.port, replica=first.port)
    run(project, 0.3)
    assert ratios(first) == ratios(second) == ["0.3", "0.2", "0.1"]

    # The primary dies in the middle of a run.
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run", "--params", "example_test_data_ratio=0.4")
    second.stop(signal.SIGKILL)
    assert "has ended, or does not answer" in re.sub(r"\s+", " ", let_go(project, process))
    # Its replica still answers to those who only read.
    assert "example_test_data_ratio 0.2 0.3" in kedro(project, "dolt", "compare")
    promote(first, 3)
    use(project, first.port)
    assert "was killed; what it wrote is kept on kedro/" in run(project, 0.1)
    assert ratios(first) == ["0.1", "0.3", "0.2", "0.1"]
    assert "killed" in kedro(project, "dolt", "runs")

    # Back again, it takes what it has missed.
    second.start()
    run(project, 0.2)
    deadline = time.monotonic() + 60
    while ratios(second) != ["0.2", "0.1", "0.3", "0.2", "0.1"]:
        assert time.monotonic() < deadline, second.log
        time.sleep(0.2)
