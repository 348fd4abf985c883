"""Checks of a project that need no server: its versions, its wiring, its directory."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..dolt_cli import DoltCommandError, check_version, locate_dolt
from ..server.managed import ManagedServer
from ..server.process import holder
from ..template_version import CURRENT, changes_since, template_of

if TYPE_CHECKING:
    from ..catalog.project import Project
    from ..settings import Settings

Results = Iterator[tuple[str, str, str]]

# A run that is cut off by a full disk leaves the target as it was, but it is cut off.
_LITTLE, _TOO_LITTLE = 1 << 30, 50 << 20
_WIRED = ("after_context_created", "before_pipeline_run", "after_pipeline_run")


def check_versions() -> Results:
    """Compare what is installed with what this library requires."""
    from packaging.requirements import Requirement

    wrong, installed = [], []
    for text in metadata.requires("kedro-doltdb") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        installed.append(f"{requirement.name} {version}")
        if version == "missing" or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(
                (f"{requirement.name} is {version}, and {requirement.specifier} is needed", requirement)
            )
    for words, requirement in wrong:
        yield "error", words, f"`pip install '{requirement.name}{requirement.specifier}'`."
    if not wrong:
        yield "ok", f"Python {sys.version.split()[0]}, {', '.join(installed)}", ""


def newer(one: str, other: str) -> bool:
    """Return whether one version is newer than another.

    Raises:
        ValueError: one of them is no version.
    """
    from packaging.version import Version

    return Version(one) > Version(other)


def check_dolt() -> Results:
    """Find Dolt and ask for its version."""
    try:
        path, where = locate_dolt()
        yield "ok", f"Dolt {check_version(path)}, {path}, {where}", ""
    except DoltCommandError as error:
        yield "error", str(error), ""


def check_template(project_path: Path) -> Results:
    """Compare the template that the project was made by with today's."""
    number = template_of(project_path)
    if number is None:
        yield "ok", "the project does not say which template it was made by", ""
    elif number > CURRENT:
        remedy = "`pip install --upgrade kedro-doltdb`."
        yield (
            "warning",
            f"the project was made by template {number}, and this library knows {CURRENT}",
            remedy,
        )
    elif changes := changes_since(number):
        remedy = f"Take over what you want, then set `template = {CURRENT}` in pyproject.toml."
        yield "warning", f"the project was made by template {number}. Since then: {' '.join(changes)}", remedy
    else:
        yield "ok", f"the project is of today's template, {number}", ""


def check_wiring() -> Results:
    """Look for our hooks and resolver in ``settings.py``."""
    from kedro.framework.project import settings

    from ..run.dolt_run import DoltRun
    from ..tables.bulk_load import bulk_load

    if (reason := why_no_settings()) is not None:
        remedy = "Until it can, no run uses Dolt: correct it, or `pip install -r requirements.txt`."
        yield "error", f"settings.py cannot be imported, which Kedro does not say: {reason}", remedy
        return
    wired = [hook for hook in settings.HOOKS if _uses(hook, DoltRun)]
    if not wired:
        remedy = "`from kedro_doltdb import DoltHooks` and `HOOKS = (DoltHooks(),)` in settings.py."
        yield "error", "HOOKS in settings.py has no hooks of Dolt's: runs would not be committed", remedy
        return
    if missing := [name for name in _WIRED if not any(hasattr(hook, name) for hook in wired)]:
        remedy = "Copy it from kedro_doltdb/hooks.py."
        yield "error", f"{type(wired[0]).__name__} has no {', '.join(missing)}", remedy
    resolver = (settings.CONFIG_LOADER_ARGS.get("custom_resolvers") or {}).get("dolt.bulk_load")
    if resolver is not None and resolver is not bulk_load:
        remedy = (
            '`"custom_resolvers": {"dolt.bulk_load": bulk_load}`, with `from kedro_doltdb import bulk_load`.'
        )
        yield "error", "the resolver dolt.bulk_load in settings.py is another function", remedy
    elif not missing:
        yield "ok", "settings.py has the hooks" + (" and the resolver" if resolver else ""), ""


def why_no_settings() -> str | None:
    """Return why ``settings.py`` cannot be imported; None if it can. Kedro goes on with its defaults."""
    from kedro.framework.project import PACKAGE_NAME

    try:
        import_module(f"{PACKAGE_NAME}.settings")
    except Exception as error:
        # It runs whatever code the project has.
        return f"{type(error).__name__}: {error}"
    return None


def _uses(hook: object, run: type) -> bool:
    """Return whether a hook is ours, or a project's own that calls ours."""
    module = sys.modules.get(type(hook).__module__)
    return any(getattr(module, name, None) is run for name in ("DoltRun", "_DoltRun"))


def check_catalog(project: Project) -> Results:
    """Read the catalog and look for datasets in Dolt."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        entries = project.config_loader()["catalog"]
    except OmegaConfBaseException as error:
        words = str(error).strip().partition("\n")[0]
        remedy = ""
        if "dolt.bulk_load" in words:
            remedy = (
                'Put `"custom_resolvers": {"dolt.bulk_load": bulk_load}` into CONFIG_LOADER_ARGS of '
                "settings.py."
            )
        # A catalog may need parameters that only a run has.
        level = "error" if "dolt.bulk_load" in words else "warning"
        yield level, f"the catalog cannot be read: {words}", remedy
        return
    except Exception as error:
        # Config loaders and YAML raise whatever they like.
        yield "error", f"the catalog cannot be read: {type(error).__name__}: {error}", ""
        return
    named = {
        name: entry["credentials"]
        for name, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get("credentials"), str)
    }
    ours = [name for name, credentials in named.items() if credentials == "dolt"]
    alike = [name for name, credentials in named.items() if get_close_matches(credentials, ["dolt"])]
    known = _credentials(project)
    if wrong := [name for name in alike if named[name] not in {"dolt", *known}]:
        yield (
            "error",
            f"{', '.join(wrong)} has `credentials: {named[wrong[0]]}`, which there are none of",
            "Did you mean `credentials: dolt`?",
        )
    elif ours:
        yield "ok", f"{len(ours)} entries have `credentials: dolt`", ""
    else:
        yield (
            "warning",
            "no entry has `credentials: dolt`: runs write nothing to Dolt",
            "See docs/existing_project.md.",
        )


def _credentials(project: Project) -> set[str]:
    try:
        return set(project.config_loader()["credentials"])
    except Exception:
        # There need not be any, and what is wrong with them is not ours to say.
        return set()


def check_requirements(project_path: Path) -> Results:
    """Look for this library among the project's requirements."""
    texts = []
    for name in ("requirements.txt", "pyproject.toml"):
        with suppress(OSError, UnicodeError):
            texts.append((project_path / name).read_text(encoding="utf-8"))
    said = re.sub("(?m)#.*$", "", "\n".join(texts))
    # A URL has the repository's name. [tool.kedro-dolt] is no requirement.
    if (project_path / "requirements.txt").is_file() and not re.search(
        r"(?i)kedro[-_.]dolt(db|\b(?!\]))", said
    ):
        remedy = "Add `kedro-doltdb`, or the URL that it is installed from."
        yield "warning", "requirements.txt does not name kedro-doltdb: colleagues would not get it", remedy
    else:
        yield "ok", "nothing is missing", ""


def check_initial_tables(project_path: Path, settings: Settings) -> Results:
    """Look for the files that ``kedro dolt init`` imports."""
    missing = [table.file for table in settings.initial_tables if not (project_path / table.file).is_file()]
    if missing:
        remedy = "Bring the file back, or correct initial_tables in dolt.yml."
        yield "warning", f"{', '.join(missing)} is missing: `kedro dolt init` would fail in a clone", remedy
    else:
        yield "ok", "the files of initial_tables are there", ""


def check_data_directory(project_path: Path) -> Results:
    """Check that ``data/`` is a Dolt repository which this user can work in."""
    data_dir = project_path / "data"
    server = ManagedServer(data_dir)
    server.check()
    complaints = 0
    if (project_path / ".dolt").exists():
        complaints += 1
        remedy = "If nothing of it is needed, remove the .dolt outside data/."
        yield "warning", f"{project_path} is a Dolt repository as well: runs use data/", remedy
    for nested in sorted(data_dir.glob("*/.dolt")):
        complaints += 1
        yield (
            "warning",
            f"{nested.parent} is a repository inside data/, and served with it",
            "Move it out of data/.",
        )
    if os.statvfs(data_dir).f_flag & os.ST_RDONLY:
        yield (
            "error",
            f"the file system of {data_dir} is read-only",
            "Mount it for writing, or move the project.",
        )
        return
    noms = data_dir / ".dolt" / "noms"
    for path in (data_dir, data_dir / ".dolt", noms, data_dir / ".dolt" / "kedro"):
        inside = noms.glob("*") if path == noms else ()
        if path.exists() and not all(_is_writable(one) for one in (path, *inside)):
            complaints += 1
            # Runs write in data/.dolt alone, and mend what is theirs there.
            level = "error" if path.name in (".dolt", "noms") else "warning"
            remedy = f"`chmod -R u+rwX '{path}'`, if it is yours and the file system is not read-only."
            yield level, f"{path} cannot be written to", remedy
    if server.is_running and (held := holder(data_dir)) and "sql-server" not in held:
        complaints += 1
        remedy = "Close it. `kedro dolt sql` is a shell beside which runs go on."
        yield "error", f"another Dolt process has data/ open{held}", remedy
    if not complaints:
        yield "ok", f"{data_dir} is a Dolt repository", ""


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0))


def check_disk(data_dir: Path) -> Results:
    """Compare the room on the disk with what runs need."""
    there = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB are free"
    if free < _LITTLE:
        level = "error" if free < _TOO_LITTLE else "warning"
        yield (
            level,
            f"{free / 1e6:.0f} MB are free",
            "Make room; `kedro dolt prune` frees what failed runs have left.",
        )
    else:
        yield "ok", found, ""
