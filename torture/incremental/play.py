"""Play cases in this process: ``python -m torture.incremental.play <project> <results> <seeds>``."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

from kedro_doltdb import IncrementalRunner
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.settings import Settings

from ..pipelines.sql import Sql
from .case import SOURCES, Case, Step, draw
from .compute import FAILURE, RAN, InjectedError, value_in
from .model import Model
from .write import write_code, write_configuration


class Player:
    """Plays one case in a project of its own."""

    def __init__(self, case: Case, project: Path) -> None:
        self.case, self.project = case, project
        self.model = Model(case)
        self.package = next(path for path in (project / "src").iterdir() if (path / "settings.py").exists())
        self.sql = Sql(project / "data")
        self.counts = {"ran": 0, "not run": 0, "failed": 0, "whole": 0}

    def play(self) -> list[str]:
        """Play all steps; return what was wrong."""
        failure = self.project / "failure"
        failure.write_text("")
        os.environ[FAILURE] = str(failure)
        bootstrap_project(self.project)
        database = Database(self.project, Settings())
        try:
            with database.serving():
                self._prepare()
                for number, step in enumerate(self.case.steps):
                    self._edit(step, number)
                    failure.write_text(step.fails)
                    if found := self._step(step):
                        return [f"step {number} ({step}): {one}" for one in found]
                failure.write_text("")
                return self._compare_with_whole_run()
        finally:
            database.close()

    def _prepare(self) -> None:
        tables = self.model.tables["main"] = {}
        with self.sql.cursor() as cursor:
            for name in SOURCES:
                cursor.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, v BIGINT)")
                cursor.execute(f"INSERT INTO {name} VALUES (0, 7), (1, 1)")
                tables[name] = [7, 1]
            cursor.execute("CALL DOLT_COMMIT('-A', '-m', 'The state at the start')")

    def _edit(self, step: Step, number: int) -> None:
        model, tables, comment = self.model, self.model.tables["main"], 0
        kinds = {name: kind for node in self.case.nodes for name, kind in node.outputs.items()}
        with self.sql.cursor("main") as cursor:
            for what, name, value in step.edits:
                file = self.project / "files" / f"{name}.csv"
                if what == "source":
                    cursor.execute(f"UPDATE {name} SET v = %s WHERE id = 1", (value,))
                    tables[name] = [7, value]
                elif what == "parameter":
                    model.parameters[name] = value
                elif what in ("constant", "helper", "tweak"):
                    model.constants[name or what] = value
                elif what == "comment":
                    comment = number
                elif kinds[name] == "csv":
                    if file.exists():
                        file.unlink() if what == "drop" else file.write_text("id,v\n0,1\n1,1\n2,1\n")
                        model.files[name] = None if what == "drop" else [1, 1, 1]
                elif name in tables and what == "drop":
                    cursor.execute(f"DROP TABLE {name}")
                    del tables[name]
                elif name in tables:
                    cursor.execute(f"UPDATE {name} SET v = v + 1 WHERE id = 0")
                    tables[name] = [tables[name][0] + 1, *tables[name][1:]]
            if step.branch not in self.model.tables:
                # A new branch begins at the commit, without edits that are not committed.
                cursor.execute("CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'Edits')")
        write_code(model, self.package, comment)
        write_configuration(model, self.project)

    def _step(self, step: Step) -> list[str]:
        expected, needed = self.model.run(step)
        nodes = self.model.nodes(step)
        RAN.clear()
        error = self._run(IncrementalRunner(step.runner), step.branch, step.to_node)  # type: ignore[abstract]
        ran = list(dict.fromkeys(RAN))
        if error is not None and not (step.fails in ran and _is_injected(error)):
            return [f"{type(error).__name__}: {error}"]
        if surplus := set(ran) - needed:
            return [f"{sorted(surplus)} ran and need not; needed were {sorted(needed)}"]
        self.counts["ran"] += len(ran)
        self.counts["not run"] += len(nodes) - len(ran)
        # What ran is on record, on the target or on the kept branch; with threads, what ended in time.
        if error is not None:
            self.counts["failed"] += 1
        finished = [node for node in nodes if node.name in ran and not (error and node.name == step.fails)]
        if error is None or step.runner == "sequential":
            for node in finished:
                self.model.note(node, expected)
        else:
            # Which of them had ended is not known: none may be needed again, any may.
            for node in finished:
                self.model.note(node, expected)
        self._learn_files()
        if error is not None:
            return []
        if missing := needed - set(ran):
            return [f"{sorted(missing)} did not run, and had to"]
        return self._check(step, expected)

    def _learn_files(self) -> None:
        for node in self.case.nodes:
            for name, kind in node.outputs.items():
                file = self.project / "files" / f"{name}.csv"
                if kind == "csv":
                    self.model.files[name] = value_in(pd.read_csv(file)) if file.exists() else None

    def _check(self, step: Step, expected: dict[str, Any]) -> list[str]:
        kinds = {name: kind for node in self.case.nodes for name, kind in node.outputs.items()}
        there = self.sql.tables(step.branch)
        found = {
            name: [int(row[0]) for row in self.sql.rows(f"SELECT v FROM {name} ORDER BY id", step.branch)]
            for name in there
            if name in kinds or name in SOURCES
        }
        wanted = {
            name: value for name, value in expected.items() if kinds.get(name, "delta") in ("delta", "bulk")
        }
        self.model.tables[step.branch] = dict(found)
        wrong = [
            f"{name} is {found.get(name)}, not {value}"
            for name, value in wanted.items()
            if found.get(name) != value
        ]
        wrong += [
            f"the file {name} is {self.model.files[name]}, not {expected.get(name)}"
            for name, kind in kinds.items()
            if kind == "csv" and name in expected and self.model.files[name] != expected[name]
        ]
        return wrong

    def _compare_with_whole_run(self) -> list[str]:
        """Run incrementally, then all nodes elsewhere: the tables must be the same, by hash."""
        for runner, branch in ((IncrementalRunner(), "main"), (SequentialRunner(), "whole")):  # type: ignore[abstract]
            if error := self._run(runner, branch, ""):
                return [f"the last run: {type(error).__name__}: {error}"]
        self.counts["whole"] += 1
        one, other = (
            {name: hash for name, hash in self.sql.tables(branch).items() if not name.startswith("kedro_")}
            for branch in ("main", "whole")
        )
        return [] if one == other else [f"{one} on main, {other} after a whole run"]

    def _run(self, runner: Any, branch: str, to_node: str) -> BaseException | None:
        name = self.package.name
        for module in [
            one for one in sys.modules if one.startswith(f"{name}.") and not one.endswith(".settings")
        ]:
            del sys.modules[module]
            # `from . import module` would find it there.
            vars(sys.modules[name]).pop(module.rpartition(".")[2], None)
        # As `bootstrap_project` does, which also reads the settings again: half the time of a run.
        pipelines.configure(f"{name}.pipeline_registry")
        session: Any
        try:
            with KedroSession.create(self.project, runtime_params={"dolt_branch": branch}) as session:
                session.run(runner=runner, to_nodes=[to_node] if to_node else None)
        except Exception as error:
            return error
        return None


def _is_injected(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, InjectedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def main(template: str, results: str, *seeds: str) -> None:
    """Play the cases of ``seeds`` in copies of the project ``template``; a line each goes to ``results``."""
    sys.dont_write_bytecode = True
    original = Path(template)
    with open(results, "a") as file:
        for seed in map(int, seeds):
            project = original.parent / f"incremental-{seed}"
            shutil.copytree(original, project)
            sys.path.insert(0, str(project / "src"))
            for module in [one for one in sys.modules if one.partition(".")[0] == "iris_dolt"]:
                del sys.modules[module]
            player = Player(draw(seed), project)
            lines: list[str] = []
            logging.getLogger("kedro_doltdb").handlers = [_Keep(lines)]
            try:
                complaints = player.play()
            except Exception:
                complaints = [traceback.format_exc()]
            result = {"seed": seed, "counts": player.counts, "complaints": complaints, "log": lines}
            file.write(json.dumps(result) + "\n")
            file.flush()
            sys.path.remove(str(project / "src"))
            shutil.rmtree(project, ignore_errors=True)


class _Keep(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is logged."""
        self._lines.append(record.getMessage())


if __name__ == "__main__":
    main(*sys.argv[1:])
