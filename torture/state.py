"""Damage to the files that runs keep: whatever is found there, the next run works with no repair by hand."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.run.publish import Publisher
from kedro_doltdb.run.record_store import records_of
from kedro_doltdb.run.records import Record
from kedro_doltdb.run.recovery import recover
from kedro_doltdb.run.transaction import Transaction
from kedro_doltdb.server.leases import FileLock
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.tables.table_cache import TableCache

from .project import Project
from .report import Report

# What tells the files of several runs, or of several starts of a server, apart.
_KIND = re.compile(r"\d{4}-\d\d-[\dTZ.-]+Z(-\d+)?|[0-9a-f]{8}-[0-9a-f-]{27}")
# Beside the files that a run leaves there is what others may have put there.
STRAYS = (
    "foo.tmp", "runs/foo.tmp", "runs/foo", "runs/x.json", "runs/x.complete", "leases/foo.lock", "leases/foo",
    "leases", "runs", "tmp", "", "no-files", "cache-key",
)  # fmt: skip


def cut(path: Path, generator: random.Random) -> None:
    content = _content(path)
    _replace(path, content[: generator.randrange(len(content) + 1)])


def zeros(path: Path, generator: random.Random) -> None:
    _replace(path, bytes(len(_content(path)) or 100))


def noise(path: Path, generator: random.Random) -> None:
    _replace(path, generator.randbytes(generator.randrange(1, 2000)))


def flipped(path: Path, generator: random.Random) -> None:
    content = bytearray(_content(path) or b"x")
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    _replace(path, bytes(content))


def missing(path: Path, generator: random.Random) -> None:
    _remove(path)


def directory(path: Path, generator: random.Random) -> None:
    _remove(path)
    path.mkdir()
    if generator.random() < 0.5:
        (path / "full").write_text("of it")


def dangling_link(path: Path, generator: random.Random) -> None:
    _remove(path)
    path.symlink_to(path.parent / "nowhere")


def link(path: Path, generator: random.Random) -> None:
    """To a file of the user's, which must stay as it is."""
    precious = precious_file(path)
    precious.write_text("precious")
    _remove(path)
    path.symlink_to(precious)


def pipe(path: Path, generator: random.Random) -> None:
    _remove(path)
    os.mkfifo(path)


def read_only(path: Path, generator: random.Random) -> None:
    if not path.is_dir() or path.is_symlink():
        _replace(path, _content(path))
    path.chmod(0o400 if path.is_file() else 0o500)


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    cut, zeros, noise, flipped, missing, directory, dangling_link, link, pipe, read_only,
)  # fmt: skip


def precious_file(path: Path) -> Path:
    """The user's file that a link may lead to: beside the repository."""
    return next(parent for parent in path.parents if parent.name == ".dolt").parent.parent / "precious"


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else b""


def _replace(path: Path, content: bytes) -> None:
    _remove(path)
    path.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Runs:
    """Runs on a repository of their own, without Kedro: what a run does with its state, and nothing else.

    Args:
        data_dir: the repository, which is made.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.state = data_dir / ".dolt" / "kedro"
        self.kept: set[str] = set()
        self._number = 0
        if not data_dir.exists():
            initialise(data_dir, [])

    def run(self, *, fails: bool = False) -> None:
        """Publish one row, or keep it."""
        self._number += 1
        number, server = self._number, ManagedServer(self.data_dir)
        name = f"2026-11-24T01.04.{number // 1000 % 60:02}.{number % 1000:03}Z"
        lease = server.acquire(name)
        address = lease.address
        try:
            repository = Repository(address, "Ada <ada@localhost>")
            records = records_of(server, address)
            recover(repository, records, server.is_leased)
            record = Record(name, "main", repository.head("main"), ["__default__"])
            transaction = Transaction(Publisher(repository, records, record))
            transaction.begin()
            with repository.on(record.branch) as cursor:
                cursor.execute("CREATE TABLE IF NOT EXISTS numbers (number INT PRIMARY KEY)")
                cursor.execute("INSERT INTO numbers VALUES (%s)", (number,))
            records.add_complete(name, ["numbers"])
            if fails:
                assert transaction.keep("failed: KeyError") == "kept"
            else:
                assert transaction.publish(f"number {number}")
            branches = repository.branches()
            known = {one.branch for one in records.all()}
        finally:
            lease.release()
        kept = {branch for branch in branches if branch.startswith("kedro/")}
        assert kept == known, f"branches without a record, or the other way round: {kept ^ known}"
        assert fails or self.kept <= kept or len(kept) == 10, f"kept branches are lost: {self.kept - kept}"
        self.kept = kept

    def check(self) -> None:
        """Hold what is left when no run is under way."""
        assert not ManagedServer(self.data_dir).is_running, "a server is left"
        leases = [path.name for path in (self.state / "leases").glob("*.lock")]
        assert not leases, f"leases are left: {leases}"
        lock = FileLock(self.state / "start.lock")
        assert lock.acquire(), "the start is locked"
        lock.release()
        assert TableCache.of(ManagedServer(self.data_dir).cache_key_file), "copies of tables have no key"
        precious = self.data_dir.parent / "precious"
        assert not precious.exists() or precious.read_bytes() == b"precious", (
            "a file elsewhere was overwritten"
        )

    def files(self) -> list[Path]:
        """What may be damaged: what is there, and what is not."""
        found = [path for path in self.state.rglob("*") if "unreadable" not in str(path)]
        others = [self.data_dir / ".dolt" / "sql-server.info", *(self.state / stray for stray in STRAYS)]
        return sorted({*found, *others})


def damage_state(project: Project, generator: random.Random, times: int) -> Report:
    """Damage a file, have a run, look; every tenth run is a real ``kedro run``."""
    report = Report("damage to the files of runs")
    directory_of_runs = project.path.parent / "state"
    directory_of_runs.mkdir()
    runs = Runs(directory_of_runs / "data")
    for _ in range(2):
        runs.run(fails=True)
    project.kedro("run")
    tried: set[tuple[str, str]] = set()
    for number in range(times):
        real = number % 10 == 9
        state = project.data / ".dolt" / "kedro" if real else runs.state
        candidates = [path for path in runs.files() if path.parent.exists()]
        path, way = generator.choice(candidates), generator.choice(WAYS)
        if real:
            path = project.data / path.relative_to(runs.data_dir)
            path.parent.mkdir(parents=True, exist_ok=True)
        fault = f"{number}: {way.__name__} {path.relative_to(state.parent)}"
        try:
            way(path, generator)
            tried.add((_KIND.sub("…", str(path.relative_to(state.parent))), way.__name__))
            report.faults += 1
            if real:
                code, output = project.kedro("run", "--params", f"example_test_data_ratio=0.{number % 4 + 1}")
                report.ends[f"exit {code}"] += 1
                report.commits += "Committed" in output or "changed no data" in output
                if code or project.server_runs:
                    report.complain(fault, f"exit code {code}", output)
            else:
                runs.run(fails=generator.random() < 0.2)
                runs.check()
                report.commits += 1
                report.ends["worked"] += 1
        except Exception as error:
            report.complain(fault, f"{type(error).__name__}: {error}", "")
            report.ends["failed"] += 1
    kinds = len({name for name, _ in tried})
    report.samples.append(f"{len(tried)} different pairs of {kinds} kinds of files and {len(WAYS)} of damage")
    return report
