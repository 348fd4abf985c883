"""Dolt as the versioned database of a Kedro project.

The package is the mechanism behind the ``kedro-dolt`` starter: the server's life, a run as a
transaction, keyed bulk loads. See ``docs/design_decisions.md`` for why each part is as it is.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `type: kedro_doltdb.DoltTableDataset` in a catalog; pandas and SQLAlchemy are imported only then.
    if name == "DoltTableDataset":
        from .table_dataset import DoltTableDataset

        return DoltTableDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
