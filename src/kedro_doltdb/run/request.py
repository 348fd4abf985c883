"""What is asked of a run: its pipeline, its catalog, its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..catalog.chunks import refuse_chunks
from ..catalog.credentials import Database
from ..catalog.edges import edges_of
from ..catalog.footprint import Footprint
from ..dolt.names import JOURNAL_TABLES
from ..errors import ConfigError
from .kedro_params import all_parameters, parameters_read, pipelines, run_id
from .options import RunOptions
from .records import folded

if TYPE_CHECKING:
    from pathlib import Path

    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline

    from ..journal.store import Edge


@dataclass(frozen=True)
class Request:
    """A run as Kedro asks for it.

    Attributes:
        run_params: as Kedro gives them to ``before_pipeline_run``.
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog; hooks and nodes may add datasets to it during the run.
        parameters_read: the names of the parameters that each node loads.
        options: where the run happens.
    """

    run_params: Mapping[str, Any]
    pipeline: Pipeline
    catalog: DataCatalog
    parameters_read: dict[str, list[str]]
    options: RunOptions

    @classmethod
    def of(cls, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> Request:
        """Read what the hook ``before_pipeline_run`` is called with.

        Raises:
            ConfigError: ``dolt_branch``, ``dolt_from`` or ``dolt_run_group`` is not usable.
        """
        reads = parameters_read(pipeline)
        used = {name for names in reads.values() for name in names}
        runtime = run_params.get("runtime_params") or {}
        options = RunOptions.of(all_parameters(run_params, catalog), runtime, used)
        return cls(run_params, pipeline, catalog, reads, options)

    @property
    def kedro_run_id(self) -> str:
        """Kedro's id of the run: a time, which another run may have as well."""
        return run_id(self.run_params)

    @property
    def pipelines(self) -> list[str]:
        """The names of the pipelines that are run."""
        return pipelines(self.run_params)

    @property
    def runtime_params(self) -> dict[str, Any]:
        """What ``--params`` gave."""
        return self.run_params.get("runtime_params") or {}

    @property
    def resumes(self) -> bool:
        """Whether the run goes on from a failed one, if there is one."""
        partial = self.run_params.get("from_nodes") or self.run_params.get("from_inputs")
        # What one of a group leaves is not for its siblings; one that is tried again begins at the target.
        return bool(partial) and not self.options.start and not self.options.group

    def footprint(self) -> Footprint:
        """Return the tables of the pipeline, as its catalog is now.

        Raises:
            ConfigError: a dataset has the name of a table of the journal's, names a branch, or is replaced by
                each of its chunks.
        """
        footprint = Footprint.of(self.pipeline, self.catalog)
        if taken := sorted(folded(footprint.writes) & JOURNAL_TABLES):
            raise ConfigError(f"No dataset can be saved to {taken[0]}: the journal of runs has that name.")
        refuse_chunks(self.pipeline, self.catalog)
        return footprint

    def edges(self, project_path: Path) -> list[Edge]:
        """Return what each node loads and saves, as the catalog is now.

        Args:
            project_path: what files are relative to.
        """
        return edges_of(self.pipeline, self.catalog, project_path)

    def database_to_resume_in(self) -> Database | None:
        """Return the database with tables of a failed run that is to be resumed without any dataset in it."""
        database = Database.attached() if self.resumes else None
        return database if database and database.server.has_unfinished_runs() else None
