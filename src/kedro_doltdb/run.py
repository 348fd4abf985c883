"""A Kedro run on Dolt: what the hooks call."""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from .database import Database
from .errors import ConfigError, DoltError
from .footprint import Footprint
from .records import Record, Records
from .server import Address
from .transaction import Transaction, recover, resumable

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from .locks import FileLock

logger = logging.getLogger(__name__)

FILTERS = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")

# A run that was interrupted reaches no hook; the next one of its thread, or the end of the process, closes it.
_open_runs: dict[int, DoltRun] = {}


class DoltRun:
    """One ``kedro run``: the server it needs, the branch it writes to, the commit it becomes.

    Args:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.

    Raises:
        ConfigError: ``dolt_branch`` or ``dolt_from`` is not usable.
    """

    def __init__(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._params = run_params
        self._footprint = Footprint.of(pipeline, catalog)
        self._database = self._footprint.database
        self._branch = _branch_parameter(run_params, "dolt_branch")
        self._from = _branch_parameter(run_params, "dolt_from")
        self._lease: FileLock | None = None
        self._address: Address | None = None
        self._transaction: Transaction | None = None
        self._restore_signal: Callable[[], None] = lambda: None
        self._name = ""
        self._pid = os.getpid()

    @property
    def run_id(self) -> str:
        """Kedro's id of the run, a time in milliseconds."""
        return str(self._params.get("run_id") or self._params.get("session_id"))

    def start_server(self) -> None:
        """Start the server on ``data/``, or join the one that runs there. Nothing if no dataset is in Dolt.

        Raises:
            ServerError: it could not be started.
        """
        _close_stale_runs()
        if self._database is None:
            return
        _open_runs[threading.get_ident()] = self
        self._restore_signal = _terminate_by_exception()
        try:
            self._name, self._lease, self._address = _lease(self._database, self.run_id)
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
            with _dolt_errors():
                self._begin(self._database, self._address)
        except BaseException:
            self.keep("did not begin")
            self.stop_server()
            raise

    def _begin(self, database: Database, address: Address) -> None:
        repository = database.repository(address)
        records = Records(database.server.runs_dir)
        for record in recover(repository, records, database.server.is_leased):
            logger.warning("Run %s was killed; what it wrote is kept on %s.", record.run_id, record.branch)
        checked_out = repository.checked_out()
        target = self._branch or checked_out
        created = target not in repository.branches()
        if created:
            base = repository.resolve(self._from, checked_out) if self._from else repository.head(checked_out)
            repository.create_branch(target, base)
        else:
            self._settle_uncommitted(database, address, target)
            base = repository.resolve(self._from, target) if self._from else repository.head(target)
        record = Record(
            self._name, self.run_id, target, base, self._pipelines(),
            sorted(self._footprint.reads), sorted(self._footprint.writes), self._footprint.reads_all, created,
        )  # fmt: skip
        self._transaction = Transaction(repository, records, record)
        self._transaction.begin()
        partial = self._params.get("from_nodes") or self._params.get("from_inputs")
        if partial and not self._from and (failed := resumable(records, target, record.pipeline)):
            tables = self._transaction.take_over(failed)
            logger.warning("Resuming run %s: took over %s.", failed.run_id, ", ".join(tables) or "no table")
        database.enter(address, record.branch)

    def _settle_uncommitted(self, database: Database, address: Address, target: str) -> None:
        repository = database.repository(address)
        with repository.locked(target):
            tables = repository.uncommitted(target)
            if not tables:
                return
            if database.settings.on_uncommitted == "refuse":
                raise DoltError(
                    f"{', '.join(tables)} has uncommitted edits on {target}: commit them with `dolt commit -a` or undo "
                    "them with `dolt reset --hard` in data/, or set `on_uncommitted: commit` in dolt.yml."
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
            with _dolt_errors():
                self._add_missing_keys(self._database, self._address, record.branch)
                published = self._transaction.publish(self._message())
        except BaseException as error:
            self.keep(f"could not be published: {type(error).__name__}")
            raise
        self._transaction = None
        if published is None:
            return (
                f"This run changed no data on {record.target}: no commit was made, "
                "and its parameters are in no log."
            )
        commit, changes = published
        old, new = f"{record.target}~1", record.target
        return (
            f"Committed {commit[:10]} to {record.target}: {', '.join(map(str, changes))}. "
            f"See it with: cd data && dolt diff {old} {new}"
        )

    def keep(self, why: str | BaseException) -> str:
        """End a run that did not finish: keep what it wrote on its own branch, leave the target as it was.

        Args:
            why: how it ended, or the error that ended it.

        Returns:
            One line for the person.
        """
        transaction, self._transaction = self._transaction, None
        if self._database is None or transaction is None:
            return "The run failed before it wrote anything to Dolt."
        self._database.leave()
        reason = why if isinstance(why, str) else f"failed: {type(why).__name__}"
        record = transaction.record
        with _dolt_errors():
            kept = transaction.keep(reason)
        if not kept:
            return f"The run left nothing to keep; {record.target} is as it was."
        return (
            f"The run was not published: {record.target} is as it was, what the run wrote is kept on "
            f"{record.branch}. `kedro run --from-nodes ...` right after it goes on from there."
        )

    def stop_server(self) -> None:
        """Leave the server; the last one to leave stops it. Can be called more than once."""
        if os.getpid() != self._pid:
            return
        lease, self._lease = self._lease, None
        if self._database is not None and lease is not None:
            self._database.leave()
            self._database.server.release(lease)
        self._restore_signal()
        for thread, run in list(_open_runs.items()):
            if run is self:
                del _open_runs[thread]

    def close(self) -> None:
        """End a run that neither finished nor failed: Ctrl-C, SIGTERM, ``sys.exit``, another hook's error."""
        if os.getpid() != self._pid:
            return
        try:
            if self._transaction is not None:
                logger.warning(self.keep("was interrupted"))
        finally:
            self.stop_server()

    def _pipelines(self) -> list[str]:
        names = self._params.get("pipeline_names") or self._params.get("pipeline_name") or "__default__"
        return [names] if isinstance(names, str) else list(names)

    def _add_missing_keys(self, database: Database, address: Address, branch: str) -> None:
        """Give empty tables their primary key: pandas does not call ``method=`` for an empty frame."""
        from .bulk_load import add_missing_key

        with database.repository(address).on(branch) as cursor:
            for table, primary_key in self._footprint.primary_keys.items():
                add_missing_key(cursor, table, primary_key)

    def _message(self) -> str:
        params = json.dumps(self._params.get("runtime_params") or {}, default=str, ensure_ascii=False)
        facts = {
            "Pipeline": ", ".join(self._pipelines()),
            **{name.replace("_", " ").capitalize(): _listed(self._params.get(name)) for name in FILTERS},
            "Environment": self._params.get("env"),
            "Code": _git_commit(self._database),
        }
        body = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
        return f"Update data from Kedro run {self.run_id} with params {params}\n\n{body}"


def _listed(values: Any) -> str:
    return ", ".join(map(str, [values] if isinstance(values, str) else values or ()))


def _git_commit(database: Database | None) -> str | None:
    if database is None:
        return None
    command = [
        "git",
        "-C",
        str(database.project_path),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return None


def _branch_parameter(run_params: Mapping[str, Any], name: str) -> str | None:
    value = (run_params.get("runtime_params") or {}).get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigError(
            f"{name} must be text, but the command line made {value!r} of it: quote it twice, "
            f"""--params '{name}="..."'."""
        )
    if not value or value.startswith("-") or (name == "dolt_branch" and value.startswith("kedro/")):
        raise ConfigError(
            f"{name}={value} is no name for a branch: it may not be empty, begin with `-` or begin with `kedro/`, "
            "which is where runs keep their own branches."
        )
    return value


def _lease(database: Database, run_id: str) -> tuple[str, FileLock, Address]:
    """Take a lease named after the run. Run ids are times: two clones or processes can have the same."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", run_id)
    for number in range(1, 100):
        name = plain if number == 1 else f"{plain}-{number}"
        taken = (database.server.runs_dir / f"{name}.json").exists() or database.server.is_leased(name)
        if not taken:
            with suppress(FileExistsError):
                return (name, *database.server.acquire(name))
    raise DoltError(f"There are too many runs with the id {run_id}.")


def _close_stale_runs() -> None:
    alive = {thread.ident for thread in threading.enumerate()}
    for thread, run in list(_open_runs.items()):
        if thread == threading.get_ident() or thread not in alive:
            run.close()


@atexit.register
def _close_all_runs() -> None:
    for run in list(_open_runs.values()):
        with suppress(DoltError):
            run.close()


def _terminate_by_exception() -> Callable[[], None]:
    """Make SIGTERM raise ``SystemExit(143)``, so that the run is closed; returns what undoes it."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    owner = os.getpid()
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked worker has nothing to close and must die as its pool expects.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + number)

    def restore() -> None:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, before)

    signal.signal(signal.SIGTERM, handle)
    return restore


@contextmanager
def _dolt_errors() -> Iterator[None]:
    """Turn what Dolt answers, and a server that went away, into one error of ours."""
    import pymysql

    try:
        yield
    except pymysql.err.Error as error:
        raise DoltError(f"Dolt refused: {error.args[-1] if error.args else error}") from error
