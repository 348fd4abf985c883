"""What an incremental run would do, without running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..catalog.project import readable
from ..errors import ConfigError, suggestion
from ..incremental.decide import SKIP, TAKE, Decision
from ..incremental.records import Results
from ..journal.edges import hash_tables, inputs_of, pin, shortened
from ..journal.revision import find
from ..run.begun import noted_facts
from ..run.incremental import contents_now, decider_of, facts_from
from ..run.kedro_params import describe
from ..run.records import Record
from ..run.request import Request

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from ..catalog.credentials import Database
    from ..catalog.project import Project
    from ..dolt.repository import Repository


@dataclass(frozen=True)
class Planned:
    """What would become of a node.

    Attributes:
        node: its name.
        action: ``run``, ``perhaps`` if that depends on what another one saves, ``take`` or ``skip``.
        why: the reason.
        computed_by: the run whose result is taken or stays.
        seconds: how long it took when it was computed.
    """

    node: str
    action: str
    why: str
    computed_by: str | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return vars(self)


def plan(project: Project, pipeline_names: Sequence[str], params: Mapping[str, Any]) -> list[Planned]:
    """Return what an incremental run would do with each node, in an order in which they can run.

    Args:
        project: the project.
        pipeline_names: the pipelines; none stands for Kedro's default.
        params: what ``--params`` would give.

    Raises:
        ConfigError: there is no such pipeline, an option cannot be used, or the project's code or
            configuration cannot be read.
    """
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.pipeline import Pipeline

    from ..catalog.credentials import Database

    session: Any
    with KedroSession.create(
        project.metadata.project_path, env=project.env, conf_source=project.conf_source,
        runtime_params=dict(params),
    ) as session:  # fmt: skip
        # As in a run, with the hooks of other plugins: they may change the catalog.
        with readable("configuration"):
            context: Any = session.load_context()
        with readable("pipelines"):
            known = dict(pipelines)
        names = pipeline_names or ["__default__"]
        for name in names:
            if name not in known:
                raise ConfigError(f"There is no pipeline {name}: {suggestion(name, list(known))}")
        pipeline: Any = sum((known[name] for name in names), Pipeline([]))
        with readable("catalog"):
            catalog = context.catalog
            for name in pipeline.datasets():
                catalog.get(name)
        database = Database.attached()
        if database is None:
            raise ConfigError("This project does not use kedro-dolt: its hooks are not in settings.py.")
        run_params = {
            "run_id": "plan", "pipeline_names": list(pipeline_names) or None,
            "runtime_params": dict(params), "env": project.env,
        }  # fmt: skip
        try:
            with database.serving() as repository:
                request = Request.of(run_params, pipeline, catalog)
                return _planned(request, pipeline, catalog, database, repository)
        finally:
            database.close()


def _planned(
    request: Request, pipeline: Pipeline, catalog: DataCatalog, database: Database, repository: Repository
) -> list[Planned]:
    request.footprint()
    target = request.options.branch or repository.checked_out()
    ref = target
    if target not in repository.branches():
        ref = find(repository, request.options.start or repository.checked_out()).commit
    edges = request.edges(database.project_path)
    pin(repository, edges, ref)
    inputs = inputs_of(edges)
    hash_tables(repository, inputs, ref)
    facts = noted_facts(request, database, edges)
    run = describe(request.run_params, catalog, database.project_path, database.secrets)
    record = Record("plan", target, ref, request.pipelines, run=run, edges=edges)
    contents = contents_now(repository, edges, ref, database.project_path)
    forced = "dolt_force is true" if request.options.force else ""
    names = [shortened(node.name) for node in pipeline.nodes]
    record.nodes = [one.execution() for one in facts]
    decider = decider_of(Results(repository, ref), facts_from(record, names), record, contents, forced)
    return [_of(decision) for decision in decider.foretell()]


def _of(decision: Decision) -> Planned:
    known = decision.known if decision.action in (SKIP, TAKE) else None
    return Planned(
        decision.node, decision.action, decision.why,
        known.computed_by if known else None, known.execution.seconds if known else None,
    )  # fmt: skip
