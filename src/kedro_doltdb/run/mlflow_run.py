"""The MLflow run during which a pipeline runs: what it is told of the run on Dolt.

It is imported where the process has imported MLflow, and nowhere else: see :mod:`kedro_doltdb.plugin_hooks`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, RunTag

from ..dolt.as_of import count_at
from ..dolt.remote import without_password
from ..journal.edges import inputs_of
from ..terminal import get_logger

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from .records import Record

SOURCE_TYPE = "dolt_table"
# MLflow asks a server that does not answer for minutes, and the run's data is safe by then.
MOST_SECONDS = 30.0
# What became of a run, in the tag `dolt.status`, beside the words of the journal.
RUNNING, PUBLISHED, NO_EFFECT = "running", "published", "no effect"

logger = get_logger(__name__)


class MlflowRun:
    """An MLflow run that is told of a run on Dolt.

    It is told by its id: kedro-mlflow, or a ``with`` of the user's, may have ended it by then. Whatever goes
    wrong is one warning, and the run on Dolt is as it would be without MLflow.

    Args:
        client: of the tracking server or store where it is.
        run_id: its id.
        experiment_id: that of its experiment.

    Attributes:
        run_id: its id.
        url: where a browser shows it, without a password; None if it is in a file or a database.
        tracking_uri: where MLflow keeps it, as it can be noted; None if that holds what may be secret.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, experiment_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.url = _url(str(client.tracking_uri), experiment_id, run_id)
        self.tracking_uri = _lasting(str(client.tracking_uri))

    @classmethod
    def active(cls) -> MlflowRun | None:
        """Return the MLflow run that this thread is in; None if there is none, or MLflow cannot say."""
        found: list[MlflowRun] = []

        def look() -> None:
            if (run := mlflow.active_run()) is not None:
                client = mlflow.MlflowClient(mlflow.get_tracking_uri())
                found.append(cls(client, run.info.run_id, run.info.experiment_id))

        # Which run is active is a fact of the thread.
        _without_failing(look)
        return found[0] if found else None

    def begin(self, record: Record) -> None:
        """Say where the run on Dolt begins, and that it is not published, until :meth:`end` says it is."""
        self._tell(lambda: self._tag(_tags(record, RUNNING)))

    def end(self, repository: Repository, record: Record, status: str, commit: str | None) -> None:
        """Say what became of the run on Dolt, and what tables it read.

        Args:
            repository: where its tables are.
            record: the run.
            status: what became of it.
            commit: the commit that has its data; None if there is none.
        """

        inputs: list[DatasetInput] = []
        _without_failing(lambda: inputs.extend(_inputs(repository, record, commit)))

        def tell() -> None:
            tags = _tags(record, status)
            if commit:
                tags["dolt.commit"] = commit
            if status == PUBLISHED:
                tags["dolt.diff"] = f"kedro dolt compare {commit}~1 {commit}"
            elif commit and status != NO_EFFECT:
                tags["dolt.kept_on"] = record.branch
                tags["dolt.diff"] = f"kedro dolt compare {record.base} {commit}"
            self._tag(tags)
            if inputs:
                self._client.log_inputs(self.run_id, inputs)
            ended_well = self._client.get_run(self.run_id).info.status == "FINISHED"
            if ended_well and status not in (PUBLISHED, NO_EFFECT):
                # kedro-mlflow had ended it before the run was refused.
                self._client.update_run(self.run_id, status="FAILED")

        self._tell(tell)

    def _tag(self, tags: dict[str, str]) -> None:
        self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def _tell(self, tell: Callable[[], None]) -> None:
        if not _in_time(lambda: _without_failing(tell)):
            logger.warning(
                "MLflow has not answered for %.0f s: its run lacks facts of this run.", MOST_SECONDS
            )


def tell_published(record: Record, branch: str, commit: str | None, tracking_uri: str | None) -> str:
    """Tell the MLflow run of a refused run that its data has been published since.

    Args:
        record: the run.
        branch: what it was published to.
        commit: the commit there; None if the branch had all of it already.
        tracking_uri: where MLflow keeps its run; None is where MLflow keeps runs now.

    Returns:
        Why that could not be done; empty if it was.
    """
    assert record.run is not None and record.run.mlflow_run_id is not None
    run_id = record.run.mlflow_run_id
    problems: list[str] = []

    def tell() -> None:
        try:
            uri = tracking_uri or mlflow.get_tracking_uri()
            problems.append(_retag(run_id, record.run_id, branch, commit, uri))
        # As below: the data is published whatever MLflow raises.
        except Exception as error:
            problems.append(f"{type(error).__name__}: {_words(error)}")

    if not _in_time(tell):
        return f"MLflow has not answered for {MOST_SECONDS:.0f} s"
    return problems[0] if problems else ""


def _retag(run_id: str, dolt_run: str, branch: str, commit: str | None, tracking_uri: str) -> str:
    # MLflow would make a new database, in whatever directory this is.
    if (path := _local_path(tracking_uri)) is not None and not path.exists():
        return f"there is no {path.name} in {path.parent}, where MLflow would have it"
    client = mlflow.MlflowClient(tracking_uri)
    tags = client.get_run(run_id).data.tags
    # A journal may be a stranger's, and name any run.
    if tags.get("dolt.run") != dolt_run:
        return f"MLflow has another run of that id, not of {dolt_run}"
    new = {"dolt.status": NO_EFFECT, "dolt.published": "false"}
    if commit:
        new = {
            "dolt.status": PUBLISHED, "dolt.published": "true", "dolt.branch": branch, "dolt.commit": commit,
            "dolt.diff": f"kedro dolt compare {commit}~1 {commit}",
        }  # fmt: skip
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in new.items()])
    # The branch is gone.
    if "dolt.kept_on" in tags:
        client.delete_tag(run_id, "dolt.kept_on")
    return ""


def _in_time(action: Callable[[], None]) -> bool:
    """Return whether MLflow has answered; if not, it is asked on, and nobody waits for that."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(MOST_SECONDS)
    return not thread.is_alive()


def _without_failing(action: Callable[[], None]) -> None:
    try:
        action()
    # Whatever MLflow, its store or its plugins raise: the run is as good without them.
    except Exception as error:
        logger.warning("MLflow's run lacks facts of this run: %s: %s", type(error).__name__, _words(error))


def _words(error: Exception) -> str:
    return without_password(" ".join(str(error).split()))[:300]


def _tags(record: Record, status: str) -> dict[str, str]:
    return {
        "dolt.run": record.run_id,
        "dolt.branch": record.target,
        "dolt.base": record.base,
        "dolt.status": status,
        "dolt.published": "true" if status == PUBLISHED else "false",
    }


def _inputs(repository: Repository, record: Record, commit: str | None) -> list[DatasetInput]:
    """Return the tables that a run has read and not made, each as of a commit that has them as they were."""
    pinned = [edge for edge in record.edges if edge.direction == "load" and edge.read_at]
    edges = [edge for edge in [*inputs_of(record.edges), *pinned] if edge.table_name and edge.content_hash]
    tables = sorted({str(edge.table_name) for edge in edges})
    # What a resumed run has taken over from a failed one is in its own commit alone.
    commits = list(dict.fromkeys(ref for ref in (record.base, commit) if ref))
    hashes = {ref: repository.table_hashes(ref, tables) for ref in commits} if tables else {}
    found: dict[tuple[str, str], DatasetInput] = {}
    with repository.on() as cursor:
        for edge in edges:
            table, content = str(edge.table_name), str(edge.content_hash)
            at = edge.read_at or next((ref for ref in commits if hashes[ref].get(table) == content), None)
            if at is None or (edge.dataset, at) in found:
                continue
            dataset = Dataset(
                name=edge.dataset,
                digest=content,
                source_type=SOURCE_TYPE,
                source=json.dumps({"table": table, "commit": at}),
                profile=json.dumps({"num_rows": count_at(cursor, table, at)}),
            )
            found[edge.dataset, at] = DatasetInput(dataset, [InputTag("mlflow.data.context", "input")])
    return list(found.values())


def _lasting(tracking_uri: str) -> str | None:
    """Return an address that means the same from any directory; None if there may be a secret in it."""
    parts = urlsplit(tracking_uri)
    if "@" in parts.netloc or parts.query or parts.fragment:
        return None
    if parts.scheme.startswith("sqlite") and (path := _local_path(tracking_uri)) is not None:
        return f"{parts.scheme}:///{os.path.abspath(path)}"
    return tracking_uri


def _local_path(tracking_uri: str) -> Path | None:
    """Return the file or directory of a store on this machine's disk; None if it is elsewhere."""
    parts = urlsplit(tracking_uri)
    if parts.scheme.startswith("sqlite"):
        return Path(parts.path[1:]) if parts.path[1:] else None
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(tracking_uri) if not parts.scheme and tracking_uri != "databricks" else None


def _url(tracking_uri: str, experiment_id: str, run_id: str) -> str | None:
    """Return the address of a run's page, of a server that is reached over HTTP."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return None
    host = parts.netloc.rpartition("@")[2]
    base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}"
