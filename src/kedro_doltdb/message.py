"""The message of a run's commit: what a person asks of it later."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FILTERS = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")


def run_id(run_params: Mapping[str, Any]) -> str:
    """Kedro's id of the run, a time in milliseconds; Kedro 1.0 calls it ``session_id``."""
    return str(run_params.get("run_id") or run_params["session_id"])


def pipelines(run_params: Mapping[str, Any]) -> list[str]:
    """The names of the pipelines that are run; Kedro 1.0 has one, later versions a list."""
    names = run_params.get("pipeline_names") or run_params.get("pipeline_name") or "__default__"
    return [names] if isinstance(names, str) else list(names)


def commit_message(run_params: Mapping[str, Any], project_path: Path) -> str:
    """The run's id and parameters in the first line, then its pipeline, filters, environment and code."""
    params = json.dumps(run_params.get("runtime_params") or {}, default=str, ensure_ascii=False)
    facts = {
        "Pipeline": ", ".join(pipelines(run_params)),
        **{name.replace("_", " ").capitalize(): _listed(run_params.get(name)) for name in FILTERS},
        "Environment": run_params.get("env"),
        "Code": _git_commit(project_path),
    }
    body = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
    return f"Update data from Kedro run {run_id(run_params)} with params {params}\n\n{body}"


def _listed(values: Any) -> str:
    return ", ".join(map(str, [values] if isinstance(values, str) else values or ()))


def _git_commit(project_path: Path) -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command, cwd=project_path, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()
    return None
