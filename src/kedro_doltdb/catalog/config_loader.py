"""The config loader of a project whose catalog can be read without hooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import OmegaConfigLoader

if TYPE_CHECKING:
    from .credentials import Database


class DoltConfigLoader(OmegaConfigLoader):
    """Kedro's config loader, with the credentials ``dolt`` for catalogs that are made without hooks.

    Kedro-Viz makes the catalog so, and so do other tools. What they get can only be read. Where there are
    hooks, those of the project give the credentials, and these are not asked for. Nothing is started until a
    dataset is read.

    Attributes:
        has_given: whether one of this process has given those credentials.

    Example:
        In `settings.py`: `CONFIG_LOADER_CLASS = DoltConfigLoader`
    """

    has_given = False
    _dolt: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a part of the configuration, as Kedro's config loader does."""
        # What a hook has put there stays.
        if key != "credentials" or key in self:
            return dict(super().__getitem__(key))
        from .credentials import credentials_of

        if self._dolt is None:
            self._dolt = self._database().credentials()
            DoltConfigLoader.has_given = True
        return {**credentials_of(self), "dolt": self._dolt}

    def _database(self) -> Database:
        from kedro.utils import find_kedro_project

        from .reading import ReadingDatabase

        project = find_kedro_project(Path(self.conf_source).absolute()) or Path.cwd()
        return ReadingDatabase.load(project, self, replica=True)

    def own_credentials(self) -> dict[str, Any]:
        """Return what ``conf/*/credentials.yml`` holds.

        Raises:
            MissingConfigException: there is none.
        """
        return dict(super().__getitem__("credentials"))
