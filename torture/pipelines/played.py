"""A run and what was found before and after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kedro_doltdb.errors import DoltError

from .case import TARGET, Step
from .nodes import InjectedError
from .sql import Branch, Sql


@dataclass
class Played:
    """A run and what was found before and after it.

    Attributes:
        step: the run.
        branch: its target.
        from_nodes: what it was given as ``--from-nodes``.
        error: what it raised.
        returned: what ``session.run()`` returned.
        seen: the rows that a hook found when the run had ended, by the dataset.
        before: the branches before it, a move during it included.
        after: the branches after it.
        tables: the frames of the target that it begins with, a move included.
        files: the datasets in files that it begins with.
        moved: the table that somebody else changed, and its hash.
        failed: the run that failed before it on the target and can be resumed.
        inner: the pipeline inside it was published.
        sql: the repository.
        made: what it has to have computed, by the dataset.
        inner_tables: what the pipeline inside it has computed.
    """

    step: Step
    branch: str
    from_nodes: list[str] | None
    error: BaseException | None
    returned: dict[str, Any]
    seen: dict[str, object]
    before: Mapping[str, Branch]
    after: Mapping[str, Branch]
    tables: dict[str, pd.DataFrame]
    files: dict[str, pd.DataFrame]
    moved: Mapping[str, str] | None
    failed: Step | None
    inner: bool
    sql: Sql
    made: dict[str, pd.DataFrame] = field(default_factory=dict)
    inner_tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def resumes(self) -> bool:
        """Whether it goes on from a failed run."""
        return self.from_nodes is not None and self.failed is not None

    @property
    def failed_as_planned(self) -> bool:
        """Whether it failed because a node was made to."""
        return self.error is not None and bool(self.step.fails) and not self.was_refused

    @property
    def was_refused(self) -> bool:
        """Whether it ended in a clear error: ours, or Kedro's where a node reads what is in no catalog."""
        if self.error is None or self.was_injected:
            return False
        by_kedro = isinstance(self.error, ValueError) and "Pipeline input(s)" in str(self.error)
        return by_kedro or any(isinstance(one, DoltError) for one in _chain(self.error))

    @property
    def was_injected(self) -> bool:
        """Whether it ended in the error of a node that was made to fail."""
        errors = _chain(self.error)
        return any(isinstance(one, InjectedError) or InjectedError.__name__ in str(one) for one in errors)

    @property
    def words(self) -> str:
        """What its error says."""
        ours = [str(one) for one in _chain(self.error) if isinstance(one, DoltError)]
        return (ours or [f"{type(self.error).__name__}: {self.error}"])[0][:400]

    @property
    def base(self) -> Branch:
        """The target before it, or what the target was made from."""
        return self.before.get(self.branch, self.before[TARGET])

    def new_rows(self, columns: str, table: str) -> list[tuple[Any, ...]]:
        """What it has added to a table of the journal on the target: ``run_id`` and ``columns``."""
        statement = f"SELECT run_id, {columns} FROM {table}"
        old = {row[0] for row in self._rows(statement, self.base, table)}
        rows = self._rows(statement, self.after[self.branch], table)
        return [row for row in rows if row[0] not in old]

    def _rows(self, statement: str, branch: Branch, table: str) -> list[tuple[Any, ...]]:
        return self.sql.rows(statement, branch.head) if table in branch.committed else []


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
