"""The remote that a team shares: pull before a run, push after it, over SQL on the running server.

Nothing is ever forced: a branch moves forward, here and there, or stays where it is. See
https://docs.dolthub.com/sql-reference/version-control/remotes.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pymysql

from ..errors import ConfigError, RemoteError
from ..git import git
from .answers import is_lost, words
from .fast_forward import EditedError, fast_forward
from .names import free_name

if TYPE_CHECKING:
    from ..settings import RemoteSettings
    from .repository import Repository

_DOLTHUB = "https://doltremoteapi.dolthub.com/"
# Dolt's words for a remote that has no such branch, or nothing at all.
_NO_BRANCH = ("invalid ref spec", "no branches found")


@dataclass(frozen=True)
class Distance:
    """How far a branch is from the remote's, as of the last time that the remote was asked.

    Attributes:
        ahead: commits that only this repository has.
        behind: commits that only the remote has.
    """

    ahead: int
    behind: int


class Remote:
    """The remote that ``dolt.yml`` names.

    Args:
        repository: the repository whose remote it is.
        settings: what ``dolt.yml`` says.
    """

    def __init__(self, repository: Repository, settings: RemoteSettings) -> None:
        self._repository = repository
        self._settings = settings

    def prepare(self) -> None:
        """Make the remote known to the repository. The remote itself is not asked.

        Raises:
            RemoteError: the repository has another remote of that name, or the directory of a new one is not
                there.
        """
        name, url = self._settings.name, self._settings.url
        with self._repository.locked("remotes"), self._repository.on() as cursor:
            cursor.execute("SELECT url FROM dolt_remotes WHERE name = %s", (name,))
            row = cursor.fetchone()
            # Dolt makes the directory of a new remote if it is not there.
            if not self._is_known(row):
                cursor.execute("CALL DOLT_REMOTE('add', %s, %s)", (name, url))

    def check(self) -> None:
        """Compare the repository's remote of that name with ``dolt.yml``; nothing is changed.

        Raises:
            RemoteError: as for :meth:`prepare`.
        """
        with self._repository.on() as cursor:
            cursor.execute("SELECT url FROM dolt_remotes WHERE name = %s", (self._settings.name,))
            self._is_known(cursor.fetchone())

    def _is_known(self, row: tuple[str] | None) -> bool:
        name, url = self._settings.name, self._settings.url
        if row is None:
            check_directory(url)
        elif not _same_url(row[0], url):
            raise RemoteError(
                f"The remote {name} of data/ is {without_password(row[0])}, not {url} as in dolt.yml: "
                f"correct it there, or `dolt remote remove {name}` in data/."
            )
        return row is not None

    def pull(self, branch: str) -> int:
        """Move ``branch`` forward to where the remote has it; make it if only the remote has it.

        Returns:
            How many commits came; of a branch that is new here 0.

        Raises:
            RemoteError: the remote does not answer, the branches have diverged, or uncommitted edits stand
                in the way. The branch is as it was.
        """
        if not self._fetch(branch):
            return 0
        if branch not in self._repository.branches():
            self._repository.create_branch(branch, self._tracking(branch))
            return 0
        with self._repository.locked(branch):
            distance = self._distance(branch)
            if distance.ahead and distance.behind:
                raise self.diverged(branch, distance)
            if distance.behind:
                self._fast_forward(branch)
            return distance.behind

    def push(self, branch: str) -> bool:
        """Bring the commits of ``branch`` to the remote.

        Returns:
            Whether it lacked any.

        Raises:
            RemoteError: it does not answer, it refuses, or the branches have diverged; it is as it was.
        """
        for last in (False, True):
            try:
                _, message = self._call("PUSH", branch)
                return "up-to-date" not in str(message)
            except _RefusedError as error:
                if "non-fast-forward" not in error.message:
                    raise
                # Somebody else was faster: with other commits, or with these.
                self._fetch(branch)
                distance = self._distance(branch)
                if distance.ahead and distance.behind:
                    raise self.diverged(branch, distance) from error
                if not distance.ahead:
                    return False
                if last:
                    raise
        raise AssertionError("unreachable")

    def distance(self, branch: str) -> Distance | None:
        """Return how far ``branch`` is from the remote's as last seen; None if it was never seen there."""
        with self._repository.on() as cursor:
            cursor.execute(
                "SELECT name FROM dolt_remote_branches WHERE name = %s",
                (f"remotes/{self._tracking(branch)}",),
            )
            if cursor.fetchone() is None:
                return None
        return self._distance(branch)

    def _tracking(self, branch: str) -> str:
        """Return what this repository calls the remote's branch."""
        return f"{self._settings.name}/{branch}"

    def _fetch(self, branch: str) -> bool:
        """Bring the remote's commits of ``branch`` here; whether it has the branch."""
        try:
            self._call("FETCH", branch)
        except _RefusedError as error:
            if not any(words in error.message for words in _NO_BRANCH):
                raise
            return False
        return True

    def _distance(self, branch: str) -> Distance:
        theirs = self._tracking(branch)
        with self._repository.on() as cursor:
            counts = []
            for commits in (f"{theirs}..{branch}", f"{branch}..{theirs}"):
                cursor.execute("SELECT COUNT(*) FROM dolt_log(%s)", (commits,))
                counts.append(int((cursor.fetchone() or (0,))[0]))
        return Distance(*counts)

    def _fast_forward(self, branch: str) -> None:
        repository, theirs = self._repository, self._tracking(branch)
        try:
            fast_forward(repository, branch, theirs)
        except EditedError as error:
            raise RemoteError(
                f"{', '.join(error.tables)} has uncommitted edits on {branch} and has changed on "
                f'{theirs}: {repository.where}, `dolt commit -am "My edits"`, then `dolt merge {theirs}`.'
            ) from None

    def diverged(self, branch: str, distance: Distance) -> RemoteError:
        """Return the error that says how to go on when both have commits that the other lacks."""
        theirs, mine = self._tracking(branch), free_name(f"{branch}-mine", self._repository.branches())
        checked_out = branch == self._repository.checked_out()
        move = f"dolt reset --hard {theirs}" if checked_out else f"dolt branch --force {branch} {theirs}"
        first = 'first `dolt commit -am "My edits"`, then ' if self._repository.uncommitted(branch) else ""
        return RemoteError(
            f"{branch} and {theirs} have diverged: {distance.ahead} commits only here, {distance.behind} "
            f"only there. Go on from theirs and keep yours on a branch: in data/, {first}"
            f"`dolt branch {mine} {branch}` and `{move}`. Then run again."
        )

    def _call(self, procedure: str, branch: str) -> tuple[object, ...]:
        """Call ``DOLT_FETCH`` or ``DOLT_PUSH`` and return what it answers.

        Raises:
            RemoteError: no answer in time, or no directory where the remote was.
            _RefusedError: Dolt's own words.
        """
        settings = self._settings
        check_directory(settings.url)
        args = [*(["--user", settings.user] if settings.user else []), settings.name, branch]
        with self._repository.on(read_timeout=settings.timeout) as cursor:
            thread = cursor.connection.thread_id()  # type: ignore[no-untyped-call]
            try:
                cursor.execute(f"CALL DOLT_{procedure}({', '.join(['%s'] * len(args))})", args)
                return cursor.fetchone() or ()
            except pymysql.err.Error as error:
                if not is_lost(error):
                    # All its lines: that a push is no fast-forward is in the second.
                    raise _refused(settings, str(error.args[-1])) from None
                self._cancel(thread)
                if "timed out" not in words(error):
                    raise
                raise RemoteError(
                    f"The remote {settings.name} ({settings.url}) took more than {settings.timeout} s: can "
                    "it be reached? For much data raise `remote.timeout` in conf/*/dolt.yml."
                ) from None
            except BaseException:
                # Ctrl-C: the server would go on waiting.
                self._cancel(thread)
                raise

    def _cancel(self, thread: int) -> None:
        # A user with few rights may not; then it is for the server's own time limits.
        with suppress(pymysql.err.Error, OSError), self._repository.on() as cursor:
            cursor.execute(f"KILL QUERY {int(thread)}")


class _RefusedError(RemoteError):
    """Dolt's own words about the remote."""


def _refused(settings: RemoteSettings, words: str) -> _RefusedError:
    words = re.sub(r"\s+", " ", without_password(words)).strip()
    if "DOLT_REMOTE_PASSWORD" in words:
        return _RefusedError(
            "The Dolt server was started without DOLT_REMOTE_PASSWORD, the password of `remote.user`: set it "
            "where the server starts, that is for `kedro run`, or for the server that runs already."
        )
    if "git remote has no branches" in words:
        return _RefusedError(
            f"The git repository {settings.url} has no branch yet, and Dolt needs one: push the code first, "
            "`git push`."
        )
    hint = ""
    if "Unauthenticated" in words or "PermissionDenied" in words or "permission denied" in words.lower():
        hint = " docs/teams.md says which credentials each kind of remote takes."
    return _RefusedError(f"The remote {settings.name} ({settings.url}) failed: {words}{hint}")


def check_directory(url: str) -> None:
    """Make sure that the directory of a ``file://`` remote is there: Dolt would begin a new one in its place.

    Raises:
        RemoteError: it is not.
    """
    plain = url.removeprefix("git+")
    if (
        urlsplit(plain).scheme == "file"
        and not Path(directory := unquote(plain.removeprefix("file://"))).is_dir()
    ):
        raise RemoteError(
            f"The remote's directory {directory} is not there: mount it, or, for a new remote, "
            f"`{'git init --bare' if plain != url else 'mkdir'}` it."
        )


def git_remote_url(project_path: Path) -> str:
    """Return the URL by which Dolt reaches the git remote of a checkout, for its data beside the code there.

    Git's own credentials count; a user and a password in an HTTP URL are left out.

    Args:
        project_path: a directory of the checkout.

    Raises:
        ConfigError: it is in no checkout, or that has no remote.
    """
    try:
        name = git(project_path, "remote", timeout=10).partition("\n")[0] or "origin"
        url = git(project_path, "remote", "get-url", name, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"conf/*/dolt.yml: `remote.url: git` is the git remote of this checkout, and {project_path} has "
            "none: `git remote add origin <URL>`, or give the URL there."
        ) from error
    if url.startswith(("https://", "http://")):
        return "git+" + re.sub("://[^/@]*@", "://", url)
    if "://" in url:
        return "git+" + url
    host, colon, path = url.partition(":")
    if colon and "/" not in host:
        return f"git+ssh://{host}/{path.lstrip('/')}"
    top = Path(git(project_path, "rev-parse", "--show-toplevel", timeout=10))
    return "git+" + (top / url).resolve().as_uri()


def without_password(text: str) -> str:
    """Return ``text`` without what stands for a user and a password in URLs."""
    # A password may have an @ in it.
    return re.sub(r"://[^/\s]*@", "://***@", text)


def _same_url(one: str, other: str) -> bool:
    return _plain_url(one) == _plain_url(other)


def _plain_url(url: str) -> str:
    """Return a URL as Dolt writes it: ``owner/name`` is one of DoltHub's, and nothing is escaped."""
    url = unquote(url).rstrip("/")
    return url if "://" in url else _DOLTHUB + url
