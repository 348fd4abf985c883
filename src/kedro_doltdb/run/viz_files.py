"""The files in ``.viz/`` that Kedro-Viz reads: the rows of each table, and which of them a run has changed.

Kedro-Viz's own hook notes what passes through its process, and replaces all that was noted before. So after a
partial run the rest is gone, and after one of ``ParallelRunner`` everything. What is noted here Dolt tells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import state_files
from ..dolt.as_of import columns_at, count_at
from ..dolt.repository import dolt_errors
from ..errors import DoltError
from ..journal.edges import base_name
from ..terminal import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository, TableChange
    from ..journal.store import Edge


def _style(light: tuple[str, str, str], dark: tuple[str, str, str]) -> dict[str, Any]:
    names = ("fill", "stroke", "color")
    themes = {"light": dict(zip(names, light, strict=True)), "dark": dict(zip(names, dark, strict=True))}
    return {**themes["light"], "themes": themes}


NEW = _style(("#d9f2df", "#1a7f37", "#0b3d1a"), ("#12371d", "#3fb950", "#d9f2df"))
CHANGED = _style(("#fff1cc", "#9a6700", "#4d3800"), ("#3d2e00", "#d29922", "#fff1cc"))

logger = get_logger(__name__)


class VizFiles:
    """The files ``stats.json`` and ``styles.json`` of a project, as they were when a run began.

    Args:
        project_path: the project.
    """

    def __init__(self, project_path: Path) -> None:
        self._directory = project_path / ".viz"
        # Kedro-Viz replaces them before the run is published.
        self._stats = self._read("stats.json")

    @staticmethod
    def wanted() -> bool:
        """Return whether Kedro-Viz is there: Kedro has then imported its hooks."""
        return "kedro_viz" in sys.modules

    def write(
        self, repository: Repository, edges: Iterable[Edge], base: str, commit: str,
        changes: Iterable[TableChange],
    ) -> None:  # fmt: skip
        """Note the tables of a run that was published; what goes wrong is a warning.

        Args:
            repository: where they are.
            edges: what its nodes loaded and saved.
            base: the commit that it began at.
            commit: what it has left.
            changes: the tables that it has changed.
        """
        current = [edge for edge in edges if not edge.read_at]
        tables = {base_name(edge.dataset): edge.table_name for edge in current if edge.table_name}
        changed = {change.table.lower(): change for change in changes}
        ours = (NEW, CHANGED)
        styles = {name: style for name, style in self._read("styles.json").items() if style not in ours}
        stats = {**_without_changes(self._stats), **self._read("stats.json")}
        try:
            with dolt_errors(), repository.reusing(), repository.on() as cursor:
                # A view has no number of rows of its own.
                there = repository.table_hashes(commit, sorted(set(tables.values())))
                for name, table in tables.items():
                    if table not in there:
                        continue
                    rows = count_at(cursor, table, commit)
                    change = changed.get(table.lower())
                    stats[name] = {
                        "rows": rows if change is None else f"{rows} ({change.counts or 'schema'})",
                        "columns": len(columns_at(cursor, table, commit)),
                    }
                    if change is not None:
                        styles.setdefault(name, _colours(cursor, table, base))
            self._directory.mkdir(exist_ok=True)
            state_files.write(self._directory / "stats.json", json.dumps(stats))
            state_files.write(self._directory / "styles.json", json.dumps(styles, indent=2))
        except (OSError, DoltError) as error:
            logger.warning("Kedro-Viz will not show this run: %s", error)

    def _read(self, name: str) -> dict[str, Any]:
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads((self._directory / name).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}


def _colours(cursor: Cursor, table: str, base: str) -> dict[str, Any]:
    return CHANGED if columns_at(cursor, table, base) else NEW


def _without_changes(stats: Mapping[str, Any]) -> dict[str, Any]:
    """Return stats of earlier runs without what those runs had changed."""
    found = dict(stats)
    for name, facts in stats.items():
        if isinstance(facts, dict) and isinstance(facts.get("rows"), str):
            with suppress(ValueError):
                found[name] = {**facts, "rows": int(facts["rows"].partition(" ")[0])}
    return found
