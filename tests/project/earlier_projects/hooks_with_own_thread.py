"""How a Kedro run becomes a Dolt commit.

Each method below is a Kedro event and says what happens to Dolt then. The mechanism behind it is in the
package ``kedro_doltdb``; https://docs.kedro.org/en/stable/extend/hooks/introduction/ explains the events.
"""

import logging
import threading
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_doltdb.database import Database
from kedro_doltdb.progress import dataset_saved, node_started
from kedro_doltdb.run import DoltRun

logger = logging.getLogger(__name__)


class DoltHooks:
    """Starts the Dolt server for a run, commits what the run wrote, stops the server."""

    def __init__(self) -> None:
        # A thread has one run at a time; ids are no help, for runs that begin at once have the same one.
        self._thread = threading.local()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Give the catalog its credentials `dolt`: the server starts when they are first used."""
        Database.attach(context)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Start the server, and send all datasets of the run to a branch of its own."""
        run = self._thread.run = DoltRun(run_params, pipeline, catalog)
        run.start_server()
        run.begin()

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Note what the node has to save, so that a failed run can be resumed with `--from-nodes`."""
        node_started(node, catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Note what the node has saved."""
        dataset_saved(dataset_name, node)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Commit the run's data, publish it to the target branch, push that if dolt.yml says so, stop the
        server."""
        run: DoltRun = self._thread.run
        try:
            logger.info(run.commit())
            run.push()
        finally:
            run.stop_server()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Keep the run's data on its own branch, leave the target as it was, stop the server."""
        run: DoltRun = self._thread.run
        try:
            logger.error(run.keep(error))
        finally:
            run.stop_server()
