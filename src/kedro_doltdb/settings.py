"""The project's ``dolt.yml``: its keys, their defaults and their checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NoReturn

from .dolt_cli import InitialTable
from .errors import ConfigError, suggestion

if TYPE_CHECKING:
    from kedro.config import AbstractConfigLoader


def _refuse(key: str, expected: str, value: object) -> NoReturn:
    raise ConfigError(f"conf/*/dolt.yml: `{key}` must be {expected}, not {value!r}.")


@dataclass(frozen=True)
class RemoteSettings:
    """What ``remote`` in ``dolt.yml`` says.

    Attributes:
        url: where it is, as Dolt writes it; ``git`` is the git remote of the project's checkout. One with a
            password in it is refused.
        name: what ``dolt remote`` calls it. If ``data/`` has a remote of that name with another URL, a run
            stops before it changes anything.
        user: the user that a Dolt server as remote asks for; the password is in DOLT_REMOTE_PASSWORD.
        pull: ``before_run`` moves the target branch forward to where the remote has it, or makes it if only
            the remote has it; ``never`` does not.
        push: ``after_run`` pushes the target branch, also when the run itself changed nothing; ``never``
            does not.
        on_push_failure: whether ``kedro run`` fails when the push does: ``warn`` or ``fail``.
        timeout: seconds that one pull, push or clone may take.
    """

    url: str
    name: str = "origin"
    user: str | None = None
    pull: str = "never"
    push: str = "never"
    on_push_failure: str = "warn"
    timeout: int = 300


@dataclass(frozen=True)
class Settings:
    """What ``conf/*/dolt.yml`` says.

    Attributes:
        managed: runs start and stop a server on ``data/``; ``false`` works on one that somebody else runs,
            which the credentials ``dolt`` name.
        port: TCP port of the managed server on 127.0.0.1; without one, a free one is taken each time. Fix it
            to attach other tools.
        on_uncommitted: what happens to uncommitted edits on the target when a run begins: ``commit`` makes a
            commit of their own, ``refuse`` stops the run.
        record: which runs that changed no data are recorded: ``changed``, those whose parameters or code are
            not those of the run before, or ``always`` all.
        metrics: a table, or a list of tables, whose numbers are metrics, for ``kedro dolt runs`` and
            ``compare``.
        remote: a place that a team shares: pull before a run, push after it.
        initial_tables: the tables that ``kedro dolt init`` imports into a new repository.
        checks: what must hold of a run's data before it is published.
        packages: whose versions make nodes run again in an incremental run: nobody's (``ignore``), those of
            the packages that their code refers to (``direct``), or ``all`` that are installed.
    """

    managed: bool = True
    port: int | None = None
    on_uncommitted: str = "commit"
    record: str = "changed"
    metrics: tuple[str, ...] = ()
    initial_tables: tuple[InitialTable, ...] = field(default=())
    remote: RemoteSettings | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    packages: str = "ignore"

    @classmethod
    def load(cls, config_loader: AbstractConfigLoader) -> Settings:
        """Read ``conf/*/dolt.yml``; the defaults hold where there is none.

        Raises:
            ConfigError: ``dolt.yml`` is wrong, or ``settings.py`` does not tell Kedro to read it.
        """
        from kedro.config import MissingConfigException

        try:
            config = config_loader["dolt"]
        except MissingConfigException:
            config = {}
        except KeyError as error:
            raise ConfigError(
                "Kedro does not read conf/*/dolt.yml: in settings.py add "
                '`"config_patterns": {"dolt": ["dolt*", "dolt*/**"]}` to CONFIG_LOADER_ARGS.'
            ) from error
        return cls.from_config(config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Check the parsed ``dolt.yml``.

        Raises:
            ConfigError: an unknown key (the nearest right one is named) or a value of the wrong kind.
        """
        _check_keys(config, [f.name for f in fields(cls)], "")
        managed = config.get("managed", True)
        if not isinstance(managed, bool):
            _refuse("managed", "true or false", managed)
        port = config.get("port")
        if port is not None and (type(port) is not int or not 0 < port < 65536):
            _refuse("port", "null or a whole number from 1 to 65535", port)
        if port is not None and not managed:
            raise ConfigError(
                "conf/*/dolt.yml: with `managed: false` the server's port belongs into the credentials "
                "`dolt`: remove `port`."
            )
        on_uncommitted = config.get("on_uncommitted", "commit")
        if on_uncommitted not in ("commit", "refuse"):
            _refuse("on_uncommitted", "`commit` or `refuse`", on_uncommitted)
        record = config.get("record", "changed")
        if record not in ("changed", "always"):
            _refuse("record", "`changed` or `always`", record)
        metrics = config.get("metrics") or []
        metrics = [metrics] if isinstance(metrics, str) else metrics
        if not isinstance(metrics, list | tuple) or not all(isinstance(name, str) for name in metrics):
            _refuse("metrics", "a table or a list of tables", config.get("metrics"))
        tables = config.get("initial_tables") or {}
        if not isinstance(tables, Mapping):
            _refuse("initial_tables", "a mapping from table names to their files", tables)
        initial_tables = tuple(_initial_table(str(name), table) for name, table in tables.items())
        remote = None if config.get("remote") is None else _remote(config["remote"])
        checks = config.get("checks") or {}
        packages = config.get("packages", "ignore")
        if packages not in ("ignore", "direct", "all"):
            _refuse("packages", "`ignore`, `direct` or `all`", packages)
        return cls(
            managed, port, on_uncommitted, record, tuple(metrics), initial_tables, remote, checks, packages
        )


def _remote(config: object) -> RemoteSettings:
    if not isinstance(config, Mapping):
        _refuse("remote", "a mapping with `url`", config)
    _check_keys(config, [f.name for f in fields(RemoteSettings)], "remote.")
    url = config.get("url")
    if not isinstance(url, str) or not url or url.startswith("-"):
        _refuse("remote.url", "the URL of a Dolt remote", url)
    if re.search("://[^/@]*:[^/@]*@", url):
        raise ConfigError(
            "conf/*/dolt.yml: `remote.url` holds a password: name the user in `remote.user`, and put the "
            "password into the environment variable DOLT_REMOTE_PASSWORD."
        )
    if url.startswith("file:") and not url.startswith("file:///"):
        _refuse("remote.url", "file:/// and the absolute path of a directory, for a directory", url)
    if url.startswith("git+file:") and not url.startswith("git+file:///"):
        _refuse("remote.url", "git+file:/// and the absolute path of a bare git repository", url)
    for key in ("name", "user"):
        value = config.get(key) or "origin"
        if not isinstance(value, str) or not re.fullmatch(r"[^\s/-][^\s/]*", value):
            _refuse(f"remote.{key}", "a name without spaces and slashes", value)
    choices = {
        "pull": ("never", "before_run"),
        "push": ("never", "after_run"),
        "on_push_failure": ("warn", "fail"),
    }
    for key, allowed in choices.items():
        if config.get(key, allowed[0]) not in allowed:
            _refuse(f"remote.{key}", " or ".join(f"`{value}`" for value in allowed), config[key])
    timeout = config.get("timeout", 300)
    if type(timeout) is not int or timeout < 1:
        _refuse("remote.timeout", "a whole number of seconds, at least 1", timeout)
    return RemoteSettings(**{str(key): value for key, value in config.items()})


def _initial_table(name: str, config: object) -> InitialTable:
    where = f"initial_tables.{name}"
    if not isinstance(config, Mapping):
        _refuse(where, "a mapping with `file` and `primary_key`", config)
    _check_keys(config, ["file", "primary_key", "message"], where + ".")
    key = config.get("primary_key")
    key = [key] if isinstance(key, str) else key
    if not isinstance(config.get("file"), str):
        _refuse(where + ".file", "the path of a CSV file", config.get("file"))
    if not isinstance(key, list | tuple) or not key or not all(isinstance(column, str) for column in key):
        _refuse(where + ".primary_key", "a column or a list of columns", config.get("primary_key"))
    return InitialTable(name, config["file"], tuple(key), str(config.get("message", f"Import {name}")))


def _check_keys(config: Mapping[str, Any], known: list[str], prefix: str) -> None:
    for key in config:
        if key not in known:
            raise ConfigError(
                f"conf/*/dolt.yml: `{prefix}{key}` is not a setting: {suggestion(key, known, prefix)}"
            )
