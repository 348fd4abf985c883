"""What of a node's catalog entries counts as its code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from kedro_doltdb.incremental.facts import ALWAYS, Facts, facts_of
from kedro_doltdb.journal.store import Edge

CODE = """
from kedro.io import AbstractDataset

def convert(value):
    return int(value) + 1

class Table(AbstractDataset):
    def __init__(self, convert=None):
        pass
    def load(self):
        return 1
    def save(self, data):
        pass
    def _describe(self):
        return {}
"""
MODULES = ("types_of_tests_a", "types_of_tests_b")


def same(*values: Any) -> Any:
    """Return what it is given."""
    return values[0]


@pytest.fixture
def code_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Facts]]:
    """What is known of a node that loads a dataset of each of two modules, which have one name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def facts(first: str = CODE, second: str = CODE, tag: str | None = None) -> Facts:
        catalog = DataCatalog()
        for name, module, text in zip("ab", MODULES, (first, second), strict=True):
            sys.modules.pop(module, None)
            (tmp_path / f"{module}.py").write_text(text)
            importlib.invalidate_caches()
            made = importlib.import_module(module)
            catalog[name] = made.Table(convert=made.convert)
        catalog["c"] = made.Table()
        edges = [Edge("n", name, way) for name, way in (("a", "load"), ("b", "load"), ("c", "save"))]
        pipeline = Pipeline([node(same, ["a", "b"], "c", name="n", tags=tag)])
        return facts_of(pipeline, catalog, edges, tmp_path, ())[0]

    yield facts
    for module in MODULES:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [("return 1", "return 2"), ("int(value) + 1", "int(value) + 2")],
    ids=["class", "function"],
)
@pytest.mark.parametrize("number", [0, 1])
def test_the_code_of_each_entry_counts(
    code_of: Callable[..., Facts], number: int, old: str, new: str
) -> None:
    before = code_of().code
    edited = CODE.replace(old, new)
    assert code_of().code == before
    assert code_of(*((edited, CODE) if number == 0 else (CODE, edited))).code != before


def test_kedro_takes_the_tag_with_which_a_node_always_runs(code_of: Callable[..., Facts]) -> None:
    assert ALWAYS in (code_of(tag=ALWAYS).untold or "")
