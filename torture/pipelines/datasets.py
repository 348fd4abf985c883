"""Dataset classes of a project's own, which say nothing of their tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from sqlalchemy import create_engine


class OwnTable(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A table whose dataset keeps the credentials, and its name under a word of its own."""

    def __init__(self, where: str, credentials: dict[str, Any]) -> None:
        self._where = where
        self._credentials = credentials

    def _engine(self) -> Any:
        credentials = dict(self._credentials)
        return create_engine(credentials.pop("con"), **credentials)

    def load(self) -> pd.DataFrame:
        return pd.read_sql_table(self._where, self._engine())

    def save(self, data: pd.DataFrame) -> None:
        data.to_sql(self._where, self._engine(), index=False, if_exists="replace")

    def _describe(self) -> dict[str, Any]:
        return {"where": self._where}


class BuriedTable(OwnTable):
    """One that keeps its credentials where nobody looks for them."""

    def __init__(self, where: str, credentials: dict[str, Any]) -> None:
        self._where = where
        self._buried = (credentials,)

    def _engine(self) -> Any:
        credentials = dict(self._buried[0])
        return create_engine(credentials.pop("con"), **credentials)
