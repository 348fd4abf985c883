"""A Kedro run on Dolt: what the hooks call."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import journal
from .address import Address
from .database import Database
from .edges import edges_of, hash_files
from .errors import ConfigError, DoltError, LeaseTakenError, RemoteError
from .footprint import Footprint, find_database, likely_database
from .history import find
from .interruption import SignalWatch, closed, opened
from .message import commit_message
from .parameters import mask, plain
from .records import Record
from .remote import Remote
from .repository import dolt_errors
from .run_params import branch_parameter, describe, group_parameter, pipelines, run_id
from .transaction import Transaction, recover, resumable

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from .journal import Run
    from .locks import Lease
    from .repository import Repository

logger = logging.getLogger(__name__)


class DoltRun:
    """One ``kedro run``: the server it needs, the branch it writes to, the commit it becomes.

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
        self._database: Database | None = None
        self._branch = branch_parameter(run_params, "dolt_branch")
        self._from = branch_parameter(run_params, "dolt_from")
        self._group = group_parameter(run_params)
        self._lease: Lease | None = None
        self._address: Address | None = None
        self._transaction: Transaction | None = None
        self._signals: SignalWatch | None = None
        self._interruption: BaseException | None = None
        self._target: str | None = None
        self._name = ""
        self._pid = os.getpid()

    @property
    def run_id(self) -> str:
        """Kedro's id of the run."""
        return run_id(self._params)

    def start_server(self) -> None:
        """Start the server on ``data/``, or join the one that runs there. Nothing if no dataset is in Dolt.

        Raises:
            ConfigError: a dataset has the name of a table of the journal's.
            ServerError: the server could not be started.
        """
        opened(self)
        self._signals = SignalWatch()
        try:
            with _starting(likely_database(self._pipeline, self._catalog)) as started:
                # This makes the datasets, and imports pandas and SQLAlchemy for it, while Dolt starts.
                self._footprint = Footprint.of(self._pipeline, self._catalog)
                if taken := sorted(self._footprint.writes & journal.TABLES):
                    raise ConfigError(
                        f"No dataset can be saved to {taken[0]}: the journal of runs has that name."
                    )
                if self._footprint.database is not None:
                    started()
                    self._database = self._footprint.database
                    self._name, self._lease, self._address = _lease(self._database, self.run_id, self._branch)
        except BaseException:
            self.stop_server()
            raise

    def begin(self) -> None:
        """Make the run's branch and send every dataset of the run there.

        Raises:
            ConfigError: the target's name is not allowed, or ``dolt_from`` names no commit.
            DoltError: uncommitted edits are to be refused, or a failed run cannot be resumed.
        """
        if self._database is None or self._address is None:
            return
        try:
            with dolt_errors():
                self._begin(self._database, self._address)
        except BaseException:
            self._keep("did not begin")
            self.stop_server()
            raise

    def _begin(self, database: Database, address: Address) -> None:
        repository = database.repository(address)
        records = database.records(address)
        for record in recover(repository, records, database.server.is_leased):
            logger.warning("Run %s was killed; what it wrote is kept on %s.", record.run_id, record.branch)
        checked_out = repository.checked_out()
        target = self._branch or checked_out
        self._pull(database, repository, target)
        created = target not in repository.branches()
        if created:
            base = self._start(repository, checked_out)
            repository.create_branch(target, base)
        else:
            self._settle_uncommitted(database, address, target)
            base = self._start(repository, target)
        record = Record(
            self._name, self.run_id, target, base, pipelines(self._params),
            sorted(self._footprint.reads), sorted(self._footprint.writes), self._footprint.reads_all, created,
            run=self._describe(database, repository, target, base),
            edges=edges_of(self._pipeline, self._catalog, database.project_path),
        )  # fmt: skip
        self._transaction = Transaction(repository, records, record)
        self._transaction.begin()
        partial = self._params.get("from_nodes") or self._params.get("from_inputs")
        # What one of a group leaves is not for its siblings; one that is tried again begins at the target.
        alone = not self._from and not self._group
        if partial and alone and (failed := resumable(records, target, record.pipeline)):
            tables = self._transaction.take_over(failed)
            logger.warning("Resuming run %s: took over %s.", failed.run_id, ", ".join(tables) or "no table")
        self._transaction.note_inputs()
        self._warn_of_load_versions()
        database.enter(address, record.branch)

    def _pull(self, database: Database, repository: Repository, target: str) -> None:
        """Begin with what the team has, where ``dolt.yml`` says so."""
        settings = database.settings.remote
        if settings is None or (settings.pull, settings.push) == ("never", "never"):
            return
        remote = Remote(repository, settings)
        # Even where only a push follows, at the end: what is wrong with it had better be said now.
        remote.prepare()
        if settings.pull == "before_run" and (commits := remote.pull(target)):
            logger.info("Pulled %d commits of %s from %s.", commits, target, settings.name)

    def push(self) -> None:
        """Bring the target to the remote after the run, where ``dolt.yml`` says so. The run is safe already.

        Raises:
            RemoteError: it failed, and ``on_push_failure`` is ``fail``.
        """
        if self._database is None or self._address is None or self._target is None:
            return
        settings = self._database.settings.remote
        if settings is None or settings.push == "never":
            return
        try:
            with dolt_errors():
                pushed = Remote(self._database.repository(self._address), settings).push(self._target)
        except DoltError as error:
            problem = RemoteError(
                f"{self._target} was not pushed to {settings.name}; the run itself is safe, and the next one "
                f"pushes it too. {error.message}"
            )
            if settings.on_push_failure == "fail":
                raise problem from error
            logger.warning(problem.message)
        else:
            if pushed:
                logger.info("Pushed %s to %s.", self._target, settings.name)

    def _warn_of_load_versions(self) -> None:
        datasets = {name: self._catalog.get(name) for name in self._params.get("load_versions") or ()}
        if tables := [name for name, dataset in datasets.items() if dataset and find_database(dataset)]:
            logger.warning(
                "--load-versions has no effect on %s: tables have commits in place of versions. Begin the "
                "run at one with `--params dolt_branch=...,dolt_from=<commit, branch or tag>`, or read "
                "`... AS OF '<commit>'` with a pandas.SQLQueryDataset.",
                ", ".join(tables),
            )

    def _start(self, repository: Repository, branch: str) -> str:
        """The commit that the run begins at."""
        return find(repository, self._from, branch).commit if self._from else repository.head(branch)

    def _describe(self, database: Database, repository: Repository, target: str, base: str) -> Run:
        run = describe(self._params, self._catalog, database.project_path, database.secrets)
        run.run_id, run.branch, run.base, run.run_group = self._name, target, base, self._group
        run.versions["dolt"] = repository.version()
        return run

    def _settle_uncommitted(self, database: Database, address: Address, target: str) -> None:
        repository = database.repository(address)
        with repository.locked(target):
            tables = repository.uncommitted(target)
            if not tables:
                return
            if database.settings.on_uncommitted == "refuse":
                ways = "in data/ `dolt commit -a` commits, `dolt reset --hard` undoes them"
                if not database.settings.managed:
                    ways = "there `CALL DOLT_COMMIT('-a')` commits, `CALL DOLT_RESET('--hard')` undoes them"
                raise DoltError(
                    f"{', '.join(tables)} has uncommitted edits on {target}: {ways}; "
                    "or set `on_uncommitted: commit` in dolt.yml."
                )
            repository.commit_all(target, f"Uncommitted edits found before Kedro run {self.run_id}")
            logger.warning("Committed the uncommitted edits of %s on %s apart.", ", ".join(tables), target)

    def commit(self) -> str:
        """Commit what the run wrote, publish it to the target and say so.

        Returns:
            One line for the person: the commit, the branch, the rows changed, the command that shows them.

        Raises:
            PublishError: the data cannot be published; it is kept on the run's branch.
        """
        if self._database is None or self._transaction is None or self._address is None:
            return "No dataset of this run is in Dolt: nothing to commit."
        self._database.leave()
        record = self._transaction.record
        try:
            with dolt_errors():
                if self._lease is None or not self._lease.held:
                    raise DoltError(
                        f"Run {record.run_id} lost its connection to the Dolt server, and other runs may "
                        "have taken it for dead: it is not published. Run again."
                    )
                self._add_missing_keys(self._database, self._address, record.branch)
                hash_files(record.edges, self._database.project_path)
                published = self._transaction.publish(self._message(self._database, record))
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            self._keep(f"could not be published: {type(error).__name__}", status, error)
            raise
        self._transaction = None
        self._target = record.target
        if published is None:
            return (
                f"This run changed no data on {record.target}: no commit was made, "
                "and its parameters are in no log."
            )
        commit, changes = published
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
        self._database.leave()
        record = transaction.record
        try:
            with dolt_errors():
                hash_files(record.edges, self._database.project_path)
                kept = transaction.keep(
                    how, status, self._first_line(error) if error else None, journal.now()
                )
        except DoltError as problem:
            # What ended the run is the error that counts, and the next run does what could not be done now.
            return f"The run was not published, and the next run will see to what it left: {problem.message}"
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
        if self._database is not None and lease is not None:
            self._database.leave()
            self._database.server.release(lease)
        if self._signals is not None:
            self._signals.stop()
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

    def _add_missing_keys(self, database: Database, address: Address, branch: str) -> None:
        """Give empty tables their primary key: pandas does not call ``method=`` for an empty frame."""
        from .bulk_load import add_missing_key

        with database.repository(address).on(branch) as cursor:
            for table, primary_key in self._footprint.primary_keys.items():
                add_missing_key(cursor, table, primary_key)


@contextmanager
def _starting(database: Database | None) -> Iterator[Callable[[], object]]:
    """Have the server of ``database`` start in another thread, and leave it at the end.

    Returns:
        A function that waits for the server and raises what its start has raised.
    """
    if database is None:
        yield lambda: None
        return
    acquire: Callable[[str], tuple[Lease, Address]] = database.server.acquire
    with ThreadPoolExecutor(1, "dolt-start") as thread:
        start = thread.submit(acquire, f"start-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            yield start.result
        finally:
            if start.exception() is None:
                database.server.release(start.result()[0])


def _lease(database: Database, run_id: str, target: str | None) -> tuple[str, Lease, Address]:
    """Take a lease named after the run. Run ids are times: two clones or processes can have the same."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", run_id)
    for number in range(1, 100):
        name = plain if number == 1 else f"{plain}-{number}"
        try:
            lease, address = database.server.acquire(name)
        except LeaseTakenError:
            continue
        try:
            with dolt_errors():
                if not _is_taken(database.repository(address), name, target):
                    return name, lease, address
        except BaseException:
            database.server.release(lease)
            raise
        database.server.release(lease)
    raise DoltError(f"There are too many runs with the id {run_id}.")


def _is_taken(repository: Repository, name: str, target: str | None) -> bool:
    branches = repository.branches()
    with repository.on(target if target in branches else None) as cursor:
        return f"kedro/{name}" in branches or bool(journal.runs(cursor, run_id=name))
