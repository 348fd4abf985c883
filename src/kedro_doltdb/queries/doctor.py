"""What is wrong with a project, and what to do about it. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dolt.remote import Remote
from ..errors import DoltError
from ..journal import reader, store
from .project_checks import (
    check_catalog,
    check_data_directory,
    check_disk,
    check_dolt,
    check_initial_tables,
    check_requirements,
    check_template,
    check_versions,
    check_wiring,
    newer,
    why_no_settings,
)  # fmt: skip

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..catalog.project import Project
    from ..dolt.repository import Repository

Found = tuple[str, str]


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        check: its name.
        level: ``ok``, ``warning``, or ``error`` if runs do not work.
        found: what it has found, in words.
        remedy: what to do; empty if there is nothing to do, or ``found`` says it.
    """

    check: str
    level: str
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON holds it."""
        return vars(self)


def examine(project: Project) -> list[Finding]:
    """Check a project, one thing after another, so that one finding does not hide the others.

    What is in the data is looked at last, and only if a server can be started for it. Without ``settings.py``
    nothing that follows is looked at.

    Args:
        project: the project.
    """
    findings: list[Finding] = []

    def make(name: str, check: Callable[..., Iterator[tuple[str, str, str]]], *args: Any) -> None:
        found = []
        try:
            found = [Finding(name, *result) for result in check(*args)]
        except DoltError as error:
            found = [Finding(name, "error", error.message)]
        except OSError as error:
            found = [Finding(name, "error", f"what is to be looked at cannot be read: {error}")]
        findings.extend(found)

    path = project.metadata.project_path
    make("versions", check_versions)
    make("dolt", check_dolt)
    make("requirements", check_requirements, path)
    make("template", check_template, path)
    make("wiring", check_wiring)
    if why_no_settings() is not None:
        # All that follows would be found wrong.
        return findings
    make("catalog", check_catalog, project)
    database = None
    try:
        database = project.database(replica=True)
    except DoltError as error:
        findings.append(Finding("settings", "error", error.message))
    else:
        findings.append(Finding("settings", "ok", "conf/*/dolt.yml can be used"))
        make("initial tables", check_initial_tables, path, database.settings)
        if database.settings.managed:
            make("data directory", check_data_directory, path)
            make("disk", check_disk, path / "data")
    broken = {finding.check for finding in findings if finding.level == "error"}
    if database and not broken & {"dolt", "data directory", "disk"}:
        try:
            with database.serving() as repository:
                for name, check in (
                    ("server", _server), ("merge", _merge), ("keys", _keys), ("remote", _remote),
                    ("journal", _journal),
                ):  # fmt: skip
                    make(name, check, repository, database)
        except DoltError as error:
            findings.append(Finding("server", "error", error.message))
    return findings


def _server(repository: Repository, database: Database) -> Iterator[tuple[str, str, str]]:
    yield "ok", f"Dolt {repository.version()} serves {database.server.name}", ""


def _merge(repository: Repository, database: Database) -> Iterator[tuple[str, str, str]]:
    branch = repository.checked_out()
    merging, _ = repository.merge_state(branch)
    if merging:
        remedy = "Finish it with `dolt commit`, or undo it with `dolt merge --abort`."
        yield "error", f"{branch} is in the middle of a merge of {merging}", remedy
    elif database.settings.on_uncommitted == "refuse" and (tables := repository.uncommitted(branch)):
        remedy = f'`dolt commit -am "My edits"` {repository.where}, or `dolt reset --hard`.'
        yield "error", f"{', '.join(tables)} has uncommitted edits, and runs refuse those", remedy
    else:
        yield "ok", f"{branch} is checked out, and no merge waits", ""


def _keys(repository: Repository, database: Database) -> Iterator[tuple[str, str, str]]:
    with repository.on() as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        tables = {row[0] for row in cursor.fetchall()}
        cursor.execute(
            "SELECT DISTINCT table_name FROM information_schema.statistics "
            "WHERE index_name = 'PRIMARY' AND table_schema = DATABASE()"
        )
        keyed = {row[0] for row in cursor.fetchall()}
    if without := sorted(table for table in tables - keyed if not table.startswith(("dolt_", "kedro_"))):
        remedy = "In the catalog, give its entry `method: ${dolt.bulk_load:<key columns>}` in `save_args`."
        yield (
            "warning",
            f"{', '.join(without)} has no primary key: changed rows count as added and removed",
            remedy,
        )
    else:
        yield "ok", "every table has a primary key", ""


def _remote(repository: Repository, database: Database) -> Iterator[tuple[str, str, str]]:
    settings = database.settings.remote
    if settings is None:
        yield "ok", "dolt.yml names none", ""
        return
    remote = Remote(repository, settings)
    remote.check()
    branch = repository.checked_out()
    distance = remote.distance(branch)
    if distance and distance.ahead and distance.behind:
        raise remote.diverged(branch, distance)
    if distance is None:
        yield "ok", f"{settings.url} has not been seen to have {branch}", ""
    else:
        yield "ok", f"{branch} is {distance.ahead} ahead, {distance.behind} behind, as last seen", ""


def _journal(repository: Repository, database: Database) -> Iterator[tuple[str, str, str]]:
    from .. import __version__

    with repository.on() as cursor:
        store.check_format(cursor, "HEAD")
        runs = reader.runs(cursor, "HEAD")
    written = {str(run.versions.get("kedro-doltdb", "")) for run in runs}
    with suppress(ValueError):
        if ahead := sorted(version for version in written if version and newer(version, __version__)):
            remedy = f"`pip install 'kedro-doltdb>={ahead[-1]}'`."
            yield (
                "warning",
                f"a newer kedro-doltdb, {ahead[-1]}, has written here; this is {__version__}",
                remedy,
            )
            return
    yield "ok", f"{len(runs)} run{'' if len(runs) == 1 else 's'} can be read", ""
