"""Many versions of one table, some of its rows changed each time: what each way takes for the same work."""

from __future__ import annotations

import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from .measure import spread, timed
from .save_table import frame_of
from .ways import WAYS, Ours, Way

SLOW_VERSIONS = 3

# What is measured, by way: the seconds of each repeat, or bytes.
Results = dict[str, dict[str, list[float]]]


def measure(rows: int, share: float, count: int, directory: Path) -> Results:
    """Save ``count`` versions of a table in each way, in turn, and read them back.

    Args:
        rows: of the table.
        share: how much of the rows differs from the version before, 0 to 1.
        count: versions after the first; slow ways get a few.
        directory: to be made, and large.
    """
    results: Results = defaultdict(lambda: defaultdict(list))
    random = np.random.default_rng(0)
    frame = frame_of(rows)
    ways = [way(directory / way.__name__) for way in WAYS]
    try:
        for number in range(count + 1):
            print(f"{rows:,} rows, {share:.1%} changed: version {number}", file=sys.stderr, flush=True)
            if number:
                frame = frame.copy()
                chosen = random.choice(rows, round(rows * share), replace=False)
                frame.loc[chosen, "price"] += 1.0
            for way in ways[:: -1 if number % 2 else 1]:
                if way.slow and number > SLOW_VERSIONS:
                    continue
                way.prepare(frame)
                what = "save" if number else "first"
                results[way.name][what].append(timed(partial(way.save, frame, number)))
        for _ in range(3):
            for way in ways:
                _read(way, results[way.name], min(count, SLOW_VERSIONS) if way.slow else count)
        for way in ways:
            results[way.name]["bytes"].append(way.size())
    finally:
        for way in ways:
            way.close()
    return results


def _read(way: Way, results: dict[str, list[float]], last: int) -> None:
    way.load()
    results["load"].append(timed(way.load))
    if isinstance(way, Ours):
        way.load_cold()
        results["cold"].append(timed(way.load))
    results["old"].append(timed(lambda: way.load_old(last // 2)))
    results["diff"].append(timed(lambda: way.changed_rows(last - 1, last)))


def markdown(rows: int, share: float, count: int, results: Results) -> str:
    """A table of what was measured; in each column but the last seconds, median (least to greatest)."""
    lines = [
        f"**{rows:,} rows x 7 columns, {share:.1%} of the rows changed** ({count} versions, slow ways "
        f"{min(count, SLOW_VERSIONS)})",
        "",
        "| way | first save | save + version | this / ours | load latest | load old | changed rows | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours = results[Ours.name]
    for name, found in results.items():
        ratios = [theirs / own for theirs, own in zip(found["save"], ours["save"], strict=False)]
        ratio = "" if name == Ours.name else spread(ratios, 1)
        load = spread(found["load"], 3)
        if found["cold"] and name == Ours.name:
            load += f"; cold {spread(found['cold'], 3)}"
        cells = [
            name, f"{found['first'][0]:.2f}", spread(found["save"], 3), ratio, load,
            spread(found["old"], 3), spread(found["diff"], 3), f"{found['bytes'][0] / 1e6:.1f}",
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
