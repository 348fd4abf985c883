"""A run that has its branch: from there it is published or kept, once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .. import state_files
from ..catalog.footprint import Footprint, find_database
from ..checks.audit import Acceptance
from ..checks.definitions import accepted_names
from ..dolt.repository import dolt_errors
from ..errors import ConfigError, DoltError, PublishError
from ..incremental.facts import facts_of
from ..journal import store
from ..journal.edges import hash_files, pin
from ..journal.message import commit_message
from ..journal.parameters import mask, plain, without_run_keys
from ..journal.store import REFUSED
from ..template_version import CURRENT, template_of
from ..terminal import get_logger
from .changes import set_checkpoints
from .incremental import Incremental
from .kedro_params import describe, error_line
from .lease import lease_for_run
from .publish import Publisher, run_before
from .record_store import records_of
from .records import Record, folded
from .recovery import recover, resumable
from .resume import nodes_to_resume_from
from .target import prepare_target, push
from .transaction import Transaction
from .viz_files import VizFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..catalog.credentials import Database
    from ..dolt.repository import Repository, TableChange
    from ..incremental.facts import Facts
    from ..journal.store import Edge
    from ..server.base import Lease
    from .mlflow_run import MlflowRun
    from .records import Records
    from .request import Request

logger = get_logger(__name__)


class BegunRun:
    """A run whose datasets are on its branch.

    Args:
        request: what is run.
        database: where its tables are.
        repository: the same, over SQL.
        lease: its use of the server.
        footprint: the tables of its pipeline.
        transaction: its branch.

    Attributes:
        is_open: whether it is neither published nor kept yet.
    """

    def __init__(
        self,
        request: Request,
        database: Database,
        repository: Repository,
        lease: Lease,
        footprint: Footprint,
        transaction: Transaction,
    ) -> None:
        self.database = database
        self.is_open = True
        self._request = request
        self._lease = lease
        self._footprint = footprint
        self._transaction = transaction
        self._repository = repository
        self._incremental: Incremental | None = None
        self._mlflow: MlflowRun | None = None
        self._viz = VizFiles(database.project_path) if VizFiles.wanted() else None

    @classmethod
    def begin(cls, request: Request, database: Database, footprint: Footprint) -> BegunRun:
        """Join the server, make the run's branch and send every dataset of the run there.

        Args:
            request: what is run.
            database: where its tables are.
            footprint: the tables of its pipeline.

        Raises:
            ConfigError: the target's name is not allowed, ``dolt_from`` names no commit, or ``dolt_accept``
                no check.
            DoltError: uncommitted edits are to be refused, or a failed run cannot be resumed.
        """
        accepted_names(request.options.accept, database.checks)
        run_id, lease = lease_for_run(database, request.kedro_run_id, request.options.branch)
        try:
            repository = database.repository(lease.address)
            with dolt_errors(), repository.reusing():
                records = records_of(database.server, lease.address)
                record = _prepare(request, database, repository, footprint, records, run_id)
                transaction = _transaction(request, database, repository, records, record)
                try:
                    transaction.begin()
                    pins = pin(repository, record.edges, record.base)
                    _resume(request, transaction, records)
                    set_checkpoints(request.pipeline, request.catalog, repository, transaction.record)
                    _warn(request, footprint, database.name)
                    _tell_of_template(database)
                    database.enter_branch(lease.address, record.branch, pins)
                except BaseException:
                    # What refused the run is the error that counts; the next run does what is left to do.
                    with suppress(DoltError), dolt_errors():
                        transaction.abort()
                    raise
        except BaseException:
            database.leave_branch()
            lease.release()
            raise
        return cls(request, database, repository, lease, footprint, transaction)

    def publish(self) -> str:
        """Commit what the run wrote and publish it to the target.

        Returns:
            One line for the user: the commit, the branch, the rows changed, the command that shows them.

        Raises:
            PublishError: the data cannot be published; it is kept on the run's branch.
            DoltError: the run has lost its lease, or Dolt refused; it is kept likewise.
        """
        record = self._transaction.record
        try:
            with dolt_errors(), self._repository.reusing():
                self._note_late_datasets()
                if not self._lease.held:
                    raise DoltError(
                        f"Run {record.run_id} lost its connection to the Dolt server, or its lock there, and "
                        "other runs may have taken it for dead: it is not published. Run again."
                    )
                self._add_missing_keys()
                hash_files(record.edges, self.database.project_path)
                assert record.run is not None
                before, checked_out = run_before(self._repository, record), self._repository.checked_out()
                published = self._transaction.publish(commit_message(record.run, before))
                recorded, why = None, ""
                if published is None:
                    always = self.database.settings.record == "always"
                    skipped = self._incremental.all_skipped if self._incremental else ""
                    recorded, why = self._transaction.publish_journal(always=always, skipped=skipped)
                    tip = self._repository.head(record.target)
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            if isinstance(error, PublishError):
                status = REFUSED
            kept = self.keep(f"could not be published: {type(error).__name__}", status, error)
            if isinstance(error, DoltError) and not isinstance(error, PublishError):
                raise type(error)(f"{error.message} {kept}") from error
            if not isinstance(error, PublishError):
                logger.warning(kept)
            raise
        self.is_open = False
        if not (published or recorded):
            self.database.leave_branch(tip)
            self._tell("no effect", tip)
            return f"This run changed no data on {record.target}. No commit was made: {why}."
        commit, changes = published or recorded or (tip, [])
        self.database.leave_branch(commit)
        self._tell("published" if changes else "no effect", commit, changes)
        look = f"kedro dolt compare {record.target}~1 {record.target}"
        if before is None:
            look = f"kedro dolt show {commit[:10]}"
        elif record.target == checked_out:
            look = "kedro dolt compare"
        what = f"Committed {commit[:10]} to {record.target}: {', '.join(map(str, changes))}."
        if not changes:
            what = f"This run changed no data on {record.target}; {commit[:10]} records that it ran."
        return f"{what} See it with:\n{look}"

    def push(self) -> None:
        """Push the target, where ``dolt.yml`` says so.

        Raises:
            RemoteError: it failed, and ``on_push_failure`` is ``fail``.
        """
        push(self.database, self._repository, self._transaction.record.target)

    def keep(self, how: str, status: str | None = None, error: BaseException | None = None) -> str:
        """Keep what the run wrote on its branch, and leave the target as it was.

        Args:
            how: how it ended, to be read after "which": ``failed: KeyError``.
            status: what the journal on that branch is to say; None keeps the run out of it.
            error: what ended it.

        Returns:
            One line for the user.
        """
        record = self._transaction.record
        if not self.is_open:
            return f"The run had ended on {record.target} before that."
        self.is_open = False
        # Even if nothing can be kept, no dataset may go on to write, or read the target as the run's.
        self.database.leave_branch(record.base)
        try:
            with dolt_errors(), self._repository.reusing():
                with suppress(ConfigError):
                    self._note_late_datasets()
                hash_files(record.edges, self.database.project_path)
                words = mask(error_line(error), self.database.secrets) if error else None
                kept = self._transaction.keep(how, status, words, store.now())
                way_on = self._way_on() if kept == "kept" else ""
        except DoltError as problem:
            # What ended the run is the error that counts, and the next run does what could not be done now.
            return f"The next run will clean up what it left: {problem.message}"
        if kept == "published":
            self.database.leave_branch(record.commit)
            self._tell_mlflow("published", record.commit)
            return f"It had been published to {record.target} by then."
        self._tell_mlflow(status or "failed", record.head)
        if record.head:
            self.database.leave_branch(record.head)
        if kept == "nothing":
            return f"The run left nothing to keep; {record.target} is as it was."
        return (
            f"The run was not published: {record.target} is as it was, what the run wrote is kept on "
            f"{record.branch}.{way_on}"
        )

    def track(self, mlflow_run: MlflowRun) -> None:
        """Have an MLflow run told of this one, and keep its id in the journal."""
        self._mlflow = mlflow_run
        url = mlflow_run.url and mask(mlflow_run.url, self.database.secrets)
        # Records on another server are read on other machines, by others.
        uri = mlflow_run.tracking_uri if self.database.server.runs_dir else None
        if uri and mask(uri, self.database.secrets) != uri:
            uri = None
        with dolt_errors():
            self._transaction.note_mlflow(mlflow_run.run_id, url, uri)
        mlflow_run.begin(self._transaction.record)

    def _tell(self, status: str, commit: str, changes: Sequence[TableChange] = ()) -> None:
        """Tell other tools of the run, which is published or without effect."""
        record = self._transaction.record
        if self._viz is not None:
            self._viz.write(self._repository, record.edges, record.base, commit, changes)
        self._tell_mlflow(status, commit)

    def _tell_mlflow(self, status: str, commit: str | None) -> None:
        if self._mlflow is not None:
            self._mlflow.end(self._repository, self._transaction.record, status, commit)

    def _way_on(self) -> str:
        """Return how a run goes on from what this one left: a sentence, or nothing."""
        if self._incremental:
            return " To go on from there, repeat the command: what had finished is taken over."
        if self._request.options.group or self._request.options.start:
            return ""
        finished = self._transaction.finished_nodes()
        nodes = nodes_to_resume_from(self._request.pipeline, self._request.catalog, finished)
        if not nodes:
            return ""
        names = ",".join(nodes)
        return f' To go on from there, repeat the command with:\n--from-nodes "{names}"'

    def incrementally(self, nodes: Sequence[str]) -> Incremental:
        """Return what decides which nodes of this run have to run, and takes what need not.

        Args:
            nodes: the names of those that the runner is given, in an order in which they can run.
        """
        self._note_late_datasets()
        record = self._transaction.record
        record.incremental = True
        records = records_of(self.database.server, self._lease.address)
        self._incremental = Incremental(
            self._repository, records, record, nodes,
            self.database.project_path, forced=self._request.options.force,
        )  # fmt: skip
        return self._incremental

    def close(self) -> None:
        """Leave the branch and the server. Can be called more than once."""
        self.database.leave_branch()
        self._lease.release()

    def _note_late_datasets(self) -> None:
        """Note what datasets read and wrote that came into the catalog after the run had begun."""
        seen, self._footprint = self._footprint, self._request.footprint()
        self._footprint.reads_all |= seen.reads_all
        if self._footprint != seen:
            edges = self._request.edges(self.database.project_path)
            self._transaction.note_late(self._footprint, edges)

    def _add_missing_keys(self) -> None:
        """Give empty tables their primary key: pandas does not call ``method=`` for an empty frame."""
        from ..tables.bulk_load import add_missing_key

        with self._repository.on(self._transaction.record.branch) as cursor:
            for table, primary_key in self._footprint.primary_keys.items():
                add_missing_key(cursor, table, primary_key)


def _transaction(
    request: Request, database: Database, repository: Repository, records: Records, record: Record
) -> Transaction:
    acceptance = Acceptance(request.options.accept, repository.author, "accepted when the run was started")
    path = database.project_path
    return Transaction(Publisher(repository, records, record, database.checks, acceptance, path))


def _prepare(
    request: Request,
    database: Database,
    repository: Repository,
    footprint: Footprint,
    records: Records,
    run_id: str,
) -> Record:
    """Recover earlier runs, make the target ready, and build the record of this run."""
    # Runs on another server may come from other machines, with other files.
    files = database.project_path if database.server.runs_dir else None
    for dead in recover(repository, records, database.server.is_leased, files):
        logger.warning("Run %s was killed; what it wrote is kept on %s.", dead.run_id, dead.branch)
    target = prepare_target(database, repository, request.options, run_id)
    if not footprint.reads_all and folded(footprint.reads) & folded(repository.views(target.base)):
        # A view may read any table.
        footprint.reads_all = True
    run = describe(request.run_params, request.catalog, database.project_path, database.secrets)
    run.run_id, run.branch, run.base, run.run_group = (
        run_id,
        target.branch,
        target.base,
        request.options.group,
    )
    run.versions["dolt"] = repository.version()
    edges = request.edges(database.project_path)
    return Record(
        run_id, target.branch, target.base, request.pipelines,
        sorted(footprint.reads), sorted(footprint.writes), footprint.reads_all, target.created,
        run=run,
        edges=edges,
        nodes=[one.execution() for one in noted_facts(request, database, edges)],
        parameters_read=request.parameters_read,
        primary_keys={table: list(key) for table, key in footprint.primary_keys.items()},
        runtime_params=plain(without_run_keys(request.runtime_params), database.secrets),
    )  # fmt: skip


def noted_facts(request: Request, database: Database, edges: list[Edge]) -> list[Facts]:
    """Return what is known of the nodes, now: running them may change variables of their code.

    Args:
        request: what is run.
        database: where its tables are.
        edges: what the nodes load and save.

    Returns:
        Nothing if it cannot be told.
    """
    try:
        return facts_of(
            request.pipeline, request.catalog, edges, database.project_path, database.secrets,
            database.settings.packages,
        )  # fmt: skip
    # It looks into whatever objects the user's code holds. Without it the run is as good as any.
    except Exception as error:
        logger.warning(
            "No later run can skip nodes of this one: their code cannot be told (%s: %s).",
            type(error).__name__,
            error,
        )
        return []


def _resume(request: Request, transaction: Transaction, records: Records) -> None:
    """Go on from the run that failed right before, if this one begins inside the pipeline."""
    if not request.resumes:
        return
    record = transaction.record
    failed = resumable(records, record.target, record.pipeline)
    if failed is None or (tables := transaction.take_over(failed)) is None:
        return
    logger.warning("Resuming run %s: took over %s.", failed.run_id, ", ".join(tables) or "no table")


def _tell_of_template(database: Database) -> None:
    """Tell once of a newer template than the one that the project was made by."""
    number = template_of(database.project_path)
    directory = database.server.runs_dir
    if number is None or number >= CURRENT or directory is None:
        return
    told = directory.parent / "template-told"
    if (state_files.read(told, 20) or b"").decode(errors="replace") == str(CURRENT):
        return
    logger.info(
        "This project was made by template %s of kedro-dolt, and today's is %s: `kedro dolt doctor` tells "
        "what has changed, and how to take it over.", number, CURRENT,
    )  # fmt: skip
    state_files.write(told, str(CURRENT))


def _warn(request: Request, footprint: Footprint, database: str) -> None:
    """Warn about options that have no effect."""
    datasets = {name: request.catalog.get(name) for name in request.run_params.get("load_versions") or ()}
    if tables := [name for name, dataset in datasets.items() if dataset and find_database(dataset)]:
        logger.warning(
            "--load-versions has no effect on %s: tables have commits in place of versions. Begin the "
            "run at one with `--params dolt_branch=...,dolt_from=<commit, branch or tag>`, or read the table "
            "with `at: <commit>` in an entry of type kedro_doltdb.DoltTableDataset.",
            ", ".join(tables),
        )
    if footprint.elsewhere:
        logger.warning(
            "%s: another database than %s, and no part of this run's commit.",
            ", ".join(sorted(footprint.elsewhere)),
            database,
        )
