"""A Kedro run on Dolt: what the hooks call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..catalog.chunks import refuse_chunks
from ..catalog.credentials import Database
from ..catalog.edges import edges_of
from ..catalog.footprint import Footprint, find_database, likely_database
from ..dolt.address import Address
from ..dolt.names import JOURNAL_TABLES
from ..dolt.repository import dolt_errors
from ..errors import ConfigError, DoltError, PublishError
from ..journal import store
from ..journal.edges import hash_files
from ..journal.message import commit_message
from ..journal.parameters import mask, plain, without_run_keys
from ..terminal import get_logger
from .kedro_params import all_parameters, describe, parameters_read, pipelines, run_id
from .lease import lease_for_run, starting
from .options import RunOptions
from .record_store import records_of
from .records import Record, folded
from .recovery import recover, resumable
from .signals import SignalWatch, closed, opened, run_of
from .target import prepare_target, push
from .transaction import Transaction

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from ..dolt.repository import Repository
    from ..journal.store import Run
    from ..server.leases import Lease
    from .records import Records

logger = get_logger(__name__)

_CLOSED = (
    "This run was closed before it ended, because another run began where it seemed to have been left: "
    "nothing of it was published."
)


class DoltRun:
    """One ``kedro run``: the server it needs, the branch it writes to, the commit it becomes.

    As a context it leaves the server at the end; the last one to leave stops it.

    Args:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.

    Raises:
        ConfigError: ``dolt_branch``, ``dolt_from`` or ``dolt_run_group`` is not usable.
    """

    _footprint: Footprint

    def __init__(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        self._params = run_params
        self._pipeline, self._catalog = pipeline, catalog
        self._reads = parameters_read(pipeline)
        self._runtime = run_params.get("runtime_params") or {}
        used = {name for names in self._reads.values() for name in names}
        self._options = RunOptions.of(all_parameters(run_params, catalog), self._runtime, used)
        self._database: Database | None = None
        self._waiting: Database | None = None
        self._lease: Lease | None = None
        self._address: Address | None = None
        self._transaction: Transaction | None = None
        self._signals: SignalWatch | None = None
        self._interruption: BaseException | None = None
        self._target: str | None = None
        self._name = ""
        self._ended = False
        self._pid = os.getpid()

    @classmethod
    def start(cls, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> DoltRun:
        """Start the server, or join the one that runs, and send every dataset to a branch of the run's own.

        Where no dataset is in Dolt, that happens when the first one connects: other hooks may add some.

        Args:
            run_params: as Kedro gives them to ``before_pipeline_run``.
            pipeline: the pipeline that is run, filters applied.
            catalog: its catalog.

        Raises:
            ConfigError: an option cannot be used, or a dataset would go past the run's branch.
            ServerError: the server could not be started.
            DoltError: uncommitted edits are to be refused, or a failed run cannot be resumed.
        """
        run = cls(run_params, pipeline, catalog)
        run.start_server()
        run.begin()
        return run

    @staticmethod
    def of(catalog: DataCatalog) -> DoltRun:
        """Return the run of ``catalog`` that has begun and not ended.

        Raises:
            DoltError: there is none. It was closed when it seemed to have been left.
        """
        run = run_of(catalog)
        if not isinstance(run, DoltRun):
            raise DoltError(_CLOSED)
        return run

    def __enter__(self) -> DoltRun:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_server()

    @property
    def run_id(self) -> str:
        """Kedro's id of the run."""
        return run_id(self._params)

    @property
    def database(self) -> Database | None:
        """The database that the run writes to, once it is known."""
        return self._database

    def start_server(self) -> None:
        """Start the server on ``data/``, or join the one that runs there. Nothing if no dataset is in Dolt.

        Raises:
            ConfigError: a dataset has the name of a table of the journal's, or names a branch.
            ServerError: the server could not be started.
        """
        opened(self, self._catalog)
        self._signals = SignalWatch()
        try:
            with starting(likely_database(self._pipeline, self._catalog)) as started:
                # This makes the datasets, and imports pandas and SQLAlchemy for it, while Dolt starts.
                self._footprint = self._look()
                if (database := self._footprint.database or self._to_resume_in()) is not None:
                    started()
                    self._join(database)
        except BaseException:
            self.stop_server()
            raise

    def _look(self) -> Footprint:
        footprint = Footprint.of(self._pipeline, self._catalog)
        if taken := sorted(folded(footprint.writes) & JOURNAL_TABLES):
            raise ConfigError(f"No dataset can be saved to {taken[0]}: the journal of runs has that name.")
        refuse_chunks(self._pipeline, self._catalog)
        return footprint

    def _join(self, database: Database) -> None:
        self._name, self._lease, self._address = lease_for_run(database, self.run_id, self._options.branch)
        self._database = database

    def begin(self) -> None:
        """Make the run's branch and send every dataset of the run there.

        Raises:
            ConfigError: the target's name is not allowed, or ``dolt_from`` names no commit.
            DoltError: uncommitted edits are to be refused, or a failed run cannot be resumed.
        """
        if self._database is None or self._address is None:
            if (waiting := Database.attached()) is not None:
                self._waiting = waiting
                waiting.begin_at_first_use(lambda: self._begin_late(waiting))
            return
        try:
            with dolt_errors():
                self._begin(self._database, self._address)
        except BaseException:
            self._abandon()
            self.stop_server()
            raise

    def _abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            # What refused the run is the error that counts; the next run does what cannot be done now.
            with suppress(DoltError), dolt_errors():
                transaction.abandon()

    def _begin_late(self, database: Database) -> None:
        """Begin when a dataset connects that was not in the catalog when the hooks were called."""
        if self._name:
            raise DoltError(f"Run {self.run_id} could not begin on Dolt: see the error before this one.")
        self._footprint = self._look()
        self._join(database)
        assert self._address is not None
        try:
            with dolt_errors():
                self._begin(database, self._address)
        except BaseException:
            self._abandon()
            raise
        database.begin_at_first_use(None)

    def _begin(self, database: Database, address: Address) -> None:
        repository = database.repository(address)
        records = records_of(database.server, address)
        files = database.project_path if database.settings.managed else None
        for record in recover(repository, records, database.server.is_leased, files):
            logger.warning("Run %s was killed; what it wrote is kept on %s.", record.run_id, record.branch)
        target, base, created = prepare_target(database, repository, self._options, self.run_id)
        footprint = self._footprint
        if not footprint.reads_all and folded(footprint.reads) & folded(repository.views(base)):
            # A view may read any table.
            footprint.reads_all = True
        record = Record(
            self._name, self.run_id, target, base, pipelines(self._params),
            sorted(footprint.reads), sorted(footprint.writes), footprint.reads_all, created,
            run=self._describe(database, repository, target, base),
            edges=edges_of(self._pipeline, self._catalog, database.project_path),
            parameters_read=self._reads,
            runtime_params=plain(without_run_keys(self._runtime), database.secrets),
        )  # fmt: skip
        self._transaction = Transaction(repository, records, record)
        self._transaction.begin()
        self._resume(self._transaction, records)
        self._transaction.note_inputs()
        self._warn_of_load_versions()
        if footprint.elsewhere:
            logger.warning(
                "%s: another database than %s, and no part of this run's commit.",
                ", ".join(sorted(footprint.elsewhere)),
                repository.database,
            )
        database.enter(address, record.branch)

    @property
    def _resumes(self) -> bool:
        """Whether the run goes on from a failed one, if there is one."""
        partial = self._params.get("from_nodes") or self._params.get("from_inputs")
        # What one of a group leaves is not for its siblings; one that is tried again begins at the target.
        return bool(partial) and not self._options.start and not self._options.group

    def _to_resume_in(self) -> Database | None:
        """Return the database with tables of a failed run that is to be resumed without any dataset in it."""
        database = Database.attached() if self._resumes else None
        return database if database and database.server.has_unfinished_runs() else None

    def _resume(self, transaction: Transaction, records: Records) -> None:
        """Go on from the run that failed right before, if this one begins inside the pipeline."""
        if not self._resumes:
            return
        record = transaction.record
        failed = resumable(records, record.target, record.pipeline)
        if failed is None or (tables := transaction.take_over(failed)) is None:
            return
        logger.warning("Resuming run %s: took over %s.", failed.run_id, ", ".join(tables) or "no table")

    def push(self) -> None:
        """Bring the target to the remote after the run, where ``dolt.yml`` says so. The run is safe already.

        Raises:
            RemoteError: it failed, and ``on_push_failure`` is ``fail``.
        """
        if self._database is None or self._address is None or self._target is None:
            return
        push(self._database, self._database.repository(self._address), self._target)

    def _warn_of_load_versions(self) -> None:
        datasets = {name: self._catalog.get(name) for name in self._params.get("load_versions") or ()}
        if tables := [name for name, dataset in datasets.items() if dataset and find_database(dataset)]:
            logger.warning(
                "--load-versions has no effect on %s: tables have commits in place of versions. Begin the "
                "run at one with `--params dolt_branch=...,dolt_from=<commit, branch or tag>`, or read "
                "`... AS OF '<commit>'` with a pandas.SQLQueryDataset.",
                ", ".join(tables),
            )

    def _describe(self, database: Database, repository: Repository, target: str, base: str) -> Run:
        run = describe(self._params, self._catalog, database.project_path, database.secrets)
        run.run_id, run.branch, run.base, run.run_group = self._name, target, base, self._options.group
        run.versions["dolt"] = repository.version()
        return run

    def commit(self) -> str:
        """Commit what the run wrote, publish it to the target and say so.

        Returns:
            One line for the person: the commit, the branch, the rows changed, the command that shows them.

        Raises:
            PublishError: the data cannot be published; it is kept on the run's branch.
            DoltError: the run was closed before it ended, by another one that took it for left.
        """
        if self._ended:
            raise DoltError(_CLOSED)
        if self._database is None or self._transaction is None or self._address is None:
            return "No dataset of this run is in Dolt: nothing to commit."
        record = self._transaction.record
        try:
            with dolt_errors():
                self._note_late_datasets(self._database, self._transaction)
                if self._lease is None or not self._lease.held:
                    raise DoltError(
                        f"Run {record.run_id} lost its connection to the Dolt server, or its lock in "
                        "data/.dolt/kedro, and other runs may have taken it for dead: it is not published. "
                        "Run again."
                    )
                self._add_missing_keys(self._database, self._address, record.branch)
                hash_files(record.edges, self._database.project_path)
                published = self._transaction.publish(self._message(self._database, record))
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            kept = self._keep(f"could not be published: {type(error).__name__}", status, error)
            if isinstance(error, DoltError) and not isinstance(error, PublishError):
                raise type(error)(f"{error.message} {kept}") from error
            raise
        self._transaction = None
        self._target = record.target
        if published is None:
            self._database.leave(self._database.repository(self._address).head(record.target))
            return (
                f"This run changed no data on {record.target}: no commit was made, "
                "and its parameters are in no log."
            )
        commit, changes = published
        self._database.leave(commit)
        look = f"cd data && dolt diff {record.target}~1 {record.target}"
        if not self._database.settings.managed:
            look = f"kedro dolt compare {record.target}~1 {record.target}"
        return (
            f"Committed {commit[:10]} to {record.target}: {', '.join(map(str, changes))}. "
            f"See it with:\n{look}"
        )

    def _message(self, database: Database, record: Record) -> str:
        assert record.run is not None
        return commit_message(record.run, plain(self._params.get("runtime_params") or {}, database.secrets))

    def keep(self, error: BaseException | None) -> str:
        """End a run that did not finish: keep what it wrote on its own branch, leave the target as it was.

        Args:
            error: what ended it; None if it was interrupted.

        Returns:
            One line for the person.
        """
        if error is not None and self._signals:
            self._interruption = self._signals.received
        if error is None or self._interruption:
            return self._keep("was interrupted", "interrupted")
        return self._keep(f"failed: {type(error).__name__}", "failed", error)

    def _keep(self, how: str, status: str | None = None, error: BaseException | None = None) -> str:
        transaction, self._transaction = self._transaction, None
        if self._database is None or transaction is None:
            return "The run failed before it wrote anything to Dolt."
        record = transaction.record
        # Even if nothing can be kept, no dataset may go on to write, nor see the target as the run's.
        self._database.leave(record.base)
        try:
            with dolt_errors():
                with suppress(ConfigError):
                    self._note_late_datasets(self._database, transaction)
                hash_files(record.edges, self._database.project_path)
                kept = transaction.keep(how, status, self._first_line(error) if error else None, store.now())
        except DoltError as problem:
            # What ended the run is the error that counts, and the next run does what could not be done now.
            return f"The run was not published, and the next run will see to what it left: {problem.message}"
        if record.head:
            self._database.leave(record.head)
        if not kept:
            return f"The run left nothing to keep; {record.target} is as it was."
        return (
            f"The run was not published: {record.target} is as it was, what the run wrote is kept on "
            f"{record.branch}. `kedro run --from-nodes ...` right after it goes on from there."
        )

    def _first_line(self, error: BaseException) -> str:
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        return mask(text, self._database.secrets if self._database else ())

    def stop_server(self) -> None:
        """Leave the server; the last one to leave stops it. Can be called more than once.

        Raises:
            KeyboardInterrupt, SystemExit: the error that ended the run had come in the place of this one.
        """
        if os.getpid() != self._pid:
            return
        lease, self._lease = self._lease, None
        for database in (self._database, self._waiting):
            if database is not None:
                database.leave()
        if self._database is not None and lease is not None:
            self._database.server.release(lease)
        if self._signals is not None:
            self._signals.stop()
        self._ended = True
        closed(self)
        if self._interruption is not None:
            raise self._interruption

    def close(self) -> None:
        """End a run that neither finished nor failed: Ctrl-C, SIGTERM, ``sys.exit``, another hook's error."""
        if os.getpid() != self._pid:
            return
        try:
            if self._transaction is not None:
                logger.warning(self.keep(None))
        finally:
            self.stop_server()

    def _note_late_datasets(self, database: Database, transaction: Transaction) -> None:
        """Note what datasets read and wrote that came into the catalog after the run had begun."""
        seen, self._footprint = self._footprint, self._look()
        self._footprint.reads_all |= seen.reads_all
        if self._footprint != seen:
            edges = edges_of(self._pipeline, self._catalog, database.project_path)
            transaction.note_late(self._footprint, edges)

    def _add_missing_keys(self, database: Database, address: Address, branch: str) -> None:
        """Give empty tables their primary key: pandas does not call ``method=`` for an empty frame."""
        from ..tables.bulk_load import add_missing_key

        with database.repository(address).on(branch) as cursor:
            for table, primary_key in self._footprint.primary_keys.items():
                add_missing_key(cursor, table, primary_key)
