"""What the nodes compute: small frames that differ as soon as anything upstream differs."""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.pipeline import Node as KedroNode
from kedro.pipeline import Pipeline

from .case import Case, Node

# The seed of the case and the project's directory, for whatever Kedro imports in whatever process.
SEED, DIRECTORY = "TORTURE_CASE", "TORTURE_DIRECTORY"
# A file in that directory: which node is to fail, and how.
FAILURE = "failure.json"
# And one that the pipeline `inner` leaves when it was published.
INNER = "inner.json"


class InjectedError(Exception):
    """The error of a node that is to fail."""


def rows(frame: pd.DataFrame) -> list[tuple[int, int, float, str]]:
    """The rows of a frame in an order that does not depend on how they were stored."""
    columns = (frame["id"], frame["v"], frame["w"], frame["s"])
    return sorted((int(i), int(v), float(w), str(s)) for i, v, w, s in zip(*columns, strict=True))


def compute(node: Node, frames: Sequence[pd.DataFrame], parameters: Sequence[int]) -> list[pd.DataFrame]:
    """The outputs of a node."""
    depends_on: Any = [] if node.constant else [[rows(frame) for frame in frames], list(map(int, parameters))]
    digest = zlib.crc32(json.dumps([node.name, depends_on]).encode())
    return [_frame(digest + number, digest % 4 + (not node.empty)) for number in range(len(node.outputs))]


def _frame(digest: int, length: int) -> pd.DataFrame:
    # The first row stays, so that tables differ in some rows only.
    numbers = [(digest * row * 7919 + row) % 1_000_003 for row in range(length)]
    frame = pd.DataFrame({"id": range(length), "v": numbers})
    return frame.assign(
        id=frame["id"].astype("int64"),
        v=frame["v"].astype("int64"),
        w=[number / 8 for number in numbers],
        s=[f"row {number}" for number in numbers],
    ).astype({"w": "float64", "s": "str"})


def pipeline_of(nodes: Sequence[Node], directory: Path) -> Pipeline:
    """The nodes as Kedro runs them."""
    return Pipeline(
        [
            KedroNode(
                _function(node, directory),
                [*node.inputs, *(f"params:{name}" for name in node.parameters)] or None,
                node.outputs[0] if len(node.outputs) == 1 else list(node.outputs),
                name=node.name,
            )
            for node in nodes
        ]
    )


def _function(node: Node, directory: Path) -> Callable[..., Any]:
    function = partial[Any](_stream if node.streams else _run, node, directory)
    # What Kedro logs; the annotations of the function itself would have it validate the parameters.
    vars(function)["__name__"] = node.name
    return function


def pipelines() -> dict[str, Pipeline]:
    """What the project's ``register_pipelines`` returns."""
    from .draw import draw

    case: Case = draw(int(os.environ[SEED]))
    directory = Path(os.environ[DIRECTORY])
    return {"__default__": pipeline_of(case.nodes, directory), "inner": pipeline_of(case.inner, directory)}


def _run(node: Node, directory: Path, *inputs: Any) -> Any:
    how = _failure(node, directory)
    if how == "begun":
        raise InjectedError(node.name)
    outputs: list[Any] = compute(node, inputs[: len(node.inputs)], inputs[len(node.inputs) :])
    if node.nests:
        _run_inner(node, directory)
    if how == "save":
        outputs[-1] = InjectedError(node.name)
    return outputs[0] if len(outputs) == 1 else outputs


def _stream(node: Node, directory: Path, *inputs: Any) -> Iterator[Any]:
    yield _run(node, directory, *inputs)
    if _failure(node, directory) == "end":
        raise InjectedError(node.name)


def _failure(node: Node, directory: Path) -> str | None:
    failures: Mapping[str, str] = json.loads((directory / FAILURE).read_text())
    return failures.get(node.name)


def _run_inner(node: Node, directory: Path) -> None:
    async def in_event_loop() -> None:
        _run_session(directory)

    try:
        if node.nests == "awaits":
            asyncio.run(in_event_loop())
        else:
            _run_session(directory)
    except Exception:
        if node.nests != "swallows":
            raise
    else:
        (directory / INNER).touch()


def _run_session(directory: Path) -> None:
    from kedro.framework.session import KedroSession

    session: Any
    with KedroSession.create(directory) as session:
        session.run(pipeline_name="inner")
