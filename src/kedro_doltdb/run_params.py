"""What Kedro says of a run, under the names of its several versions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import ConfigError
from .journal import Run, now
from .parameters import plain, without_run_keys

if TYPE_CHECKING:
    from kedro.io import DataCatalog

FILTERS = (
    "tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces",
    "load_versions", "only_missing_outputs",
)  # fmt: skip
MAX_GROUP = 255


def run_id(run_params: Mapping[str, Any]) -> str:
    """Kedro's id of the run, a time in milliseconds; Kedro 1.0 calls it ``session_id``."""
    return str(run_params.get("run_id") or run_params["session_id"])


def pipelines(run_params: Mapping[str, Any]) -> list[str]:
    """The names of the pipelines that are run; Kedro 1.0 has one, later versions a list."""
    names = run_params.get("pipeline_names") or run_params.get("pipeline_name") or "__default__"
    return [names] if isinstance(names, str) else list(names)


def filters(run_params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``session.run`` that chose the nodes, as JSON values; those not given are left out."""
    return {name: plain(run_params[name]) for name in FILTERS if run_params.get(name)}


def group_parameter(run_params: Mapping[str, Any]) -> str | None:
    """The run parameter ``dolt_run_group``; None if it was not given.

    Raises:
        ConfigError: it is no text, too long, empty or has a line break.
    """
    value = _text_parameter(run_params, "dolt_run_group")
    if value is not None and not (0 < len(value) <= MAX_GROUP and value.isprintable()):
        raise ConfigError(
            f"dolt_run_group={value!r} is no name for a group of runs: it has 1 to {MAX_GROUP} characters "
            "and no line break."
        )
    return value


def _text_parameter(run_params: Mapping[str, Any], name: str) -> str | None:
    value = (run_params.get("runtime_params") or {}).get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(
            f"{name} must be text, but the command line made {value!r} of it: quote it twice, "
            f"""--params '{name}="..."'."""
        )
    return value


def branch_parameter(run_params: Mapping[str, Any], name: str) -> str | None:
    """The run parameter ``dolt_branch`` or ``dolt_from``, whichever is named; None if it was not given.

    Raises:
        ConfigError: it is no text, or no name for a branch.
    """
    value = _text_parameter(run_params, name)
    if value is None:
        return None
    if not value or value.startswith("-") or (name == "dolt_branch" and value.startswith("kedro/")):
        raise ConfigError(
            f"{name}={value} is no name for a branch: it may not be empty, nor begin with `-`, "
            "nor with `kedro/`, where runs keep their own."
        )
    return value


def describe(
    run_params: Mapping[str, Any], catalog: DataCatalog, project_path: Path, secrets: Iterable[str]
) -> Run:
    """The run that begins now, as the journal keeps it.

    Args:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        catalog: holds all parameters, those of the configuration included.
        project_path: the project, whose code may be in git.
        secrets: what must not appear in the parameters.
    """
    dataset = catalog.get("parameters")
    params = dataset.load() if dataset is not None else run_params.get("runtime_params") or {}
    versions = {
        "kedro": str(run_params.get("kedro_version")),
        "kedro-doltdb": __version__,
        "pandas": metadata.version("pandas"),
        "python": platform.python_version(),
    }
    return Run(
        run_id(run_params),
        started=now(),
        pipeline=", ".join(pipelines(run_params)),
        filters=filters(run_params),
        params=plain(without_run_keys(params), secrets),
        environment=run_params.get("env"),
        git_commit=git_commit(project_path),
        versions=versions,
    )


def git_commit(project_path: Path) -> str | None:
    """The commit of the code, with ``-dirty`` if there are uncommitted changes; None where git knows none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, cwd=project_path, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()
    return None
