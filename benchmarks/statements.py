"""The statements that a whole `kedro run` of the generated project sends to Dolt: how many, and for what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Appended to a project's settings.py. Each statement counts for the innermost module of ours that has asked
# for it, else for pandas and SQLAlchemy; each connection that is opened counts, too.
COUNTING = """
import atexit, json, sys
from collections import Counter
from pathlib import Path

import pymysql.connections

sent = Counter()
WIRE = ("address.py", "dialect.py", "local_infile.py", "query.py", "watchdog.py")


def asker():
    frame, others = sys._getframe(2), "Dolt's watch"
    while frame:
        path = Path(frame.f_code.co_filename)
        if "kedro_doltdb" in path.parts and path.name not in WIRE:
            return f"{path.parent.name}/{path.stem}"
        if "pandas" in path.parts or "sqlalchemy" in path.parts:
            others = "pandas and SQLAlchemy"
        frame = frame.f_back
    return others


def counting(original, what):
    def counted(*args, **kwargs):
        sent[f"{what} {asker()}"] += 1
        return original(*args, **kwargs)

    return counted


Connection = pymysql.connections.Connection
Connection.connect = counting(Connection.connect, "connection")
Connection._execute_command = counting(Connection._execute_command, "statement")
atexit.register(lambda: Path("sent.json").write_text(json.dumps(sent)))
"""


def sent_by(project: Path) -> Counter[str]:
    """Return what the last run of a project with `COUNTING` has sent, by kind and asker."""
    return Counter(json.loads((project / "sent.json").read_text()))


def statements(directory: Path) -> str:
    """A Markdown table of the second run of a new project, in which every table changes."""
    directory.mkdir()
    _kedro(directory, "new", f"--starter={ROOT}", "--name=Counted")
    project = directory / "counted"
    with open(project / "src" / "counted" / "settings.py", "a") as file:
        file.write(COUNTING)
    for ratio in (0.2, 0.3):
        _kedro(project, "run", f"--params=example_test_data_ratio={ratio}")
    sent = sent_by(project)
    askers = sorted({key.partition(" ")[2] for key in sent}, key=lambda name: -sent[f"statement {name}"])
    lines = ["**What a `kedro run` of the iris project sends**", ""]
    lines += ["| asked by | statements | connections |", "| --- | --- | --- |"]
    lines += [f"| {name} | {sent[f'statement {name}']} | {sent[f'connection {name}']} |" for name in askers]
    total = [
        sum(n for key, n in sent.items() if key.startswith(kind)) for kind in ("statement", "connection")
    ]
    return "\n".join([*lines, f"| all | {total[0]} | {total[1]} |"])


def _kedro(directory: Path, *args: str) -> None:
    env = {**os.environ, "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "kedro", *args]
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"kedro {args[0]} failed:\n{done.stdout}{done.stderr}")
