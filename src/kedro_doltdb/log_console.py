"""Where Kedro's log goes in a project whose ``conf/logging.yml`` names this console.

The log of ``kedro dolt ...`` goes to standard error, since its standard output may be JSON or Markdown for
another program; that of every other command goes where Kedro's own goes. Kedro makes its handlers before any
plugin has a say.
"""

from __future__ import annotations

import sys

from rich.console import Console

console = Console(stderr=sys.argv[1:2] == ["dolt"])
