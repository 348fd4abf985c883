"""A Kedro run on Dolt: what the hooks call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..catalog.credentials import Database
from ..catalog.footprint import likely_database
from ..errors import DoltError
from ..terminal import get_logger
from .begun import BegunRun
from .lease import starting
from .request import Request
from .signals import SignalWatch, register, run_of, unregister

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from .mlflow_run import MlflowRun

logger = get_logger(__name__)

_INTERRUPTED = (
    "This run was interrupted before its end, because another run began in its process: nothing of it was "
    "published."
)


class DoltRun:
    """One ``kedro run``: the server it needs, the branch it writes to, the commit it becomes.

    As a context it leaves the server at the end; the last one to leave stops it. A run of which no dataset is
    in Dolt does nothing, until a dataset connects that another hook or a node has added.

    Args:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.

    Raises:
        ConfigError: ``dolt_branch``, ``dolt_from`` or ``dolt_run_group`` is not usable.

    Example:
        In the hooks ``before_pipeline_run`` and ``after_pipeline_run``::

            DoltRun.start(run_params, pipeline, catalog)

            with DoltRun.of(catalog) as run:
                logger.info(run.commit())
                run.push()
    """

    def __init__(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        self._request = Request.of(run_params, pipeline, catalog)
        self._signals = SignalWatch()
        self._begun: BegunRun | None = None
        self._waiting: Database | None = None
        self._mlflow: MlflowRun | None = None
        self._refusal: BaseException | None = None
        self._interruption: BaseException | None = None
        self._closed = False
        self._pid = os.getpid()

    @classmethod
    def start(cls, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> DoltRun:
        """Start the server, or join the one that runs, and send every dataset to a branch of the run's own.

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
        run.begin()
        return run

    @staticmethod
    def of(catalog: DataCatalog) -> DoltRun:
        """Return the run of ``catalog`` that has begun and not ended.

        Raises:
            DoltError: there is none. It was interrupted when another run began in its thread.
        """
        run = run_of(catalog)
        if not isinstance(run, DoltRun):
            raise DoltError(_INTERRUPTED)
        return run

    def __enter__(self) -> DoltRun:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
        if self._interruption is not None:
            # A signal ended the run, and the driver's error about its broken connection replaced it.
            raise self._interruption

    @property
    def database(self) -> Database | None:
        """The database that the run writes to, once it is known."""
        return self._begun.database if self._begun else None

    @property
    def begun(self) -> BegunRun | None:
        """The run as it writes to Dolt, once it does."""
        return self._begun

    def begin(self) -> None:
        """Begin, unless the run has begun: see :meth:`start`."""
        if self._begun is not None or self._waiting is not None:
            return
        register(self, self._request.catalog)
        self._signals.start()
        try:
            with starting(likely_database(self._request.pipeline, self._request.catalog)) as started:
                # This makes the datasets, and imports pandas and SQLAlchemy for it, while Dolt starts.
                footprint = self._request.footprint()
                database = footprint.database or self._request.database_to_resume_in()
                if database is not None:
                    started()
                    self._begun = BegunRun.begin(self._request, database, footprint)
                elif (waiting := Database.attached()) is not None:
                    self._waiting = waiting
                    waiting.begin_at_first_use(lambda: self._begin_late(waiting))
        except BaseException:
            self.close()
            raise

    def _begin_late(self, database: Database) -> None:
        """Begin when a dataset connects that was not in the catalog when the hooks were called."""
        if self._refusal is not None:
            raise DoltError(f"The run could not begin on Dolt: {self._refusal}") from self._refusal
        try:
            self._begun = BegunRun.begin(self._request, database, self._request.footprint())
        except BaseException as error:
            self._refusal = error
            raise
        database.begin_at_first_use(None)
        if self._mlflow is not None:
            self._begun.track(self._mlflow)

    def track(self, mlflow_run: MlflowRun) -> None:
        """Have an MLflow run told of this one, and keep its id in the journal.

        Args:
            mlflow_run: the one that is active while the pipeline runs.
        """
        self._mlflow = mlflow_run
        if self._begun is not None:
            self._begun.track(mlflow_run)

    def commit(self) -> str:
        """Commit what the run wrote, publish it to the target and say so.

        Returns:
            One line for the user: the commit, the branch, the rows changed, the command that shows them.

        Raises:
            PublishError: the data cannot be published; it is kept on the run's branch.
            DoltError: the run was interrupted when another one began in its thread.
        """
        if self._closed:
            raise DoltError(_INTERRUPTED)
        if self._begun is None:
            return "No dataset of this run is in Dolt: nothing to commit."
        return self._begun.publish()

    def push(self) -> None:
        """Push the target to the remote after the run, where ``dolt.yml`` says so. The run is safe already.

        Raises:
            RemoteError: it failed, and ``on_push_failure`` is ``fail``.
        """
        if self._begun is not None:
            self._begun.push()

    def keep(self, error: BaseException | None) -> str:
        """End a run that did not finish: keep what it wrote on its own branch, leave the target as it was.

        Args:
            error: what ended it; None if it was interrupted.

        Returns:
            One line for the user.
        """
        if self._begun is None:
            return "The run failed before it wrote anything to Dolt."
        if error is not None:
            self._interruption = self._signals.received
        if error is None or self._interruption is not None:
            return self._begun.keep("was interrupted", "interrupted")
        return self._begun.keep(f"failed: {type(error).__name__}", "failed", error)

    def interrupt(self) -> None:
        """Keep and close a run that reached no hook: Ctrl-C, SIGTERM, ``sys.exit``, another hook's error."""
        if os.getpid() != self._pid:
            return
        try:
            if self._begun is not None and self._begun.is_open:
                logger.warning(self.keep(None))
        finally:
            self.close()

    def close(self) -> None:
        """Leave the server; the last one to leave stops it. Can be called more than once."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        try:
            if self._begun is not None:
                self._begun.close()
            elif self._waiting is not None:
                self._waiting.leave_branch()
        finally:
            self._signals.stop()
            unregister(self)

    # The hooks of projects that were made before `start` and the context call these.

    def start_server(self) -> None:
        """Call :meth:`begin`."""
        self.begin()

    def stop_server(self) -> None:
        """Leave the context of the run."""
        self.__exit__()
