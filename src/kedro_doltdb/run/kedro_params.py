"""What Kedro says of a run, under the names of its several versions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError

from .. import __version__
from ..git import git
from ..journal.parameters import plain, typed, without_run_keys
from ..journal.store import Run, now

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

FILTERS = (
    "tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces",
    "load_versions", "only_missing_outputs",
)  # fmt: skip


def run_id(run_params: Mapping[str, Any]) -> str:
    """Kedro's id of the run, a time in milliseconds; Kedro 1.0 calls it ``session_id``."""
    return str(run_params.get("run_id") or run_params["session_id"])


def pipelines(run_params: Mapping[str, Any]) -> list[str]:
    """Return the names of the pipelines that are run; Kedro 1.0 has one, later versions a list."""
    names = run_params.get("pipeline_names") or run_params.get("pipeline_name") or "__default__"
    return [names] if isinstance(names, str) else list(names)


def error_line(error: BaseException) -> str:
    """Return the type and the first line of what ended a run.

    Args:
        error: as Kedro raises it. Of a dataset's error Kedro puts the dataset's arguments first, and the
            reason below them: then it is the reason.
    """
    while type(error) is DatasetError and error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def filters(run_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments given to ``session.run`` that chose the nodes, as JSON values."""
    return {name: plain(run_params[name]) for name in FILTERS if run_params.get(name)}


def all_parameters(run_params: Mapping[str, Any], catalog: DataCatalog) -> dict[str, Any]:
    """Return all parameters of the run: those of the configuration with those given at runtime over them."""
    dataset = catalog.get("parameters")
    return dict(dataset.load() if dataset is not None else run_params.get("runtime_params") or {})


def parameters_read(pipeline: Pipeline) -> dict[str, list[str]]:
    """Return the names of the parameters that each node loads, by node; ``""`` stands for all of them."""
    return {
        node.name: sorted(
            name.removeprefix("params:") if name.startswith("params:") else ""
            for name in node.inputs
            if name == "parameters" or name.startswith("params:")
        )
        for node in pipeline.nodes
    }


def describe(
    run_params: Mapping[str, Any], catalog: DataCatalog, project_path: Path, secrets: Iterable[str]
) -> Run:
    """Return the run that begins now, as the journal keeps it.

    Args:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        catalog: holds all parameters, those of the configuration included.
        project_path: the project, whose code may be in git.
        secrets: what must not appear in the parameters.
    """
    params, types = typed(without_run_keys(all_parameters(run_params, catalog)), secrets)
    runtime, runtime_types = typed(without_run_keys(run_params.get("runtime_params") or {}), secrets)
    versions = {
        "kedro": str(run_params.get("kedro_version")),
        "kedro-doltdb": __version__,
        "pandas": metadata.version("pandas"),
        "python": platform.python_version(),
    }
    return Run(
        run_id(run_params),
        started=now(),
        pipelines=pipelines(run_params),
        filters=filters(run_params),
        params=params,
        runtime_params=runtime,
        param_types={"params": types, "runtime_params": runtime_types},
        environment=run_params.get("env"),
        git_commit=git_commit(project_path),
        versions=versions,
    )


def git_commit(project_path: Path) -> str | None:
    """Return the commit of the code, with ``-dirty`` if there are uncommitted changes, if it is in git."""
    command = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    with suppress(OSError, subprocess.SubprocessError):
        return git(project_path, *command, timeout=10)
    return None
