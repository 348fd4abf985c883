"""What is known of a pipeline's nodes before they run: their code, parameters and catalog entries."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..journal.edges import base_name, shortened
from ..journal.parameters import typed, without_run_keys
from ..journal.store import Edge, Execution
from .entries import code_in, entry_hash, loads_code, why_unloadable, why_unrepeatable
from .fingerprint import Fingerprint, Fingerprints
from .owned import Owned
from .packages import versions
from .source import UntoldError, source_of, tree_hash

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

# Kedro refuses tags with a colon.
ALWAYS = "dolt.always"
# Types of values in the journal that say that the value itself is not there.
_UNKNOWN = ("secret", "object", "not unique")


@dataclass
class Facts:
    """What is known of a node before it runs.

    Attributes:
        node: its name, shortened to 255 characters.
        recipe: the hash of its code, its parameters and its catalog entries; None if that cannot be told.
        loads: what it loads, by the names of the datasets without what tells transcoded ones apart.
        saves: what it saves, likewise.
        untold: why it always runs, if it does.
        code: the hash of each definition that its function refers to, by dotted name.
        params: the hash of each parameter that it loads.
        entries: the hash of the catalog entry of each of its datasets.
    """

    node: str
    recipe: str | None = None
    loads: tuple[str, ...] = ()
    saves: tuple[str, ...] = ()
    untold: str | None = None
    code: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)

    def execution(self) -> Execution:
        """Return the row of the journal for the node if it is computed."""
        return Execution(
            self.node, recipe=self.recipe, code=self.code, params=self.params, entries=self.entries,
            untold=self.untold,
        )  # fmt: skip


def facts_of(
    pipeline: Pipeline,
    catalog: DataCatalog,
    edges: Iterable[Edge],
    project_path: Path,
    secrets: Iterable[str],
    packages: str = "ignore",
) -> list[Facts]:
    """Return what is known of the nodes of a pipeline, in an order in which they can run.

    Args:
        pipeline: the pipeline that is run, filters applied.
        catalog: its catalog.
        edges: what its nodes load and save.
        project_path: the project.
        secrets: what must not be told of parameters.
        packages: whose versions count: ``ignore``, ``direct`` or ``all``.
    """
    from kedro.framework.project import PACKAGE_NAME

    package = PACKAGE_NAME if isinstance(PACKAGE_NAME, str) else None
    collector = _Collector(catalog, list(edges), project_path, tuple(secrets), package, packages)
    return collector.collect(pipeline)


class _Collector:
    def __init__(
        self, catalog: DataCatalog, edges: list[Edge], project_path: Path, secrets: tuple[str, ...],
        package: str | None, packages: str,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._edges = {(edge.node, edge.dataset, edge.direction): edge for edge in edges}
        self._project_path = project_path
        self._secrets = secrets
        self._package = package
        self._packages = packages
        self._places = _places(edges, project_path)
        self._shared = _shared(edges, self._places)
        self._validators = _validators(catalog)
        self._entries: dict[str, str | UntoldError] = {}
        self._params: dict[str, str | UntoldError] = {}
        self._unpickled: dict[str, bool] = {}
        # Why a dataset cannot be loaded, or saved, with an equal result.
        self._whys: dict[tuple[str, str], str] = {}

    def collect(self, pipeline: Pipeline) -> list[Facts]:
        functions: dict[str, Any] = {f"node {node.name}": node.func for node in pipeline.nodes}
        owned = Owned(self._package)
        for name in pipeline.datasets():
            code = code_in(self._catalog.get(name), self._validators.get(name))
            if own := [one for one in code if owned.code(one)]:
                functions[f"dataset {name}"] = own
        if hooks := _changing_hooks(owned):
            functions["hooks"] = hooks
        fingerprints = Fingerprints(self._package, [f"{self._package}.settings"]).of(functions)
        return [self._facts(node, fingerprints) for node in pipeline.nodes]

    def _facts(self, node: Node, fingerprints: dict[str, Fingerprint]) -> Facts:
        names = [name for name in (*node.inputs, *node.outputs) if not _is_parameter(name)]
        own = [fingerprints.get(one) for one in (*(f"dataset {name}" for name in names), "hooks")]
        codes = [fingerprints[f"node {node.name}"], *(one for one in own if one)]
        facts = Facts(
            shortened(node.name),
            loads=tuple(dict.fromkeys(base_name(one) for one in node.inputs if not _is_parameter(one))),
            saves=tuple(dict.fromkeys(map(base_name, node.outputs))),
        )
        untold = [why for one in codes for why in one.untold]
        for number, one in enumerate(codes):
            facts.code |= {name or f"(as node {number})": hash for name, hash in one.parts.items()}
        if any(map(self._loads_code, (name for name in node.inputs if not _is_parameter(name)))):
            facts.code["(the whole package)"] = self._whole_package()
        try:
            self._note_entries(facts, node, names)
            self._note_params(facts, node)
            imported = frozenset(name for one in codes for name in one.packages)
            facts.code |= versions(self._packages, imported)
        except UntoldError as error:
            untold.insert(0, str(error))
        if ALWAYS in node.tags:
            untold.insert(0, f"it has the tag {ALWAYS}")
        if untold:
            facts.untold = untold[0] + (f" (and {len(untold) - 1} more reasons)" if untold[1:] else "")
        else:
            facts.recipe = _hash(
                [node.name, node._inputs, node._outputs, facts.code, facts.params, facts.entries]
            )
        return facts

    def _note_entries(self, facts: Facts, node: Node, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            if name not in self._entries:
                try:
                    self._entries[name] = entry_hash(
                        self._catalog.get(name), self._project_path, self._validators.get(name)
                    )
                except UntoldError as error:
                    self._entries[name] = UntoldError(f"{name}: {error}")
            if isinstance(found := self._entries[name], UntoldError):
                raise found
            facts.entries[name] = found
        if not node.inputs:
            raise UntoldError("it loads nothing, so what it saves comes from elsewhere")
        if not node.outputs:
            raise UntoldError("it saves nothing that could be compared")
        if node.confirms:
            raise UntoldError(f"it confirms {', '.join(node.confirms)}")
        for direction, inputs in (("load", node.inputs), ("save", node.outputs)):
            for name in (name for name in inputs if not _is_parameter(name)):
                edge = self._edges[shortened(node.name), shortened(name), direction]
                place = _place(edge, self._places)
                if others := self._shared.get(place or "", set()) - {base_name(edge.dataset)}:
                    raise UntoldError(
                        f"{edge.table_name or edge.file} is {name} and {', '.join(sorted(others))} at once"
                    )
                if (name, direction) not in self._whys:
                    tell = why_unloadable if direction == "load" else why_unrepeatable
                    self._whys[name, direction] = tell(self._catalog.get(name), edge.file)
                if why := self._whys[name, direction]:
                    raise UntoldError(f"{'input' if direction == 'load' else 'output'} {name} {why}")

    def _note_params(self, facts: Facts, node: Node) -> None:
        for name in filter(_is_parameter, node.inputs):
            if name not in self._params:
                dataset = self._catalog.get(name)
                assert dataset is not None
                value = dataset.load()
                plain, types = typed(
                    without_run_keys(value) if name == "parameters" else value, self._secrets
                )
                unknown = [kind for kind in types.values() if kind in _UNKNOWN]
                if unknown:
                    words = {"secret": "holds a secret"}.get(unknown[0], "holds what JSON does not")
                    self._params[name] = UntoldError(f"parameter {name.removeprefix('params:')} {words}")
                else:
                    self._params[name] = _hash([plain, types])
            if isinstance(found := self._params[name], UntoldError):
                raise found
            facts.params[name.removeprefix("params:")] = found

    def _loads_code(self, name: str) -> bool:
        if name not in self._unpickled:
            self._unpickled[name] = loads_code(self._catalog.get(name))
        return self._unpickled[name]

    def _whole_package(self) -> str:
        """Return the hash of the package: what was pickled may have any of its classes."""
        import sys

        places = getattr(sys.modules.get(self._package or ""), "__path__", ())
        files = sorted(file for place in places for file in Path(place).rglob("*.py"))
        return tree_hash(*(source_of(str(file)).tree for file in files))


def _changing_hooks(owned: Owned) -> list[Any]:
    """Return the project's own hooks that may give a node other inputs than the catalog has."""
    from kedro.framework.project import settings

    found = []
    for hooks in getattr(settings, "HOOKS", ()):
        function = getattr(type(hooks), "before_node_run", None)
        if isinstance(function, FunctionType) and owned.code(function):
            try:
                definitions = source_of(function.__code__.co_filename).functions(function.__code__)
            except UntoldError:
                found.append(function)
                continue
            returns = (one for tree in definitions for one in ast.walk(tree) if isinstance(one, ast.Return))
            if any(one.value is not None for one in returns):
                found.append(function)
    return found


def _validators(catalog: DataCatalog) -> dict[str, Any]:
    """Return what entries say under ``validator``, which Kedro knows from 1.7 on, if that is in force."""
    found = dict(getattr(catalog, "validators", {}))
    if found and not catalog._is_validation_enabled():
        return {}
    return found


def _places(edges: list[Edge], project_path: Path) -> dict[str, str]:
    """Return where files are, by the names that edges have for them: one place has one name."""
    files = {edge.file for edge in edges if edge.file}
    # To follow the links of each directory again for each file would cost more than all else.
    directories = {
        directory: os.path.realpath(directory)
        for directory in {_directory(project_path, one) for one in files}
    }
    found = {}
    for file in files:
        path = os.path.join(directories[_directory(project_path, file)], os.path.basename(file))
        found[file] = os.path.realpath(path) if os.path.islink(path) else path
    return found


def _directory(project_path: Path, file: str) -> str:
    return os.path.dirname(os.path.join(project_path, file))


def _place(edge: Edge, places: dict[str, str]) -> str | None:
    """Return where a dataset is."""
    return edge.table_name.lower() if edge.table_name else places.get(edge.file or "")


def _shared(edges: list[Edge], places: dict[str, str]) -> dict[str, set[str]]:
    """Return the names of the datasets of each table and file that is saved, where it has several."""
    names: dict[str, set[str]] = {}
    saved = set()
    for edge in edges:
        if edge.read_at is None and (place := _place(edge, places)):
            names.setdefault(place, set()).add(base_name(edge.dataset))
            saved |= {place} if edge.direction == "save" else set()
    return {place: found for place, found in names.items() if place in saved and len(found) > 1}


def _is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
