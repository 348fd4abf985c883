"""Ask git about the code of a project."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(directory: Path, *args: str, timeout: float | None = None) -> str:
    """Return what a git command prints, without white space around it.

    Args:
        directory: where it runs.
        args: the command and its arguments.
        timeout: how many seconds it may take.

    Raises:
        OSError: there is no git, or no such directory.
        subprocess.SubprocessError: the command fails, or takes longer.
    """
    done = subprocess.run(
        ["git", *args], cwd=directory, check=True, capture_output=True, text=True, timeout=timeout
    )
    return done.stdout.strip()
