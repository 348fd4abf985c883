"""The versions that kedro-dolt works with, a session a combination, and Kedro's plugins.

    nox                       # all combinations whose Python is on this machine
    nox -s oldest             # the oldest Kedro, with the Python that runs nox
    nox -s plugins            # Kedro-Viz, kedro-mlflow and kedro server

A Python that is missing is named and left out. They are looked for on PATH and among pyenv's.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["versions"]
nox.options.error_on_missing_interpreters = False

_PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
# Before the rest of PATH, where pyenv's shims answer for Pythons that are not activated.
os.environ["PATH"] = os.pathsep.join([*map(str, _PYENV.glob("versions/*/bin")), os.environ["PATH"]])

# Every Kedro since 1.0, every Python with the newest one, and pandas 2, 3.0 and newer (3 needs Python 3.11),
# with either SQLAlchemy: how pandas reads a column depends on how that describes it.
COMBINATIONS = [
    ("3.10", "1.0", "2", "2.0"),
    ("3.11", "1.1", "2", "2.1"),
    ("3.12", "1.2", "2", "2.0"),
    ("3.13", "1.3", "3", "2.1"),
    ("3.11", "1.4", "3.0", "2.1"),
    ("3.12", "1.5", "3.0", "2.0"),
    ("3.13", "1.6", "2", "2.1"),
    ("3.10", "1.7", "2", "2.1"),
    ("3.11", "1.7", "3", "2.0"),
    ("3.12", "1.7", "3", "2.1"),
    ("3.13", "1.7", "3", "2.1"),
]

# What depends on those versions: types, every way to save and load a table, whole runs under every runner,
# catalogs, packages.
TESTS = [
    "tests/dolt/test_types.py",
    "tests/dolt/test_bulk_load.py",
    "tests/dolt/test_table_dataset.py",
    "tests/dolt/test_frames.py",
    "tests/dolt/test_booleans.py",
    "tests/dolt/test_query_frame.py",
    "tests/dolt/test_dialect.py",
    "tests/project/test_neighbours.py",
    "tests/project/test_run.py::test_two_runs_are_two_commits_that_differ_by_rows",
    "tests/project/test_run.py::test_the_message_tells_what_was_run_and_the_author_is_the_user",
    "tests/project/test_run.py::test_a_failed_run_leaves_the_target_and_can_be_resumed",
    "tests/project/test_catalog.py",
    "tests/project/test_journal.py::test_a_run_is_journalled_in_its_own_commit",
    "tests/project/test_journal.py::test_partial_runs_are_told_apart",
    "tests/project/test_commands.py::test_rerun_says_what_is_not_as_it_was",
    "tests/project/test_commands.py::test_a_run_is_named_by_its_commit_a_tag_or_a_reference",
    "tests/project/test_commands.py::test_show_tells_of_a_run_what_the_list_tells_and_its_lineage",
    "tests/project/test_generate.py::test_projects_own_tests_pass",
]
TEST_TOOLS = ["build", "hypothesis", "omegaconf<2.4", "pytest>=8", "pytest-xdist"]


@nox.session
@nox.parametrize(
    "python,kedro,pandas,sqlalchemy",
    [
        nox.param(*cell, id="Kedro {1}, Python {0}, pandas {2}, SQLAlchemy {3}".format(*cell))
        for cell in COMBINATIONS
    ],
)
def versions(session: nox.Session, kedro: str, pandas: str, sqlalchemy: str) -> None:
    """Types, tables and whole runs with one combination of versions."""
    _test(session, f"kedro=={kedro}.*", f"pandas=={pandas}.*", f"sqlalchemy=={sqlalchemy}.*")


@nox.session
def oldest(session: nox.Session) -> None:
    """Types, tables and whole runs with the oldest versions that we say we work with."""
    _test(session, "kedro==1.0.0", "kedro-datasets==9.0.0", "pandas==2.*", "sqlalchemy==2.0.*")


@nox.session
def plugins(session: nox.Session) -> None:
    """Kedro-Viz, kedro-mlflow and kedro server in a project of ours."""
    session.install("--editable", ".", *TEST_TOOLS, "--requirement", "tests/plugins/requirements.txt")
    session.run("python", "-m", "pytest", "tests/plugins/check_plugins.py", *session.posargs)


def _test(session: nox.Session, *requirements: str) -> None:
    session.install("--editable", ".[fast,polars]", *TEST_TOOLS, *requirements)
    session.run(
        "python", "-m", "pytest", "--quiet", "-m", "not slow", "--numprocesses=3", "--dist=loadgroup",
        *(session.posargs or TESTS),
    )  # fmt: skip
