"""Files that commands write for the user, with the permissions that any program gives."""

from __future__ import annotations

import os
from pathlib import Path


def usual_mode(path: Path, mode: int) -> None:
    """Give a temporary file or directory the mode of one that is made without further ado."""
    mask = os.umask(0o077)
    os.umask(mask)
    path.chmod(mode & ~mask)
