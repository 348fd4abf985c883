"""Where the boxes of a graph stand: in columns from left to right, each after what it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_GAP_X, _GAP_Y, _MARGIN = 28, 16, 8
_SWEEPS = 4


@dataclass(frozen=True)
class Box:
    """A box: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """A graph that has been laid out.

    Attributes:
        width: of all.
        height: of all.
        boxes: by their names.
        paths: the arrows, as SVG writes paths: (from, to, path).
    """

    width: float
    height: float
    boxes: dict[str, Box]
    paths: list[tuple[str, str, str]]


def laid_out(sizes: Mapping[str, tuple[float, float]], arrows: Iterable[tuple[str, str]]) -> Layout:
    """Return where boxes stand.

    Args:
        sizes: the width and the height of each box.
        arrows: from which box to which; circles are broken somewhere.
    """
    arrows = [(one, other) for one, other in arrows if one in sizes and other in sizes and one != other]
    columns = _columns(list(sizes), arrows)
    height = max((_height(column, sizes) for column in columns), default=0)
    boxes: dict[str, Box] = {}
    x = float(_MARGIN)
    for column in columns:
        width = max(sizes[name][0] for name in column)
        y = _MARGIN + (height - _height(column, sizes)) / 2
        for name in column:
            boxes[name] = Box(x + (width - sizes[name][0]) / 2, y, *sizes[name])
            y += sizes[name][1] + _GAP_Y
        x += width + _GAP_X
    paths = [(one, other, _path(boxes[one], boxes[other])) for one, other in arrows]
    return Layout(max(x - _GAP_X + _MARGIN, 0), height + 2 * _MARGIN, boxes, paths)


def _height(column: list[str], sizes: Mapping[str, tuple[float, float]]) -> float:
    return sum(sizes[name][1] for name in column) + _GAP_Y * (len(column) - 1)


def _columns(names: list[str], arrows: list[tuple[str, str]]) -> list[list[str]]:
    after: dict[str, list[str]] = {name: [] for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for one, other in arrows:
        after[one].append(other)
        before[other].append(one)
    ranks = _ranks(names, before, after)
    columns: list[list[str]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for name in names:
        columns[ranks[name]].append(name)
    columns = [column for column in columns if column]
    # Each box goes to the middle of its neighbours, there and back.
    for sweep in range(_SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        places = {name: place / len(column) for column in columns for place, name in enumerate(column)}
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {
                name: sum(places[near] for near in neighbours[name]) / len(neighbours[name])
                if neighbours[name]
                else places[name]
                for name in column
            }
            column.sort(key=lambda name: wanted[name])
            places.update({name: place / len(column) for place, name in enumerate(column)})
    return columns


def _ranks(names: list[str], before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    waits = {name: len(before[name]) for name in names}
    ready = [name for name in names if not waits[name]]
    order: list[str] = []
    while len(order) < len(names):
        # In a circle none is ever ready.
        name = ready.pop() if ready else next(name for name in names if name not in ranks)
        if name in ranks:
            continue
        ranks[name] = max((ranks[near] + 1 for near in before[name] if near in ranks), default=0)
        order.append(name)
        for near in after[name]:
            waits[near] -= 1
            if waits[near] == 0:
                ready.append(near)
    # What comes from nothing stands right before what it is for.
    for name in order:
        if not before[name] and after[name]:
            ranks[name] = max(min(ranks[near] for near in after[name]) - 1, 0)
    return ranks


def _path(one: Box, other: Box) -> str:
    x, y = one.x + one.width, one.y + one.height / 2
    to_x, to_y = other.x, other.y + other.height / 2
    bend = max(abs(to_x - x) / 2, 24)
    return f"M{x:.0f} {y:.0f}C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
