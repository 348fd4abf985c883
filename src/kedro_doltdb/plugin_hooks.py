"""The hooks that Kedro finds by an entry point: whether a run has begun, and within which run of MLflow.

They come after all other hooks, so that those have begun what they begin. ``DISABLE_HOOKS_FOR_PLUGINS =
("kedro-doltdb",)`` in ``settings.py`` turns them off, and leaves the project's own ``DoltHooks`` as they are.
"""

from __future__ import annotations

import sys

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from .errors import ConfigError
from .terminal import get_logger

logger = get_logger(__name__)


class PluginHooks:
    """Looks, when all other hooks have begun what they begin, whether and within what a run has begun."""

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Refuse a run without our hooks, and find the MLflow run that other hooks or the caller have begun.

        Raises:
            ConfigError: the project's hooks lack ``DoltHooks()``.
        """
        _refuse_without_hooks(pipeline, catalog)
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


def _refuse_without_hooks(pipeline: Pipeline, catalog: DataCatalog) -> None:
    module = sys.modules.get("kedro_doltdb.catalog.config_loader")
    if module is None or not module.DoltConfigLoader.has_given:
        return
    from .catalog.footprint import likely_database
    from .run.signals import run_of

    if run_of(catalog) is None and likely_database(pipeline, catalog) is not None:
        raise ConfigError(
            "The run has not begun on Dolt, because `HOOKS` in settings.py has no `DoltHooks()`: add it, "
            "`from kedro_doltdb import DoltHooks`. Nothing was written."
        )


hooks = PluginHooks()
