"""A generated project as users and the machine treat it, looked at by Dolt's own command line."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedro_doltdb.dolt_cli import find_dolt
from kedro_doltdb.server.leases import is_held

ROOT = Path(__file__).resolve().parents[1]


class Project:
    """A project that ``kedro new`` has made, with a home and a directory for temporary files of its own.

    Args:
        path: the project.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"
        self.temporary = path.parent / "temporary"
        self.output = path.parent / "output"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DOLT_", "KEDRO_"))},
            "HOME": str(path.parent),
            "TMPDIR": str(self.temporary),
            "DOLT_PATH": find_dolt(),
            "DO_NOT_TRACK": "1",
            "COLUMNS": "400",
        }
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start ``kedro`` with ``args``; what it prints is in :attr:`output`."""
        # To a file: worker processes that outlive a killed run would keep a pipe open.
        with open(self.output, "wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "kedro", *args],
                cwd=self.path, env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
                # A job in the background, as this may be, ignores Ctrl-C, and so would its children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def kedro(self, *args: str) -> tuple[int, str]:
        """Run ``kedro`` to its end; returns the exit code and what it printed."""
        return self.start(*args).wait(timeout=300), self.output.read_text(errors="replace")

    def dolt(self, *args: str) -> str:
        """What ``dolt`` prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            [self.env["DOLT_PATH"], *args],
            # Dolt's own command line leaves an empty file behind each time: that is not what is looked for.
            cwd=self.data, env={**self.env, "TMPDIR": str(self.path.parent)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"dolt {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def query(self, statement: str) -> list[dict[str, str]]:
        """The rows of a statement, as text by the names of their columns."""
        return list(csv.DictReader(io.StringIO(self.dolt("sql", "-r", "csv", "-q", statement))))

    def changed_tables(self, old: str, new: str) -> set[str]:
        """The tables that differ between two commits."""
        function = f"dolt_diff_summary('{old}', '{new}')"
        return {row["name"] for row in self.query(f"SELECT to_table_name AS name FROM {function}")}

    def log(self, branch: str) -> list[dict[str, str]]:
        """The commits of a branch, the newest first: ``commit_hash``, ``message`` and ``parents``."""
        return self.query(f"SELECT commit_hash, message, parents FROM dolt_log('{branch}', '--parents')")

    @property
    def server_runs(self) -> bool:
        """Whether a process has the repository open."""
        return is_held(self.data / ".dolt" / "noms" / "LOCK")

    @property
    def server_pid(self) -> int | None:
        """The process of the server, if one runs."""
        try:
            pid = int((self.data / ".dolt" / "sql-server.info").read_text().partition(":")[0])
        except (OSError, ValueError):
            return None
        return pid if self.server_runs else None

    def copy(self, name: str) -> Project:
        """A copy of the project beside it, with everything of its own."""
        directory = self.path.parent.parent / name
        directory.mkdir()
        shutil.copytree(self.path, directory / self.path.name)
        project = Project(directory / self.path.name)
        project.temporary.mkdir()
        return project


@contextmanager
def generated() -> Iterator[Project]:
    """A new project in a directory that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="kedro dolt torture ", ignore_cleanup_errors=True) as directory:
        project = Project(Path(directory, "first", "iris-dolt"))
        project.temporary.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-m", "kedro", "new", f"--starter={ROOT}", "--name=Iris Dolt"],
            cwd=project.path.parent, env=project.env, check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(project.temporary)
        project.temporary.mkdir()
        yield project
