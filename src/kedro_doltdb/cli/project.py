"""What every command ``kedro dolt ...`` begins with: the project, its configuration, its database."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, DoltError
from ..terminal import results_alone

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from ..catalog.credentials import Database
    from ..dolt.repository import Repository
    from ..server.managed import ManagedServer

_env = click.option("--env", "-e", default=None, help="Kedro configuration environment.")
conf_source_option = click.option(
    "--conf-source", type=click.Path(exists=True, resolve_path=True), default=None,
    help="Path of the configuration, as for `kedro run`.",
)  # fmt: skip


class Command(click.Command):
    """A command whose results alone are on standard output."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with results_alone():
            return super().invoke(ctx)


@dataclass(frozen=True)
class Project:
    """The project that a command is called in.

    Attributes:
        metadata: what Kedro knows of it.
        env: the configuration environment; None is Kedro's default.
        conf_source: where its configuration is; None is what ``settings.py`` says.
    """

    metadata: ProjectMetadata
    env: str | None = None
    conf_source: str | None = None

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

        with _readable("parameters"):
            try:
                return dict(self.config_loader(runtime_params, env)["parameters"])
            except MissingConfigException:
                return dict(runtime_params)

    def catalog(self) -> dict[str, Any]:
        """Return the configuration of the catalog, by the names of the datasets.

        Nothing if it cannot be read: it may need runtime parameters that only a run has.
        """
        try:
            with _readable("catalog"):
                return dict(self.config_loader()["catalog"])
        except ConfigError:
            return {}

    def database(self, *, replica: bool = False) -> Database:
        """Return the project's database; with ``replica``, one that is only read from will do.

        Raises:
            ConfigError: its configuration cannot be used.
        """
        from ..catalog.credentials import Database

        with _readable("configuration"):
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
        """Have the database served for as long as the context lasts."""
        database = self.database(replica=replica)
        with database.serving() as repository:
            yield database, repository


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except DoltError:
        raise
    # Config loaders, their resolvers and YAML raise whatever they like.
    except Exception as error:
        words = str(error).strip().partition("\n")[0]
        raise ConfigError(f"The project's {what} cannot be read: {type(error).__name__}: {words}") from error


def in_project(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the options ``--env`` and ``--conf-source``, and the :class:`Project` they make."""

    def with_project(metadata: ProjectMetadata, /, **kwargs: Any) -> None:
        command(Project(metadata, kwargs.pop("env"), kwargs.pop("conf_source")), **kwargs)

    functools.update_wrapper(with_project, command)
    return _env(conf_source_option(click.pass_obj(with_project)))
