"""The project and its modules, whatever its package is called."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from kedro.framework.startup import bootstrap_project


@pytest.fixture(scope="session")
def project_path() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def package_name(project_path: Path) -> str:
    return bootstrap_project(project_path).package_name


@pytest.fixture(scope="session")
def nodes(package_name: str) -> ModuleType:
    return importlib.import_module(f"{package_name}.pipelines.iris.nodes")
