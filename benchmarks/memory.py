"""The memory that a save takes at its peak, beside the frame itself (Linux)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import re, sys
from pathlib import Path
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
dataset = DoltTableDataset(table_name="t", credentials=database.credentials(), primary_key="id")
dataset.save(frame_of(10))
frame = frame_of(int(sys.argv[2]))
for change in (0, 1):
    frame.loc[:1000, "price"] += change
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    dataset.save(frame)
    print((status("VmHWM") - before) / frame.memory_usage(deep=True).sum())
database.close()
"""


def memory(directory: Path, rows: int) -> str:
    """A Markdown table of the peaks of a first save and of one of 1000 changed rows, in frames."""
    directory.mkdir()
    command = [sys.executable, "-c", CODE, str(directory), str(rows)]
    first, change = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return (
        f"**Peak memory of a save of {rows:,} rows x 7 columns, the frame apart**\n\n"
        "| save | peak / frame | aim |\n| --- | --- | --- |\n"
        f"| first | {float(first):.1f} | ≤ 3 |\n| 1000 rows changed | {float(change):.1f} | ≤ 3 |"
    )
