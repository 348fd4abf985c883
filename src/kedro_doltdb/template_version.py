"""Which template a project was made by, and what has changed in the template since."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What each template has that those before it had not, and how a project takes it over.
CHANGES = {
    1: (
        "`pyproject.toml` says which template a project was made by: "
        "add `[tool.kedro-dolt]` with `template = 1`"
    ),
    2: (
        "`settings.py` has `CONFIG_LOADER_CLASS = DoltConfigLoader`, imported from `kedro_doltdb`: "
        "with it Kedro-Viz needs no `--include-hooks`"
    ),
    3: (
        "`hooks.py` has `on_node_error`, which calls `node_failed(node)`, imported from `kedro_doltdb`: "
        "with it the journal says which node failed"
    ),
}
CURRENT = max(CHANGES)


def template_of(project_path: Path) -> int | None:
    """Return the number of the template that a project was made by; None if it does not say."""
    try:
        content: dict[str, Any] = tomllib.loads((project_path / "pyproject.toml").read_text(encoding="utf-8"))
        number = content["tool"]["kedro-dolt"]["template"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return number if type(number) is int else None


def changes_since(number: int) -> list[str]:
    """Return what later templates have, a line each."""
    return [f"{later}: {change}." for later, change in sorted(CHANGES.items()) if later > number]
