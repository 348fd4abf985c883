"""Many versions of one table, some of its rows changed each time: what each way takes for the same work."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from .measure import spread, timed
from .ways import WAYS, Ours, Way

SLOW_VERSIONS = 3

# What is measured, by way: the seconds of each repeat, or bytes.
Results = dict[str, dict[str, list[float]]]


def measure(
    frame: pd.DataFrame,
    share: float,
    count: int,
    directory: Path,
    *,
    ways: Sequence[type[Way]] = WAYS,
    change: tuple[str, float | str] = ("price", 1.0),
) -> Results:
    """Save ``count`` versions of a table in each way, in turn, and read them back.

    Args:
        frame: the first version; `id` is its key.
        share: how much of the rows differs from the version before, 0 to 1.
        count: versions after the first; slow ways get a few.
        directory: to be made, and large.
        ways: which are compared; ours is one of them.
        change: a column without missing values, and what is added to it where a row changes.
    """
    rows, (column, step) = len(frame), change
    results: Results = defaultdict(lambda: defaultdict(list))
    random = np.random.default_rng(0)
    made = [way(directory / way.__name__) for way in ways]
    try:
        for number in range(count + 1):
            print(f"{rows:,} rows, {share:.1%} changed: version {number}", file=sys.stderr, flush=True)
            if number:
                frame = frame.copy()
                chosen = random.choice(rows, round(rows * share), replace=False)
                frame.loc[chosen, column] += step
            for way in made[:: -1 if number % 2 else 1]:
                if way.slow and number > SLOW_VERSIONS:
                    continue
                way.prepare(frame)
                what = "save" if number else "first"
                results[way.name][what].append(timed(partial(way.save, frame, number)))
                if not number:
                    results[way.name]["bytes"].append(way.size() - way.copies())
        for _ in range(3):
            for way in made:
                _read(way, results[way.name], _versions(way, count))
        for way in made:
            found, copies = results[way.name], way.copies()
            stored = way.size() - copies
            found["bytes a version"].append((stored - found["bytes"][0]) / _versions(way, count))
            found["bytes"].append(stored + copies)
            found["copies"].append(copies)
    finally:
        for way in made:
            way.close()
    return results


def _versions(way: Way, count: int) -> int:
    return min(count, SLOW_VERSIONS) if way.slow else count


def _read(way: Way, results: dict[str, list[float]], last: int) -> None:
    way.load()
    results["load"].append(timed(way.load))
    if isinstance(way, Ours):
        way.load_cold()
        results["cold"].append(timed(way.load))
    results["old"].append(timed(lambda: way.load_old(last // 2)))
    results["diff"].append(timed(lambda: way.changed_rows(last - 1, last)))


def markdown(table: str, share: float, count: int, results: Results) -> str:
    """A table of what was measured; in each column but the last two seconds, median (least to greatest).

    What a version takes on disk is without copies for loads, of which only so many are kept.
    """
    lines = [
        f"**{table}, {share:.1%} of the rows changed** ({count} versions, slow ways "
        f"{min(count, SLOW_VERSIONS)})",
        "",
        "| way | first save | save + version | this / ours | load latest | load old | changed rows | MB "
        "| MB a version |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours = results[Ours.name]
    for name, found in results.items():
        ratios = [theirs / own for theirs, own in zip(found["save"], ours["save"], strict=False)]
        ratio = "" if name == Ours.name else spread(ratios, 1)
        load = spread(found["load"], 3)
        if found["cold"] and name == Ours.name:
            load += f"; cold {spread(found['cold'], 3)}"
        size = f"{found['bytes'][-1] / 1e6:.1f}"
        if found["copies"][0]:
            size += f", of it copies {found['copies'][0] / 1e6:.1f}"
        cells = [
            name, f"{found['first'][0]:.2f}", spread(found["save"], 3), ratio, load,
            spread(found["old"], 3), spread(found["diff"], 3),
            size, f"{found['bytes a version'][0] / 1e6:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(found: dict[tuple[int, float], Results], rows: int, file: Path) -> None:
    """Draw what a save and its version take, by the share of rows that have changed, into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.0), dpi=90)
    shares = sorted(share for size, share in found if size == rows)
    for way in WAYS:
        seconds = [median(found[rows, share][way.name]["save"]) for share in shares]
        label = way.name.replace("`", "")
        ours = issubclass(way, Ours)
        axes.plot(range(len(shares)), seconds, marker="o", label=label, linewidth=2.5 if ours else 1.2)
    axes.set_yscale("log")
    axes.set_xticks(range(len(shares)), [f"{share:.1%}".replace(".0%", "%") for share in shares])
    axes.set_xlabel("rows changed since the version before")
    axes.set_ylabel("seconds, save + version")
    axes.set_title(f"{rows:,} rows x 7 columns")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)
