"""What is printed, before it is known where: texts with colours, titled tables, lists of columns, trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..terminal import printable

GOOD, BAD, CHANGED, QUIET, STRONG = "green", "red", "yellow", "dim", "bold"

# A name in a header is folded where a line would be longer than this and than what stands below it.
_HEADER = 8
GAP = 2


@dataclass(frozen=True)
class Styled:
    """A text whose parts have colours.

    Attributes:
        parts: the texts, each with one of the styles above; empty for none.
    """

    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "".join(text for text, _ in self.parts)


Cell: TypeAlias = "str | Styled"


def styled(text: str, style: str) -> Cell:
    """Return a text in a colour; one without anything in it is left as it is."""
    return Styled(((text, style),)) if text and style else text


def joined(*cells: Cell) -> Styled:
    """Return several texts as one."""
    return Styled(tuple(part for cell in cells for part in parts_of(cell)))


def parts_of(cell: Cell) -> tuple[tuple[str, str], ...]:
    """Return the texts of a cell with their styles."""
    return cell.parts if isinstance(cell, Styled) else ((cell, ""),)


def width_of(cell: Cell) -> int:
    """Return how many columns of a terminal a cell takes."""
    from rich.cells import cell_len

    return cell_len(printable(str(cell)))


@dataclass(frozen=True)
class Section:
    """A titled table.

    Attributes:
        title: its title; empty for none.
        headers: the columns' titles; empty for none.
        rows: a cell for each column.
        note: a line below.
        folds: whether cells that are too wide for the terminal are folded; if not, they are cut off.
        narrow: what is printed in its place where it is wider than the terminal.
    """

    title: Cell
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: Cell = ""
    folds: bool = False
    narrow: Section | None = None


@dataclass(frozen=True)
class Column:
    """A column of a :class:`Listing`.

    Attributes:
        header: its title, a name.
        cells: what stands in it.
        right: whether it is aligned on the right.
        rank: 0 if it is always there; the others are there if they fit, those of a lower rank first.
    """

    header: str
    cells: Sequence[Cell]
    right: bool = False
    rank: int = 0


@dataclass(frozen=True)
class Data:
    """A table for programs.

    Attributes:
        headers: the columns' names.
        rows: a value for each column; None is an empty field.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Listing:
    """One line a thing, on every terminal: columns that do not fit are left out.

    Attributes:
        columns: in their order.
        data: the same for programs, where standard output is no terminal.
        notes: lines below.
        more: how the columns that do not fit can be seen, if there is a way.
    """

    columns: Sequence[Column]
    data: Data
    notes: Sequence[Cell] = ()
    more: str = ""

    def within(self, width: int) -> tuple[list[Column], list[str]]:
        """Return the columns that fit, and the titles of those that do not."""
        kept, left_out = [], []
        room = width + GAP
        for column in sorted(self.columns, key=lambda column: column.rank):
            needs = width_under(column) + GAP
            if column.rank and needs > room:
                left_out.append(column)
            else:
                room -= needs
                kept.append(column)
        return [c for c in self.columns if c in kept], [c.header for c in self.columns if c in left_out]


@dataclass(frozen=True)
class Branch:
    """A node of a tree.

    Attributes:
        label: its text.
        branches: those that grow from it.
    """

    label: str
    branches: Sequence[Branch] = field(default=())


def width_under(column: Column) -> int:
    """Return how many columns of a terminal a column takes, its header folded."""
    below = max(map(width_of, column.cells), default=0)
    return max([below, *map(width_of, header_lines(column.header, below))])


def header_lines(name: str, below: int) -> list[str]:
    """Return a name in lines that are no wider than necessary, folded after dots, dashes and underscores.

    Args:
        name: the name.
        below: how wide the cells are that stand below it.
    """
    pieces = re.findall(r"[^._\- ]*[._\- ]*", name)[:-1] or [""]
    width = max(below, _HEADER, *map(width_of, pieces))
    lines = [""]
    for piece in pieces:
        if width_of(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def aligned(numbers: Iterable[str]) -> list[str]:
    """Return numbers with their decimal points in one column, to be aligned on the left."""
    texts = list(numbers)
    wholes = [re.split("[.e]", text)[0] for text in texts]
    longest = max(map(len, wholes), default=0)
    return [" " * (longest - len(whole)) + text for text, whole in zip(texts, wholes, strict=True)]


def fitted(natural: Sequence[int], width: int) -> list[int]:
    """Return widths of columns that together fit into ``width``: the widest give way first."""
    widths = list(natural)
    while sum(widths) + GAP * (len(widths) - 1) > width and max(widths, default=0) > 1:
        widest = max(widths)
        widths[len(widths) - 1 - widths[::-1].index(widest)] = widest - 1
    return widths
