"""Nodes that yield chunks: what each chunk would replace is refused, what is appended is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_kedro
from helpers import add_pipeline, messages, query
from kedro.io import CachedDataset, DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro_datasets.pandas import SQLTableDataset

from kedro_doltdb import dataset_saved, node_started
from kedro_doltdb.catalog.chunks import refuse_chunks
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.settings import Settings

PIPELINE = """
import pandas as pd
from kedro.pipeline import Node, Pipeline


def chunks(n):
    for start in range(0, 6, 2):
        ids = range(10 * n + start, 10 * n + start + 2)
        yield pd.DataFrame({{"id": ids, "text": "x" * (1 + 200 * start)}})


def whole(n):
    return pd.concat(chunks(n))


def create_pipeline(**kwargs):
    return Pipeline([Node({function}, "params:n", f"rows{{n}}", name=f"make{{n}}") for n in range(3)])
"""
KINDS = [
    "type: pandas.SQLTableDataset\n  save_args: {ARGS}",
    "type: pandas.SQLTableDataset\n  save_args: {ARGS, method: '${dolt.bulk_load:id}'}",
    "type: kedro_doltdb.DoltTableDataset\n  primary_key: id\n  save_args: {ARGS}",
]


def add(project: Path, args: str, function: str = "chunks") -> None:
    """Add a pipeline that saves a table by each kind of entry."""
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("n: 1\n")
    entries = [
        f"\nrows{number}:\n  table_name: chunked{number}\n  credentials: dolt\n  "
        f"{kind.replace('ARGS', args)}\n"
        for number, kind in enumerate(KINDS)
    ]
    add_pipeline(project, "chunked", PIPELINE.format(function=function), "".join(entries))


def test_chunks_that_would_replace_each_other_are_refused(project: Path) -> None:
    add(project, "if_exists: replace")
    before = messages(project)
    done = run_kedro(project, "run", "--pipeline=chunked", check=False)
    assert done.returncode == 1
    assert "yields rows0 in chunks" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "Saving data" not in done.stdout
    assert messages(project) == before


@pytest.mark.thorough
def test_chunks_and_runs_that_append(project: Path) -> None:
    add(project, "if_exists: append")
    for runs in (1, 2):
        run_kedro(project, "run", "--pipeline=chunked", f"--params=n={runs}")
        expected = [
            (10 * run + row, 1 + 200 * (row // 2 * 2)) for run in range(1, runs + 1) for row in range(6)
        ]
        for number in range(3):
            rows = query(project, f"SELECT id, LENGTH(text) AS n FROM chunked{number} ORDER BY id")
            assert [(int(row["id"]), int(row["n"])) for row in rows] == expected
    for number in (1, 2):
        args = (f"--nodes=make{number}", "--params=n=2")
        done = run_kedro(project, "run", "--pipeline=chunked", *args, check=False)
        assert "duplicate primary key" in done.stdout + done.stderr
        assert len(query(project, f"SELECT id FROM chunked{number}")) == 12


def test_one_frame_saved_in_chunks(project: Path) -> None:
    add(project, "if_exists: replace, chunksize: 4", "whole")
    before = len(messages(project))
    for _ in range(2):
        run_kedro(project, "run", "--pipeline=chunked")
        for number in range(3):
            assert len(query(project, f"SELECT id FROM chunked{number}")) == 6
    assert len(messages(project)) == before + 1


def test_what_counts_as_chunks(tmp_path: Path) -> None:
    credentials = Database(tmp_path, Settings()).credentials()

    def entry(mode: str, **changed: Any) -> SQLTableDataset:
        args: dict[str, Any] = {"table_name": "t", "credentials": credentials, **changed}
        return SQLTableDataset(save_args={"if_exists": mode}, **args)

    def chunks() -> Any:
        yield 1

    def returns_chunks() -> Any:
        return chunks()

    elsewhere = entry("replace", credentials={"con": "sqlite://"})
    for dataset, refused in [
        (entry("replace"), True),
        (CachedDataset(entry("replace")), True),
        (entry("delete_rows"), True),
        (entry("append"), False),
        (entry("fail"), False),
        (elsewhere, False),
    ]:
        catalog: Any = {"rows": dataset}
        node = Node(chunks, None, "rows", name="make")
        # Kedro before 1.7 takes any iterator for chunks: those are seen when the second one is saved.
        late = Node(returns_chunks, None, "rows", name="late")
        refuse_chunks(Pipeline([late]), catalog)
        node_started(late, catalog)
        dataset_saved("rows", late)
        if not refused:
            refuse_chunks(Pipeline([node]), catalog)
            dataset_saved("rows", late)
            continue
        with pytest.raises(ConfigError, match="Node make yields rows in chunks"):
            refuse_chunks(Pipeline([node]), catalog)
        with pytest.raises(ConfigError, match="Node late yields rows in chunks"):
            dataset_saved("rows", late)
    refuse_chunks(Pipeline([Node(chunks, None, "rows", name="make")]), DataCatalog({}))
