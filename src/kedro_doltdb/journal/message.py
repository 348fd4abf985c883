"""The message of a run's commit: what a user asks of it later."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .parameters import same, without_run_keys

if TYPE_CHECKING:
    from .store import Run


# Of a parameter, and of all of them, in the first line.
_LONGEST_VALUE = 60
_LONGEST_PARAMS = 200


def commit_message(run: Run, before: Run | None, *, effect: bool = True) -> str:
    """Return the message of a run's commit.

    The first line has the run's id and parameters: those that ``--params`` gave, and those that differ from
    the run before, because ``conf/`` was edited. If they are too long for it, they are whole below. Then come
    the run's pipeline, filters, environment and code.

    Args:
        run: as in the journal.
        before: the run before it on its branch; None if it is the first.
        effect: whether it changed data; if not, the commit holds its rows of the journal alone.
    """
    params = _merged(_changed(before.params, run.params) if before else {}, run.runtime_params)
    whole = json.dumps(params, ensure_ascii=False)
    short = _shortened(params)
    facts = {
        "Params": whole if short != whole else None,
        "Pipeline": run.pipeline,
        **{name.replace("_", " ").capitalize(): _listed(value) for name, value in run.filters.items()},
        "Environment": run.environment,
        "Group": run.run_group,
        "Code": run.git_commit,
    }
    body = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
    what = f"Update data from Kedro run {run.run_id}"
    if not effect:
        what = f"Record Kedro run {run.run_id} without effect,"
    return f"{what} with params {short}\n\n{body}"


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``new`` is not in ``old``, nested as it is."""
    found = {}
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            if inner := _changed(old[key], value):
                found[key] = inner
        elif key not in old or not same(old[key], value):
            found[key] = value
    return found


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if both else value
    return found


def _shortened(params: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for key, value in params.items():
        texts = (json.dumps(item, ensure_ascii=False) for item in (key, value))
        part = ": ".join(
            text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…" for text in texts
        )
        if sum(map(len, parts)) + len(part) > _LONGEST_PARAMS:
            parts.append(f"… {len(params) - len(parts)} more")
            break
        parts.append(part)
    return "{" + ", ".join(parts) + "}"


def run_id_in(message: str) -> str | None:
    """Return the id of the run whose commit has this message; None when it is not that of a run."""
    match = re.match(r"(?:Update data from|Kept from|Record) Kedro run ([A-Za-z0-9._-]+)", message)
    return match[1] if match else None


def is_kept(message: str) -> bool:
    """Return whether a commit with this message holds what an unpublished run left."""
    return message.startswith("Kept from")


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
