"""The memory that a save takes at its peak, beside the frame itself (Linux)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

CODE = """
import json, re, sys
from pathlib import Path
import pandas as pd
from benchmarks.save_table import frame_of
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.settings import Settings
from kedro_doltdb.catalog.table_dataset import DoltTableDataset

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

project = Path(sys.argv[1])
initialise(project / "data", [])
database = Database(project, Settings())
def dataset_of(table):
    return DoltTableDataset(table_name=table, credentials=database.credentials(), primary_key="id")

# What the first save of a process imports is no matter of the frame.
dataset_of("other").save(frame_of(10))
frame = pd.read_pickle(sys.argv[2])
column, step = json.loads(sys.argv[3])
dataset = dataset_of("t")
for change in (0, 1):
    if change:
        frame.loc[:1000, column] += step
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    dataset.save(frame)
    print((status("VmHWM") - before) / frame.memory_usage(deep=True).sum())
database.close()
"""


def memory(
    directory: Path, frame: pd.DataFrame, table: str, change: tuple[str, float | str] = ("price", 1.0)
) -> str:
    """A Markdown table of the peaks of a first save and of one of 1000 changed rows, in frames.

    Args:
        directory: to be made.
        frame: what is saved; `id` is its key.
        table: what the title calls it.
        change: a column without missing values, and what is added to it where a row changes.
    """
    directory.mkdir()
    # Another process: this one's memory holds more than the save's.
    frame.to_pickle(directory / "frame")
    command = [sys.executable, "-c", CODE, str(directory), str(directory / "frame"), json.dumps(change)]
    first, later = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return (
        f"**Peak memory of a save of {table}, the frame apart**\n\n"
        "| save | peak / frame | aim |\n| --- | --- | --- |\n"
        f"| first | {float(first):.1f} | ≤ 1.5 |\n| 1000 rows changed | {float(later):.1f} | ≤ 1.5 |"
    )
