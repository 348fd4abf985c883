"""Consumers of a growing table's changes, disturbed at random moments: each change arrives exactly once."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from .kills import RUNNERS, duration_of, settled, signalled, tidy_up
from .ledger import leftovers
from .project import Project
from .report import Report

BRANCHES = ("main", "main", "exp")
# Where a node fails: before it has read, between what it saves, after everything.
FAILURES = ("", "", "log", "copy", "last")

CODE = '''"""Two consumers of the changes of one table."""

import json
from pathlib import Path

from kedro.pipeline import Pipeline, node


def fail(name):
    if Path("failure").read_text() == name:
        raise ValueError(f"{name} is to fail")


def log(changes, batch):
    """Append every change, under the number of the run."""
    fail("log")
    return changes.assign(batch=batch)


def copy(changes):
    fail("copy")
    return changes


def last(copied):
    fail("last")
    return json.dumps(len(copied))


def create_pipeline():
    return Pipeline([
        node(log, ["events_to_log", "params:batch"], "event_log", name="log"),
        node(copy, "events_to_copy", "event_copy@changes", name="copy"),
        node(last, "event_copy@table", "event_count", name="last"),
    ])
'''
CATALOG = """
events_to_log: {type: kedro_doltdb.DoltChangesDataset, credentials: dolt, table_name: events}
events_to_copy: {type: kedro_doltdb.DoltChangesDataset, credentials: dolt, table_name: events}

event_log:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: event_log
  primary_key: [batch, id, change]
  mode: append

event_copy@changes:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: event_copy
  primary_key: id
  mode: upsert
  change_column: change

event_copy@table:
  type: kedro_doltdb.DoltTableDataset
  credentials: dolt
  table_name: event_copy
  primary_key: id
event_count: {type: text.TextDataset, filepath: event_count.txt}
"""
_ALL = """
SELECT 'events' AS place, id, v, text, 0 AS batch, '' AS `change` FROM events
UNION ALL SELECT 'event_copy', id, v, text, 0, '' FROM event_copy
UNION ALL SELECT 'event_log', id, v, text, batch, `change` FROM event_log
"""
# In which order the changes of a run are made.
_ORDER = ("removed", "modified_before", "modified_after", "added")
Rows = dict[int, tuple[str, str]]


@dataclass
class Feed:
    """A project whose table ``events`` grows, and what is known of it.

    Args:
        project: a new project; the table and the pipeline ``follow`` are added to it.
        generator: makes the choices.
    """

    project: Project
    generator: random.Random
    batch: int = 0
    next_id: int = 0
    seen: set[str] = field(default_factory=set)
    edits: int = 0
    commits: int = 0

    def __post_init__(self) -> None:
        package = next((self.project.path / "src").glob("*/pipelines")) / "follow"
        package.mkdir()
        (package / "__init__.py").write_text(CODE)
        with open(self.project.path / "conf" / "base" / "catalog.yml", "a") as file:
            file.write(CATALOG)
        with open(self.project.path / "conf" / "base" / "parameters.yml", "a") as file:
            file.write("\nbatch: 0\n")
        self.fail_at("")
        create = "CREATE TABLE events (id BIGINT PRIMARY KEY, v BIGINT, text VARCHAR(20))"
        self.project.dolt("sql", "-q", f"{create}; INSERT INTO events VALUES (0, 0, NULL)")
        self.project.dolt("commit", "-Am", "Events")
        self.project.dolt("branch", "exp")
        self.next_id = 1

    def fail_at(self, node: str) -> None:
        """Let a node fail from now on; none if it has no name."""
        (self.project.path / "failure").write_text(node)

    def arguments(self, branch: str, runner: str) -> list[str]:
        """The arguments of a run, which has the next number."""
        self.batch += 1
        params = f"batch={self.batch},dolt_branch={branch}"
        return ["run", "--pipeline", "follow", "--runner", runner, "--params", params]

    def edit(self, branch: str) -> None:
        """Add rows, and change, remove and put back some; commit that or leave it, as a user does."""
        generator, statements = self.generator, []
        for _ in range(generator.choice((0, 1, 1, 2, 4))):
            old = generator.randrange(self.next_id)
            value = f"{generator.randrange(5)}, {generator.choice(('NULL', repr('a'), repr('ä %')))}"
            added = [f"({self.next_id + place}, {value})" for place in range(generator.choice((1, 3, 50)))]
            self.next_id += len(added)
            statements += [
                f"INSERT INTO events VALUES {', '.join(added)}",
                generator.choice(
                    (
                        f"DELETE FROM events WHERE id = {old}",
                        f"UPDATE events SET v = v + 1 WHERE id % 7 = {old % 7}",
                        f"REPLACE INTO events VALUES ({old}, {value})",
                    )
                ),
            ]
        if statements and generator.random() < 0.5:
            self.edits += 1
            statements.append(f"CALL DOLT_COMMIT('-Am', 'Edit {self.edits} of a user')")
        if statements:
            self.project.dolt("sql", "-q", "; ".join([f"USE `data/{branch}`", *statements]))

    def edit_beside(self, branch: str) -> None:
        """Edit while a run is under way, which may end the server or hold its lock just then."""
        with suppress(AssertionError):
            self.edit(branch)

    def complaints(self, branch: str) -> list[str]:
        """Hold each new commit of a branch to what its run has read, and the branch as it is now."""
        found = [f"{branch}: {one}" for one in self.differences(branch)]
        log = [row for row in self.project.log(branch) if row["commit_hash"] not in self.seen]
        self.seen |= {row["commit_hash"] for row in log}
        for commit in [row["commit_hash"] for row in log if '"batch": ' in row["message"]][::-1]:
            self.commits += 1
            found += [f"{branch} at {commit}: {one}" for one in self.differences(commit)]
        return found

    def differences(self, ref: str) -> list[str]:
        """What both consumers have accumulated at a commit or on a branch must be the table itself."""
        rows: dict[str, list[dict[str, str]]] = {"events": [], "event_copy": [], "event_log": []}
        # One command: each is a process of its own.
        for row in self.project.query(f"USE `data/{ref}`; {_ALL}"):
            rows[row["place"]].append(row)
        events, copy = (_table(rows[name]) for name in ("events", "event_copy"))
        found = [] if events == copy else [f"the copy differs: {_difference(events, copy)}"]
        replayed, wrong = _replayed(rows["event_log"])
        if events != replayed:
            found.append(f"the log gives another table: {_difference(events, replayed)}")
        return found + wrong


def follow_changes(project: Project, generator: random.Random, times: int) -> Report:
    """Disturb runs that consume changes, while the table grows; a plain run follows each."""
    report = Report("consumers of a table's changes")
    feed = Feed(project, generator)
    for branch in ("main", "exp"):
        _run_plainly(feed, report, branch, "the first run")
    longest = duration_of(project, feed.arguments("main", RUNNERS[0]))
    for _ in range(times):
        branch = generator.choice(BRANCHES)
        for one in {branch, generator.choice(BRANCHES)}:
            feed.edit(one)
        fails = generator.choice(FAILURES)
        feed.fail_at(fails)
        runner = generator.choice((*RUNNERS, "kedro_doltdb.IncrementalRunner"))
        beside = partial(feed.edit_beside if generator.random() < 0.3 else str, branch)
        signals = generator.random() < 0.7
        process, what = signalled(
            project, generator, longest, feed.arguments(branch, runner), runner, beside, signals=signals
        )
        what = f"{what} on {branch}" + (f", {fails} fails" if fails else "")
        report.faults += 1
        end, output = settled(project, report, process, what)
        # Ctrl-C ends in exit code 1, too.
        expected = signals or (fails and "is to fail" in output) or "is not published" in output
        if end == "exit 1" and not expected:
            report.complain(what, "the run failed", output)
        feed.fail_at("")
        _run_plainly(feed, report, generator.choice((branch, branch, *BRANCHES)), what)
        tidy_up(process)
    for branch in ("main", "exp"):
        _run_plainly(feed, report, branch, "the last run")
    for complaint in leftovers(project):
        report.complain("at the end", complaint, "")
    return report


def _run_plainly(feed: Feed, report: Report, branch: str, what: str) -> None:
    """Do a run that nothing disturbs, and hold all that was published on its branch to what was read."""
    code, output = feed.project.kedro(*feed.arguments(branch, RUNNERS[0]))
    if code:
        report.complain(what, f"the next run, on {branch}, failed", output)
    for complaint in feed.complaints(branch):
        report.complain(what, complaint, output)
    report.commits = feed.commits


def _table(rows: list[dict[str, str]]) -> Rows:
    return {int(row["id"]): (row["v"], row["text"]) for row in rows}


def _replayed(log: list[dict[str, str]]) -> tuple[Rows, list[str]]:
    """Return the table that all changes make, one after another, and those of them that did not fit."""
    table: Rows = {}
    wrong = []
    for row in sorted(log, key=lambda row: (int(row["batch"]), _ORDER.index(row["change"]))):
        key, values = int(row["id"]), (row["v"], row["text"])
        before = table.pop(key, None)
        if before != (values if row["change"] in ("removed", "modified_before") else None):
            wrong.append(f"{row} of the log was handed over when {before} was there")
        if row["change"] in ("added", "modified_after"):
            table[key] = values
    return table, wrong[:5]


def _difference(one: Rows, other: Rows) -> str:
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    shown = ", ".join(f"{key}: {one.get(key)} and {other.get(key)}" for key in keys[:5])
    return f"{len(keys)} rows, {shown}"
