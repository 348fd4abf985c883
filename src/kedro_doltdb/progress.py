"""Deprecated: where projects made by earlier versions import ``dataset_saved`` and ``node_started`` from."""

import warnings

from .run.progress import dataset_saved, node_started

__all__ = ["dataset_saved", "node_started"]

warnings.warn(
    "kedro_doltdb.progress has moved: use `from kedro_doltdb import dataset_saved, node_started`.",
    DeprecationWarning,
    stacklevel=2,
)
