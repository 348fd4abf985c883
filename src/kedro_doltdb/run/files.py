"""Whether files are still what the nodes of a run have saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING

from ..journal.edges import base_name, files_in

if TYPE_CHECKING:
    from ..journal.store import Edge
    from .records import Record


def changed_files(
    edges: list[Edge],
    record: Record,
    finished: Mapping[str, tuple[float, float]],
    project_path: Path | None,
) -> set[str]:
    """Return the datasets whose files have changed since a run has begun to read or ended to write them.

    Args:
        edges: what its nodes loaded and saved.
        record: the run.
        finished: when each node had finished, as a time stamp, and what it took.
        project_path: what files are relative to; None if they may be another machine's.
    """
    # Those that were skipped, or taken over, have saved their files before the run.
    makers = {
        base_name(edge.dataset): edge.node
        for edge in edges
        if edge.direction == "save" and not edge.computed_by
    }
    began = record.run and record.run.started
    unsure = set()
    for edge in edges:
        if edge.file is None:
            continue
        name = base_name(edge.dataset)
        since: float | None = began.replace(tzinfo=timezone.utc).timestamp() if began else None
        if name in makers:
            since = finished.get(makers[name], (None, 0.0))[0]
        changed = _changed(project_path / edge.file) if project_path else None
        if since is None or changed is None or changed > since:
            unsure.add(name)
    return unsure


def _changed(path: Path) -> float | None:
    """Return when a file, or the last of those in a directory, was changed last; None if it is not there."""
    try:
        files = [path, *files_in(path)] if path.is_dir() else [path]
        # A copy may have the time of its original; when the file became what it is cannot be set. A link may
        # have been led elsewhere.
        stats = [stat for file in files for stat in (file.stat(), file.lstat())]
        return max(max(stat.st_mtime, stat.st_ctime) for stat in stats)
    except OSError:
        return None
