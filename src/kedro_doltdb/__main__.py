"""``kedro-dolt ...``: the same as ``kedro dolt ...``, with nothing but results on standard output.

Kedro sets up its logging, and says so, before it asks any plugin: in a project whose logging goes to standard
output that line comes first there. This program is earlier.
"""

from __future__ import annotations

import sys

from .terminal import results_alone


def main() -> None:
    """Call the command that the arguments name."""
    sys.argv[1:1] = ["dolt"]
    if {"--help", "-h"} & set(sys.argv):
        _kedro()
    else:
        with results_alone():
            _kedro()


def _kedro() -> None:
    from kedro.framework.cli import main as kedro

    kedro()


if __name__ == "__main__":
    main()
