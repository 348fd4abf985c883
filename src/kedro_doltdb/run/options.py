"""The parameters of a run that say where it happens, and which failures of checks do not stop it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..dolt.names import RUN_PREFIX
from ..errors import ConfigError, suggestion
from ..journal.parameters import RUN_KEYS

MAX_GROUP = 255


@dataclass(frozen=True)
class RunOptions:
    """Where a run happens, and what of it is accepted.

    Attributes:
        branch: the branch to publish to, made if it is not there; by default the one checked out in
            ``data/``. Quote a number: ``'dolt_branch="2024_11"'``.
        start: the commit, branch, tag or run to begin a new branch at; by default the head of the target.
        group: the name of the whole that the run is a part of: one line of ``kedro dolt runs``.
        accept: publish although this check fails; several with spaces between them.
        force: ``true`` has an incremental run run all nodes.
    """

    branch: str | None = None
    start: str | None = None
    group: str | None = None
    accept: tuple[str, ...] = ()
    force: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any], runtime: Mapping[str, Any], used: Collection[str]) -> RunOptions:
        """Return the options that a run's parameters hold.

        Args:
            params: all parameters of the run.
            runtime: those given by ``--params``; they win.
            used: the names of the parameters that the pipeline's nodes load.

        Raises:
            ConfigError: an option has a value that cannot be used, or ``--params`` has a misspelt one.
        """
        for name in runtime:
            if name.startswith("dolt_") and name not in RUN_KEYS and name not in used:
                raise ConfigError(
                    f"--params has {name}, which is not an option of kedro-dolt: {suggestion(name, RUN_KEYS)}"
                )
        given = {**params, **runtime}
        return cls(
            _branch(given, "dolt_branch"),
            _branch(given, "dolt_from"),
            _group(given),
            _accepted(given),
            _forced(given),
        )


def check_target(branch: str) -> None:
    """Check that runs may publish to ``branch``.

    Raises:
        ConfigError: it is one of those that kedro-dolt keeps for itself.
    """
    if branch.lower().startswith(RUN_PREFIX):
        raise ConfigError(
            f"No run can publish to {branch}: branches under kedro/ hold what unfinished runs wrote. Name "
            "another with `--params dolt_branch=...`, or check one out: `dolt checkout main`."
        )


def _accepted(params: Mapping[str, Any]) -> tuple[str, ...]:
    value = params.get("dolt_accept") or ()
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"dolt_accept={value!r} names no checks: give the name of one, "
            "`--params dolt_accept=example_test_x.max_rows_changed`, or several with spaces between them."
        )
    return tuple(names)


def _forced(params: Mapping[str, Any]) -> bool:
    value = params.get("dolt_force") or False
    if not isinstance(value, bool):
        raise ConfigError(f"dolt_force={value!r} must be true or false: `--params dolt_force=true`.")
    return value


def _group(params: Mapping[str, Any]) -> str | None:
    value = _text(params, "dolt_run_group")
    if value is not None and not (0 < len(value) <= MAX_GROUP and value.isprintable()):
        raise ConfigError(
            f"dolt_run_group={value!r} is not a valid name for a group of runs: it has 1 to {MAX_GROUP} "
            "characters and no line break."
        )
    return value


def _branch(params: Mapping[str, Any], name: str) -> str | None:
    value = _text(params, name)
    if value is not None and (not value or value.startswith("-")):
        raise ConfigError(f"{name}={value} is not a valid branch name: it is empty or begins with `-`.")
    if value is not None and name == "dolt_branch":
        check_target(value)
    return value


def _text(params: Mapping[str, Any], name: str) -> str | None:
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(
            f"{name} must be text, but it was read as {value!r}: quote it, in parameters.yml as "
            f"""{name}: "...", on the command line twice: --params '{name}="..."'."""
        )
    return value
