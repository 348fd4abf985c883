"""The ``dolt`` command line: finding it, running it, and making a project's ``data/`` a repository.

This file uses the standard library alone and imports nothing of its package: the generation hooks of the
starter load it by path, before the package is installed.
"""

from __future__ import annotations

import csv
import getpass
import json
import logging
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MINIMUM_VERSION = (1, 83, 0)

_HOW_TO_GET_DOLT = "Get it with `kedro dolt install` or `pip install 'kedro-doltdb[dolt]'`."
# A repository is made in such a directory of the data's.
_BESIDE = ".dolt-new-"
# What a child process needs to keep off the network; Dolt reads these from its configuration alone.
_QUIET = {"metrics.disabled": "true", "versioncheck.disabled": "true"}


class DoltCommandError(RuntimeError):
    """Dolt is missing, too old, or a command of it failed; the message says how to fix it."""


@dataclass(frozen=True)
class InitialTable:
    """A table that a new repository starts with.

    Attributes:
        name: the table's name.
        file: path of the CSV file, relative to the project's directory.
        primary_key: the column of the primary key, or a list of columns.
        message: message of the commit that imports the table.
    """

    name: str
    file: str
    primary_key: tuple[str, ...]
    message: str


def find_dolt() -> str:
    """Return the path of the Dolt executable that :func:`locate_dolt` finds.

    Raises:
        DoltCommandError: there is none, or what ``DOLT_PATH`` names is not an executable file.
    """
    return locate_dolt()[0]


def locate_dolt() -> tuple[str, str]:
    """Find the Dolt executable: what ``DOLT_PATH`` names, else the environment's, else the one on ``PATH``.

    Returns:
        Its path, and where it was found, in words.

    Raises:
        DoltCommandError: there is none, or what ``DOLT_PATH`` names is not an executable file.
    """
    if named := os.environ.get("DOLT_PATH"):
        if found := shutil.which(named):
            return found, "named by DOLT_PATH"
        raise DoltCommandError(
            f"DOLT_PATH names {named}, which is not an executable file. {_HOW_TO_GET_DOLT}"
        )
    # An environment need not be activated to be used.
    if found := shutil.which("dolt", path=sysconfig.get_path("scripts")):
        return found, "in the Python environment"
    if found := shutil.which("dolt"):
        return found, "on PATH"
    raise DoltCommandError(
        f"No executable `dolt` was found in the Python environment or on PATH. {_HOW_TO_GET_DOLT}"
    )


def check_version(dolt: str) -> str:
    """Make sure that the executable ``dolt`` is new enough.

    Returns:
        Its version.

    Raises:
        DoltCommandError: it cannot be run, does not answer as Dolt does, or is below ``MINIMUM_VERSION``.
    """
    answer = _run([dolt, "version"], Path.cwd())
    match = re.search(r"dolt version (\d+)\.(\d+)\.(\d+)", answer)
    if not match:
        raise DoltCommandError(f"{dolt} does not answer `dolt version` as Dolt does. {_HOW_TO_GET_DOLT}")
    if tuple(int(part) for part in match.groups()) < MINIMUM_VERSION:
        needed = ".".join(str(part) for part in MINIMUM_VERSION)
        raise DoltCommandError(
            f"{dolt} is Dolt {'.'.join(match.groups())}, and {needed} or newer is needed. {_HOW_TO_GET_DOLT}"
        )
    return ".".join(match.groups())


def run_dolt(args: Sequence[str], cwd: Path) -> str:
    """Run ``dolt`` with ``args`` in the directory ``cwd`` and return what it prints.

    The user's global Dolt configuration is neither read nor written, and nothing goes over the network.

    Raises:
        DoltCommandError: there is no Dolt, or the command failed; the message carries Dolt's own words.
    """
    return _run([find_dolt(), *args], cwd)


def _run(command: Sequence[str], cwd: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="kedro-doltdb-") as root:
        config = Path(root, ".dolt", "config_global.json")
        config.parent.mkdir()
        config.write_text(json.dumps(_QUIET), encoding="utf-8")
        # Every command of Dolt's leaves an empty file where temporary files go.
        return _run_in(command, cwd, {"DOLT_ROOT_PATH": root, "TMPDIR": root})


def _run_in(command: Sequence[str], cwd: Path, env: dict[str, str], timeout: float | None = None) -> str:
    """Run ``command`` with ``env`` added to the environment; ``timeout`` is in seconds."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "DOLT_DISABLE_EVENT_FLUSH": "1", "NO_COLOR": "1", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout,
        )
    except OSError as error:
        raise DoltCommandError(f"{command[0]} cannot be run: {error}. {_HOW_TO_GET_DOLT}") from error
    except subprocess.TimeoutExpired:
        raise DoltCommandError(
            f"`dolt {command[1]}` took more than {timeout:.0f} s: can the remote be reached? "
            "For much data raise `remote.timeout` in conf/*/dolt.yml."
        ) from None
    if done.returncode != 0:
        words = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        raise DoltCommandError(
            f"`dolt {' '.join(command[1:3])}` failed in {cwd} with exit code {done.returncode}: {words}"
        )
    return done.stdout


def user_home() -> Path | None:
    """Return the user's home directory; None if ``HOME`` is empty, or not set for a number without a name."""
    # Python takes an empty one for the root directory, and Dolt for one that is not set.
    if os.environ.get("HOME") == "":
        return None
    try:
        path = Path.home()
    except RuntimeError:
        return None
    return path if path.is_absolute() else None


def home() -> Path | None:
    """Return where Dolt keeps a user's own configuration; None where there is no place for it.

    A container may run under a number that has no name, with a ``HOME`` that is not set, not there or
    cannot be written to, and Dolt does not start then.
    """
    named = os.environ.get("DOLT_ROOT_PATH")
    if (path := Path(named) if named else user_home()) is None:
        return None
    try:
        config = path / ".dolt"
        if config.is_dir():
            usable = os.access(config / "config_global.json", os.R_OK) or os.access(config, os.W_OK | os.X_OK)
        else:
            usable = path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    except OSError:
        return None
    return path if usable else None


def identity(directory: Path) -> tuple[str, str]:
    """Find the user's name and email address for commits in ``directory``.

    They come from the repository's Dolt configuration, else from the global one, else from Git, else they
    are the operating system's user and ``<user>@localhost``.
    """
    own = home()
    sources = (
        _dolt_config(directory / ".dolt" / "config.json"),
        _dolt_config(own / ".dolt" / "config_global.json") if own else {},
        _git_config(directory),
        _os_user(),
    )
    for source in sources:
        name, email = source.get("user.name"), source.get("user.email")
        if name and email:
            return name, email
    raise AssertionError("the operating system's user always has a name")


def _dolt_config(file: Path) -> dict[str, str]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _git_config(directory: Path) -> dict[str, str]:
    config = {}
    for key in ("user.name", "user.email"):
        try:
            done = subprocess.run(
                ["git", "config", key], cwd=directory, capture_output=True, encoding="utf-8", check=False
            )
        except OSError:
            return {}
        config[key] = done.stdout.strip()
    return config


def _os_user() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = "kedro"
    return {"user.name": user, "user.email": f"{user}@localhost"}


def initialise(data_dir: Path, tables: Iterable[InitialTable]) -> None:
    """Make ``data_dir`` a Dolt repository with one commit for each of ``tables``.

    Files of tables are looked up from the project's directory, the parent of ``data_dir``.

    Raises:
        DoltCommandError: ``data_dir`` is a repository already, a file of a table is missing, or a command
            failed; whatever had been made of the repository is removed.
    """
    # Behind a symbolic link the directory's parent is another one.
    project = data_dir.absolute().parent
    with _new_repository(data_dir) as made:
        made.mkdir()
        name, email = identity(data_dir)
        run_dolt(["init", "--name", name, "--email", email, "--initial-branch", "main"], made)
        keep_quiet(made)
        keep_private(made / ".dolt")
        for table in tables:
            _import_table(made, table, project)


def clone(data_dir: Path, url: str, name: str, user: str | None, timeout: float) -> bool:
    """Make ``data_dir``, whatever other files it has, the clone of a remote.

    The user's own Dolt configuration and environment count here: they hold what the remote asks for.

    Args:
        data_dir: the directory.
        url: the remote, as Dolt writes it.
        name: what the clone is to call it.
        user: the user that a ``dolt sql-server`` as remote asks for.
        timeout: seconds that it may take.

    Returns:
        Whether the remote held anything; if not, nothing was made.

    Raises:
        DoltCommandError: ``data_dir`` is a repository already, or Dolt could not clone; nothing was made.
    """
    try:
        with _new_repository(data_dir) as cloned:
            user_option = ["--user", user] if user else []
            command = [find_dolt(), "clone", "--remote", name, *user_option, url, cloned.name]
            beside = str(cloned.parent)
            own = {} if home() else {"DOLT_ROOT_PATH": beside}
            _run_in(command, cloned.parent, {"TMPDIR": beside, **own}, timeout)
            keep_quiet(cloned)
            keep_private(cloned / ".dolt")
            _keep_identity(cloned)
    except DoltCommandError as error:
        if "contains no Dolt data" in str(error) or "no branches" in str(error):
            return False
        raise
    return True


def _keep_identity(data_dir: Path) -> None:
    """Let the user commit by hand, although Dolt may not know their name."""
    name, email = identity(data_dir)
    file = data_dir / ".dolt" / "config.json"
    config = {"user.name": name, "user.email": email, **_dolt_config(file)}
    replace_file(file, json.dumps(config).encode())


@contextmanager
def _new_repository(data_dir: Path) -> Iterator[Path]:
    """Give the path of a directory to be made, whose ``.dolt`` is put into ``data_dir`` at the end.

    Dolt clones into new directories only, and a repository that is half full must not be found, should this
    process be killed.
    """
    data_dir = data_dir.resolve()
    if (data_dir / ".dolt").exists():
        raise DoltCommandError(f"{data_dir} is a Dolt repository already; nothing was changed.")
    try:
        data_dir.mkdir(exist_ok=True)
    except OSError as error:
        raise DoltCommandError(f"{data_dir} cannot be created: {error}.") from error
    for left in data_dir.glob(f"{_BESIDE}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_BESIDE, dir=data_dir) as beside:
        keep_private(Path(beside))
        made = Path(beside, "data")
        yield made
        (made / ".dolt").rename(data_dir / ".dolt")


def keep_quiet(data_dir: Path) -> None:
    """Turn Dolt's metrics and version check off in the configuration of the repository alone.

    Without it a server asks for Dolt's hosts by name, and every command leaves a file of events.
    """
    file = data_dir / ".dolt" / "config.json"
    config = _dolt_config(file)
    if not _QUIET.items() <= config.items():
        replace_file(file, json.dumps({**config, **_QUIET}).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write or replace a file so that a power cut, or a process killed meanwhile, leaves the old or the new.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    # Whoever finds it later can tell by the process's id whether it is still being written.
    prefix = f"{path.name}.{os.getpid()}-"
    descriptor, temporary = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    # Some file systems know no such thing as a directory's state.
    with suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def keep_private(directory: Path) -> None:
    """Close a directory of Dolt's to other users of the machine, and keep it out of a ``git add``.

    Dolt makes some of its files writable by everybody; others hold the server's secret.
    """
    directory.mkdir(exist_ok=True)
    if directory.stat().st_mode & 0o077:
        try:
            directory.chmod(0o700)
        except PermissionError as error:
            # Some file systems have no permissions of their own.
            logging.getLogger(__name__).warning(
                "%s cannot be closed to other users of this machine: %s.", directory, error.strerror
            )
    ignore = directory / ".gitignore"
    if not ignore.exists():
        replace_file(ignore, b"*\n")


def _import_table(data_dir: Path, table: InitialTable, project: Path) -> None:
    file = (project / table.file).absolute()
    if not file.is_file():
        raise DoltCommandError(
            f"{file}, the file of the table {table.name}, does not exist: correct initial_tables in dolt.yml."
        )
    # Dolt itself makes a table without a key of a key column that is not there.
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        columns = next(csv.reader(lines), [])
    missing = [column for column in table.primary_key if column not in columns]
    if missing:
        raise DoltCommandError(
            f"{file} has no column {', '.join(missing)}, the primary key of the table {table.name}: "
            "correct initial_tables in dolt.yml."
        )
    key = ",".join(table.primary_key)
    create = run_dolt(
        ["schema", "import", "--create", "--dry-run", "--pks", key, table.name, str(file)], data_dir
    )
    # Dolt takes a number with a fraction for a FLOAT, which keeps seven digits; pandas' numbers have more.
    create = re.sub(r"(?m)^(  `.*`) float\b", r"\1 double", create)
    run_dolt(["sql", "--query", create], data_dir)
    run_dolt(["table", "import", "--append-table", "--quiet", table.name, str(file)], data_dir)
    run_dolt(["add", table.name], data_dir)
    run_dolt(["commit", "--message", table.message], data_dir)
