"""A case as code and configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..pipelines.write import config, put
from .case import SOURCES, Node
from .model import Model

REGISTRY = '''"""The pipelines of a case."""

from kedro.pipeline import Pipeline, node

from . import work


def register_pipelines():
    return {"__default__": Pipeline([%s])}
'''
HELPERS = '''from torture.incremental.compute import fail_if_wanted, frames_of, number_of, value_in

from .deeper import tweak

HELPER = %d
# comment %d


def compute(name, constant, tweaked, count, frames, parameters):
    """Compute %d."""
    fail_if_wanted(name)
    more = [tweak()] if tweaked else []
    values = [constant, HELPER, *more, *parameters, *(value_in(frame) for frame in frames)]
    found = frames_of(number_of(name, values), count)
    return found[0] if count == 1 else found
'''
PLAIN = """from torture.incremental.compute import fail_if_wanted, frames_of, number_of, value_in

from .helpers import HELPER


def compute(name, constant, count, frames, parameters):
    fail_if_wanted(name)
    values = [constant, HELPER, *parameters, *(value_in(frame) for frame in frames)]
    found = frames_of(number_of(name, values), count)
    return found[0] if count == 1 else found
"""


def write_code(model: Model, package: Path, comment: int) -> None:
    """Write the code as it is by now."""
    constants = model.constants
    (package / "deeper.py").write_text(
        f"TWEAK = {constants.get('tweak', 1)}\n\n\ndef tweak():\n    return TWEAK\n"
    )
    (package / "helpers.py").write_text(HELPERS % (constants.get("helper", 1), comment, comment))
    (package / "plain.py").write_text(PLAIN)
    work = ["from . import helpers, plain\n"]
    nodes = []
    for node in model.case.nodes:
        work.append(_function(node, constants.get(node.name, 1), comment))
        inputs = [*node.inputs, *([f"params:{node.parameter}"] if node.parameter else [])]
        outputs = list(node.outputs)
        saved = repr(outputs[0] if len(outputs) == 1 else outputs)
        nodes.append(f"node(work.{node.name}, {inputs}, {saved}, name={node.name!r})")
    (package / "work.py").write_text("\n\n".join(work))
    (package / "pipeline_registry.py").write_text(REGISTRY % ", ".join(nodes))


def _function(node: Node, constant: int, comment: int) -> str:
    names = [f"a{number}" for number in range(len(node.inputs))]
    call = "helpers.compute(NAME, K, True," if node.tweaked else "plain.compute(NAME, K,"
    call = call.replace("NAME", repr(node.name)).replace("K", f"K_{node.name}")
    parameters = ["p"] if node.parameter else []
    return (
        f"K_{node.name} = {constant}\n\n\n"
        f"def {node.name}({', '.join([*names, *parameters])}):\n    # {comment}\n"
        f"    return {call} {len(node.outputs)}, [{', '.join(names)}], [{', '.join(parameters)}])\n"
    )


def write_configuration(model: Model, project: Path) -> None:
    """Write catalog and parameters as they are by now."""
    catalog: dict[str, Any] = {name: config("delta", name, "dolt", "") for name in SOURCES}
    for node in model.case.nodes:
        for name, kind in node.outputs.items():
            if kind != "memory":
                catalog[name] = config(kind, name, "dolt", "${dolt.bulk_load:id}")
    base = project / "conf" / "base"
    (base / "catalog.yml").write_text(json.dumps(catalog))
    parameters: dict[str, Any] = {}
    for name, value in model.parameters.items():
        put(parameters, name, value)
    (base / "parameters.yml").write_text(json.dumps(parameters))
    (base / "dolt.yml").write_text("")
