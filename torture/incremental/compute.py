"""What the nodes of a case compute: one number, which differs as soon as anything upstream does."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

FAILURE = "TORTURE_FAILURE"
# The nodes that ran in this process, in their order.
RAN: list[str] = []


class RanHooks:
    """Notes which nodes run."""

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note it."""
        RAN.append(node.name)


class InjectedError(Exception):
    """The error of a node that is to fail."""


def number_of(name: str, values: list[Any]) -> int:
    """Return what a node computes."""
    return zlib.crc32(json.dumps([name, values]).encode()) % 1_000_003


def frames_of(number: int, count: int) -> list[pd.DataFrame]:
    """Return the number as frames of several rows, one for each output."""
    return [pd.DataFrame({"id": [0, 1, 2], "v": [7, number, number + place]}) for place in range(count)]


def value_in(frame: pd.DataFrame) -> list[int]:
    """Return what a frame holds."""
    return [int(value) for value in frame.sort_values("id")["v"]]


def fail_if_wanted(name: str) -> None:
    """Fail if the node is to."""
    if Path(os.environ[FAILURE]).read_text() == name:
        raise InjectedError(name)
