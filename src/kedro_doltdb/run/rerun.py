"""Running a run again: its parameters, its filters and its data, on a new branch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from ..dolt.names import free_name
from ..errors import ConfigError, DoltError
from ..journal.edges import file_hash, inputs_of
from ..journal.history import entries_on
from ..journal.message import runtime_params_in
from ..journal.parameters import leaves, plain, restored, same
from ..journal.revision import Point
from .kedro_params import FILTERS, git_commit

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..journal.store import Edge, Run


@contextmanager
def starting_branch(repository: Repository, run: Run, edges: list[Edge], commit: str) -> Iterator[str]:
    """Yield a new branch with the data that ``run`` read; if nothing is committed to it, it is deleted.

    Args:
        repository: where it is made.
        run: the run to repeat.
        edges: what its nodes loaded and saved.
        commit: where its data are now.

    Raises:
        ConfigError: the data can no longer be found.
    """
    name = free_name(f"rerun/{run.run_id}", repository.branches())
    _check(run)
    if run.base is None:
        raise ConfigError(f"The journal does not say where run {run.run_id} began: it cannot be run again.")
    inputs = {edge.table_name: edge.content_hash for edge in inputs_of(_own(edges)) if edge.table_name}
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
    start = run.base
    try:
        if missing:
            repository.take_tables(sorted(missing), commit, name)
            start = repository.commit_all(name, f"Bring back what Kedro run {run.run_id} took over") or start
        yield name
    except BaseException:
        # Whatever this raises is not what went wrong.
        with suppress(pymysql.err.Error, DoltError):
            _delete_if_unused(repository, name, start)
        raise
    _delete_if_unused(repository, name, start)


def _check(run: Run) -> None:
    """Refuse what no run of ours has written: it would go to Kedro as it stands, and into its messages.

    Raises:
        ConfigError: naming the first such thing.
    """
    environment = Path(run.environment or "")
    if environment.is_absolute() or ".." in environment.parts or not str(environment).isprintable():
        raise ConfigError(f"Run {run.run_id} names the environment {environment}, which is not one of conf/.")
    odd = [name for name in run.filters if name not in FILTERS]
    odd += [text for text in _texts([run.pipelines, run.filters]) if not text.isprintable()]
    if odd:
        raise ConfigError(
            f"Run {run.run_id} cannot be run again: the journal names {odd[0]} as a part of it."
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _delete_if_unused(repository: Repository, branch: str, start: str) -> None:
    if repository.head(branch) == start:
        repository.delete_branch(branch)


def _own(edges: list[Edge]) -> list[Edge]:
    """Return the edges of the nodes that the run ran itself."""
    return [edge for edge in edges if not edge.computed_by]


def hash_now(edge: Edge, project_path: Path) -> str | None:
    """Return the hash of an edge's file as it is now; that of the journal if it must not be looked at.

    The journal may be a stranger's and name anything: a device has no end, and ``/`` has all files there are.
    """
    project = project_path.resolve()
    path = (project / str(edge.file)).resolve()
    repository = project / "data" / ".dolt"
    is_own = path.is_relative_to(project) and not (
        path.is_relative_to(repository) or repository.is_relative_to(path)
    )
    if path.exists() and not path.is_file() and not (is_own and path.is_dir()):
        return edge.content_hash
    return file_hash(path)


def warnings(run: Run, edges: list[Edge], project_path: Path) -> list[str]:
    """Return what of code and files is not as it was when ``run`` ran, one line each.

    Args:
        run: the run to repeat.
        edges: what its nodes loaded and saved.
        project_path: the project.
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
    for edge in inputs_of(_own(edges)):
        if edge.file and edge.content_hash and hash_now(edge, project_path) != edge.content_hash:
            found.append(f"{edge.file}, which that run read, is not as it was.")
    return list(dict.fromkeys(found))


def moved(before: Iterable[Edge], after: Iterable[Edge]) -> list[str]:
    """Return what a run read as of another commit than the run that it repeats, one line each.

    Args:
        before: what the nodes of that run loaded and saved.
        after: what those of the new one did.
    """
    now = {(edge.node, edge.dataset): edge.read_at for edge in after if edge.direction == "load"}
    found = []
    for edge in before:
        commit = now.get((edge.node, edge.dataset))
        if edge.direction == "load" and edge.read_at and commit and commit != edge.read_at:
            found.append(
                f"{edge.dataset} was read as of {edge.read_at[:10]} then and as of {commit[:10]} now: what "
                "`at` in its catalog entry names has moved."
            )
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Parameters:
    """What a run is to get.

    Attributes:
        params: all its parameters.
        runtime: those of them that ``--params`` gave, for ``${runtime_params:...}`` in the configuration.
        warnings: what is not as it was, one line each.
    """

    params: dict[str, Any]
    runtime: dict[str, Any]
    warnings: list[str]


def parameters_of(
    run: Run, message: str, load: Callable[[Mapping[str, Any]], Mapping[str, Any]], secrets: Iterable[str]
) -> Parameters:
    """Return exactly the parameters that ``run`` had.

    Args:
        run: the run to repeat.
        message: that of its commit, which older versions kept its runtime parameters in.
        load: gives the project's parameters now, for runtime parameters.
        secrets: what the journal has masked.

    Raises:
        ConfigError: the journal does not hold one, and it is another one now.
    """
    types = run.param_types
    given = run.runtime_params if types is not None else runtime_params_in(message)
    runtime, lost = restored(given, _of_column(types, "runtime_params"), {}, secrets)
    # The journal may be a stranger's, and OmegaConf would look up whatever such a text names.
    lost += [name for name, value in leaves(runtime).items() if "${" in str(value)]
    today = load(runtime)
    params, not_restored = restored(run.params, _of_column(types, "params"), today, secrets)
    if lost := sorted({*lost, *not_restored}):
        raise ConfigError(
            f"Run {run.run_id} cannot be run again: the journal does not hold all of {', '.join(lost)}, "
            "which was a secret or an object and is another one now: give it by hand, with "
            "`kedro run --params`."
        )
    now = plain(today, secrets)
    warnings = [f"The parameter {name} is new since, and left out." for name in now if name not in run.params]
    if types is None and not same(now, run.params):
        warnings.append(
            "The journal is of an older version, which kept no types of parameters: numbers and text are "
            "given as they stand there."
        )
    return Parameters(params, runtime, warnings)


def _of_column(types: Mapping[str, Any] | None, column: str) -> Mapping[str, Any] | None:
    found = None if types is None else types.get(column, {})
    return found if found is None or isinstance(found, Mapping) else {}


def run_again(
    project_path: Path, run: Run, parameters: Parameters, branch: str, conf_source: str | None = None,
    accept: Iterable[str] = (),
) -> None:  # fmt: skip
    """Run the pipeline of ``run`` with its filters and its parameters, and none of those that are there now.

    Args:
        project_path: the project.
        run: the run to repeat.
        parameters: what :func:`parameters_of` gave.
        branch: what :func:`starting_branch` gave.
        conf_source: where the configuration is; None is the project's own.
        accept: the checks whose failure does not stop it.

    Raises:
        ConfigError: the project's config loader takes no parameters from us.
        Exception: whatever a node raises.
    """
    from kedro.config import AbstractConfigLoader
    from kedro.framework.context import KedroContext
    from kedro.framework.session import KedroSession

    wanted = {**parameters.params, "dolt_branch": branch}
    if accept := list(accept):
        wanted["dolt_accept"] = accept

    class Session(KedroSession):
        def _get_config_loader(self) -> AbstractConfigLoader:
            loader = super()._get_config_loader()
            # Runtime parameters would be merged with those of today; these are taken as they are.
            loader["parameters"] = deepcopy(wanted)
            return loader

        def load_context(self) -> KedroContext:
            context = super().load_context()
            if context.config_loader["parameters"] != wanted:
                raise ConfigError(
                    f"{type(context.config_loader).__name__} does not take the parameters of the run: "
                    "CONFIG_LOADER_CLASS in settings.py has to be one of Kedro's own."
                )
            return context

    names = run.pipelines or ["__default__"]
    with Session.create(
        project_path=project_path,
        env=run.environment,
        runtime_params={**parameters.runtime, "dolt_branch": branch},
        conf_source=conf_source,
    ) as session:
        # Kedro 1.0 runs one pipeline and calls the argument so.
        several = "pipeline_names" in inspect.signature(session.run).parameters
        session.run(**({"pipeline_names": names} if several else {"pipeline_name": names[0]}), **run.filters)


def result_of(repository: Repository, branch: str) -> Point:
    """Return what the run has published to ``branch``."""
    runs = [entry.run for entry in entries_on(repository, branch) if entry.run.branch == branch]
    last = runs[-1] if runs else None
    return Point(last.run_id if last else branch, repository.head(branch), last)
