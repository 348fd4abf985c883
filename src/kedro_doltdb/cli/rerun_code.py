"""``kedro dolt rerun --code``: in a process of its own, which has imported no other code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import results

if TYPE_CHECKING:
    from ..journal.store import Run


def rerun_with_code(project_path: Path, run: Run, conf_source: str | None) -> None:
    """Run a run again with the code that it had, and end with the exit code of that.

    Args:
        project_path: the project.
        run: the run.
        conf_source: where the configuration is; None is that code's own.

    Raises:
        ConfigError, DoltError: git does not give the code.
    """
    from ..run.restore import code_of

    options = ["--conf-source", conf_source] if conf_source else []
    with code_of(project_path, run) as there:
        results().flush()
        done = subprocess.run(
            [sys.executable, "-m", "kedro", "dolt", "rerun", *options, "--", run.run_id],
            cwd=there, stdin=subprocess.DEVNULL, stdout=results().fileno(), check=False,
        )  # fmt: skip
    click.get_current_context().exit(done.returncode)
