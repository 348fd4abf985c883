"""Dolt built from its pinned commit with the Go toolchain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from .notice import NotInstalledError, Say

VERSION = "1.83.2"
# Dolt's module has no usable semantic version tags; this is the commit of VERSION.
COMMIT = "v0.40.5-0.20260306010754-a1fdc83b8378"
_MODULE = "github.com/dolthub/dolt/go"

_PACKAGES = ("gcc", "g++", "libicu-dev")
_ICU = ("icui18n", "icuuc", "icudata")
# The build prints over a thousand lines, a package each: one in a hundred is enough to see it live.
_STEPS = 100


def build(version: str, into: Path, say: Say) -> tuple[Path, Path]:
    """Build Dolt.

    It is stripped, and needs no library but the system's C library where there are static ones of the others.

    Args:
        version: of Dolt.
        into: where the results are put.
        say: tells the user.

    Returns:
        The executable, and the file of licences.

    Raises:
        NotInstalledError: the version is not the one whose commit is known, or something is missing here.
    """
    if version != VERSION:
        raise NotInstalledError(f"Go: only the commit of Dolt {VERSION} is known here")
    go = _find_go()
    _prepare(say)
    say(f"building Dolt {version} with Go: some 4 minutes on 2 cores, the first time")
    tags, link = ["timetzdata"], ["-s", "-w", "-buildid="]
    if static := _static_icu(into):
        tags.append("icu_static")
        link.append(f"-extldflags '-L{static} -static-libstdc++ -static-libgcc -Wl,--build-id=none'")
    command = [
        go, "install", "-v", "-trimpath", "-tags", ",".join(tags), "-ldflags", " ".join(link),
        f"{_MODULE}/cmd/dolt@{COMMIT}",
    ]  # fmt: skip
    env = {**os.environ, "CGO_ENABLED": "1", "GOBIN": str(into), "GOWORK": "off"}
    process = subprocess.Popen(
        command, cwd=into, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    assert process.stdout is not None
    try:
        last = _told(process.stdout, say)
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code != 0:
        raise NotInstalledError(f"Go: the build failed: {' '.join(last)}")
    return into / "dolt", _licences(go, into)


def _find_go() -> str:
    root = Path(os.environ.get("GOROOT") or "/usr/local/go") / "bin"
    if found := shutil.which("go") or shutil.which("go", path=str(root)):
        return found
    raise NotInstalledError(f"Go: no go on PATH or in {root}")


def _compiler() -> str:
    return os.environ.get("CXX") or "c++"


def _is_ready() -> bool:
    if not all(shutil.which(name) for name in (os.environ.get("CC") or "cc", _compiler())):
        return False
    done = subprocess.run(
        [_compiler(), "-E", "-x", "c++", "-"],
        input=b"#include <unicode/uregex.h>", capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def _prepare(say: Say) -> None:
    """Make sure that there are a C++ compiler and ICU; root on Debian gets what is missing."""
    if _is_ready():
        return
    packages = " ".join(_PACKAGES)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotInstalledError(
            "Go: a C++ compiler or the ICU headers are missing; install them (Debian, Ubuntu: sudo apt-get "
            "install g++ libicu-dev; Fedora: gcc-c++ libicu-devel; macOS: icu4c) and run this again"
        )
    say(f"installing what the build needs: apt-get install -y {packages}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *_PACKAGES]):
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if not _is_ready():
        raise NotInstalledError(f"Go: apt-get could not install {packages}")


def _static_icu(into: Path) -> Path | None:
    """Return a directory with the static libraries of ICU alone; None where they are not there."""
    if sys.platform != "linux":
        return None
    directory = into / "icu"
    directory.mkdir()
    for name in _ICU:
        file = f"lib{name}.a"
        done = subprocess.run(
            [_compiler(), f"-print-file-name={file}"], capture_output=True, text=True, check=False
        )
        found = Path(done.stdout.strip())
        if not found.is_absolute() or not found.is_file():
            return None
        (directory / file).symlink_to(found.resolve())
    return directory


def _told(lines: Iterable[str], say: Say) -> list[str]:
    """Tell how the build goes on, and return its last lines."""
    start, last = time.monotonic(), [""]
    for count, line in enumerate(lines, start=1):
        if not line.startswith("go: downloading "):
            last = [*last[-2:], line.strip()]
        if count % _STEPS == 0:
            say(f"  {count} steps, {time.monotonic() - start:.0f} s: {line.strip()}")
    return last


def _licences(go: str, into: Path) -> Path:
    """Put together the licences of Dolt, of the modules in it, and of the libraries that are linked in."""
    done = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", f"{_MODULE}@{COMMIT}"],
        cwd=into, env={**os.environ, "GOWORK": "off"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Dolt's makers keep a collection of all of them, ICU's and Go's included; it is in their releases, too.
    collection = Path(done.stdout.strip(), "Godeps", "LICENSES")
    if done.returncode != 0 or not collection.is_file():
        raise NotInstalledError(f"Go: the licences of Dolt are missing: {done.stderr.strip() or collection}")
    text = collection.read_text(encoding="utf-8", errors="replace")
    for file in sorted(Path("/usr/share/doc").glob("libstdc++-*-dev/copyright")):
        text += f"\n= GCC's runtime libraries, statically linked, licensed under: =\n\n{file.read_text()}"
    licences = into / "LICENSES"
    licences.write_text(text, encoding="utf-8")
    return licences
