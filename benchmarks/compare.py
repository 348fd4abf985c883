"""Compare ratios with committed ones: `python -m benchmarks.compare COMMITTED MEASURED [--tolerance 0.3]`.

Seconds differ from machine to machine, ratios to what is measured beside much less. It fails where one has
become worse by more than the tolerance.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

TOLERANCE = 0.3
# Which columns are ratios, and whether a greater one is better for us.
_RATIOS = {"ours / this": False, "this / ours": True}

Ratios = Mapping[tuple[str, str, str], float]


def ratios(markdown: str) -> dict[tuple[str, str, str], float]:
    """Return the medians of all ratios in the tables of a `results.md`, by title, way and column."""
    found = {}
    title, columns = "", [""]
    for line in markdown.splitlines():
        if match := re.match(r"\*\*(.+?)\*\*", line):
            title, columns = match[1], [""]
        if not line.startswith("|") or set(line) <= set("| -:"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if columns == [""]:
            columns = cells
            continue
        for column, cell in zip(columns, cells, strict=False):
            if column in _RATIOS and (number := re.match(r"\d+(\.\d+)?", cell)):
                found[title, cells[0], column] = float(number[0])
    return found


def regressions(committed: Ratios, measured: Ratios, tolerance: float = TOLERANCE) -> list[str]:
    """Say where a measured ratio is worse than the committed one by more than the tolerance.

    Args:
        committed: what is compared with.
        measured: what was measured now: all of each title, not of all titles.
        tolerance: how much worse it may be, 0.3 for 30 %.

    Raises:
        ValueError: nothing can be compared, or a way that was measured before was not measured now.
    """
    titles = {title for title, _, _ in measured}
    expected = {key: ratio for key, ratio in committed.items() if key[0] in titles}
    if not expected:
        raise ValueError("no table was measured that has committed ratios")
    if missing := [key for key in expected if key not in measured]:
        raise ValueError(f"{missing[0][0]}: {missing[0][1]} was not measured")
    worse = []
    for key, before in expected.items():
        title, way, column = key
        now = measured[key]
        limit = before / (1 + tolerance) if _RATIOS[column] else before * (1 + tolerance)
        # Both were rounded.
        if (now < limit - 0.01) if _RATIOS[column] else (now > limit + 0.01):
            worse.append(f"{title}: {way}: {column} was {before:g} and is {now:g}, beyond {limit:.2f}")
    return worse


def main() -> None:
    """Compare two files; the exit code is 1 where something has become worse."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("committed", type=Path)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="0.3 by default: 30 %% worse")
    options = parser.parse_args()
    try:
        committed, measured = (ratios(file.read_text()) for file in (options.committed, options.measured))
        worse = regressions(committed, measured, options.tolerance)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if worse:
        sys.exit("\n".join(worse))
    print(f"No ratio is worse than committed by more than {options.tolerance:.0%}.")


if __name__ == "__main__":
    main()
