"""The source of MLflow's datasets that are Dolt tables: MLflow finds it by an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.data.dataset_source import DatasetSource

if TYPE_CHECKING:
    import os

    import pandas as pd


class DoltTableSource(DatasetSource):  # type: ignore[misc]  # MLflow may not be installed
    """A Dolt table as it was at a commit, that a Kedro run has read.

    It holds no path and no address: it is opened in a project whose repository has the commit, on whatever
    machine that is.

    Args:
        table: the table.
        commit: the commit.

    Example:
        In a project::

            run = mlflow.get_run(run_id)
            source = mlflow.data.get_source(run.inputs.dataset_inputs[0].dataset)
            frame = source.load()
    """

    def __init__(self, table: str, commit: str) -> None:
        self.table = table
        self.commit = commit

    def load(self, path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
        """Return the table's rows at the commit.

        Args:
            path: the project's directory, or any below it; None is the current one.

        Raises:
            ConfigError: it is in no Kedro project, or the project's repository has no such commit.
            DoltError: Dolt refused it.
        """
        from .dolt.sql import quote
        from .notebook.data import open

        with open(path) as data:
            return data.sql(f"SELECT * FROM {quote(self.table)}", at=self.commit)

    def to_dict(self) -> dict[Any, Any]:
        """Return what :meth:`from_dict` makes a source of."""
        return {"table": self.table, "commit": self.commit}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> DoltTableSource:
        """Return the source that MLflow has kept."""
        return cls(str(source_dict["table"]), str(source_dict["commit"]))

    @staticmethod
    def _get_source_type() -> str:
        return "dolt_table"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        # It is made by runs alone, never guessed from a path or a URL.
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> DoltTableSource:
        raise NotImplementedError
