"""Deprecated: where projects made by earlier versions import ``Database`` from."""

import warnings

from .catalog.credentials import Database

__all__ = ["Database"]

warnings.warn(
    "kedro_doltdb.database has moved: use `from kedro_doltdb import attach` for `Database.attach`.",
    DeprecationWarning,
    stacklevel=2,
)
