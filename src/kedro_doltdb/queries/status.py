"""What has changed in ``data/`` since the last run, and what is left to tidy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dolt.names import JOURNAL_TABLES
from ..dolt.remote import Remote
from ..dolt_cli import DoltCommandError, locate_dolt
from ..journal import reader
from ..journal.edges import inputs_of
from ..journal.history import entries_on, public_branches
from ..run.adopt import last_adopted
from ..run.rerun import hash_now

if TYPE_CHECKING:
    from ..dolt.remote import Distance
    from ..dolt.repository import Repository, TableChange
    from ..journal.history import Entry
    from ..settings import RemoteSettings


@dataclass(frozen=True)
class Status:
    """The state of the branch checked out in ``data/``.

    Attributes:
        branch: its name.
        last: the last run that was published to it.
        uncommitted: the tables with uncommitted edits.
        changed_inputs: the datasets that hold something else than that run read.
        remote: the branch there, as this repository calls it, if it has been seen.
        distance: how far the two are apart, as of the last pull or push.
        merging: the branch or commit that is being merged; None if none is.
        unmerged: the tables with conflicts or violated constraints.
        ahead: the branches that have commits which this one has not, and how many.
        unknown_tables: the tables that no entry of the catalog names.
        dolt: the version of the server, and the executable that runs start it with.
    """

    branch: str
    last: Entry | None
    uncommitted: list[TableChange]
    changed_inputs: list[str]
    remote: str | None = None
    distance: Distance | None = None
    merging: str | None = None
    unmerged: tuple[str, ...] = ()
    ahead: dict[str, int] = field(default_factory=dict)
    unknown_tables: tuple[str, ...] = ()
    dolt: str = ""


def status(
    repository: Repository,
    project_path: Path,
    catalog: Mapping[str, Any],
    remote: RemoteSettings | None = None,
    *,
    managed: bool = True,
) -> Status:
    """Look at the branch checked out in ``data/``, uncommitted edits included.

    Args:
        repository: the repository.
        project_path: what files in the journal are relative to.
        catalog: the project's configuration of it, by the names of the datasets.
        remote: the remote that ``dolt.yml`` names; it is not asked.
        managed: whether runs start the server.
    """
    branch = repository.checked_out()
    merging, unmerged = repository.merge_state(branch)
    entries = entries_on(repository, branch)
    last = entries[-1] if entries else None
    return Status(
        branch,
        last,
        repository.changes("HEAD", "WORKING") if repository.uncommitted(branch) else [],
        _changed_inputs(repository, branch, last, project_path) if last else [],
        f"{remote.name}/{branch}" if remote else None,
        Remote(repository, remote).distance(branch) if remote else None,
        merging,
        unmerged,
        _ahead(repository, branch),
        tuple(_unknown_tables(repository, branch, catalog)),
        _dolt(repository, managed),
    )


def _dolt(repository: Repository, managed: bool) -> str:
    version = repository.version()
    if not managed:
        return version
    try:
        path, where = locate_dolt()
    except DoltCommandError:
        # Somebody's server runs, and may have been started with another one.
        return f"{version}, and none is found for the next server"
    return f"{version}; runs start {path}, {where}"


def _ahead(repository: Repository, branch: str) -> dict[str, int]:
    others = [name for name in public_branches(repository) if name != branch]
    with repository.on() as cursor:
        counts = {}
        for name in others:
            base = last_adopted(repository, name, branch)
            cursor.execute("SELECT COUNT(*) FROM dolt_log(%s)", (f"{base}..{name}" if base else name,))
            counts[name] = int((cursor.fetchone() or (0,))[0])
    return {name: count for name, count in counts.items() if count}


def _unknown_tables(repository: Repository, branch: str, catalog: Mapping[str, Any]) -> list[str]:
    entries = [entry for entry in catalog.values() if isinstance(entry, Mapping)]
    names = [str(entry["table_name"]) for entry in entries if entry.get("table_name")]
    # The name in a dataset factory has placeholders, {name}.
    known = [re.compile(re.sub(r"\\{.*?\\}", ".+", re.escape(name)), re.IGNORECASE) for name in names]
    if not known:
        # The project makes its catalog in another way.
        return []
    with repository.on(branch) as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        tables = [row[0] for row in cursor.fetchall()]
    return sorted(
        table
        for table in tables
        if not any(pattern.fullmatch(table) for pattern in known)
        and table not in JOURNAL_TABLES
        and not table.startswith("dolt_")
    )


def _changed_inputs(repository: Repository, branch: str, last: Entry, project_path: Path) -> list[str]:
    with repository.on(branch) as cursor:
        inputs = inputs_of(reader.edges(cursor, last.run.run_id))
    tables = repository.table_hashes(branch, {edge.table_name for edge in inputs if edge.table_name})
    changed = set()
    for edge in inputs:
        if edge.content_hash is None:
            continue
        now = tables.get(edge.table_name) if edge.table_name else hash_now(edge, project_path)
        if now != edge.content_hash:
            changed.add(edge.dataset)
    return sorted(changed)
