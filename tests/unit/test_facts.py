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
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a module of some name and text, to be imported anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name: str, text: str) -> None:
        sys.modules.pop(name, None)
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    return write


@pytest.fixture
def code_of(tmp_path: Path, write_module: Callable[[str, str], None]) -> Iterator[Callable[..., Facts]]:
    """What is known of a node that loads a dataset of each of two modules, which have one name."""

    def facts(first: str = CODE, second: str = CODE, tag: str | None = None) -> Facts:
        catalog = DataCatalog()
        for name, module, text in zip("ab", MODULES, (first, second), strict=True):
            write_module(module, text)
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


def facts_with(entry: dict[str, Any], directory: Path, file: str | None = None) -> Facts:
    """What is known of a node that loads an entry of a catalog."""
    result = {"type": "json.JSONDataset", "filepath": (directory / "b.json").as_posix()}
    catalog = DataCatalog.from_config({"a": entry, "b": result})
    edges = [Edge("n", "a", "load", file=file), Edge("n", "b", "save", file="b.json")]
    return facts_of(Pipeline([node(same, "a", "b", name="n")]), catalog, edges, directory, ())[0]


@pytest.mark.parametrize(
    "change",
    [
        {"load_args": {"sep": ";"}},
        {"save_args": {"index": True}},
        {"filepath": "other.csv"},
        {"type": "pandas.ExcelDataset"},
        {"fs_args": {"open_args_load": {"encoding": "latin1"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_argument_of_an_entry_counts(tmp_path: Path, change: dict[str, Any]) -> None:
    entry = {"type": "pandas.CSVDataset", "filepath": "a.csv", "load_args": {"sep": ","}}
    before = facts_with(entry, tmp_path, "a.csv")
    assert before.recipe == facts_with({**entry, "metadata": {"owner": "Ada"}}, tmp_path, "a.csv").recipe
    assert before.recipe and before.recipe != facts_with({**entry, **change}, tmp_path, "a.csv").recipe


def test_the_file_of_a_query_is_not_its_data(tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("SELECT 1")
    entry = {
        "type": "pandas.SQLQueryDataset",
        "filepath": (tmp_path / "query.sql").as_posix(),
        "credentials": {"con": "sqlite://"},
    }
    found = facts_with(entry, tmp_path, "query.sql")
    assert found.recipe is None and "database" in (found.untold or "")


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_unpickled_depends_on_the_whole_package(tmp_path: Path, wrapped: bool) -> None:
    entry: dict[str, Any] = {"type": "pickle.PickleDataset"}
    entry = (
        {"type": "partitions.PartitionedDataset", "path": tmp_path.as_posix(), "dataset": entry}
        if wrapped
        else {**entry, "filepath": "a.pkl"}
    )
    assert "(the whole package)" in facts_with(entry, tmp_path, "a.pkl").code


VALIDATOR = """
def check(data):
    return [value + 1 for value in data]
"""


@pytest.mark.skipif(not hasattr(DataCatalog, "validators"), reason="Kedro has no validators before 1.7")
def test_a_validator_counts_with_its_code_and_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Callable[[str, str], None]
) -> None:
    def recipe(validator: Any, text: str = VALIDATOR) -> str | None:
        write_module("validators_of_tests", text)
        entry = {"type": "json.JSONDataset", "filepath": "a.json"}
        return facts_with(
            {**entry, "validator": validator} if validator else entry, tmp_path, "a.json"
        ).recipe

    check = "validators_of_tests.check"
    found = [
        recipe(None),
        recipe(check),
        recipe({"class": check, "on": ["load"]}),
        recipe(check, VALIDATOR.replace("+ 1", "+ 2")),
    ]
    assert None not in found and len(set(found)) == len(found)
    assert recipe(check, f"# A comment.\n{VALIDATOR}") == found[1]
    monkeypatch.setenv("KEDRO_DATASET_VALIDATION", "off")
    assert recipe(check) == found[0]


HOOKS = """
class Doubling:
    def before_node_run(self, inputs):
        return {name: value * 2 for name, value in inputs.items()}

class Watching:
    def before_node_run(self, inputs):
        print(inputs)
"""


def test_a_hook_that_changes_inputs_counts_and_one_that_watches_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Callable[[str, str], None]
) -> None:
    from kedro.framework import project

    def recipe(kind: str, text: str = HOOKS) -> str | None:
        write_module("hooks_of_tests", text)
        hooks = (getattr(importlib.import_module("hooks_of_tests"), kind)(),)
        monkeypatch.setattr(project, "settings", type("Settings", (), {"HOOKS": hooks}))
        return facts_with({"type": "json.JSONDataset", "filepath": "a.json"}, tmp_path, "a.json").recipe

    without = recipe("Watching")
    assert without and without == recipe("Watching", HOOKS.replace("print(inputs)", "print(len(inputs))"))
    doubled = recipe("Doubling")
    assert doubled not in (None, without)
    assert recipe("Doubling", HOOKS.replace("* 2", "* 3")) not in (None, doubled, without)


def test_two_names_of_one_file_are_noticed_whatever_way_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    entries = {
        name: {"type": "json.JSONDataset", "filepath": (tmp_path / path).as_posix()}
        for name, path in {"a": "in.json", "b": "out.json", "c": "link/out.json", "d": "end.json"}.items()
    }
    catalog = DataCatalog.from_config(entries)
    edges = [
        Edge("n", "a", "load", file="in.json"), Edge("n", "b", "save", file="out.json"),
        Edge("m", "c", "load", file="link/out.json"), Edge("m", "d", "save", file="end.json"),
    ]  # fmt: skip
    pipeline = Pipeline([node(same, "a", "b", name="n"), node(same, "c", "d", name="m")])
    assert all("at once" in (one.untold or "") for one in facts_of(pipeline, catalog, edges, tmp_path, ()))


def fetch() -> dict[str, int]:
    """Return what is somewhere else."""
    return {}


def test_a_node_that_loads_nothing_always_runs(tmp_path: Path) -> None:
    catalog = DataCatalog.from_config({"b": {"type": "json.JSONDataset", "filepath": "b.json"}})
    edges = [Edge("n", "b", "save", file="b.json")]
    (found,) = facts_of(Pipeline([node(fetch, None, "b", name="n")]), catalog, edges, tmp_path, ())
    assert found.recipe is None and "loads nothing" in (found.untold or "")
