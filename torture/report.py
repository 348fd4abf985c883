"""What a scenario has done to the project, and what was wrong afterwards."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """The counts of one scenario.

    Attributes:
        title: what was done.
        faults: how often.
        commits: how many commits were looked at.
        ends: how the disturbed runs ended, and how many so.
        complaints: what was wrong; nothing, if all is well.
        samples: what there was after some of the runs.
    """

    title: str
    faults: int = 0
    commits: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    samples: list[object] = field(default_factory=list)

    def complain(self, fault: str, complaint: str, output: str) -> None:
        """Note what was wrong after a fault, and show what the runs had printed."""
        self.complaints.append(f"{fault}: {complaint}")
        print(f"\n{self.complaints[-1]}\n{output[-6000:]}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        ends = ", ".join(f"{number} {end}" for end, number in sorted(self.ends.items()))
        return f"| {self.title} | {self.faults} | {ends} | {self.commits} | {len(self.complaints)} |"
