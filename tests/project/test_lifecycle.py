"""The server is there while somebody needs it, and gone afterwards, whatever way a run ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import dolt, run_kedro, start_kedro
from helpers import (
    branches,
    break_node,
    hashes,
    let_go,
    messages,
    query,
    server_is_running,
    start_slow_run,
    wait_for,
)

from kedro_doltdb.dolt_cli import find_dolt


@pytest.mark.parametrize(
    ("code", "returncodes"),
    # Python ends a process that an unhandled Ctrl-C has gone through by that signal, or Click by exit code 1.
    [
        ("raise RuntimeError('broken')", {1}),
        ("import sys; sys.exit(7)", {7}),
        ("raise KeyboardInterrupt", {1, -2}),
    ],
)
@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner"])
def test_no_server_is_left_however_a_node_ends(
    project: Path, code: str, returncodes: set[int], runner: str
) -> None:
    break_node(project, "make_predictions")
    done = run_kedro(project, "run", "--runner", runner, check=False, BREAK=code)
    assert done.returncode in returncodes
    assert not server_is_running(project)
    assert "what the run wrote is kept on kedro/" in " ".join((done.stdout + done.stderr).split())
    assert len(messages(project)) == 2


SIGNALS = ((signal.SIGINT, {1, -2}), (signal.SIGTERM, {143}), (signal.SIGKILL, {-9}))
RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")


@pytest.mark.parametrize(
    ("number", "returncodes", "runner"),
    [
        pytest.param(*ended, runner, marks=() if RUNNERS[place] == runner else pytest.mark.thorough)
        for place, ended in enumerate(SIGNALS)
        for runner in RUNNERS
    ],
)
def test_no_server_is_left_after_a_signal(
    project: Path, tmp_path: Path, number: signal.Signals, returncodes: set[int], runner: str
) -> None:
    break_node(project, "make_predictions")
    started = tmp_path / "started"
    # Ctrl-C lets a thread's node finish: it has to end by itself.
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(3)"
    process = start_kedro(project, "run", "--runner", runner, BREAK=code)
    wait_for(started)
    os.killpg(process.pid, number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode in returncodes, output
    assert len(messages(project)) == 2
    if number == signal.SIGKILL:
        output = (done := run_kedro(project, "run")).stdout + done.stderr
        assert "was killed; what it wrote is kept on" in " ".join(output.split())
        assert len(messages(project)) == 3
    assert not server_is_running(project)
    kept = [name for name in branches(project) if name.startswith("kedro/")]
    assert len(kept) == 1
    assert query(project, f"SELECT COUNT(*) AS n FROM dolt_diff_summary('main', '{kept[0]}')")


@pytest.mark.parametrize(("number", "returncodes"), [(signal.SIGINT, {1, -2}), (signal.SIGTERM, {143})])
def test_an_interruption_in_a_save_is_not_a_failure_of_the_save(
    project: Path, number: signal.Signals, returncodes: set[int]
) -> None:
    with open(next((project / "src").glob("*/settings.py")), "a") as file:
        file.write(
            "\n\nimport os\nimport threading\nfrom kedro_doltdb.tables import parallel_load as module\n\n\n"
            "def load(cursor, *args):\n"
            f"    threading.Timer(0.5, os.kill, (os.getpid(), {int(number)})).start()\n"
            "    cursor.execute('SELECT SLEEP(20)')\n\n\n"
            "module.load_rows = load\n"
        )
    done = run_kedro(project, "run", check=False)
    assert done.returncode in returncodes
    assert "Traceback" not in done.stdout + done.stderr
    assert not server_is_running(project)
    assert len(messages(project)) == 2


def test_an_error_in_another_hook_leaves_no_server(project: Path) -> None:
    settings = next((project / "src").glob("*/settings.py"))
    with open(settings, "a") as file:
        file.write(
            "\n\nfrom kedro.framework.hooks import hook_impl\n\n\n"
            "class Broken:\n"
            "    @hook_impl\n"
            "    def before_pipeline_run(self):\n"
            "        raise RuntimeError('other hook')\n\n\n"
            "HOOKS = (*HOOKS, Broken())\n"
        )
    done = run_kedro(project, "run", check=False)
    assert "other hook" in done.stderr + done.stdout
    assert not server_is_running(project)
    # What the journal says of it is kept, and nothing else: it wrote nothing.
    kept, main = branches(project)
    changed = query(project, f"SELECT to_table_name AS name FROM dolt_diff_summary('{main}', '{kept}')")
    assert {row["name"] for row in changed} == {"kedro_runs", "kedro_lineage"}


def test_two_runs_at_once_share_one_server(project: Path) -> None:
    break_node(project, "make_predictions")
    slow = start_slow_run(project, "run", "--params", "dolt_branch=slow")
    info = project / "data" / ".dolt" / "sql-server.info"
    before = info.read_text()
    run_kedro(project, "run", "--params", "dolt_branch=quick,example_test_data_ratio=0.1")
    assert slow.poll() is None
    assert info.read_text() == before and server_is_running(project)
    output = let_go(project, slow)
    assert slow.returncode == 0, output
    assert not server_is_running(project)
    assert len(messages(project, "slow")) == len(messages(project, "quick")) == 3


def test_runs_that_would_mix_are_not_published(project: Path) -> None:
    break_node(project, "make_predictions")
    slow = start_slow_run(project, "run", "--params", "example_test_data_ratio=0.3")
    run_kedro(project, "run", "--params", "example_test_data_ratio=0.1")
    published = hashes(project)
    output = let_go(project, slow)
    assert slow.returncode == 1
    assert "is not published" in output and "which it read or wrote, changed on main meanwhile" in output
    assert hashes(project) == published and len(messages(project)) == 3
    assert not server_is_running(project)


def start_server_by_hand(project: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [find_dolt(), "sql-server", "-H", "127.0.0.1", "-P", str(port)],
        cwd=project / "data",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the server did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_the_user_started_is_used_and_left_running(project: Path) -> None:
    server = start_server_by_hand(project, free_port())
    try:
        run_kedro(project, "run")
        assert server.poll() is None
        assert len(messages(project)) == 3
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_a_copy_of_a_project_does_not_use_the_servers_of_the_original(project: Path, tmp_path: Path) -> None:
    server = start_server_by_hand(project, free_port())
    try:
        copy = tmp_path / "copy"
        shutil.copytree(project, copy)
        run_kedro(copy, "run")
        assert len(messages(project)) == 2
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert len(messages(copy)) == 3


def test_an_open_shell_is_waited_for_and_then_named(project: Path) -> None:
    shell = subprocess.Popen(
        [find_dolt(), "sql"], cwd=project / "data", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 30
        while not server_is_running(project) and time.monotonic() < deadline:
            time.sleep(0.05)
        done = run_kedro(project, "run", check=False)
        assert "Error: Another Dolt process has" in done.stderr and "dolt sql" in done.stderr
        assert "Traceback" not in done.stderr
        if Path("/proc").is_dir():
            assert f"process {shell.pid}" in done.stderr
    finally:
        shell.communicate(timeout=30)
    run_kedro(project, "run")


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_the_catalog_works_outside_a_run_and_its_server_ends_with_the_process(project: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "catalog = KedroSession.create().load_context().catalog\n"
        "assert not Path('data/.dolt/sql-server.info').exists()\n"
        "assert len(catalog.load('example_iris_data')) == 150\n"
        "assert catalog.get('example_metrics').preview()['data']\n"
        "assert Path('data/.dolt/sql-server.info').exists()\n"
        "with KedroSession.create(runtime_params={'example_test_data_ratio': 0.3}) as session:\n"
        "    session.run()\n"
        "assert len(catalog.load('example_predictions')) == 45\n"
        "catalog.save('example_metrics', catalog.load('example_metrics').assign(value=0.5))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, capture_output=True)
    assert not server_is_running(project)
    assert "modified:         example_metrics" in dolt(project, "status")


def test_a_notebook_outlives_a_server_of_the_user(project: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "catalog = KedroSession.create().load_context().catalog\n"
        "assert len(catalog.load('example_iris_data')) == 150\n"
        "print('loaded', flush=True)\n"
        "input()\n"
        "assert len(catalog.load('example_iris_data')) == 150\n"
    )
    server = start_server_by_hand(project, free_port())
    try:
        notebook = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert notebook.stdout is not None
        while "loaded" not in notebook.stdout.readline():
            assert notebook.poll() is None
    finally:
        server.terminate()
        server.wait(timeout=30)
    notebook.communicate("\n", timeout=60)
    assert notebook.returncode == 0
    assert not server_is_running(project)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command",
    [("catalog", "describe-datasets"), ("registry", "list"), ("package",), ("catalog", "resolve-patterns")],
)
def test_commands_that_run_nothing_start_no_server(project: Path, command: tuple[str, ...]) -> None:
    done = run_kedro(project, *command)
    assert not (project / "data" / ".dolt" / "kedro").exists()
    assert "password" not in done.stdout


def test_a_fresh_clone_says_how_to_make_its_repository(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project, clone, ignore=shutil.ignore_patterns(".dolt", ".doltcfg"))
    done = run_kedro(clone, "run", check=False)
    assert done.returncode == 1
    assert "is not a Dolt repository: create it with `kedro dolt init`." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Next: kedro run" in run_kedro(clone, "dolt", "init").stdout
    tables = "SELECT dolt_hashof_table('example_iris_data') AS h"
    assert query(clone, tables) == query(project, tables)
    assert messages(clone) == messages(project)
    run_kedro(clone, "run")
    done = run_kedro(clone, "dolt", "init", check=False)
    assert done.returncode == 1 and "is a Dolt repository already; nothing was changed" in done.stderr


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="doltcli's own requirement typed-ast has no wheel here"
)
def test_doltcli_works_beside_a_running_server(project: Path) -> None:
    doltcli = pytest.importorskip("doltcli")
    server = start_server_by_hand(project, free_port())
    try:
        repository = doltcli.Dolt(str(project / "data"))
        run_kedro(project, "run")
        assert next(iter(repository.log().values())).message.startswith("Update data from Kedro run")
        rows = repository.sql("SELECT COUNT(*) AS n FROM example_iris_data", result_format="csv")
        assert rows == [{"n": "150"}]
    finally:
        server.terminate()
        server.wait(timeout=30)
