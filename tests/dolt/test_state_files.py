"""Files of ours that are torn, or are none: they are set aside, and what is left works on."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import dolt

from kedro_doltdb import state_files
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.errors import DoltError
from kedro_doltdb.journal.store import Edge, Run
from kedro_doltdb.run.record_store import records_of
from kedro_doltdb.run.records import VERSION, FileRecords, Record, _checksum, from_json, to_json
from kedro_doltdb.run.recovery import recover, resumable
from kedro_doltdb.server.leases import FileLock, is_held
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.state_files import UnreadableError
from torture.state import WAYS, Runs

RECORD = Record(
    "2026-11-24T01.04.06.644Z", "main", "0" * 32, ["__default__"], ["é"], ["t"],
    run=Run("2026-11-24T01.04.06.644Z", params={"ratio": 0.3}), edges=[Edge("node", "data", "load", "é")],
)  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> FileRecords:
    (tmp_path / ".dolt" / "kedro" / "runs").mkdir(parents=True)
    return FileRecords(tmp_path / ".dolt" / "kedro" / "runs")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".dolt" / "kedro" / "runs" / f"{RECORD.run_id}.json"


def test_a_record_cut_at_any_length_is_set_aside(records: FileRecords, file: Path) -> None:
    records.save(RECORD)
    assert records.all() == [RECORD]
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        assert records.all() == [] and not file.exists()
    records.save(RECORD)
    assert records.all() == [RECORD]


def test_a_record_with_any_bit_flipped_is_set_aside_or_the_same(records: FileRecords, file: Path) -> None:
    records.save(RECORD)
    content = file.read_bytes()
    generator = random.Random(0)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.randrange(8)
        file.write_bytes(damaged)
        assert records.all() in ([], [RECORD])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_is_in_the_place_of_a_record(records: FileRecords, file: Path, way: object) -> None:
    for place in (file, file.with_suffix(".complete")):
        records.save(RECORD)
        records.add_complete(RECORD.run_id, ["one", "two"])
        way(place, random.Random(1))  # type: ignore[operator]
        assert records.all() in ([], [RECORD])
        assert records.complete(RECORD) <= {"one", "two"}
        # And the run goes on.
        records.save(RECORD)
        records.add_complete(RECORD.run_id, ["three"])
        assert records.all() == [RECORD]
        records.tidy()
        records.delete(RECORD)
        assert records.all() == []


def test_what_a_newer_version_has_added_is_left_out() -> None:
    values = json.loads(to_json(RECORD))
    values["news"] = values["run"]["news"] = values["edges"][0]["news"] = [1]
    values["checksum"] = _checksum({name: value for name, value in values.items() if name != "checksum"})
    assert from_json(json.dumps(values), RECORD.run_id) == RECORD


def test_a_record_of_the_first_version_is_read() -> None:
    """Its ``run_id`` was Kedro's, and ``name`` the run's own."""
    values = {**json.loads(to_json(RECORD)), "version": 1, "name": RECORD.run_id, "run_id": "another"}
    del values["checksum"]
    assert from_json(json.dumps({**values, "checksum": _checksum(values)}), RECORD.run_id) == RECORD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": VERSION + 1}, "it is of version 3"),
        ({"version": "x"}, "it is of version x"),
        ({"edges": [3]}, "it lacks"),
        ({"run": {"x": 1}}, "it lacks"),
        ({"run_id": "../../x"}, "it is another run's"),
    ],
)
def test_a_record_that_cannot_be_understood(change: dict[str, object], words: str) -> None:
    values = {**json.loads(to_json(RECORD)), **change}
    del values["checksum"]
    with pytest.raises(UnreadableError, match=words):
        from_json(json.dumps({**values, "checksum": _checksum(values)}), RECORD.run_id)


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{}", "[" * 100_000, '{"checksum": null}'])
def test_text_that_is_not_a_record(text: str) -> None:
    with pytest.raises(UnreadableError):
        from_json(text, "x")


def test_the_directory_of_records_is_made_again_and_the_repository_is_not(
    records: FileRecords, file: Path
) -> None:
    file.parent.rmdir()
    file.parent.parent.rmdir()
    records.save(RECORD)
    records.add_complete(RECORD.run_id, ["t"])
    assert records.all() == [RECORD]
    os.rename(file.parents[2], file.parents[3] / "moved")
    with pytest.raises(FileNotFoundError):
        records.save(replace(RECORD, status="kept"))


def test_one_warning_names_what_is_set_aside(
    records: FileRecords, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("{")
    assert records.all() == [] == records.all()
    (warning,) = caplog.messages
    assert str(file) in warning and f"set aside as {file.name}.unreadable" in warning


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    state_files.write(path, "old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="No space"):
                state_files.write(path, "new")
        assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    state_files.write(path, "new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_lock_is_taken_whatever_is_in_its_place(tmp_path: Path, way: object) -> None:
    path = tmp_path / ".dolt" / "kedro" / "start.lock"
    path.parent.mkdir(parents=True)
    way(path, random.Random(1))  # type: ignore[operator]
    assert not is_held(path)
    lock = FileLock(path)
    assert lock.acquire() and is_held(path) and lock.held
    path.unlink()
    assert not lock.held
    lock.release()


def test_a_branch_whose_record_is_lost_is_kept_as_others_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs(tmp_path / "data")
    for _ in range(3):
        runs.run(fails=True)
    lost = sorted((runs.state / "runs").glob("*.json"))[:2]
    lost[0].write_text("{")
    lost[1].unlink()
    branches = set(runs.kept)
    # As if it had been killed in the middle of its publication.
    dolt(tmp_path, "branch", f"kedro/{lost[1].stem}.publish")
    runs.run()
    assert runs.kept == branches
    for path in lost:
        assert (
            f"Run {path.stem} has lost its record; what it wrote is kept on kedro/{path.stem}" in caplog.text
        )
    for _ in range(10):
        runs.run(fails=True)
    assert len(runs.kept) == 11 and not runs.kept & {f"kedro/{path.stem}" for path in lost}


@pytest.mark.parametrize("lost", ["json", "complete"])
def test_a_run_of_which_it_is_lost_what_it_had_completed_is_not_resumed(tmp_path: Path, lost: str) -> None:
    runs = Runs(tmp_path / "data")
    runs.run(fails=True)
    (file,) = (runs.state / "runs").glob(f"*.{lost}")
    file.write_text("{")
    server = ManagedServer(runs.data_dir)
    lease = server.acquire("next")
    address = lease.address
    try:
        records = records_of(server, address)
        recover(Repository(address, "Ada <ada@localhost>"), records, server.is_leased)
        for _ in range(2):
            with pytest.raises(DoltError, match="cannot be resumed: what it had completed is lost"):
                resumable(records, "main", ["__default__"])
    finally:
        lease.release()
    runs.run()
    assert resumable(records, "main", ["__default__"]) is None
