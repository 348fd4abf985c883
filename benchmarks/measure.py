"""Ratios of several ways to the same end, measured side by side in one run."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Benchmark:
    """Several ways to the same end, one of them ours.

    Attributes:
        title: what all of them do.
        ours: the name of our way.
        ways: by name, what is measured. A way prepares what it needs outside of the ``timed`` part and
            returns the seconds of that part.
        aims: by name of another way, the greatest ratio of our time to its time that we want.
    """

    title: str
    ours: str
    ways: Mapping[str, Callable[[], float]]
    aims: Mapping[str, float]


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that ``action`` takes."""
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(benchmark: Benchmark, repeats: int) -> str:
    """Measure the ways in turn, ``repeats`` times after one round that is not counted.

    What disturbs the machine disturbs all ways of a round alike: so the ratio is taken in each round.

    Returns:
        A Markdown table: seconds of each way, and our time as a ratio to it; medians, with the least and the
        greatest value as their spread.
    """
    rounds: list[dict[str, float]] = []
    for number in range(repeats + 1):
        print(f"{benchmark.title}: round {number} of {repeats}", file=sys.stderr, flush=True)
        # Every other round goes backwards, so that no way always has the same one before it.
        names = list(benchmark.ways)[:: -1 if number % 2 else 1]
        seconds = {name: benchmark.ways[name]() for name in names}
        if number:
            rounds.append(seconds)
    lines = [
        f"**{benchmark.title}** ({repeats} rounds)",
        "",
        "| way | seconds | ours / this | aim |",
        "| --- | --- | --- | --- |",
    ]
    for name in benchmark.ways:
        taken = spread([seconds[name] for seconds in rounds], 2)
        if name == benchmark.ours:
            lines.append(f"| {name} (ours) | {taken} | | |")
            continue
        ratio = spread([seconds[benchmark.ours] / seconds[name] for seconds in rounds], 2)
        aim = f"≤ {benchmark.aims[name]:.2f}" if name in benchmark.aims else ""
        lines.append(f"| {name} | {taken} | {ratio} | {aim} |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """The median, and in brackets the least and the greatest value."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"
