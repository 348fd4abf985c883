"""Hooks of the project's own: entries that come late, and somebody else who works on the target."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractDataset, DataCatalog, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.tables.bulk_load import bulk_load

from .draw import draw
from .nodes import DIRECTORY, SEED, rows
from .sql import Sql
from .write import configs

# A file in the project's directory: the table to change, the branch, and the node before which.
MOVE = "move.json"
# And what it has become.
MOVED = "moved.json"


# The databases of the sessions in this process: what is loaded after a run keeps a server.
DATABASES: list[Database] = []
# What a hook loaded after the last run in this process, before other hooks ended it: rows by the dataset.
SEEN: dict[str, object] = {}


class CaseHooks:
    """What a case wants done between Kedro's events."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the configuration for the entries that come late."""
        self._config_loader = context.config_loader

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Add the entries that come late."""
        credentials = self._config_loader["credentials"]["dolt"]
        DATABASES.append(credentials["creator"])
        for entry in draw(int(os.environ[SEED])).entries:
            if entry.declared == "late":
                for name, config in configs(entry, credentials, bulk_load("id")).items():
                    catalog[name] = AbstractDataset.from_config(name, config)

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Load what the run has saved."""
        for name in pipeline.all_outputs():
            entry = draw(int(os.environ[SEED])).entry(name)
            if entry.table and entry.saved_name == name:
                try:
                    SEEN[name] = rows(catalog.load(name))
                except DatasetError as error:
                    SEEN[name] = str(error)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Change the target, if it is to be done now."""
        directory = Path(os.environ[DIRECTORY])
        wanted = directory / MOVE
        if wanted.exists() and (move := json.loads(wanted.read_text()))["node"] == node.name:
            wanted.unlink()
            moved = change(Sql(directory / "data"), move["table"], move["branch"])
            (directory / MOVED).write_text(json.dumps(moved))


def change(sql: Sql, table: str, branch: str) -> dict[str, str]:
    """Change a table on a branch and commit that, as somebody else does; returns what came of it."""
    with sql.cursor(branch) as cursor:
        cursor.execute(f"UPDATE `{table}` SET v = v + 1000")
        cursor.execute("CALL DOLT_COMMIT('-am', 'Somebody else was here')")
        cursor.execute("SELECT hash FROM dolt_branches WHERE name = active_branch()")
        (head,) = cursor.fetchone() or ("",)
    return {"table": table, "hash": sql.tables(branch)[table], "head": head}
