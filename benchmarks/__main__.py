"""Run the benchmarks: `python -m benchmarks [--full] [--output DIRECTORY] [name ...]`."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kedro_doltdb.dolt_cli import find_dolt, run_dolt

from . import versions
from .checks import checks
from .incremental import incremental, nothing_changed, parameter_changed
from .measure import measure
from .memory import memory
from .real_tables import real_tables
from .save_table import frame_of, save_million, save_table, save_texts
from .scaling import scaling
from .statements import statements
from .whole_run import whole_run

COMPARISONS = {"whole_run": (whole_run, 7), "save_table": (save_table, 5), "checks": (checks, 5)}
COMPARISONS |= {
    "incremental": (incremental, 5),
    "incremental_unchanged": (nothing_changed, 5),
    "incremental_parameter": (parameter_changed, 5),
    "save_texts": (save_texts, 3),
    "save_million": (save_million, 3),
}
NAMES = [*COMPARISONS, "statements", "memory", "versions"]
# Only when they are named.
ALONE = ["scaling", "real_tables"]
PACKAGES = ("kedro", "pandas", "pyarrow", "sqlalchemy", "pymysql", "deltalake", "pyiceberg", "duckdb", "dvc")


def main() -> None:
    """Run what the command line names, print the tables, and write them where it says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"of {', '.join([*NAMES, *ALONE])}; without one all but the last two",
    )
    parser.add_argument("--full", action="store_true", help="more and larger tables: takes hours")
    parser.add_argument(
        "--output", type=Path, help="a directory for results.md and results.png, or <names>.md"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - {*NAMES, *ALONE}:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    # Not after all has been measured.
    if options.output and not (options.output.is_dir() and os.access(options.output, os.W_OK)):
        parser.error(f"--output must be a directory that can be written to, not {options.output}")
    # Without bytecode files, as this variable has it, a start of Python takes two to three times as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["DO_NOT_TRACK"] = os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    parts = []
    for part in _parts(options):
        print(f"{part}\n", flush=True)
        parts.append(part)
    if options.output:
        name = "-".join(options.names) or "results"
        (options.output / f"{name}.md").write_text("# Benchmarks, measured\n\n" + "\n\n".join(parts) + "\n")


def _parts(options: argparse.Namespace) -> Iterator[str]:
    names = options.names or NAMES
    find_dolt()
    with tempfile.TemporaryDirectory(prefix="kedro-dolt-bench-") as directory:
        place = Path(directory)
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        yield _machine(place)
        for name in filter(COMPARISONS.__contains__, names):
            prepare, repeats = COMPARISONS[name]
            (place / name).mkdir()
            with prepare(place / name) as benchmark:
                yield measure(benchmark, repeats)
        if "statements" in names:
            yield statements(place / "statements")
        if "memory" in names:
            # Beside a frame of less than some 50 MB, what any save takes is large.
            yield memory(place / "memory", frame_of(10**6), "1,000,000 rows x 7 columns")
        if "scaling" in names:
            yield from scaling(place / "scaling", options.full)
        if "real_tables" in names:
            yield from real_tables(place / "real_tables")
        if "versions" in names:
            sizes = [10**4, 10**5, 10**6] if options.full else [10**4, 10**5]
            count = 20 if options.full else 4
            found = {}
            for rows in sizes:
                for share in (0, 0.001, 0.01, 0.1, 1):
                    results = versions.measure(frame_of(rows), share, count, place / f"{rows}-{share}")
                    found[rows, share] = results
                    yield versions.markdown(f"{rows:,} rows x 7 columns", share, count, results)
            if options.output:
                versions.plot(found, 10**5, options.output / "results.png")


def _machine(place: Path) -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    dolt = run_dolt(["version"], place).split()[2]
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Dolt {dolt}, {', '.join(found)}"
    )


if __name__ == "__main__":
    main()
