"""The examples in docstrings: every public name has one, and it is true."""

from __future__ import annotations

import doctest
import inspect
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import kedro_doltdb
from kedro_doltdb import hooks
from kedro_doltdb.errors import DoltError

PACKAGE = Path(kedro_doltdb.__file__).parent
# Those of kedro_doltdb.open need a project: tests/project/test_at.py executes them.
IN_A_PROJECT = "notebook/data.py"
EXECUTED = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*.py")
    if "    >>> " in path.read_text(encoding="utf-8") and path != PACKAGE / IN_A_PROJECT
)


@pytest.mark.parametrize("module", EXECUTED)
def test_examples_give_what_they_say(module: str) -> None:
    found = doctest.testmod(import_module(f"kedro_doltdb.{module}"))
    assert found.attempted and not found.failed


@pytest.mark.parametrize("name", kedro_doltdb.__all__)
def test_a_public_name_has_an_example(name: str) -> None:
    value: Any = getattr(kedro_doltdb, name)
    if not (inspect.isclass(value) and issubclass(value, DoltError) and value is not DoltError):
        assert "\n    Example:\n" in value.__doc__


@pytest.mark.parametrize("name", ["DoltRun", "attach", "dataset_saved", "node_failed", "node_started"])
def test_an_example_of_hooks_is_what_the_hooks_do(name: str) -> None:
    lines = {line.strip() for line in inspect.getsource(hooks).splitlines()}
    _, example = getattr(kedro_doltdb, name).__doc__.split("::\n")
    assert {line.strip() for line in textwrap.dedent(example).splitlines()} <= lines
