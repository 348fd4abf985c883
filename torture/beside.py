"""A user's commands beside runs, on the same branch: neither loses what the other has written."""

from __future__ import annotations

import random
import threading
import time

import pymysql

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.server.managed import ManagedServer

from .project import Project
from .report import Report
from .state import Runs

_TRIES = 20


class Person:
    """Edits, commits, resets, branches and merges at random, in tables of their own on ``main``.

    Args:
        runs: whose repository it is.
        generator: makes the choices.
    """

    def __init__(self, runs: Runs, generator: random.Random) -> None:
        self.note = "nothing yet"
        self.done = 0
        self.refused: list[str] = []
        self._server = ManagedServer(runs.data_dir)
        self._generator = generator
        self._stopped = threading.Event()
        self._lease = self._server.acquire("person")
        address = self._lease.address
        self.repository = Repository(address, "Ada <ada@localhost>")
        self.merged = 0
        self._execute("CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(80))")
        self._execute("CREATE TABLE merged (number INT PRIMARY KEY)")
        self._execute("INSERT INTO notes VALUES (1, %s)", self.note)
        self._execute("CALL DOLT_COMMIT('-Am', 'Notes')")
        self._thread = threading.Thread(target=self._work)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._lease.release()

    def _execute(self, statement: str, *args: object, branch: str = "main") -> bool:
        for attempt in range(_TRIES):
            try:
                with self.repository.on(branch) as cursor:
                    cursor.execute(statement, args)
                    return True
            except pymysql.err.Error as error:
                # Dolt may refuse one of two writers at once, whoever they are.
                if attempt == _TRIES - 1:
                    self.refused.append(f"{statement}: {error.args[-1]}")
            time.sleep(0.02)
        return False

    def _work(self) -> None:
        while not self._stopped.wait(self._generator.uniform(0, 0.2)):
            self.done += 1
            name = f"mine-{self.done}"
            action = self._generator.randrange(9)
            if action <= 2:
                self._execute("UPDATE notes SET text = %s", name)
                self.note = name
            elif action == 3:
                self._execute("CALL DOLT_COMMIT('-a', '--allow-empty', '-m', %s)", name)
            elif action == 4:
                self._execute("CALL DOLT_COMMIT('--amend', '-m', %s)", name)
            elif action == 5:
                self._execute("CALL DOLT_RESET('--hard')")
                self.note = self._committed_note()
            elif action == 6:
                self._execute("CALL DOLT_GC()")
            elif self._execute("CALL DOLT_BRANCH(%s)", name) and action == 7:
                self._merge(name)

    def _merge(self, branch: str) -> None:
        self._execute("INSERT INTO merged VALUES (%s)", self.done, branch=branch)
        self._execute("CALL DOLT_COMMIT('-am', 'Mine')", branch=branch)
        self.merged += self._execute("CALL DOLT_MERGE(%s)", branch)

    def _committed_note(self) -> str:
        with self.repository.on("main") as cursor:
            cursor.execute("SELECT text FROM notes")
            return str((cursor.fetchone() or ("nothing",))[0])


def write_beside(project: Project, generator: random.Random, times: int) -> Report:
    """Have runs, some of which fail, while a user works; check after each."""
    report = Report("runs beside a user's commands")
    directory = project.path.parent / "beside"
    directory.mkdir()
    runs = Runs(directory / "data")
    runs.run()
    person = Person(runs, generator)
    person.start()
    published = {1}
    try:
        for number in range(2, times + 2):
            fails = generator.random() < 0.2
            report.faults += 1
            try:
                runs.run(fails=fails)
            except Exception as error:
                report.complain(f"run {number}", f"{type(error).__name__}: {error}", "")
                report.ends["refused"] += 1
                continue
            report.ends["kept" if fails else "published"] += 1
            published |= set() if fails else {number}
            with person.repository.on("main") as cursor:
                cursor.execute("SELECT number FROM numbers AS OF 'HEAD'")
                there = {row[0] for row in cursor.fetchall()}
                report.commits += 1
            if there != published:
                report.complain(f"run {number}", f"main differs by the runs {there ^ published}", "")
    finally:
        person.stop()
    runs.run()
    server = ManagedServer(runs.data_dir)
    lease = server.acquire("look")
    address = lease.address
    with Repository(address, "").on("main") as cursor:
        cursor.execute("SELECT text FROM notes")
        if (found := (cursor.fetchone() or ("nothing",))[0]) != person.note:
            report.complain("at the end", f"the edit {person.note} is lost: it is {found}", "")
        cursor.execute("SELECT COUNT(*) FROM merged AS OF 'HEAD'")
        if cursor.fetchone() != (person.merged,):
            report.complain("at the end", f"not all of {person.merged} merges are there", "")
    lease.release()
    runs.check()
    report.ends["a user's commands"] = person.done
    for refused in person.refused:
        report.complain("a user's command", refused, "")
    return report
