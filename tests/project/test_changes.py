"""Rows that changed since a node's last published run, handed over exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, messages, query

CATALOG = """
events:
  type: kedro_doltdb.DoltChangesDataset
  credentials: dolt
  table_name: events

copy:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: event_copy
  primary_key: id
  mode: upsert
  change_column: change

log:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: change_log
  primary_key: [number, id, change]
  mode: append
"""
CODE = '''
import os

from kedro.pipeline import Pipeline, node


def follow(changes):
    """Follow the table, and note each change once."""
    exec(os.environ.get("BREAK", ""))
    number = int(os.environ.get("NUMBER", "1"))
    print("CHANGES", sorted(map(tuple, changes.itertuples(index=False))))
    return changes, changes.assign(number=number)[["number", "id", "change"]]


def create_pipeline():
    return Pipeline([node(follow, "events", ["copy", "log"], name="follow")])
'''


@pytest.fixture
def follower(project: Path) -> Path:
    """A project with a node that follows the table events."""
    add_pipeline(project, "follow", CODE, CATALOG)
    dolt(project, "sql", "-q", "CREATE TABLE events (id BIGINT PRIMARY KEY, v BIGINT)")
    dolt(project, "sql", "-q", "INSERT INTO events VALUES (1, 10), (2, 20), (3, 30)")
    dolt(project, "add", "-A")
    dolt(project, "commit", "-m", "Events")
    return project


def follow(project: Path, check: bool = True, **env: str) -> str:
    """Run the follower; return what it got."""
    done = run_kedro(project, "run", "--pipeline", "follow", check=check, **env)
    return next((line for line in done.stdout.splitlines() if line.startswith("CHANGES")), "")


def edit(project: Path, *statements: str) -> None:
    """Change the table, and leave that uncommitted."""
    dolt(project, "sql", "-q", "; ".join(statements))


def same(project: Path) -> bool:
    """Whether the copy is the table."""
    rows = [query(project, f"SELECT id, v FROM {table} ORDER BY id") for table in ("events", "event_copy")]
    return rows[0] == rows[1]


def test_each_change_is_handed_over_once(follower: Path) -> None:
    assert follow(follower, NUMBER="1") == "CHANGES [(1, 10, 'added'), (2, 20, 'added'), (3, 30, 'added')]"
    edit(follower, "UPDATE events SET v = 21 WHERE id = 2", "DELETE FROM events WHERE id = 1")
    edit(follower, "INSERT INTO events VALUES (4, 40)")
    expected = (
        "CHANGES [(1, 10, 'removed'), (2, 20, 'modified_before'), (2, 21, 'modified_after'), "
        "(4, 40, 'added')]"
    )
    # A run that fails has read nothing, as far as the next one is concerned.
    assert follow(follower, check=False, NUMBER="2", BREAK="raise ValueError") == ""
    assert follow(follower, NUMBER="2") == expected
    assert same(follower)
    assert follow(follower, NUMBER="3") == "CHANGES []"
    log = query(follower, "SELECT number, id, `change` FROM change_log ORDER BY number, id, `change`")
    assert [(row["number"], row["id"]) for row in log] == [
        ("1", "1"), ("1", "2"), ("1", "3"), ("2", "1"), ("2", "2"), ("2", "2"), ("2", "4"),
    ]  # fmt: skip
    assert messages(follower)[0].count("Kedro run") == 1


def test_two_nodes_cannot_share_an_entry_of_changes(follower: Path) -> None:
    pipeline = next((follower / "src").glob("*/pipelines")) / "follow" / "pipeline.py"
    second = 'node(lambda changes: None, "events", None, name="second")'
    text = pipeline.read_text().replace('name="follow")])', f'name="follow"), {second}])')
    pipeline.write_text(text)
    done = run_kedro(follower, "run", "--pipeline", "follow", check=False)
    assert done.returncode != 0 and "both load events" in done.stdout + done.stderr
