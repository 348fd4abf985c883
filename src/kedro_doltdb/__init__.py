"""Dolt as the versioned database of a Kedro project.

The package is the mechanism behind the ``kedro-dolt`` starter: the server's life, a run as a
transaction, keyed bulk loads. See ``docs/design_decisions.md`` for why each part is as it is.

What ``__all__`` names is what projects may import: it stays for a major version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog.changes_dataset import DoltChangesDataset
    from .catalog.config_loader import DoltConfigLoader
    from .catalog.credentials import attach
    from .catalog.table_dataset import DoltTableDataset
    from .errors import (
        BulkLoadError,
        ConfigError,
        DoltError,
        LeaseTakenError,
        PublishError,
        QueryError,
        RemoteError,
        ServerError,
    )
    from .hooks import DoltHooks
    from .notebook.data import DoltData, compare, open
    from .notebook.frames import ComparisonFrames
    from .run.dolt_run import DoltRun
    from .run.incremental_runner import IncrementalRunner
    from .run.progress import dataset_saved, node_failed, node_started
    from .tables.bulk_load import bulk_load
    from .terminal import get_logger

__version__ = "0.1.0"

__all__ = [
    "BulkLoadError",
    "ComparisonFrames",
    "ConfigError",
    "DoltChangesDataset",
    "DoltConfigLoader",
    "DoltData",
    "DoltError",
    "DoltHooks",
    "DoltRun",
    "DoltTableDataset",
    "IncrementalRunner",
    "LeaseTakenError",
    "PublishError",
    "QueryError",
    "RemoteError",
    "ServerError",
    "attach",
    "bulk_load",
    "compare",
    "dataset_saved",
    "get_logger",
    "node_failed",
    "node_started",
    "open",
]

_MODULES = {
    "ComparisonFrames": "notebook.frames",
    "DoltChangesDataset": "catalog.changes_dataset",
    "DoltConfigLoader": "catalog.config_loader",
    "DoltData": "notebook.data",
    "DoltHooks": "hooks",
    "DoltRun": "run.dolt_run",
    "DoltTableDataset": "catalog.table_dataset",
    "IncrementalRunner": "run.incremental_runner",
    "attach": "catalog.credentials",
    "bulk_load": "tables.bulk_load",
    "compare": "notebook.data",
    "dataset_saved": "run.progress",
    "get_logger": "terminal",
    # What IPython looks for.
    "load_ipython_extension": "notebook.magic",
    "unload_ipython_extension": "notebook.magic",
    "node_failed": "run.progress",
    "node_started": "run.progress",
    "open": "notebook.data",
}


def __getattr__(name: str) -> Any:
    # Kedro imports the package at every command: pandas and SQLAlchemy are imported when a name is used.
    if name in __all__ or name in _MODULES:
        return getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
