"""What several test modules do with a generated project."""

from __future__ import annotations

import csv
import io
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import dolt, start_kedro
from forked_kedro import ForkedProcess

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.server.leases import is_held
from kedro_doltdb.server.managed import ManagedServer

TABLES = (
    "example_metrics",
    "example_predictions",
    "example_test_x",
    "example_test_y",
    "example_train_x",
    "example_train_y",
)


def git(directory: Path, *args: str) -> str:
    """What ``git`` prints there, as somebody with a name."""
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def query(project: Path, sql: str) -> list[dict[str, str]]:
    """The rows that ``sql`` gives, read by Dolt's own command line."""
    return list(csv.DictReader(io.StringIO(dolt(project, "sql", "-r", "csv", "-q", sql))))


def messages(project: Path, branch: str = "main") -> list[str]:
    """The first lines of the log's messages, the newest first."""
    rows = query(project, f"SELECT message FROM dolt_log('{branch}')")
    return [row["message"].splitlines()[0] for row in rows]


def branches(project: Path) -> list[str]:
    """The names of all branches."""
    return [row["name"] for row in query(project, "SELECT name FROM dolt_branches ORDER BY name")]


def hashes(project: Path, branch: str = "main") -> dict[str, str]:
    """The content hash of each of the pipeline's tables on ``branch``."""
    selected = ", ".join(f"dolt_hashof_table('{table}') AS {table}" for table in TABLES)
    return query(project, f"USE `data/{branch}`; SELECT {selected}")[0]


def diff_types(project: Path, table: str, old: str = "HEAD~1", new: str = "HEAD") -> dict[str, int]:
    """How many rows of ``table`` were added, removed and modified between two commits."""
    rows = query(
        project,
        f"SELECT diff_type, COUNT(*) AS n FROM dolt_diff('{old}', '{new}', '{table}') GROUP BY diff_type",
    )
    return {row["diff_type"]: int(row["n"]) for row in rows}


def break_node(project: Path, node: str) -> None:
    """Make the node function ``node`` run the Python code in the environment variable BREAK first."""
    package = next((project / "src").glob("*/pipelines/iris/nodes.py"))
    with open(package, "a") as file:
        file.write(
            "\n\nimport functools, os\n\n"
            f"_{node} = {node}\n\n\n"
            f"@functools.wraps(_{node})\n"
            f"def {node}(*args, **kwargs):\n"
            "    exec(os.environ.get('BREAK', ''))\n"
            f"    return _{node}(*args, **kwargs)\n"
        )


def add_pipeline(project: Path, name: str, code: str, catalog: str) -> None:
    """Add the pipeline ``name``, with its entries of the catalog, to the project."""
    package = next((project / "src").glob("*/pipelines")) / name
    package.mkdir()
    (package / "__init__.py").write_text(
        "from .pipeline import create_pipeline\n\n__all__ = ['create_pipeline']\n"
    )
    (package / "pipeline.py").write_text(code)
    with open(project / "conf" / "base" / "catalog.yml", "a") as file:
        file.write(catalog)


def start_slow_run(project: Path, *args: str) -> subprocess.Popen[str] | ForkedProcess:
    """Start ``kedro`` and wait until it is at its broken node, which goes on at :func:`let_go`."""
    code = (
        "import pathlib, time; pathlib.Path('started').touch()\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.02)"
    )
    process = start_kedro(project, *args, BREAK=code)
    wait_for(project / "started")
    return process


def let_go(project: Path, process: subprocess.Popen[str] | ForkedProcess) -> str:
    """Let a slow run go on, wait for its end and return what it printed."""
    (project / "go").touch()
    return process.communicate(timeout=120)[0]


def wait_for(path: Path, timeout: float = 60.0) -> None:
    """Wait until ``path`` exists."""
    deadline = time.monotonic() + timeout
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@contextmanager
def new_repository(directory: Path) -> Iterator[tuple[Repository, ManagedServer]]:
    """Make a repository in ``directory / "data"``, and serve it without Kedro."""
    initialise(directory / "data", [])
    server = ManagedServer(directory / "data")
    lease = server.acquire("test")
    try:
        yield Repository(lease.address, "Ada <ada@localhost>"), server
    finally:
        lease.release()


def server_is_running(project: Path) -> bool:
    """Whether a process has the project's repository open."""
    return is_held(project / "data" / ".dolt" / "noms" / "LOCK")
