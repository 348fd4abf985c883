"""A run between the journal's columns, JSON and Python."""

from __future__ import annotations

import json

from kedro_doltdb.journal.store import Run


def test_pipelines_are_a_list_in_python_and_text_where_they_are_stored() -> None:
    run = Run("r", pipelines=["training", "reporting"])
    assert run.to_columns()["pipeline"] == run.to_json()["pipeline"] == "training, reporting"
    assert Run.from_columns(run.to_columns()) == Run.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_run_without_known_pipelines_stores_none() -> None:
    assert Run("r").to_columns()["pipeline"] is None
    assert Run.from_columns({"run_id": "r", "pipeline": None}).pipelines == []
