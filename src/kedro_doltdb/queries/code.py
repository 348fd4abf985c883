"""How the code of two runs differs: the commits in the journal, and the files, as far as git has them."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..journal.store import Run

_DIRTY = "-dirty"


@dataclass(frozen=True)
class CodeDiff:
    """The code of two runs that is not known to be the same.

    Attributes:
        old: the commit of the one, with ``-dirty`` if there were uncommitted changes; None if not known.
        new: that of the other.
        files: the files of the project that differ between the two commits, each with git's letter for how:
            ``A``, ``D``, ``M`` or ``T``; None where git does not have both commits.
    """

    old: str | None
    new: str | None
    files: list[tuple[str, str]] | None

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON holds it."""
        files = [{"status": status, "path": path} for status, path in self.files or []]
        return {"old": self.old, "new": self.new, "files": None if self.files is None else files}


def code_between(old: Run | None, new: Run | None, project_path: Path) -> CodeDiff | None:
    """Return how the code of two runs differs.

    Args:
        old: the one.
        new: the other.
        project_path: the project, whose code may be in git.

    Returns:
        None if it is the same, or nothing is known of either.
    """
    before, after = (run.git_commit if run else None for run in (old, new))
    if before == after and not (before or "").endswith(_DIRTY):
        return None
    return CodeDiff(before, after, _changed_files(before or "", after or "", project_path))


def _changed_files(old: str, new: str, project_path: Path) -> list[tuple[str, str]] | None:
    commits = [name.removesuffix(_DIRTY) for name in (old, new)]
    # The journal may be a stranger's.
    if not all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit) for commit in commits):
        return None
    command = ["git", "diff", "--name-status", "--no-renames", "--no-ext-diff", "--relative", "-z", *commits]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([*command, "--"], cwd=project_path, capture_output=True, check=True, timeout=10)
        fields = done.stdout.decode(errors="replace").split("\0")
        return list(zip(fields[::2], fields[1::2], strict=False))
    return None
