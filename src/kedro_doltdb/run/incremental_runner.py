"""``kedro_doltdb.IncrementalRunner``: a runner that runs only what has changed."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

from kedro.runner import AbstractRunner, ParallelRunner, SequentialRunner, ThreadRunner

from ..dolt.repository import dolt_errors
from ..errors import ConfigError
from ..incremental.decide import RUN
from ..journal.edges import shortened
from ..terminal import get_logger
from .signals import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node
    from pluggy import PluginManager

logger = get_logger(__name__)


class IncrementalRunner(AbstractRunner):
    """A runner that skips the nodes whose results stand already, and takes what other runs have computed.

    Args:
        runner: what runs the nodes that have to run: ``sequential``, ``thread`` or ``parallel``.
        **arguments: what that runner takes, such as ``max_workers``.

    Raises:
        ConfigError: there is no such runner.

    Example:
        In a terminal, with Kedro 1.6 or newer for ``--runner-params``::

            kedro run --runner=kedro_doltdb.IncrementalRunner --runner-params runner=thread
    """

    def __new__(cls, runner: str = "sequential", **arguments: Any) -> IncrementalRunner:
        """Make a runner of the kind that Kedro's session knows: it has another catalog for processes."""
        if runner not in _KINDS:
            raise ConfigError(
                f"IncrementalRunner has no runner {runner!r}: name one with `--runner-params runner=...`, "
                f"{', '.join(_KINDS)}."
            )
        made: IncrementalRunner = object.__new__(_KINDS[runner])
        return made

    def __init__(self, runner: str = "sequential", **arguments: Any) -> None:
        try:
            super().__init__(**arguments)
        except TypeError as error:
            raise ConfigError(f"IncrementalRunner with the runner {runner!r}: {error}.") from error
        self._whole: Pipeline | None = None
        self._loads_left: Counter[str] = Counter()

    def _run(
        self,
        pipeline: Pipeline,
        catalog: Any,
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        run = run_of(catalog)
        begun = run.begun if run is not None else None
        if begun is None:
            logger.warning("No dataset of this run is in Dolt, so nothing is on record: all nodes run.")
            super()._run(pipeline, catalog, hook_manager, run_id)
            return
        names = {shortened(node.name): node for node in pipeline.nodes}
        self._whole = pipeline
        self._loads_left = Counter(chain.from_iterable(node.inputs for node in pipeline.nodes))
        with dolt_errors():
            incremental = begun.incrementally(list(names))
            while not incremental.is_done:
                decisions = incremental.next()
                for decision in decisions:
                    if decision.action != RUN:
                        self._loads_left.subtract(names[decision.node].inputs)
                running = [one.node for one in decisions if one.action == RUN]
                if running:
                    batch = pipeline.only_nodes(*(names[one].name for one in running))
                    super()._run(batch, catalog, hook_manager, run_id)
                    incremental.ran(running)
        logger.info(incremental.summary())

    def _release_datasets(  # type: ignore[override]
        self, node: Node, catalog: Any, load_counts: Any, pipeline: Pipeline
    ) -> None:
        """Release what no node will load any more, of the whole pipeline: nodes run in several batches."""
        if self._whole is None:
            return super()._release_datasets(node, catalog, load_counts, pipeline)
        self._loads_left.subtract(node.inputs)
        kept = self._whole.inputs() | self._whole.outputs()
        for dataset in {*node.inputs, *node.outputs} - kept:
            if self._loads_left[dataset] < 1:
                catalog.release(dataset)
        return None

    def _suggest_resume_scenario(
        self,
        pipeline: Pipeline,
        done_nodes: Iterable[Node],
        catalog: Any,
    ) -> None:
        """Leave the advice to what ends the run: the same command goes on by itself."""


class _Sequential(IncrementalRunner, SequentialRunner):
    pass


class _Thread(IncrementalRunner, ThreadRunner):
    pass


class _Parallel(IncrementalRunner, ParallelRunner):
    _has_manager = False

    def _set_manager_datasets(self, catalog: Any) -> None:
        # A second time it would empty the datasets that the batch before has filled.
        if not self._has_manager:
            super()._set_manager_datasets(catalog)
            self._has_manager = True


_KINDS: dict[str, Any] = {"sequential": _Sequential, "thread": _Thread, "parallel": _Parallel}
