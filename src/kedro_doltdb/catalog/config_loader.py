"""The config loader of a project whose catalog needs no hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader


class DoltConfigLoader(OmegaConfigLoader):
    """Kedro's config loader, with the credentials ``dolt`` for catalogs that are made without hooks.

    Kedro-Viz makes the catalog so, and so do other tools. Where there are hooks, those of the project give
    the credentials, and these are not asked for. Nothing is started until a dataset is read.

    Example:
        In `settings.py`: `CONFIG_LOADER_CLASS = DoltConfigLoader`
    """

    _dolt: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a part of the configuration, as Kedro's config loader does."""
        # What a hook has put there stays.
        if key != "credentials" or key in self:
            return dict(super().__getitem__(key))
        from kedro.utils import find_kedro_project

        from .credentials import Database, credentials_of

        if self._dolt is None:
            project = find_kedro_project(Path(self.conf_source).absolute()) or Path.cwd()
            self._dolt = Database.load(project, self).credentials()
        return {**credentials_of(self), "dolt": self._dolt}

    def own_credentials(self) -> dict[str, Any]:
        """Return what ``conf/*/credentials.yml`` holds.

        Raises:
            MissingConfigException: there is none.
        """
        return dict(super().__getitem__("credentials"))
