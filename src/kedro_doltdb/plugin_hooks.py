"""The hooks that Kedro finds by an entry point: what a run tells other tools that are there.

They come after all other hooks, so that those have begun what they begin. ``DISABLE_HOOKS_FOR_PLUGINS =
("kedro-doltdb",)`` in ``settings.py`` turns them off, and leaves the project's own ``DoltHooks`` as they are.
"""

from __future__ import annotations

import sys

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from .terminal import get_logger

logger = get_logger(__name__)


class TrackingHooks:
    """Tells MLflow of a run, where the process has imported MLflow and a run of it is active."""

    @hook_impl(trylast=True)
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Find the MLflow run that other hooks, or the caller, have begun."""
        # Importing MLflow takes seconds, and who uses it has imported it.
        if "mlflow" not in sys.modules:
            return
        from .run.signals import run_of

        try:
            from .run.mlflow_run import MlflowRun
        except ImportError as error:
            logger.warning("This MLflow is not told of runs, it is older than 2.4: %s", error)
            return
        run = run_of(catalog)
        if run is not None and (active := MlflowRun.active()) is not None:
            run.track(active)


hooks = TrackingHooks()
