"""Put the executable that build.py has laid here into the wheel, under a tag of its platform."""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DoltHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the wheel one of a platform, with a script that is not Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say what is in the wheel."""
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['DOLT_WHEEL_PLATFORM']}"
        build_data["shared_scripts"] = {"dolt": "dolt"}
