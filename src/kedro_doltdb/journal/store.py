"""The journal: ``kedro_runs``, ``kedro_lineage``, ``kedro_nodes``, ``kedro_checks``, committed with the data
they tell of."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pymysql

from .. import __version__
from ..dolt.answers import is_missing_table
from ..dolt.as_of import columns_at
from ..dolt.names import CHECKS, LINEAGE, NODES, RUNS
from ..errors import DoltError

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

# The format. Columns may be added to the end; a journal that lacks some gets them at the next run, and older
# versions leave them out. A change that older versions must not write to adds the nullable column
# needs_<version that makes it> to kedro_runs: whoever does not know that writes nothing.
_COLUMNS = {
    RUNS: {
        "run_id": "VARCHAR(80) NOT NULL",
        "started": "DATETIME(6) COMMENT 'UTC'",
        "finished": "DATETIME(6) COMMENT 'UTC'",
        "status": "VARCHAR(16) COMMENT 'succeeded, failed, interrupted or refused'",
        "error": "TEXT",
        "pipeline": "TEXT",
        "filters": "JSON",
        "params": "JSON",
        "environment": "VARCHAR(255)",
        "branch": "VARCHAR(255) COMMENT 'the target branch'",
        "base": "VARCHAR(32) COMMENT 'the commit that the run began at'",
        "resumed_from": "VARCHAR(80) COMMENT 'the failed run whose tables it took over'",
        "git_commit": "VARCHAR(64) COMMENT 'of the code'",
        "versions": "JSON",
        "run_group": "VARCHAR(255) COMMENT 'what it is one of several runs of'",
        "runtime_params": "JSON COMMENT 'those of params that --params gave'",
        "param_types": "JSON COMMENT 'the types that JSON lacks, by column and JSON pointer'",
        "mlflow_run_id": "VARCHAR(255) COMMENT 'the MLflow run during which it ran'",
        "mlflow_url": "TEXT COMMENT 'the page of that run, if it has one'",
    },
    LINEAGE: {
        "run_id": "VARCHAR(80) NOT NULL",
        "node": "VARCHAR(255) NOT NULL",
        "dataset": "VARCHAR(255) NOT NULL",
        "direction": "VARCHAR(4) NOT NULL COMMENT 'load or save'",
        "table_name": "VARCHAR(64)",
        "file": "TEXT",
        "content_hash": "VARCHAR(80) COMMENT 'dolt_hashof_table, or sha256: of the file'",
        "computed_by": "VARCHAR(80) COMMENT 'the run that computed it, if this one did not'",
        "read_at": "VARCHAR(32) COMMENT 'the commit that at: in the catalog named'",
    },
    NODES: {
        "run_id": "VARCHAR(80) NOT NULL",
        "node": "VARCHAR(255) NOT NULL",
        "execution": "VARCHAR(16) COMMENT 'computed, skipped, taken or failed'",
        "computed_by": "VARCHAR(80) COMMENT 'the run that computed it, if this one did not'",
        "recipe": "VARCHAR(64) COMMENT 'hash of code, parameters and catalog entries'",
        "inputs": "VARCHAR(64) COMMENT 'hash of the content of all that it loaded'",
        "outputs": "VARCHAR(64) COMMENT 'hash of the content of all that it saved'",
        "code": "JSON COMMENT 'hash of each definition, by dotted name'",
        "params": "JSON COMMENT 'hash of each parameter that it loads'",
        "entries": "JSON COMMENT 'hash of the catalog entry of each dataset'",
        "untold": "TEXT COMMENT 'why it cannot be compared'",
        "seconds": "DOUBLE COMMENT 'that it took'",
    },
    CHECKS: {
        "run_id": "VARCHAR(80) NOT NULL",
        "table_name": "VARCHAR(255) NOT NULL COMMENT 'or the pattern that no table fits'",
        "check_name": "VARCHAR(255) NOT NULL",
        "severity": "VARCHAR(8) COMMENT 'error or warn'",
        "status": "VARCHAR(16) COMMENT 'passed, failed, accepted or skipped'",
        "bound": "TEXT COMMENT 'what it allows'",
        "found": "TEXT COMMENT 'what was found'",
        "offending": "JSON COMMENT 'the first rows that it does not allow, by key'",
        "content_hash": "VARCHAR(255) COMMENT 'of the tables that it read whole'",
        "accepted_by": "VARCHAR(255)",
        "reason": "TEXT COMMENT 'why it was accepted'",
    },
}
_KEYS = {
    RUNS: ("run_id",),
    LINEAGE: ("run_id", "node", "dataset", "direction"),
    NODES: ("run_id", "node"),
    CHECKS: ("run_id", "table_name", "check_name"),
}
_NEEDS = re.compile(r"needs_(\d{1,4})_(\d{1,4})_(\d{1,4})")
# Of a run that computed everything and could not be published.
REFUSED = "refused"
JSON_COLUMNS = ("filters", "params", "versions", "runtime_params", "param_types")
NODE_COLUMNS = ("code", "params", "entries")
OFFENDING = "offending"
_BETWEEN_PIPELINES = ", "
# What became of a node in a run.
COMPUTED, SKIPPED, TAKEN, FAILED = "computed", "skipped", "taken", "failed"


@dataclass
class Run:
    """A row of ``kedro_runs``.

    Attributes:
        run_id: Kedro's id of the run, with a suffix where two runs began in the same millisecond.
        started: when it began, UTC.
        finished: when it ended, UTC; None while it is under way.
        status: ``succeeded``, ``failed``, ``interrupted``, or ``refused``: it computed everything, and could
            not be published.
        error: the type and the first line of the error that ended it.
        pipelines: the names of its pipelines.
        filters: the arguments of ``kedro run`` that chose its nodes.
        params: all its parameters, secrets masked.
        environment: Kedro's configuration environment.
        branch: the branch that it was to be published to.
        base: the commit that it began at.
        resumed_from: the failed run whose tables it took over.
        git_commit: the commit of the code, with ``-dirty`` if there were uncommitted changes.
        versions: of the packages and of Dolt.
        run_group: the name of the whole that it is a part of, for example an Airflow DAG run.
        runtime_params: the parameters that ``--params`` gave, secrets masked.
        param_types: of ``params`` and ``runtime_params``, the types that JSON does not have, by JSON pointer;
            None in a journal of an older version.
        mlflow_run_id: the MLflow run during which it ran, if there was one.
        mlflow_url: the page of that MLflow run, if a browser can show it.
    """

    run_id: str
    started: datetime | None = None
    finished: datetime | None = None
    status: str | None = None
    error: str | None = None
    pipelines: list[str] = field(default_factory=list)
    filters: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    environment: str | None = None
    branch: str | None = None
    base: str | None = None
    resumed_from: str | None = None
    git_commit: str | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    run_group: str | None = None
    runtime_params: dict[str, Any] = field(default_factory=dict)
    param_types: dict[str, Any] | None = None
    mlflow_run_id: str | None = None
    mlflow_url: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None if that is not known, or the clock was set back meanwhile."""
        took = (self.finished - self.started).total_seconds() if self.finished and self.started else -1.0
        return took if took >= 0 else None

    @property
    def pipeline(self) -> str | None:
        """The names of its pipelines as text, as the journal stores them; None if they are not known."""
        return _BETWEEN_PIPELINES.join(self.pipelines) or None

    def to_columns(self) -> dict[str, Any]:
        """Return its value in each column of ``kedro_runs``."""
        row = {**asdict(self), "pipeline": self.pipeline}
        return {name: row.get(name) for name in _COLUMNS[RUNS]}

    @classmethod
    def from_columns(cls, row: dict[str, Any]) -> Run:
        """Return what :meth:`to_columns` gave; columns may be missing."""
        values = dict(row)
        names = values.pop("pipeline", None)
        return cls(**values, pipelines=names.split(_BETWEEN_PIPELINES) if names else [])

    def to_json(self) -> dict[str, Any]:
        """Return the columns as JSON holds them; times in ISO 8601 with the offset."""
        row = self.to_columns()
        for name in ("started", "finished"):
            row[name] = row[name] and row[name].replace(tzinfo=timezone.utc).isoformat()
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Run:
        """Return what :meth:`to_json` gave."""
        times = {
            name: datetime.fromisoformat(row[name]).replace(tzinfo=None)
            for name in ("started", "finished")
            if row.get(name)
        }
        return cls.from_columns({**row, **times})


@dataclass
class Edge:
    """One node loads or saves one dataset.

    Attributes:
        node: the node's name, shortened to 255 characters.
        dataset: the dataset's name in the catalog, likewise.
        direction: ``load`` or ``save``.
        table_name: its table in Dolt, if it is one.
        file: its file or directory, relative to the project if it is in it, if it is a local one.
        content_hash: what was loaded or saved: ``dolt_hashof_table``, or ``sha256:`` and that of the file.
        computed_by: the run that computed it, if this one took that over or skipped the node.
        read_at: the commit that it was read at, if its catalog entry names one with ``at``.
    """

    node: str
    dataset: str
    direction: str
    table_name: str | None = None
    file: str | None = None
    content_hash: str | None = None
    computed_by: str | None = None
    read_at: str | None = None


@dataclass
class Execution:
    """What became of a node in a run, and what it was computed from.

    Attributes:
        node: the node's name, shortened to 255 characters.
        execution: ``computed``, ``skipped``, ``taken`` from another run, or ``failed``: then it has no
            recipe, inputs and outputs, by which readers of any version know what was computed.
        computed_by: the run that computed it, if this one did not.
        recipe: the hash of its code, its parameters and its catalog entries; None if that cannot be told.
        inputs: the hash of the content of all that it loaded; None likewise.
        outputs: the hash of the content of all that it saved; None likewise.
        code: the hash of each definition that its function refers to, by dotted name.
        params: the hash of each parameter that it loads.
        entries: the hash of the catalog entry of each of its datasets.
        untold: why it cannot be compared with a later one, if it cannot.
        seconds: how long its function took, when it was computed.
    """

    node: str
    execution: str = COMPUTED
    computed_by: str | None = None
    recipe: str | None = None
    inputs: str | None = None
    outputs: str | None = None
    code: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    untold: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class CheckResult:
    """What a check has found in a run's data.

    Attributes:
        table_name: the table; where no table fits it, the pattern in ``dolt.yml``.
        check_name: the check, ``max_rows_changed`` or ``not_null.species``.
        severity: ``error`` or ``warn``.
        status: ``passed``, ``failed``, ``accepted`` or ``skipped``.
        bound: what it allows.
        found: what was found.
        offending: the first rows that it does not allow: their keys, and the values that say why.
        content_hash: of the tables that it read whole, if a later run may take its result over.
        accepted_by: who has accepted the failure.
        reason: why.
    """

    table_name: str
    check_name: str
    severity: str
    status: str
    bound: str = ""
    found: str = ""
    offending: tuple[dict[str, Any], ...] = ()
    content_hash: str | None = None
    accepted_by: str | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        """The table and the check, as they are named in messages and for ``--accept``."""
        return f"{self.table_name}.{self.check_name}"

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return asdict(self)


def now() -> datetime:
    """Return the time as the journal keeps it: UTC, without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def write(
    cursor: Cursor,
    run: Run,
    edges: Iterable[Edge],
    checks: Iterable[CheckResult] = (),
    executions: Iterable[Execution] = (),
) -> None:
    """Write a run's rows on the cursor's branch; the tables are made, or widened, where necessary.

    Args:
        cursor: a cursor on the branch.
        run: its row.
        edges: what its nodes loaded and saved.
        checks: what its checks have found; without any, no table is made for them.
        executions: what became of its nodes; likewise.

    Raises:
        DoltError: there is a table of that name that is not a journal, or the journal has a newer format.
    """
    for table in (RUNS, LINEAGE):
        _prepare(cursor, table)
    row = run.to_columns()
    for name in JSON_COLUMNS:
        row[name] = None if row[name] is None else json.dumps(row[name], ensure_ascii=False)
    _insert(cursor, RUNS, [row])
    _insert(cursor, LINEAGE, [{"run_id": run.run_id, **vars(edge)} for edge in edges])
    if rows := [{"run_id": run.run_id, **vars(one)} for one in executions]:
        _prepare(cursor, NODES)
        for row in rows:
            row.update({name: json.dumps(row[name]) for name in NODE_COLUMNS})
        _insert(cursor, NODES, rows)
    write_checks(cursor, run.run_id, checks)


def write_checks(cursor: Cursor, run_id: str, checks: Iterable[CheckResult]) -> None:
    """Write what the checks of a run have found on the cursor's branch."""
    if rows := [_check_row(run_id, result) for result in checks]:
        _prepare(cursor, CHECKS)
        _insert(cursor, CHECKS, rows)


def _check_row(run_id: str, result: CheckResult) -> dict[str, Any]:
    row = {"run_id": run_id, **vars(result)}
    row[OFFENDING] = json.dumps(result.offending, ensure_ascii=False, default=str)
    for name in ("table_name", "check_name"):
        row[name] = row[name][:255]
    return row


def copy(cursor: Cursor, parent: str, commit: str) -> None:
    """Write the rows that a commit has added to the journal on the cursor's branch, too.

    Args:
        cursor: a cursor on the branch.
        parent: the commit before.
        commit: the commit.

    Raises:
        DoltError: there is a table of that name that is not a journal, or a journal has a newer format.
    """
    for table, key in _KEYS.items():
        there = columns_at(cursor, table, commit)
        if not there:
            continue
        _check_format(there)
        _prepare(cursor, table)
        # A journal of another version may lack columns, or have more.
        names = [name for name in _COLUMNS[table] if name in there]
        added = "FROM dolt_diff(%s, %s, %s) WHERE diff_type <> 'removed'"
        same = " AND ".join(f"found.{name} = added.{name}" for name in key)
        keys = ", ".join(f"to_{name} AS {name}" for name in key)
        cursor.execute(
            f"REPLACE INTO {table} ({', '.join(names)}) SELECT found.{', found.'.join(names)} "
            f"FROM {table} AS OF %s found JOIN (SELECT {keys} {added}) added ON {same}",
            (commit, parent, commit, table),
        )


def newer_format(columns: Collection[str]) -> str | None:
    """Return the version that is needed to write to a journal; None if this one will do.

    Args:
        columns: those of ``kedro_runs``.

    Example:
        >>> newer_format(["run_id", "needs_12_0_0"])
        '12.0.0'
    """
    unknown = [match for name in set(columns) - set(_COLUMNS[RUNS]) if (match := _NEEDS.fullmatch(name))]
    versions = [tuple(int(part) for part in match.groups()) for match in unknown]
    return ".".join(map(str, max(versions))) if versions else None


def check_format(cursor: Cursor, ref: str) -> None:
    """Check that this version may write to a journal.

    Args:
        cursor: a cursor on any branch.
        ref: the commit or branch that holds the journal.

    Raises:
        DoltError: a newer version has changed its format.
    """
    _check_format(columns_at(cursor, RUNS, ref))


def _check_format(columns: Collection[str]) -> None:
    if needed := newer_format(columns):
        raise DoltError(
            f"kedro-doltdb {needed} has changed the format of the journal here, which this version, "
            f"{__version__}, does not know and would damage: `pip install 'kedro-doltdb>={needed}'`."
        )


def _prepare(cursor: Cursor, table: str) -> None:
    columns = _COLUMNS[table]
    found = _columns(cursor, table)
    _check_format(found)
    if not found:
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        cursor.execute(f"CREATE TABLE {table} ({declared}, PRIMARY KEY ({', '.join(_KEYS[table])}))")
        return
    if [name for name, (key, _) in found.items() if key] != list(_KEYS[table]):
        raise not_a_journal(table, f"its primary key is not {', '.join(_KEYS[table])}")
    if needed := [name for name, (_, is_needed) in found.items() if is_needed and name not in columns]:
        raise not_a_journal(table, f"its column {needed[0]} must have a value, which runs do not know")
    for name, kind in columns.items():
        if name not in found:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def not_a_journal(table: str, why: str) -> DoltError:
    """Return the error for something else that has the name of a table of the journal."""
    return DoltError(
        f"{table} is not kedro-dolt's journal: {why}. The journal needs the name: rename yours, with "
        f"`RENAME TABLE {table} TO ...` or `DROP VIEW {table}` in `dolt sql`, and commit."
    )


def columns_of(table: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the key of a table of the journal, and all its columns."""
    return _KEYS[table], list(_COLUMNS[table])


def _columns(cursor: Cursor, table: str) -> dict[str, tuple[bool, bool]]:
    """Return the columns, whether they are part of the key, and whether each row must give them a value.

    There are none where there is no such table.
    """
    try:
        cursor.execute(f"SHOW COLUMNS FROM {table}")
    except pymysql.err.Error as error:
        if is_missing_table(error):
            return {}
        raise
    return {
        name: (key == "PRI", null == "NO" and default is None and not extra)
        for name, _, null, key, default, extra in cursor.fetchall()
    }


def _insert(cursor: Cursor, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        names = list(_COLUMNS[table])
        # A branch on which the run's own row stands already is one that was written by a killed process.
        statement = f"REPLACE INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        cursor.executemany(statement, [[row[name] for name in names] for row in rows])
