"""The branch that a run publishes to: made ready before the run, pushed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..dolt.remote import Remote
from ..dolt.repository import dolt_errors
from ..errors import ConfigError, DoltError, RemoteError
from ..journal import store
from ..journal.revision import find
from ..terminal import get_logger
from .options import check_target

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..dolt.repository import Repository
    from .options import RunOptions

logger = get_logger(__name__)


class Target(NamedTuple):
    """Where a run publishes, and where it begins.

    Attributes:
        branch: the target branch.
        base: the commit that the run begins at.
        created: whether the branch was made for this run.
    """

    branch: str
    base: str
    created: bool


def prepare_target(database: Database, repository: Repository, options: RunOptions, run_id: str) -> Target:
    """Make the target branch ready for a run: pulled, without uncommitted edits, and there.

    Raises:
        ConfigError: no run can publish to it, or ``dolt_from`` names no commit that it could begin at.
        RemoteError: it cannot be pulled.
        DoltError: it has uncommitted edits that are to be refused, a merge on it is not finished, or its
            journal has a newer format.
    """
    checked_out = repository.checked_out()
    branch = options.branch or checked_out
    check_target(branch)
    _pull(database, repository, branch)
    branches = repository.branches()
    created = branch not in branches
    if created and (alike := [name for name in branches if name.lower() == branch.lower()]):
        raise ConfigError(
            f"There is no branch {branch}, but {alike[0]}, and Dolt confuses branches that differ in case "
            f"alone: use {alike[0]}, or another name."
        )
    if not created:
        _check_format(repository, branch)
        _commit_or_refuse_edits(database, repository, branch, run_id)
    base = _start(repository, options.start, branch, checked_out if created else branch)
    if created:
        _check_format(repository, base)
        repository.create_branch(branch, base)
    elif options.start and base != repository.head(branch):
        raise ConfigError(
            f"dolt_from={options.start} is for a new branch, and {branch} is there, at another commit: "
            f"name a new one with dolt_branch, or leave dolt_from out to go on from {branch}."
        )
    return Target(branch, base, created)


def _check_format(repository: Repository, ref: str) -> None:
    with repository.on() as cursor:
        store.check_format(cursor, ref)


def _start(repository: Repository, start: str | None, branch: str, head: str) -> str:
    return find(repository, start, head).commit if start else repository.head(head)


def _commit_or_refuse_edits(database: Database, repository: Repository, branch: str, run_id: str) -> None:
    with repository.locked(branch):
        if repository.merge_in_progress(branch):
            raise DoltError(
                f"A merge on {branch} is not finished: {repository.where}, resolve it and `dolt commit`, or "
                "`dolt merge --abort`."
            )
        tables = repository.uncommitted(branch)
        if not tables:
            return
        if database.settings.on_uncommitted == "refuse":
            raise DoltError(
                f"{', '.join(tables)} has uncommitted edits on {branch}: {repository.where}, "
                "`dolt commit -a` commits, `dolt reset --hard` undoes them; or set `on_uncommitted: commit` "
                "in dolt.yml."
            )
        repository.commit_edits(branch, f"Uncommitted edits found before Kedro run {run_id}")
        logger.warning("Committed the uncommitted edits of %s on %s apart.", ", ".join(tables), branch)


def _pull(database: Database, repository: Repository, branch: str) -> None:
    """Begin with what the team has, where ``dolt.yml`` says so."""
    settings = database.settings.remote
    if settings is None or (settings.pull, settings.push) == ("never", "never"):
        return
    remote = Remote(repository, settings)
    # Even where only a push follows, at the end: what is wrong with it is better said now.
    remote.prepare()
    if settings.pull == "before_run" and (commits := remote.pull(branch)):
        logger.info("Pulled %d commits of %s from %s.", commits, branch, settings.name)


def push(database: Database, repository: Repository, branch: str) -> None:
    """Bring a published run to the remote, where ``dolt.yml`` says so.

    Raises:
        RemoteError: it failed, and ``on_push_failure`` is ``fail``.
    """
    settings = database.settings.remote
    if settings is None or settings.push == "never":
        return
    try:
        with dolt_errors():
            pushed = Remote(repository, settings).push(branch)
    except DoltError as error:
        problem = RemoteError(
            f"{branch} was not pushed to {settings.name}; the run itself is safe, and the next one "
            f"pushes it too. {error.message}"
        )
        if settings.on_push_failure == "fail":
            raise problem from error
        logger.warning(problem.message)
    else:
        if pushed:
            logger.info("Pushed %s to %s.", branch, settings.name)
