"""Where the boxes of a graph stand: in columns from left to right, each after what it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

_GAP_X, _GAP_Y, _MARGIN = 28, 16, 8
_SWEEPS = 4
# What an arrow takes of a column that it passes: no width, some height.
_PASSAGE = (0.0, 6.0)
# A box and -1, or the passage of the arrows from a box through the column of a number.
_Place = tuple[str, int]


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

    An arrow to a column farther on goes past the boxes between: in each of their columns it has a place of
    its own, as in K. Sugiyama's way to draw graphs (https://doi.org/10.1109/TSMC.1981.4308636). Those from
    one box share it.

    Args:
        sizes: the width and the height of each box.
        arrows: from which box to which; circles are broken somewhere, and cross what is between.
    """
    arrows = [(one, other) for one, other in arrows if one in sizes and other in sizes and one != other]
    ranks = _ranks(list(sizes), arrows)
    routes = [
        [_box(one), *((one, rank) for rank in range(ranks[one] + 1, ranks[other])), _box(other)]
        for one, other in arrows
    ]
    places = {_box(name): size for name, size in sizes.items()}
    for route in routes:
        places.update(dict.fromkeys(route[1:-1], _PASSAGE))
    columns = _columns(list(places), {_box(name): rank for name, rank in ranks.items()}, routes)
    height = max((_height(column, places) for column in columns), default=0)
    found: dict[_Place, Box] = {}
    edges: dict[_Place, tuple[float, float]] = {}
    x = float(_MARGIN)
    for column in columns:
        width = max(places[place][0] for place in column)
        y = _MARGIN + (height - _height(column, places)) / 2
        for place in column:
            found[place] = Box(x + (width - places[place][0]) / 2, y, *places[place])
            edges[place] = x, x + width
            y += places[place][1] + _GAP_Y
        x += width + _GAP_X
    paths = [
        (route[0][0], route[-1][0], _path([(found[place], *edges[place]) for place in route]))
        for route in routes
    ]
    boxes = {name: found[_box(name)] for name in sizes}
    return Layout(max(x - _GAP_X + _MARGIN, 0), height + 2 * _MARGIN, boxes, paths)


def _box(name: str) -> _Place:
    return name, -1


def _height(column: list[_Place], sizes: Mapping[_Place, tuple[float, float]]) -> float:
    return sum(sizes[place][1] for place in column) + _GAP_Y * (len(column) - 1)


def _columns(
    places: list[_Place], ranks: Mapping[_Place, int], routes: list[list[_Place]]
) -> list[list[_Place]]:
    after: dict[_Place, list[_Place]] = {place: [] for place in places}
    before: dict[_Place, list[_Place]] = {place: [] for place in places}
    for one, other in dict.fromkeys(pair for route in routes for pair in pairwise(route)):
        after[one].append(other)
        before[other].append(one)
    columns: list[list[_Place]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for place in places:
        columns[ranks.get(place, place[1])].append(place)
    columns = [column for column in columns if column]
    # Each goes to the middle of its neighbours, there and back.
    for sweep in range(_SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        heights = {place: number / len(column) for column in columns for number, place in enumerate(column)}
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {
                place: sum(heights[near] for near in neighbours[place]) / len(neighbours[place])
                if neighbours[place]
                else heights[place]
                for place in column
            }
            column.sort(key=lambda place: wanted[place])
            heights.update({place: number / len(column) for number, place in enumerate(column)})
    return columns


def _ranks(names: list[str], arrows: list[tuple[str, str]]) -> dict[str, int]:
    after: dict[str, list[str]] = {name: [] for name in names}
    before: dict[str, list[str]] = {name: [] for name in names}
    for one, other in arrows:
        after[one].append(other)
        before[other].append(one)
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


def _path(stops: list[tuple[Box, float, float]]) -> str:
    """Return an arrow: it bends between the columns alone, where no box is.

    Args:
        stops: the box that it comes from, its passages, the box that it goes to; and where their columns are.
    """
    first, last = stops[0][0], stops[-1][0]
    x, y = first.x + first.width, first.y + first.height / 2
    path = f"M{x:.0f} {y:.0f}"
    for (_, left, right), (box, next_left, _) in pairwise(stops):
        # Back to an earlier column there is no way between the boxes.
        x, to_x = (right, next_left) if next_left > left else (x, last.x)
        to_y = box.y + box.height / 2
        bend = (to_x - x) * 0.6 if to_x > x else 24
        path += f"H{x:.0f}C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
        y = to_y
    return f"{path}H{last.x:.0f}"
