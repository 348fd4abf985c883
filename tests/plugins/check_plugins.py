"""Kedro's plugins in a project of ours, run by ``nox -s plugins``: plain tests do without their packages."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import dolt, run_kedro
from helpers import branches, messages, query, server_is_running

MLFLOW = "server:\n  mlflow_tracking_uri: sqlite:///mlflow.db\n"


@pytest.fixture
def without_mlflow(project: Path) -> Path:
    """kedro-mlflow has one MLflow run a process at a time: it cannot be used under a server."""
    with open(project / "src" / "iris_dolt" / "settings.py", "a") as file:
        file.write('\nDISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n')
    return project


def free_port() -> int:
    """A port that nobody listens on; Kedro-Viz takes none above 49151, where the system's own choices lie."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20000, 32000)))
            return int(probe.getsockname()[1])


@contextmanager
def serving(project: Path, *args: str, ready: str) -> Iterator[str]:
    """``kedro`` as a web server on a free port, ended as Ctrl-C in a terminal does; gives its URL."""
    port = free_port()
    with open(project / "server.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *args, f"--port={port}"],
            cwd=project, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(url + ready, timeout=10).read()
                break
            time.sleep(0.1)
        yield url
    except BaseException:
        print((project / "server.log").read_text()[-5000:])
        raise
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def get(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_kedro_server_runs_many_runs_at_once(without_mlflow: Path) -> None:
    project = without_mlflow

    def run(**params: object) -> Any:
        return get(f"{url}/run", {"params": params})

    with serving(project, "server", "start", ready="/health") as url:
        assert run(example_test_data_ratio=0.1)["status"] == "success"
        assert run(example_test_data_ratio=7)["error"]["type"] == "ValueError"
        assert "is not a valid branch name" in run(dolt_branch="a..b")["error"]["message"]
        with ThreadPoolExecutor(4) as pool:
            done = list(
                pool.map(lambda n: run(dolt_branch=f"b{n}", example_test_data_ratio=(n + 1) / 10), range(4))
            )
        assert [one["status"] for one in done] == ["success"] * 4
    for n, rows in enumerate(("15", "30", "45", "60")):
        assert query(project, f"SELECT COUNT(*) AS n FROM example_test_x AS OF 'b{n}'") == [{"n": rows}]
    public = [name for name in branches(project) if not name.startswith("kedro/")]
    assert public == ["b0", "b1", "b2", "b3", "main"]
    assert not server_is_running(project)


def test_kedro_viz_shows_tables_beside_a_run(without_mlflow: Path, tmp_path: Path) -> None:
    project = without_mlflow
    run_kedro(project, "run", "--params=example_test_data_ratio=0.1")
    run_kedro(project, "run", "--runner=ParallelRunner", "--params=example_test_data_ratio=0.2")
    with serving(project, "viz", "run", "--no-browser", ready="/api/main") as url:
        assert not server_is_running(project), "it is started for a preview"
        main = get(f"{url}/api/main")
        nodes = {node["name"]: node for node in main["nodes"]}
        assert main["layers"] == ["raw", "model_input", "model_output", "reporting"]
        extras = nodes["example_predictions"]["node_extras"]
        assert extras["stats"]["rows"] == "30 (+15)" and extras["styles"]["stroke"]
        page = f"{url}/?sid={nodes['example_predictions']['id']}"
        preview = get(f"{url}/api/nodes/{nodes['example_predictions']['id']}")["preview"]
        assert preview["columns"] == ["sample_id", "species"] and len(preview["data"]) == 5
        if shutil.which("chromium"):
            command = [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=20000", "--dump-dom", page,
            ]  # fmt: skip
            shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
            assert "30 (+15)" in shown.stdout and "kedro-viz-custom-styled" in shown.stdout
            assert not re.search(r":(ERROR|WARNING):CONSOLE", shown.stderr), shown.stderr
        run_kedro(project, "run", "--params=example_test_data_ratio=0.3")
        # The run has left the server that Kedro-Viz needs running.
        assert server_is_running(project)
    wait_until(lambda: not server_is_running(project))
    assert len(messages(project)) == 5


@pytest.mark.parametrize("hooks", [[], ["--include-hooks"]])
def test_kedro_viz_builds_a_site_with_previews(without_mlflow: Path, hooks: list[str]) -> None:
    project = without_mlflow
    run_kedro(project, "run")
    run_kedro(project, "viz", "build", "--include-previews", *hooks, fork=False)
    nodes = [json.loads(path.read_text()) for path in (project / "build" / "api" / "nodes").iterdir()]
    previews = [node["preview"]["columns"] for node in nodes if node.get("preview")]
    assert len(previews) == 7 and ["sample_id", "species"] in previews
    wait_until(lambda: not server_is_running(project))


def test_kedro_viz_keeps_what_it_knows_after_a_partial_run(without_mlflow: Path) -> None:
    project = without_mlflow
    run_kedro(project, "run", "--params=example_test_data_ratio=0.1")
    styles = project / ".viz" / "styles.json"
    mine = {"example_train_x": {"fill": "red"}, "split_data": {"fill": "blue"}}
    styles.write_text(json.dumps({**json.loads(styles.read_text()), **mine}))
    run_kedro(project, "run", "--to-nodes=split_data", "--params=example_test_data_ratio=0.2")
    stats = json.loads((project / ".viz" / "stats.json").read_text())
    assert stats["example_test_x"]["rows"] == "30 (+15)" and stats["example_metrics"]["rows"] == 2
    found = json.loads(styles.read_text())
    assert mine.items() <= found.items()
    assert found.keys() - mine.keys() == {"example_test_x", "example_test_y", "example_train_y"}


def test_kedro_mlflow_tracks_the_run_that_dolt_commits(project: Path) -> None:
    (project / "conf" / "base" / "mlflow.yml").write_text(MLFLOW)
    for runner in ("SequentialRunner", "ParallelRunner"):
        ratio = {"SequentialRunner": 0.1, "ParallelRunner": 0.3}[runner]
        run_kedro(project, "run", f"--runner={runner}", f"--params=example_test_data_ratio={ratio}")
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    tracked = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert [run.info.status for run in tracked] == ["FINISHED"] * 2
    # The tag run_id leads from an MLflow run to its commit.
    for run, message in zip(tracked, messages(project), strict=False):
        assert message.startswith(f"Update data from Kedro run {run.data.tags['run_id']} with")
        assert run.data.params["example_test_data_ratio"] in message
        assert run.data.tags["dolt.status"] == "published"
        assert [one.dataset.source_type for one in run.inputs.dataset_inputs] == ["dolt_table"]
    journalled = query(project, "SELECT mlflow_run_id FROM kedro_runs")
    assert {row["mlflow_run_id"] for row in journalled} == {run.info.run_id for run in tracked}
    assert "nothing to commit" in dolt(project, "status")
