"""Publish what a refused run has computed, without computing it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..checks.audit import Acceptance
from ..checks.definitions import accepted_names
from ..errors import ConfigError, DoltError
from ..journal.edges import finished_nodes
from ..journal.message import commit_message
from ..journal.store import REFUSED
from ..terminal import get_logger
from .options import RunOptions, check_target
from .publish import Publisher, run_before
from .record_store import records_of
from .records import Record
from .target import prepare_target, push
from .transaction import Transaction

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..dolt.repository import Repository, TableChange
    from .records import Records

logger = get_logger(__name__)


def publish_refused(
    database: Database,
    repository: Repository,
    name: str,
    to: str | None = None,
    accept: Iterable[str] = (),
    reason: str = "",
) -> tuple[str, str, list[TableChange]] | None:
    """Publish the branch of a run that computed everything and was refused, by the rules of a run.

    Args:
        database: where it is.
        repository: the same, served.
        name: the run's id, or the beginning of it.
        to: the branch to publish to; None is the one that the run was for.
        accept: the checks whose failure does not stop it.
        reason: why not.

    Returns:
        The branch, the commit and the tables that changed there; None if that has all of it already.

    Raises:
        ConfigError: there is no such run, the branch is not one to publish to, or there is no such check.
        CheckError: a check does not hold of what it computed, and that is not accepted.
        PublishError: tables that the run read or wrote have changed there since.
        DoltError: the run did not compute everything.
        RemoteError: the branch was published here and not pushed, and ``on_push_failure`` is ``fail``.
    """
    acceptance = Acceptance(accepted_names(accept, database.checks), repository.author, reason)
    records = records_of(database.server, repository.address)
    # No run may prune the branch meanwhile.
    with repository.locked("recovery"):
        record = _find(records, name)
        _check_whole(record, records)
        if repository.head(record.branch) != record.head:
            raise DoltError(
                f"{record.branch} has commits of yours since the run: keep them under another name, "
                f"`dolt branch -m {record.branch} <branch>` {repository.where}."
            )
        if tables := repository.uncommitted(record.branch, ignored=True):
            raise DoltError(
                f"{record.branch} has uncommitted edits of yours in {', '.join(tables)} that would be lost: "
                "undo them on that branch with `dolt reset --hard`, or commit them and rename the branch."
            )
        assert record.run is not None
        branch = to or record.target
        check_target(branch)
        start = None if branch in repository.branches() else record.base
        target = prepare_target(database, repository, RunOptions(branch, start), record.run_id)
        transaction = Transaction(Publisher(repository, records, record, database.checks, acceptance))
        try:
            message = commit_message(record.run, run_before(repository, record))
            published = transaction.publish_refused(branch, message)
        except BaseException:
            # Ctrl-C may come when it has been published already.
            if target.created and repository.head(branch) == target.base:
                repository.delete_branch(branch)
            raise
    _tell_mlflow(database, record, branch, published[0] if published else None)
    push(database, repository, branch)
    return (branch, *published) if published else None


def _tell_mlflow(database: Database, record: Record, branch: str, commit: str | None) -> None:
    """Tell the MLflow run, to which the run on Dolt was refused, that this is over."""
    run_id = record.run.mlflow_run_id if record.run else None
    if run_id is None:
        return
    # What others have written on another server must not say where this user's passwords go.
    tracking_uri = record.mlflow_tracking_uri if database.server.runs_dir else None
    try:
        from .mlflow_run import tell_published

        why = tell_published(record, branch, commit, tracking_uri)
    except ImportError as error:
        why = f"no MLflow can be used here ({error})"
    if why:
        logger.warning(
            "MLflow's run %s still says that the data is not published: %s. To set it right: "
            '`mlflow.MlflowClient().set_tag("%s", "dolt.published", "true")`.', run_id, why, run_id,
        )  # fmt: skip


def _find(records: Records, name: str) -> Record:
    kept = [record for record in records.all() if record.status == "kept" and record.run_id.startswith(name)]
    found = [record for record in kept if record.run_id == name] or kept
    if not name or not found:
        raise ConfigError(
            f"{name} is not a run whose data is kept: `kedro dolt runs --all` lists those that were refused."
        )
    if len(found) > 1:
        ids = ", ".join(record.run_id for record in found)
        raise ConfigError(f"{name} is the beginning of several runs' ids: {ids}.")
    return found[0]


def _check_whole(record: Record, records: Records) -> None:
    """Refuse a run of which nodes did not run: nobody has computed what would be published."""
    if record.run is not None and record.head is not None and record.run.status == REFUSED:
        return
    unfinished = {edge.node for edge in record.edges} - finished_nodes(record.edges, records.complete(record))
    why = f": {', '.join(sorted(unfinished))} did not finish" if unfinished else ""
    raise DoltError(
        f"Run {record.run_id} cannot be published, because it did not run to its end{why}. Resume it with "
        "`kedro run --from-nodes ...`, or run the whole pipeline."
    )
