"""A project's Dolt database as its catalog sees it: the ``dolt`` credentials."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.definitions import parse
from ..dolt.address import Address
from ..dolt.remote import git_remote_url
from ..dolt.repository import Repository, dolt_errors
from ..dolt_cli import identity
from ..errors import ConfigError, DoltError
from ..exits import at_exit
from ..journal.parameters import secrets_in
from ..journal.revision import find
from ..secret import hidden
from ..server.external import ExternalServer
from ..server.managed import ManagedServer
from ..server.reading import ReadingServer
from ..settings import Settings

if TYPE_CHECKING:
    import pymysql
    from kedro.config import AbstractConfigLoader
    from kedro.framework.context import KedroContext
    from pymysql.cursors import Cursor

    from ..server.base import Lease, Server


class Database:
    """What the credentials ``dolt`` carry to every dataset: a callable that opens a connection.

    The first call outside a run starts the server, which then runs until this process ends. Inside a run
    the connections go to the run's branch. Pickled for a worker process it keeps the address and the branch
    of that moment: workers connect, they never start a server.

    Args:
        project_path: the Kedro project; its ``data/`` is the Dolt repository.
        settings: what ``dolt.yml`` says.
        secrets: what the project's other credentials hold; it never enters the journal or a commit message.
        server: the server that somebody else runs; None is the one on ``data/``.

    Attributes:
        checks: what must hold of a run's data before it is published.

    Raises:
        ConfigError: the checks in ``dolt.yml`` are wrong.
    """

    def __init__(
        self,
        project_path: Path,
        settings: Settings,
        secrets: frozenset[str] = frozenset(),
        server: Server | None = None,
    ) -> None:
        # The server starts in another directory, and a notebook may change into one.
        self.project_path = project_path.absolute()
        self.settings = settings
        self.checks = parse(settings.checks)
        self.secrets = secrets
        self.data_dir = self.project_path / "data"
        self.server: Server = server or ManagedServer(self.data_dir, settings.port)
        # SQLTableDataset caches engines by this string, and an engine stays on the branch it first saw:
        # no two contexts may share one. The part after @ is never looked up.
        self.con = _new_con()
        self._lock, self._beginning = threading.Lock(), threading.RLock()
        self._address: Address | None = None
        self._branch: str | None = None
        self._commit: str | None = None
        self._pins: dict[str, str] = {}
        self._begin_run: Callable[[], None] | None = None
        self._lease: Lease | None = None
        self._pid = os.getpid()
        self._author: str | None = None

    @classmethod
    def attach(cls, context: KedroContext) -> Database:
        """Give the context's catalog the credentials ``dolt``. Nothing is started.

        Raises:
            ConfigError: as for :meth:`load`.
        """
        # Kedro shows what the project's own package logs, not what a library does.
        logger = logging.getLogger("kedro_doltdb")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        database = cls.load(Path(context.project_path), context.config_loader)
        # No local variable: a traceback may show those.
        context.config_loader["credentials"] = {
            **credentials_of(context.config_loader),
            "dolt": database.credentials(),
        }
        _attached.database = database
        return database

    @staticmethod
    def attached() -> Database | None:
        """Return the database of the context that this thread has made last."""
        return getattr(_attached, "database", None)

    @classmethod
    def load(cls, project_path: Path, config_loader: AbstractConfigLoader, replica: bool = False) -> Database:
        """Return the database that a project's configuration describes.

        Args:
            project_path: the project.
            config_loader: its configuration.
            replica: it is only read from, so the credentials ``dolt_replica`` will do where there are some,
                and a copy of ``data/`` while another Dolt process has that open.

        Raises:
            ConfigError: ``dolt.yml`` is wrong, ``settings.py`` does not tell Kedro to read it, or the
                credentials ``dolt`` are there and should not be, or the other way round.
        """
        settings, credentials = Settings.load(config_loader), hidden(credentials_of(config_loader))
        if settings.remote and settings.remote.url == "git":
            remote = replace(settings.remote, url=git_remote_url(project_path))
            settings = replace(settings, remote=remote)
        own = {name: credentials.pop(name, None) for name in ("dolt", "dolt_replica")}
        server: Server | None = None
        if not settings.managed:
            name = "dolt_replica" if replica and own["dolt_replica"] is not None else "dolt"
            server = ExternalServer.from_credentials(name, own[name])
            credentials["dolt"] = [value.get("password") for value in own.values() if isinstance(value, dict)]
        elif replica:
            server = ReadingServer(project_path / "data", settings.port)
        if settings.managed and own["dolt"] is not None:
            raise ConfigError(
                "conf/*/credentials.yml has an entry `dolt`, the name that the credentials of data/ have: "
                "give yours another one; or, if it names a Dolt server, set `managed: false` in "
                "conf/*/dolt.yml."
            )
        return cls(project_path, settings, frozenset(secrets_in(credentials)), server)

    def credentials(self) -> dict[str, Any]:
        """Return the entry ``dolt`` of the credentials: the arguments of ``sqlalchemy.create_engine``."""
        return {"con": self.con, "creator": self, "poolclass": NoPool}

    def __call__(self) -> pymysql.Connection[Cursor]:
        """Open a connection for a dataset.

        It is on the branch of the run under way; after a run, on the commit that it left, which can only be
        read; else on the branch checked out in ``data/``.

        Raises:
            ServerError: no server could be started, or it does not answer.
            DoltError: it refuses, or the run did not know that it uses Dolt and this is a worker process.
        """
        from pymysql.err import OperationalError

        from ..dolt.answers import is_unreachable

        with self._beginning:
            if self._begin_run:
                self._begin_run()
        try:
            return self.get_address().connect(self._branch or self._commit)
        except OperationalError as error:
            # In a notebook the server may be one that the user started, and has stopped meanwhile.
            with dolt_errors():
                if not is_unreachable(error) or self._lease is None:
                    raise
                self.close()
                return self.get_address().connect(self._branch or self._commit)

    def connect_at(self, name: str) -> pymysql.Connection[Cursor]:
        """Open a connection on a commit, which can only be read.

        Args:
            name: a run, commit, tag or branch. During a run it means what it meant when that began.

        Raises:
            ConfigError: nothing has that name.
            ServerError, DoltError: as for a connection on a branch.
        """
        # This begins the run, if that is still to be done, and finds a server that has ended meanwhile.
        self().close()
        address = self.get_address()
        with dolt_errors():
            commit = self._pins.get(name) or self._find(address, name)
        return address.connect(commit)

    def _find(self, address: Address, name: str) -> str:
        return find(self.repository(address), name, self._branch or self._commit).commit

    def get_address(self) -> Address:
        """Return the address of the server in use; outside a run, the first call starts one."""
        with self._lock:
            if self._lease is not None and self._branch is None and self._pid != os.getpid():
                # That lease is the parent's of this forked process, and may end before we do.
                self._lease = self._address = None
            if self._address is None:
                self._lease = self.server.acquire(_lease_name())
                self._address = self._lease.address
                self._pid = os.getpid()
                at_exit(self.close)
            return self._address

    @contextmanager
    def serving(self) -> Iterator[Repository]:
        """Yield the repository, with a server for as long as the context lasts.

        Raises:
            ServerError: no server could be started.
            DoltError: Dolt refused something in the context.
        """
        lease = self.server.acquire(_lease_name())
        try:
            with dolt_errors():
                yield self.repository(lease.address)
        finally:
            lease.release()

    @contextmanager
    def at(self, commit: str) -> Iterator[Database]:
        """Yield the database as it was at a commit, for as long as the context lasts; it can only be read.

        Args:
            commit: its hash.
        """
        other = copy.copy(self)
        other.con, other._branch, other._commit = _new_con(), None, commit
        try:
            yield other
        finally:
            other._forget_engines()

    def renew(self) -> None:
        """Leave a server that is not what it was when it was joined; the next use joins one again."""
        if self._lease is not None and not self._lease.held:
            self.close()

    def close(self) -> None:
        """Give back the lease that a use outside a run took; the server stops if it was the last."""
        with self._lock:
            if self._lease is not None and os.getpid() == self._pid:
                self._forget_engines()
                self._lease.release()
                self._lease = self._address = None

    def enter_branch(
        self, address: Address, branch: str | None = None, pins: Mapping[str, str] | None = None
    ) -> None:
        """Send every dataset to ``branch`` of the server at ``address``.

        Args:
            address: the server.
            branch: the branch.
            pins: the commits of what ``at`` in catalog entries names.
        """
        self._forget_engines()
        with self._lock:
            self._address, self._branch, self._commit = address, branch, None
            self._pins = dict(pins or {})

    def leave_branch(self, commit: str | None = None) -> None:
        """Send every dataset to what a run has made of the data.

        Args:
            commit: the commit, to be read only; None is the branch checked out in ``data/``, or the commit of
                an earlier call.
        """
        self._forget_engines()
        with self._lock:
            self._begin_run = None
            self._branch, self._commit = None, commit or self._commit
            if self._lease is None:
                self._address = None

    def _forget_engines(self) -> None:
        module = sys.modules.get("kedro_datasets.pandas.sql_dataset")
        for name in ("SQLTableDataset", "SQLQueryDataset"):
            engine = getattr(module, name).engines.pop(self.con, None) if module else None
            if engine is not None:
                engine.dispose()

    def begin_at_first_use(self, begin: Callable[[], None] | None) -> None:
        """Have ``begin`` called before a dataset connects; None takes that back."""
        self._begin_run = begin

    @property
    def branch(self) -> str | None:
        """The private branch of the run that datasets are on; None outside a run."""
        return self._branch

    @property
    def name(self) -> str:
        """The name that the server knows the database by."""
        return self.server.database

    def repository(self, address: Address) -> Repository:
        """Return the repository behind the server at ``address``; commits there have the user as author."""
        if self._author is None:
            # It may have to be asked of Git, which takes some milliseconds.
            self._author = "{} <{}>".format(*identity(self.data_dir))
        return Repository(address, self._author)

    def __deepcopy__(self, memo: dict[int, Any]) -> Database:
        # Kedro copies credentials for each dataset; all of them have to follow the run to its branch.
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_beginning"]
        # Workers have no use for the secrets, and cannot begin a run.
        begin = _refuse_to_begin if self._begin_run else None
        return {**state, "_lease": None, "secrets": frozenset(), "_begin_run": begin}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _beginning=threading.RLock(), _pid=os.getpid())

    def __repr__(self) -> str:
        return f"Database({self.server.name!r})"


class NoPool:
    """SQLAlchemy's ``NullPool``, imported when an engine is made: by then the server of a run is starting.

    A pooled connection would stay on the branch of its first use.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return what SQLAlchemy gets when it makes the pool."""
        from sqlalchemy.pool import NullPool

        # What is given back is closed, and the server rolls back: it does not have to be told before.
        return NullPool(*args, **{**kwargs, "reset_on_return": None})


def attach(context: KedroContext) -> None:
    """Give a context's catalog the credentials ``dolt``. Nothing is started.

    Args:
        context: the context that ``after_context_created`` is called with.

    Raises:
        ConfigError: ``dolt.yml`` or the credentials are wrong.

    Example:
        In a hook::

            @hook_impl(tryfirst=True)
            def after_context_created(self, context: KedroContext) -> None:
                attach(context)
    """
    Database.attach(context)


# Kedro makes a run's context in the thread that calls its hooks.
_attached = threading.local()


def _refuse_to_begin() -> None:
    raise DoltError(
        "This run began without Dolt, for none of its datasets was in it, and a worker process cannot change "
        "that: put a dataset with `credentials: dolt` into catalog.yml, or use another runner."
    )


def _new_con() -> str:
    return f"dolt+pymysql://dolt@127.0.0.1/data?context={uuid.uuid4().hex}"


def _lease_name() -> str:
    return f"process-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def credentials_of(config_loader: AbstractConfigLoader) -> dict[str, Any]:
    """Return what ``conf/*/credentials.yml`` holds; nothing where there is none."""
    from kedro.config import MissingConfigException

    # That of a project may add ours.
    own = getattr(config_loader, "own_credentials", None)
    try:
        return dict(own() if own else config_loader["credentials"])
    except MissingConfigException:
        return {}
