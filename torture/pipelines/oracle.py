"""What a run must leave: computed in memory, then stored through the same dataset classes elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.settings import Settings
from kedro_doltdb.tables.bulk_load import add_missing_key, bulk_load

from .case import TARGET, Case, Entry, Node
from .nodes import compute
from .sql import Sql
from .write import config


def computed(
    case: Case,
    nodes: Sequence[Node],
    parameters: Mapping[str, int],
    tables: Mapping[str, pd.DataFrame],
    files: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """What the nodes compute, by the names of the datasets.

    Args:
        case: the case.
        nodes: the nodes to run, in an order in which they can be run.
        parameters: their parameters.
        tables: the tables as they are before.
        files: the datasets in files as they are before.
    """
    made: dict[str, pd.DataFrame] = {}

    def load(name: str) -> pd.DataFrame:
        entry = case.entry(name)
        return made[entry.name] if entry.name in made else {**files, **tables}[entry.table or entry.name]

    for node in nodes:
        outputs = compute(
            node, [load(name) for name in node.inputs], [parameters[one] for one in node.parameters]
        )
        for name, frame in zip(node.outputs, outputs, strict=True):
            entry = case.entry(name)
            if entry.kind == "append" and entry.table in tables:
                frame = pd.concat([tables[entry.table], frame], ignore_index=True)
            made[entry.name] = frame
    return made


def store(entry: Entry, frame: pd.DataFrame, credentials: Any) -> None:
    """Save a frame as the whole content of an entry's table, through its dataset class."""
    # What else there is in the table, and how it is addressed, makes no difference to the result.
    kind = entry.kind.removeprefix("cached ")
    kind = "bulk" if kind.startswith("schema") else "stock" if kind == "append" else kind
    dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(
        entry.name, config(kind, entry.table, credentials, bulk_load("id"))
    )
    dataset.save(frame.astype({"id": "int64", "v": "int64", "w": "float64", "s": "str"}))


class Scratch:
    """A repository apart, in which frames are stored for their hashes.

    Args:
        project: a project that nothing else uses.

    Attributes:
        contents: the definition and the rows of each table whose hash was asked for.
    """

    def __init__(self, project: Path) -> None:
        self.contents: dict[str, tuple[str, list[str]]] = {}
        self._database = Database(project, Settings())
        self._sql = Sql(project / "data")

    def __enter__(self) -> Scratch:
        self._database().close()
        self._root = self._sql.rows("SELECT hash FROM dolt_branches WHERE name = 'main'")[0][0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def hashes(self, case: Case, made: Mapping[str, pd.DataFrame]) -> dict[str, str]:
        """The content hash of each table that the results would be, by the table."""
        credentials: Any = self._database.credentials()
        tables = []
        for name, frame in made.items():
            entry = case.entry(name)
            if not entry.table:
                continue
            store(entry, frame, credentials)
            if entry.kind not in ("stock", "append", "own", "buried", "cached stock"):
                with self._sql.cursor() as cursor:
                    add_missing_key(cursor, entry.table, ("id",))
            tables.append(entry.table)
        found = self._sql.tables(TARGET)
        self.contents.update({table: self._sql.content(table, TARGET) for table in tables})
        with self._sql.cursor() as cursor:
            for table in tables:
                cursor.execute(f"DROP TABLE `{table}`")
        return {table: found[table] for table in tables}
