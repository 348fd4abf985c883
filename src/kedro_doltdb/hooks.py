"""How a Kedro run becomes a Dolt commit.

Each method below is a Kedro event and says what happens to Dolt then. The mechanism behind it is in the
package ``kedro_doltdb``; https://docs.kedro.org/en/stable/extend/hooks/introduction/ explains the events.
"""

from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_doltdb import DoltRun, attach, dataset_saved, get_logger, node_failed, node_started

logger = get_logger(__name__)


class DoltHooks:
    """Starts the Dolt server for a run, commits what the run wrote, stops the server.

    Example:
        In `settings.py`: `HOOKS = (DoltHooks(),)`
    """

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Give the catalog its credentials `dolt`: the server starts when they are first used."""
        attach(context)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Start the server, and send all datasets of the run to a branch of its own."""
        DoltRun.start(run_params, pipeline, catalog)

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Note what the node has to save, so that a failed run can be resumed with `--from-nodes`."""
        node_started(node, catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Note what the node has saved."""
        dataset_saved(dataset_name, node)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Note that the node has failed."""
        node_failed(node)

    @hook_impl(trylast=True)
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Commit the run's data, publish it to the target branch, push that if dolt.yml says so, stop the
        server."""
        with DoltRun.of(catalog) as run:
            logger.info(run.commit())
            run.push()

    @hook_impl
    def on_pipeline_error(self, error: Exception, catalog: DataCatalog) -> None:
        """Keep the run's data on its own branch, leave the target as it was, stop the server."""
        with DoltRun.of(catalog) as run:
            logger.error(run.keep(error))
