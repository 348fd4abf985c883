"""Running a run again: its parameters, its filters and its data, on a new branch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import journal
from .edges import base_name, file_hash
from .errors import ConfigError
from .history import Point
from .parameters import MASK, differences, plain, same, secrets_in, without_run_keys
from .run_params import git_commit

if TYPE_CHECKING:
    from .journal import Edge, Run
    from .repository import Repository


@contextmanager
def starting_branch(repository: Repository, run: Run, edges: list[Edge], commit: str) -> Iterator[str]:
    """A new branch that holds the data that ``run`` read; if nothing is committed to it, it is deleted after.

    Args:
        repository: where it is made.
        run: the run to repeat.
        edges: what its nodes loaded and saved.
        commit: where its data are now.

    Raises:
        ConfigError: the data can no longer be found.
    """
    branches = repository.branches()
    plain_name = f"rerun/{run.run_id}"
    name = next(
        candidate
        for number in range(1, len(branches) + 2)
        if (candidate := plain_name if number == 1 else f"{plain_name}-{number}") not in branches
    )
    if run.base is None:
        raise ConfigError(f"The journal does not say where run {run.run_id} began: it cannot be run again.")
    inputs = {edge.table_name: edge.content_hash for edge in inputs_of(edges) if edge.table_name}
    at_base = repository.table_hashes(run.base, inputs)
    missing = {table: content for table, content in inputs.items() if at_base.get(table) != content}
    # A resumed run took tables over from the one that had failed; they are in its own commit.
    at_commit = repository.table_hashes(commit, missing)
    lost = sorted(table for table, content in missing.items() if at_commit.get(table) != content)
    if lost:
        raise ConfigError(
            f"Run {run.run_id} cannot be run again: what it read in {', '.join(lost)} is not there any more."
        )
    repository.create_branch(name, run.base)
    try:
        if missing:
            repository.take_tables(sorted(missing), commit, name)
            repository.commit_all(name, f"Bring back what Kedro run {run.run_id} took over")
        start = repository.head(name)
        yield name
    finally:
        if repository.head(name) in (run.base, start):
            repository.delete_branch(name)


def inputs_of(edges: list[Edge]) -> list[Edge]:
    """What a run loaded and did not produce itself."""
    produced = {base_name(edge.dataset) for edge in edges if edge.direction == "save"}
    return [edge for edge in edges if edge.direction == "load" and base_name(edge.dataset) not in produced]


def warnings(run: Run, edges: list[Edge], project_path: Path, today: Mapping[str, Any]) -> list[str]:
    """What is not as it was when ``run`` ran, and cannot be brought back by us: one line each.

    Args:
        run: the run to repeat.
        edges: what its nodes loaded and saved.
        project_path: the project.
        today: its parameters now, as :func:`parameters_today` gives them.
    """
    found = []
    code = git_commit(project_path)
    if code != run.git_commit:
        found.append(
            f"The code is not the same: that run's is {run.git_commit or 'not known'}, "
            f"this is {code or 'in no git repository'}."
        )
    elif code and code.endswith("-dirty"):
        found.append(
            f"The code may not be the same: both times there were uncommitted changes on {code[:10]}."
        )
    for edge in inputs_of(edges):
        if edge.file and edge.content_hash and file_hash(project_path / edge.file) != edge.content_hash:
            found.append(f"{edge.file}, which that run read, is not as it was.")
    for name, (value, then) in differences(today, run.params).items():
        if then is None and value is not None:
            found.append(f"The parameter {name} is new since, and stays {value!r}.")
    return list(dict.fromkeys(found))


def parameters_today(config_loader: Mapping[str, Any]) -> dict[str, Any]:
    """The project's parameters as the journal would keep them now."""
    from kedro.config import MissingConfigException

    try:
        secrets = secrets_in(config_loader["credentials"])
    except MissingConfigException:
        secrets = set()
    try:
        today: dict[str, Any] = plain(without_run_keys(config_loader["parameters"]), secrets)
    except MissingConfigException:
        today = {}
    return today


def overrides(today: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters to give at runtime so that ``wanted`` is what the run gets.

    Those that are the same today are left out, so that they keep types that JSON does not have.

    Raises:
        ConfigError: one was masked in the journal.
    """
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(today.get(key), Mapping):
            if inner := overrides(today[key], value):
                found[key] = inner
        elif key not in today or not same(today[key], value):
            if MASK in str(value):
                raise ConfigError(
                    f"The parameter {key} held a secret, which the journal does not keep: "
                    "run by hand with `kedro run --params`."
                )
            found[key] = value
    return found


def run_again(project_path: Path, run: Run, params: Mapping[str, Any], branch: str) -> None:
    """Run the pipeline of ``run`` with its filters.

    Args:
        project_path: the project.
        run: the run to repeat.
        params: what :func:`overrides` gave.
        branch: what :func:`starting_branch` gave.

    Raises:
        Exception: whatever a node raises.
    """
    from kedro.framework.session import KedroSession

    names = (run.pipeline or "__default__").split(", ")
    with KedroSession.create(
        project_path=project_path,
        env=run.environment,
        runtime_params={**params, "dolt_branch": branch},
    ) as session:
        # Kedro 1.0 runs one pipeline and calls the argument so.
        several = "pipeline_names" in inspect.signature(session.run).parameters
        session.run(**({"pipeline_names": names} if several else {"pipeline_name": names[0]}), **run.filters)


def result_of(repository: Repository, branch: str) -> Point:
    """What the run has published to ``branch``."""
    commit = repository.head(branch)
    with repository.on(branch) as cursor:
        runs = journal.runs(cursor, "HEAD")
    last = max((run for run in runs if run.branch == branch), key=lambda run: str(run.finished), default=None)
    return Point(last.run_id if last else branch, commit, last)
