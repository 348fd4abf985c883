"""Run the benchmarks and print their tables: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from kedro_doltdb.dolt_cli import find_dolt, run_dolt

from .measure import measure
from .save_table import save_table
from .whole_run import whole_run

BENCHMARKS = {"whole_run": (whole_run, 11), "save_table": (save_table, 7)}


def main(names: list[str]) -> int:
    """Run the benchmarks ``names``, or all; return the exit code."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"There is no benchmark {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}.")
        return 2
    # Without bytecode files, as this variable has it, a start of Python takes two to three times as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["DO_NOT_TRACK"] = "1"
    find_dolt()
    packages = ", ".join(f"{name} {version(name)}" for name in ("kedro", "pandas", "sqlalchemy", "pymysql"))
    with tempfile.TemporaryDirectory(prefix="kedro-dolt-bench-") as directory:
        dolt = run_dolt(["version"], Path(directory)).split()[2]
        print(
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, Dolt {dolt}, {packages}"
        )
        for name in names or BENCHMARKS:
            prepare, repeats = BENCHMARKS[name]
            place = Path(directory, name)
            place.mkdir()
            with prepare(place) as benchmark:
                print(f"\n{measure(benchmark, repeats)}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
