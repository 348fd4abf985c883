"""Of a table, the cells that differ, before and after: how many, which values, how they are distributed."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..dolt.row_diff import RowChange

# So much is kept in memory whatever differs.
MOST_COLUMNS = 40
MOST_DISTINCT = 1000
_LONGEST = 200
_BINS = 20


@dataclass
class Side:
    """The values of a column's cells that differ, on one side.

    Attributes:
        count: how many cells there are.
        nulls: how many of them are NULL.
        values: how often each value is there: the first :data:`MOST_DISTINCT` values.
        more: whether there are more values than those.
        numbers: those that are numbers.
    """

    count: int = 0
    nulls: int = 0
    values: Counter[str] = field(default_factory=Counter)
    more: bool = False
    numbers: array[float] = field(default_factory=lambda: array("d"))

    def add(self, value: Any) -> None:
        """Count a value."""
        self.count += 1
        if value is None:
            self.nulls += 1
            return
        if isinstance(value, int | float | Decimal) and math.isfinite(number := _float(value)):
            self.numbers.append(number)
        text = value.hex() if isinstance(value, bytes) else str(value)
        # Of long texts the beginning has to do: each may be of megabytes.
        key = text if len(text) <= _LONGEST else text[:_LONGEST]
        if key in self.values or len(self.values) < MOST_DISTINCT:
            self.values[key] += 1
        else:
            self.more = True

    @property
    def mean(self) -> float | None:
        """The mean of the numbers; None without any."""
        return math.fsum(number / len(self.numbers) for number in self.numbers) if self.numbers else None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The smallest and the largest of the numbers; None without any."""
        return (min(self.numbers), max(self.numbers)) if self.numbers else None


def _float(value: float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass
class ColumnProfile:
    """The cells of a column that differ.

    Attributes:
        name: the column.
        changed: in how many modified rows it differs.
        old: what was there: removed rows, and modified ones as they were.
        new: what is there: added rows, and modified ones as they are.
    """

    name: str
    changed: int = 0
    old: Side = field(default_factory=Side)
    new: Side = field(default_factory=Side)

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers, and there is one."""
        sides = (self.old, self.new)
        return any(side.numbers for side in sides) and all(
            len(side.numbers) == side.count - side.nulls for side in sides
        )

    def bins(self) -> list[tuple[int, int]]:
        """Return how many numbers fall into each of equal parts of their range: (old, new)."""
        bounds = [bound for side in (self.old, self.new) for bound in side.bounds or ()]
        low, high = min(bounds), max(bounds)
        # Halved, for the difference of two floats may be larger than any.
        span = high / 2 - low / 2
        counts = [[0, 0] for _ in range(_BINS if span else 1)]
        for which, side in enumerate((self.old, self.new)):
            for number in side.numbers:
                place = int((number / 2 - low / 2) / span * _BINS) if span else 0
                counts[min(max(place, 0), len(counts) - 1)][which] += 1
        return [(old, new) for old, new in counts]

    def top(self, most: int = 5) -> list[tuple[str, int, int]]:
        """Return the values that are there most often, and how often on each side."""
        both = self.old.values + self.new.values
        old, new = self.old.values, self.new.values
        return [(value, old[value], new[value]) for value, _ in both.most_common(most)]


class Profile:
    """The profile of a table, made while its rows go by.

    Attributes:
        columns: by name; the first :data:`MOST_COLUMNS` of those that differ.
        left_out: the other ones.
        rows: how many rows were seen.
    """

    def __init__(self) -> None:
        self.columns: dict[str, ColumnProfile] = {}
        self.left_out: set[str] = set()
        self.rows = 0

    def passing(self, rows: Iterable[RowChange]) -> Iterator[RowChange]:
        """Yield the rows, and count them."""
        for row in rows:
            self.rows += 1
            for name, (old, new) in row.cells.items():
                column = self.columns.get(name)
                if column is None:
                    if len(self.columns) >= MOST_COLUMNS:
                        self.left_out.add(name)
                        continue
                    column = self.columns[name] = ColumnProfile(name)
                if row.kind != "added":
                    column.old.add(old)
                if row.kind != "removed":
                    column.new.add(new)
                column.changed += row.kind == "modified"
            yield row
