"""Play cases and show each with what it logged: ``python -m torture.pipelines <seeds>``."""

from __future__ import annotations

import sys

from ..project import generated
from .scenario import play


def main(seeds: list[int]) -> int:
    """Play the cases; return 1 if anything was wrong."""
    wrong = False
    with generated() as project:
        for result in play(project, seeds):
            print(result["description"], *result["log"], *result["complaints"], "", sep="\n")
            wrong |= bool(result["complaints"])
    return wrong


if __name__ == "__main__":
    raise SystemExit(main([int(seed) for seed in sys.argv[1:]]))
