"""One ``kedro run``: what the hooks call, from the private branch to the published commit."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    # `from kedro_doltdb.run import DoltRun` in the hooks of projects made before `kedro_doltdb` had it.
    if name == "DoltRun":
        warnings.warn(
            "kedro_doltdb.run.DoltRun has moved: use `from kedro_doltdb import DoltRun`.",
            DeprecationWarning,
            stacklevel=2,
        )
        from .dolt_run import DoltRun

        return DoltRun
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
