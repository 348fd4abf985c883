"""Deprecated: where projects made by earlier versions import ``bulk_load`` from."""

import sys
import warnings
from types import ModuleType
from typing import Any

from .tables.bulk_load import bulk_load

__all__ = ["bulk_load"]


class _Callable(ModuleType):
    """The import system puts this module where ``kedro_doltdb.bulk_load``, the function, is looked for."""

    def __call__(self, *primary_key: Any) -> Any:
        return bulk_load(*primary_key)


sys.modules[__name__].__class__ = _Callable

warnings.warn(
    "kedro_doltdb.bulk_load has moved: use `from kedro_doltdb import bulk_load`.",
    DeprecationWarning,
    stacklevel=2,
)
