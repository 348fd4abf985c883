"""A generated project for every test that wants one, on a machine without any identity."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from forked_kedro import ForkedKedro, ForkedProcess, can_be_forked
from hypothesis import HealthCheck, settings

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt_cli import find_dolt, initialise
from kedro_doltdb.settings import Settings

ROOT = Path(__file__).resolve().parents[1]

# How long an example takes depends on what else the machine does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


PYTHONPATH = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
LONG = ("test_torture.py", "test_concurrency.py", "test_replication.py")
SHARING = (
    "test_adopt.py",
    "test_at.py",
    "test_commands.py",
    "test_failed_nodes.py",
    "test_mlflow.py",
    "test_publish.py",
    "test_story.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; what shares a server or a project is for one process (`--dist loadgroup`)."""
    items.sort(key=lambda item: item.path.name not in LONG)
    for item in items:
        if item.path.parent.name == "dolt" or item.path.name in SHARING:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget the project of the test before, which ``bootstrap_project`` leaves in PYTHONPATH.

    With it, whatever a test starts would find that project first, and no run could be forked.
    """
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(PYTHONPATH)


@cache
def _forked_kedro() -> ForkedKedro:
    return ForkedKedro()


def run_kedro(
    directory: Path, *args: str, check: bool = True, fork: bool = True, terminal: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``kedro`` with ``args`` in ``directory``, ``env`` added to the environment.

    Without ``fork`` it is a new process: for what depends on how Python starts. With ``terminal`` a fork's
    standard output is one.
    """
    environment = {**os.environ, "PWD": str(directory), **env}
    if fork and can_be_forked(environment):
        done = subprocess.CompletedProcess(
            ["kedro", *args], *_forked_kedro().run(directory, args, environment, terminal)
        )
    else:
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *args],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if check and done.returncode != 0:
        raise AssertionError(f"kedro {' '.join(args)}\n{done.stdout}\n{done.stderr}")
    return done


def start_kedro(project: Path, *args: str, **env: str) -> subprocess.Popen[str] | ForkedProcess:
    """Start ``kedro`` in a session of its own and return at once; its two outputs come in one pipe."""
    environment = {**os.environ, "PWD": str(project), **env}
    if can_be_forked(environment):
        return _forked_kedro().start(project, args, environment)
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", *args],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def dolt(project: Path, *args: str) -> str:
    """Run ``dolt`` with ``args`` in the project's ``data/`` and return what it prints."""
    done = subprocess.run(
        [find_dolt(), *args], cwd=project / "data", capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"dolt {' '.join(args)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="session", autouse=True)
def dolt_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of all tests: Dolt on PATH, an empty HOME, no identity, no telemetry."""
    # A job in the background ignores Ctrl-C, and so would every process that a test starts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tmp_path_factory.mktemp("home")
    executable = Path(find_dolt())
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("DOLT_", "GIT_", "KEDRO_"))]:
            patch.delenv(name)
        for name, value in {
            "HOME": str(home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DO_NOT_TRACK": "1",
            "COLUMNS": "200",
            "NO_COLOR": "1",
            # Go's collector takes a fifth of the time of a Dolt that lives for a run, a third of a command's.
            "GOGC": "off",
            "GOMEMLIMIT": "512MiB",
        }.items():
            patch.setenv(name, value)
        if executable.name == "dolt":
            patch.setenv("PATH", str(executable.parent), prepend=os.pathsep)
        else:
            patch.setenv("DOLT_PATH", str(executable))
        yield dict(os.environ)


@pytest.fixture(scope="session")
def generated(dolt_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as ``kedro new`` made it; not to be changed."""
    directory = tmp_path_factory.mktemp("new") / "dírectory with space"
    directory.mkdir()
    run_kedro(directory, "new", f"--starter={ROOT}", "--name=Iris Dolt")
    return directory / "iris-dolt"


@pytest.fixture
def project(generated: Path, tmp_path: Path) -> Iterator[Path]:
    """A project of the test's own; afterwards no server must be left of it."""
    with own_copy(generated, tmp_path) as directory:
        yield directory


@pytest.fixture(scope="session")
def generated_and_run(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after one ``kedro run``; not to be changed."""
    directory = tmp_path_factory.mktemp("run") / "iris-dolt"
    shutil.copytree(generated, directory)
    run_kedro(directory, "run")
    return directory


@pytest.fixture
def first_run(project: Path, generated_and_run: Path) -> None:
    """The project's first run has been made: its data is a copy of what a run left."""
    shutil.rmtree(project / "data")
    shutil.copytree(generated_and_run / "data", project / "data")


@contextmanager
def own_copy(source: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a test a copy of a project; afterwards no server must be left of it."""
    directory = tmp_path / "iris-dolt"
    shutil.copytree(source, directory)
    yield directory
    pid = _server_of(directory / "data")
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        pytest.fail(f"the test left a Dolt server, process {pid}")


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where datasets keep their copies of tables: empty at first."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(home))
        yield home / "kedro-dolt" / "tables"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Iterator[Database]:
    """An empty repository for datasets, without a Kedro project."""
    project = tmp_path_factory.mktemp("project")
    initialise(project / "data", [])
    database = Database(project, Settings())
    yield database
    database.close()


def _server_of(data_dir: Path) -> int | None:
    """The process of the server of this directory, if it lives; another may have its pid by now."""
    try:
        pid = int((data_dir / ".dolt" / "sql-server.info").read_text().partition(":")[0])
    except (OSError, ValueError):
        return None
    command = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    if "sql-server" not in command.stdout:
        return None
    try:
        return pid if Path(f"/proc/{pid}/cwd").resolve(strict=True) == data_dir.resolve() else None
    except OSError:  # no /proc: the command line has to do
        return pid if not Path("/proc").is_dir() else None
