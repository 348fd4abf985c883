"""Play cases, one after another in this process.

Each case has a repository of its own, whose server is kept open from run to run.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.settings import Settings

from .case import BYSTANDER, TARGET, Case, Entry, Step
from .check import complaints_of
from .draw import draw
from .hooks import DATABASES, MOVE, MOVED, SEEN, change
from .nodes import DIRECTORY, FAILURE, INNER, SEED
from .oracle import Scratch, store
from .played import Played
from .sql import Branch, Sql
from .write import put, write

RUNNERS = {
    "SequentialRunner": "kedro.runner.sequential_runner",
    "ThreadRunner": "kedro.runner.thread_runner",
    "ParallelRunner": "kedro.runner.parallel_runner",
}


@dataclass
class Result:
    """How a case ended.

    Attributes:
        seed: its seed.
        description: the case in words.
        ends: how its runs ended, and how many so.
        published: how many runs were published and found right, or changed nothing.
        complaints: what was wrong.
        log: what was logged.
    """

    seed: int
    description: str
    ends: Counter[str] = field(default_factory=Counter)
    published: int = 0
    complaints: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


class Player:
    """Plays one case in a project of its own.

    Args:
        case: the case.
        project: the project, a copy that nothing else uses.
        scratch: where results are stored for their hashes.
    """

    def __init__(self, case: Case, project: Path, scratch: Scratch) -> None:
        self.case, self.project, self.scratch = case, project, scratch
        self.sql = Sql(project / "data")
        self.result = Result(case.seed, str(case))
        # The frames that each branch holds, and the files.
        self.tables: dict[str, dict[str, pd.DataFrame]] = {TARGET: {}}
        self.files: dict[str, pd.DataFrame] = {}
        # The step that failed last on a branch, while nothing has been published there since.
        self.failed: dict[str, Step] = {}
        self.advice: dict[str, list[str] | None] = {}

    def play(self) -> Result:
        """Play all steps, up to the first with a complaint."""
        write(self.case, self.project)
        os.environ.update({SEED: str(self.case.seed), DIRECTORY: str(self.project)})
        bootstrap_project(self.project)
        try:
            database = Database(self.project, Settings())
            DATABASES.append(database)
            with database.serving(), _logged(self.result.log):
                self._prepare(database)
                for number, step in enumerate(self.case.steps, 1):
                    self.result.log.append(f"--- run {number}: {step}")
                    played = self._run(step)
                    found = complaints_of(self.case, played, self.scratch)
                    self._learn(played)
                    if found:
                        self.result.complaints += [f"run {number} ({step}): {one}" for one in found]
                        break
        finally:
            while DATABASES:
                DATABASES.pop().close()
        return self.result

    def _prepare(self, database: Database) -> None:
        """Make the state that the case begins with, and commit it."""
        case, tables = self.case, self.tables[TARGET]
        names = {source.table for source in case.sources} | set(case.views.values()) | {BYSTANDER}
        for number, name in enumerate(sorted(names)):
            values = {"id": [0, 1], "v": [number, case.seed % 1000], "w": [0.5, 1.25], "s": ["first", name]}
            tables[name] = pd.DataFrame(values)
            # A table that a run saves too is made in the same way.
            writers = [entry for entry in case.entries if entry.table == name]
            store((*writers, Entry(name, "bulk", name))[0], tables[name], database.credentials())
        with self.sql.cursor() as cursor:
            for view, table in case.views.items():
                cursor.execute(f"CREATE VIEW {view} AS SELECT * FROM `{table}`")
            for pattern in case.ignored:
                cursor.execute("INSERT INTO dolt_ignore VALUES (%s, true)", (pattern,))
            cursor.execute("CALL DOLT_ADD('-A', '--force')")
            cursor.execute("CALL DOLT_COMMIT('-m', 'The state at the start')")
            cursor.execute("CALL DOLT_BRANCH('aside')")
            if case.ignored:
                cursor.execute("CREATE TABLE ignored_notes (id INT PRIMARY KEY)")

    def _run(self, step: Step) -> Played:
        branch = step.branch or TARGET
        tables = dict(self.tables[branch] if branch in self.tables else self.tables[TARGET])
        moved = None
        can_move = branch in self.tables and step.moves in tables
        if can_move and not step.moved_by:
            moved = change(self.sql, step.moves, branch)
            tables[step.moves] = tables[step.moves].assign(v=tables[step.moves]["v"] + 1000)
        from_nodes = self._from_nodes(step, branch)
        before = self.sql.snapshot()
        (self.project / FAILURE).write_text(json.dumps({step.fails: step.how} if step.fails else {}))
        for name in (MOVE, MOVED, INNER):
            (self.project / name).unlink(missing_ok=True)
        if can_move and step.moved_by:
            move = {"table": step.moves, "branch": branch, "node": step.moved_by}
            (self.project / MOVE).write_text(json.dumps(move))
        begun = len(self.result.log)
        SEEN.clear()
        error, returned = self._kedro_run(step, from_nodes)
        if (self.project / MOVED).exists():
            moved = json.loads((self.project / MOVED).read_text())
            before = self._with_move(before, branch, moved)
            tables[step.moves] = tables[step.moves].assign(v=tables[step.moves]["v"] + 1000)
        if error is not None:
            self.advice[branch] = _advice(self.result.log[begun:])
        return Played(
            step=step, branch=branch, from_nodes=from_nodes, error=error, returned=returned, seen=dict(SEEN),
            before=before,
            after=self.sql.snapshot(), tables=tables, files=dict(self.files), moved=moved,
            failed=self.failed.get(branch), inner=(self.project / INNER).exists(), sql=self.sql,
        )  # fmt: skip

    def _with_move(
        self, before: Mapping[str, Branch], branch: str, moved: Mapping[str, str]
    ) -> dict[str, Branch]:
        """The branches with what somebody else did to one of them during the run."""
        old, changed = before[branch], {moved["table"]: moved["hash"]}
        committed, working = {**old.committed, **changed}, {**old.working, **changed}
        return {**before, branch: Branch(moved["head"], committed, working, old.uncommitted)}

    def _from_nodes(self, step: Step, branch: str) -> list[str] | None:
        if step.start == "whole":
            return None
        if step.start == "random":
            # One whose inputs are all there.
            ready = [node.name for node in self.case.nodes if self._can_start(node.name)]
            return [ready[self.case.seed % len(ready)]] if ready else None
        advised = self.advice.get(branch)
        if not advised:
            return None
        chosen = advised[self.case.seed % len(advised)]
        if step.start == "some":
            return [name for name in advised if name != chosen] or advised
        if step.start == "earlier" and (upstream := self.case.upstream(chosen)):
            return [*advised, upstream[0]]
        if step.start == "later":
            later = [node.name for node in self.case.downstream([chosen]) if node.name not in advised]
            return [name for name in advised if name != chosen] + later[:1] or advised
        return advised

    def _can_start(self, name: str) -> bool:
        nodes = self.case.downstream([name])
        made = {output.partition("@")[0] for node in nodes for output in node.outputs}
        inputs = {self.case.entry(one) for node in nodes for one in node.inputs}
        known = {**self.tables[TARGET], **self.files}
        return all(one.name in made or (one.table or one.name) in known for one in inputs)

    def _kedro_run(
        self, step: Step, from_nodes: list[str] | None
    ) -> tuple[BaseException | None, dict[str, Any]]:
        params: dict[str, Any] = {}
        for name, value in step.params.items():
            put(params, name, value)
        if step.branch:
            params["dolt_branch"] = step.branch
        runner = getattr(importlib.import_module(RUNNERS[step.runner]), step.runner)()
        try:
            session: Any
            with KedroSession.create(self.project, runtime_params=params) as session:
                return None, session.run(runner=runner, from_nodes=from_nodes)
        except BaseException as error:
            self.result.log.append("".join(traceback.format_exception_only(error)))
            return error, {}

    def _learn(self, played: Played) -> None:
        """Take in what has become of the run."""
        branch = played.branch
        ends = self.result.ends
        if played.error is None:
            self.result.published += 1
            ends["resumed and published" if played.resumes else "published"] += 1
            self.failed.pop(branch, None)
            self.tables[branch] = dict(played.tables)
            for name, frame in played.made.items():
                entry = self.case.entry(name)
                if entry.table:
                    self.tables[branch][entry.table] = frame
        else:
            planned = played.failed_as_planned
            ends["failed as planned" if planned else "resume refused" if played.resumes else "refused"] += 1
            if planned or not played.resumes:
                self.failed[branch] = played.step
            if branch in self.tables:
                self.tables[branch] = dict(played.tables)
        if played.inner:
            self.tables[TARGET].update(played.inner_tables)
        for entry in self.case.entries:
            file = self.project / "files" / f"{entry.name}.csv"
            if entry.kind == "csv" and file.exists():
                self.files[entry.name] = pd.read_csv(file)


def _advice(log: list[str]) -> list[str] | None:
    """The nodes that Kedro advises to resume from."""
    found = re.findall('--from-nodes "([^"]+)"', "\n".join(log))
    return found[-1].split(",") if found else None


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Keep()
    levels = {"kedro": logging.WARNING, "kedro_doltdb": logging.INFO, "iris_dolt": logging.INFO}
    for name, level in levels.items():
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name in levels:
            logging.getLogger(name).removeHandler(handler)


def main(template: str, results: str, *seeds: str) -> None:
    """Play the cases of ``seeds`` in copies of the project ``template``; a line each goes to ``results``."""
    original = Path(template)
    scratch_project = original.parent / f"scratch-{os.getpid()}"
    shutil.copytree(original, scratch_project)
    with open(results, "a") as file, Scratch(scratch_project) as scratch:
        for seed in map(int, seeds):
            case = draw(seed)
            project = original.parent / f"case-{seed}"
            shutil.copytree(original, project)
            try:
                result = Player(case, project, scratch).play()
            except Exception:
                result = Result(seed, str(case), complaints=[traceback.format_exc()])
            file.write(json.dumps(vars(result)) + "\n")
            file.flush()
            with suppress(OSError):
                shutil.rmtree(project)
    shutil.rmtree(scratch_project, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
