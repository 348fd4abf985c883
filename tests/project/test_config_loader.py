"""A project's catalog reads tables where nobody has called its hooks, as Kedro-Viz makes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers import query, server_is_running

SCRIPT = """
import json
from pathlib import Path
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro_doltdb import DoltError

bootstrap_project(Path.cwd())

def loader():
    return settings.CONFIG_LOADER_CLASS(
        conf_source=str(Path.cwd() / settings.CONF_SOURCE), env="local", **settings.CONFIG_LOADER_ARGS
    )

def kept(config):
    return {name: value for name, value in config["credentials"].items() if name != "dolt"}

told = {"none": kept(loader())}
Path("conf/local/credentials.yml").write_text("other: {password: secret}\\n")
config = loader()
told["other"] = kept(config)
told["same"] = config["credentials"]["dolt"]["con"] == config["credentials"]["dolt"]["con"]
catalog = DataCatalog.from_config(config["catalog"], config["credentials"])
frame = catalog.load("example_iris_data")
told["rows"] = len(frame)
try:
    catalog.save("example_iris_data", frame.head(3))
except Exception as error:
    told["refused"] = str(error)
with KedroSession.create() as session:
    context = session.load_context()
    attached = context.config_loader["credentials"]
    told["hooks"] = kept(context.config_loader)
    told["attached"] = context.config_loader["credentials"]["dolt"] is attached["dolt"]
Path("conf/local/credentials.yml").write_text("dolt: {password: secret}\\n")
try:
    loader()["credentials"]
except DoltError as error:
    told["error"] = str(error)
print("TOLD", json.dumps(told))
"""


def test_the_config_loader_gives_what_the_hooks_would(project: Path) -> None:
    (project / "conf" / "local" / "credentials.yml").unlink()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project, capture_output=True, text=True, check=False
    )
    assert "TOLD " in done.stdout, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.partition("TOLD ")[2].splitlines()[0])

    assert told["none"] == {} and told["other"] == told["hooks"] == {"other": {"password": "secret"}}
    assert told["rows"] == 150 and told["same"] and told["attached"]
    assert "has an entry `dolt`" in told["error"]
    assert "is read-only" in told["refused"], told["refused"]
    assert query(project, "SELECT COUNT(*) AS n FROM example_iris_data") == [{"n": "150"}]
    assert not server_is_running(project), "it stops with the process that has read"
