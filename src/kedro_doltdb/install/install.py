"""Make a Dolt available: the one that is there, else the release archive, else a build with Go."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from ..dolt_cli import MINIMUM_VERSION, DoltCommandError, check_version, locate_dolt, user_home
from ..errors import DoltError
from . import go
from .notice import NotInstalledError, Say
from .release import fetch_release, platform_name

DEFAULT_VERSION = go.VERSION


def install(version: str | None, prefix: Path | None, say: Say) -> tuple[str, str]:
    """Make sure that there is a Dolt.

    Args:
        version: that very version; None is any that is new enough.
        prefix: the directory to install into; None is that of the Python environment if there is one, else
            ``~/.local/bin``.
        say: tells the user what is done.

    Returns:
        The version, and the path of the executable.

    Raises:
        DoltError: it cannot be had, with every way that was tried and why it did not work.
    """
    tried: list[str] = []
    _check_wanted(version)
    if found := _present(version, tried):
        return found
    directory = (prefix or default_prefix()).absolute()
    target = directory / "dolt"
    if target.exists() and (there := _usable(target, version, tried)):
        return there, str(target)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DoltError(f"{directory} cannot be made: {error.strerror}. Name another: --prefix.") from error
    if not os.access(directory, os.W_OK):
        raise DoltError(f"{directory} is not a directory that you can write to. Name another with --prefix.")
    for failure in tried:
        say(failure)
    binary, _ = obtain(version or DEFAULT_VERSION, say, tried)
    _put_in_place(binary, target)
    return version or DEFAULT_VERSION, str(target)


def obtain(version: str, say: Say, tried: list[str] | None = None) -> tuple[Path, Path]:
    """Return an executable of that version and the file of its licences, kept in the user's cache.

    Args:
        version: of Dolt.
        say: tells the user what is done.
        tried: what did not work before, for the error.

    Raises:
        DoltError: it cannot be had.
    """
    tried = [] if tried is None else tried
    cache = cache_directory()
    kept = cache / version
    if (kept / "LICENSES").is_file() and _usable(kept / "dolt", version, []):
        return kept / "dolt", kept / "LICENSES"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kedro-doltdb-") as work:
            binary, licences = _make(version, cache, Path(work), say, tried)
            if not _usable(binary, version, tried):
                raise _failed(tried)
            kept.mkdir(exist_ok=True)
            _put_in_place(licences, kept / "LICENSES")
            _put_in_place(binary, kept / "dolt")
    except OSError as error:
        raise DoltError(f"Dolt could not be put into {kept}: {error.strerror}.") from error
    return kept / "dolt", kept / "LICENSES"


def cache_directory() -> Path:
    """Return where downloads and built executables are kept, whatever clone or project asks for them."""
    named = os.environ.get("XDG_CACHE_HOME")
    home = user_home()
    if not named and home is None:
        raise DoltError("There is no home directory: set HOME, or XDG_CACHE_HOME, for what is downloaded.")
    return Path(named or Path(str(home), ".cache")) / "kedro-dolt" / "dolt"


def default_prefix() -> Path:
    """Return the directory that Dolt is put into if the user names none."""
    if sys.prefix != sys.base_prefix or Path(sys.prefix, "conda-meta").is_dir():
        return Path(sysconfig.get_path("scripts"))
    home = user_home()
    if home is None:
        raise DoltError("There is no home directory: name the directory for Dolt with --prefix.")
    return home / ".local" / "bin"


def _make(version: str, cache: Path, work: Path, say: Say, tried: list[str]) -> tuple[Path, Path]:
    for from_release in (True, False):
        try:
            if from_release:
                return fetch_release(version, platform_name(), cache, work, say)
            return go.build(version, work, say)
        except NotInstalledError as error:
            tried.append(str(error))
            say(str(error))
    raise _failed(tried)


def _check_wanted(version: str | None) -> None:
    if version is None:
        return
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and part.isascii() for part in parts):
        raise DoltError(f"--version {version} is not a version of Dolt, such as {DEFAULT_VERSION}.")
    if tuple(map(int, parts)) < MINIMUM_VERSION:
        needed = ".".join(map(str, MINIMUM_VERSION))
        raise DoltError(f"--version {version} is too old: {needed} or newer is needed.")


def _present(version: str | None, tried: list[str]) -> tuple[str, str] | None:
    """Return the version and the path of the Dolt that is found without us, if it will do."""
    named = os.environ.get("DOLT_PATH")
    try:
        path, _ = locate_dolt()
        found = check_version(path)
    except DoltCommandError as error:
        if named:
            raise DoltError(f"{error} Or correct DOLT_PATH, or unset it.") from error
        tried.append(str(error).partition(". ")[0])
        return None
    if version in (None, found):
        return found, path
    if named:
        raise DoltError(f"DOLT_PATH names Dolt {found}, which goes before what is installed: unset it.")
    tried.append(f"{path} is Dolt {found}, not {version}")
    return None


def _usable(binary: Path, version: str | None, tried: list[str]) -> str | None:
    """Return the version of an executable; None if it is not one, or not the one that is wanted."""
    try:
        found = check_version(str(binary))
    except DoltCommandError as error:
        tried.append(str(error).partition(". ")[0])
        return None
    if version in (None, found):
        return found
    tried.append(f"{binary} is Dolt {found}, not {version}")
    return None


def _put_in_place(source: Path, target: Path) -> None:
    """Put a file under its name in one step: nobody ever runs half an executable."""
    # Beside it, for a name can only be changed within a file system.
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    try:
        os.unlink(name)
        try:
            os.link(source, name)
        except OSError:
            shutil.copyfile(source, name)
            shutil.copymode(source, name)
        os.replace(name, target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise DoltError(f"{target} could not be written: {error.strerror}.") from error


def _failed(tried: list[str]) -> DoltError:
    lines = "\n".join(f"  - {line}" for line in tried)
    return DoltError(
        "Dolt could not be installed. Correct one of these, or get Dolt yourself and name it in DOLT_PATH:\n"
        f"{lines}"
    )
