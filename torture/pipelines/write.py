"""A case as a Kedro project: its catalog, its parameters, its pipelines and its hooks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .case import PARAMETERS, Case, Entry
from .nodes import FAILURE

METHOD = "${dolt.bulk_load:id}"
REGISTRY = '''"""The pipelines of a case."""

from torture.pipelines.nodes import pipelines as register_pipelines

__all__ = ["register_pipelines"]
'''
SETTINGS = "\nfrom torture.pipelines.hooks import CaseHooks\n\nHOOKS = (DoltHooks(), CaseHooks())\n"


def write_package(project: Path) -> None:
    """Make a generated project take its pipelines and hooks from the case."""
    package = next((project / "src").iterdir())
    shutil.rmtree(package / "pipelines")
    (package / "pipeline_registry.py").write_text(REGISTRY)
    with open(package / "settings.py", "a") as file:
        file.write(SETTINGS)


def write(case: Case, project: Path) -> None:
    """Write the configuration of ``case`` into a project."""
    catalog: dict[str, Any] = {}
    for entry in (*case.sources, *case.entries):
        if entry.declared != "late":
            catalog.update(configs(entry))
    base = project / "conf" / "base"
    # JSON is YAML.
    (base / "catalog.yml").write_text(json.dumps(catalog, indent=1))
    parameters: dict[str, Any] = {}
    for name, value in PARAMETERS.items():
        put(parameters, name, value)
    (base / "parameters.yml").write_text(json.dumps(parameters))
    (base / "dolt.yml").write_text("")
    (project / FAILURE).write_text("{}")


def put(parameters: dict[str, Any], name: str, value: int) -> None:
    """Set the parameter ``a.b`` of nested parameters."""
    group, _, leaf = name.rpartition(".")
    (parameters.setdefault(group, {}) if group else parameters)[leaf] = value


def configs(entry: Entry, credentials: Any = "dolt", method: Any = METHOD) -> dict[str, dict[str, Any]]:
    """The catalog's entries of a dataset, by their names there."""
    if entry.kind == "memory":
        return {}
    if entry.declared == "factory":
        # `t1a_bulk` is made by `{name}_bulk`, `space.t1a_bulk` by `{space}.{name}_bulk`.
        suffix = entry.name.partition("_")[2]
        name = f"{{space}}.{{name}}_{suffix}" if "." in entry.name else f"{{name}}_{suffix}"
        return {name: config(entry.kind, name.replace(".", "_"), credentials, method)}
    found = {entry.saved_name: config(entry.kind, entry.table or entry.name, credentials, method)}
    if entry.read_as:
        found[entry.loaded_name] = config(entry.read_as, entry.table, credentials, method)
    return found


def config(kind: str, table: str, credentials: Any, method: Any) -> dict[str, Any]:
    """The configuration of a dataset of one kind."""
    sql_table: dict[str, Any] = {
        "type": "pandas.SQLTableDataset",
        "credentials": credentials,
        "table_name": table,
        "save_args": {"if_exists": "replace"},
    }
    keyed = {**sql_table, "save_args": {"if_exists": "replace", "method": method}}
    query = {"type": "pandas.SQLQueryDataset", "credentials": credentials}
    own = {"where": table, "credentials": credentials}
    save = keyed["save_args"]
    found: dict[str, dict[str, Any]] = {
        "stock": sql_table,
        "bulk": keyed,
        "delta": {
            "type": "kedro_doltdb.DoltTableDataset", "credentials": credentials, "table_name": table,
            "primary_key": "id",
        },
        "append": {**sql_table, "save_args": {"if_exists": "append"}},
        "columns": {**sql_table, "load_args": {"columns": ["id", "v", "w", "s"]}},
        "cached bulk": {"type": "CachedDataset", "dataset": keyed},
        "cached stock": {"type": "CachedDataset", "dataset": sql_table},
        "own": {"type": "torture.pipelines.datasets.OwnTable", **own},
        "buried": {"type": "torture.pipelines.datasets.BuriedTable", **own},
        "schema both": {**keyed, "load_args": {"schema": "data"}, "save_args": {**save, "schema": "data"}},
        "schema save": {**keyed, "save_args": {**save, "schema": "data"}},
        "schema load": {**keyed, "load_args": {"schema": "data"}},
        "schema main": {**keyed, "save_args": {**save, "schema": "data/main"}},
        "query": {**query, "sql": f"SELECT * FROM `{table}`"},
        "query data": {**query, "sql": f"SELECT id, v, w, s FROM data.`{table}`"},
        "view": {**sql_table, "table_name": f"view_of_{table}"},
        "query view": {**query, "sql": f"SELECT * FROM view_of_{table}"},
        "csv": {"type": "pandas.CSVDataset", "filepath": f"files/{table}.csv"},
    }  # fmt: skip
    return found[kind]
