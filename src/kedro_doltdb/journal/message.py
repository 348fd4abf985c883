"""The message of a run's commit: what a person asks of it later."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .parameters import without_run_keys

if TYPE_CHECKING:
    from .store import Run


def commit_message(run: Run, runtime_params: Mapping[str, Any]) -> str:
    """The run's id and parameters in the first line, then its pipeline, filters, environment and code.

    Args:
        run: as in the journal.
        runtime_params: what ``--params`` gave, as JSON values with secrets masked.
    """
    facts = {
        "Pipeline": run.pipeline,
        **{name.replace("_", " ").capitalize(): _listed(value) for name, value in run.filters.items()},
        "Environment": run.environment,
        "Group": run.run_group,
        "Code": run.git_commit,
    }
    body = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
    params = json.dumps(runtime_params, ensure_ascii=False)
    return f"Update data from Kedro run {run.run_id} with params {params}\n\n{body}"


def run_id_in(message: str) -> str | None:
    """The id of the run whose commit has this message; None when it is not that of a run."""
    match = re.match(r"(?:Update data from|Kept from) Kedro run ([A-Za-z0-9._-]+)", message)
    return match[1] if match else None


def runtime_params_in(message: str) -> dict[str, Any]:
    """Return the parameters that the message of a run's commit names; nothing if it names none."""
    match = re.match(
        r"Update data from Kedro run [A-Za-z0-9._-]+ with params (\{.*\})$", message, re.MULTILINE
    )
    try:
        params = json.loads(match[1]) if match else {}
    except (ValueError, RecursionError):
        return {}
    return without_run_keys(params)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)
