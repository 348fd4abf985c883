"""A Kedro project as it is found on disk: its configuration, its catalog, its database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DoltError

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata
    from kedro.io import DataCatalog

    from ..dolt.repository import Repository
    from ..server.managed import ManagedServer
    from .credentials import Database


@dataclass(frozen=True)
class Project:
    """A project whose package Kedro has made importable.

    Attributes:
        metadata: what Kedro knows of it.
        env: the configuration environment; None is Kedro's default.
        conf_source: where its configuration is; None is what ``settings.py`` says.
    """

    metadata: ProjectMetadata
    env: str | None = None
    conf_source: str | None = None

    @classmethod
    def around(cls, path: Path) -> Project:
        """Return the project that a directory is in, in the environment that ``KEDRO_ENV`` names.

        Raises:
            ConfigError: it is in none, or Kedro cannot read what it finds there.
        """
        from kedro.framework.startup import bootstrap_project
        from kedro.utils import find_kedro_project

        found = find_kedro_project(path)
        if found is None:
            raise ConfigError(
                f"{path} is in no Kedro project: name a directory of one, `kedro_doltdb.open(path)`."
            )
        with readable("settings"):
            return cls(bootstrap_project(found), os.environ.get("KEDRO_ENV"))

    def config_loader(self, runtime_params: Mapping[str, Any] | None = None, env: str | None = None) -> Any:
        """Return the config loader that a run would have, for ``env`` if that is given."""
        from kedro.framework.project import settings

        # Not by a session's context: other plugins' hooks have no part in this.
        return settings.CONFIG_LOADER_CLASS(
            conf_source=self.conf_source or str(self.metadata.project_path / settings.CONF_SOURCE),
            env=env or self.env,
            runtime_params=dict(runtime_params or {}),
            **settings.CONFIG_LOADER_ARGS,
        )

    def parameters(self, runtime_params: Mapping[str, Any], env: str | None) -> dict[str, Any]:
        """Return the parameters that a run with ``runtime_params`` would have now.

        Raises:
            ConfigError: they cannot be read.
        """
        from kedro.config import MissingConfigException

        with readable("parameters"):
            try:
                return dict(self.config_loader(runtime_params, env)["parameters"])
            except MissingConfigException:
                return dict(runtime_params)

    def catalog(self, credentials: Mapping[str, Any]) -> DataCatalog:
        """Return the project's catalog, without the context of a session, which has hooks.

        Args:
            credentials: the entry ``dolt`` of its credentials.

        Raises:
            ConfigError: it cannot be read.
        """
        from kedro.framework.project import settings

        from .credentials import credentials_of

        with readable("catalog"):
            loader = self.config_loader()
            entries = {
                name: {key: self._absolute(key, value) for key, value in entry.items()}
                if isinstance(entry, Mapping)
                else entry
                for name, entry in loader["catalog"].items()
            }
            catalog: DataCatalog = settings.DATA_CATALOG_CLASS.from_config(
                catalog=entries, credentials={**credentials_of(loader), "dolt": credentials}
            )
        return catalog

    def _absolute(self, key: str, value: Any) -> Any:
        """Return a file's path as Kedro's own context makes it: from the project's directory."""
        if key not in ("filepath", "path", "filename") or not isinstance(value, str) or "://" in value:
            return value
        return str(self.metadata.project_path / value)

    def catalog_config(self) -> dict[str, Any]:
        """Return the configuration of the catalog, by the names of the datasets.

        Nothing if it cannot be read: it may need runtime parameters that only a run has.
        """
        try:
            with readable("catalog"):
                return dict(self.config_loader()["catalog"])
        except ConfigError:
            return {}

    def database(self, *, replica: bool = False) -> Database:
        """Return the project's database; with ``replica``, one that is only read from will do.

        Raises:
            ConfigError: its configuration cannot be used.
        """
        from .credentials import Database

        with readable("configuration"):
            return Database.load(self.metadata.project_path, self.config_loader(), replica)

    def own_database(self, what: str) -> tuple[Database, ManagedServer]:
        """Return the database and its server, if that is one that runs start.

        Raises:
            ConfigError: it is not.
        """
        from ..server.managed import ManagedServer

        database = self.database()
        if not isinstance(database.server, ManagedServer):
            raise ConfigError(
                f"conf/*/dolt.yml says `managed: false`, so the data is on {database.server.name} and not in "
                f"data/: there is nothing to {what}."
            )
        return database, database.server

    @contextmanager
    def serving(self, *, replica: bool = True) -> Iterator[tuple[Database, Repository]]:
        """Have the database served for as long as the context lasts.

        Args:
            replica: whether it is only read; then one connection on each branch answers all that is asked.
        """
        database = self.database(replica=replica)
        with database.serving() as repository, repository.reusing() if replica else nullcontext():
            yield database, repository


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn whatever error comes of a project's code or configuration into one that says what is wrong.

    Args:
        what: what is read meanwhile.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        yield
    except DoltError:
        raise
    # Config loaders, their resolvers, YAML and what is imported raise whatever they like.
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, ImportError) and cause.__cause__ is not None:
            # Kedro says only which module it was that could not be imported.
            cause = cause.__cause__
        first, *others = str(cause).strip().splitlines() or [""]
        words = f"{first} {others[0]}" if first.endswith(":") and others else first
        raise ConfigError(
            f"The project's {what} cannot be read: {type(cause).__name__}: {words}{_place_of(cause)}"
        ) from error


def _place_of(error: BaseException) -> str:
    """Return the last line of the project's own code that an error comes from; a syntax error has its own."""
    from site import getsitepackages
    from sysconfig import get_paths

    others = (*getsitepackages(), *get_paths().values(), str(Path(__file__).parents[1]), "<")
    frames = [one for one in extract_tb(error.__traceback__) if not one.filename.startswith(others)]
    if isinstance(error, SyntaxError) or not frames:
        return ""
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
