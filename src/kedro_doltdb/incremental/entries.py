"""What of a catalog entry decides what a node loads and saves, and whether that can be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog.footprint import at_of, find_database, save_arguments, table_of, unwrapped
from .source import UntoldError
from .values import value_hash

if TYPE_CHECKING:
    from kedro.io import AbstractDataset

# They say who may read and what people say of it, not what it is.
_NO_PART = ("credentials", "metadata")
_IN_MEMORY = "is kept in memory only: give it an entry in the catalog"
_REPLACING_MODES = ("w", "wb", "wt", "x", "xb", "r", "rb", "rt", "overwrite")


def entry_hash(dataset: AbstractDataset[Any, Any] | None, project_path: Path, validator: Any = None) -> str:
    """Return the hash of a dataset's type and configuration.

    Args:
        dataset: the dataset.
        project_path: the project, which may lie elsewhere tomorrow.
        validator: what its entry says under ``validator``, if that is in force: it may change the data.

    Raises:
        UntoldError: the configuration holds something that cannot be compared.
    """
    if dataset is None:
        raise UntoldError(_IN_MEMORY)
    try:
        # What Kedro's own `DataCatalog.to_config` asks.
        config = dataset._init_config()
        if validator is not None:
            config = {**config, "validator": validator}
        return value_hash(_relative(config, f"{project_path.as_posix()}/"), _name)
    except UntoldError as error:
        raise UntoldError(f"its catalog entry cannot be compared: {error}") from error


def code_in(dataset: AbstractDataset[Any, Any] | None, validator: Any = None) -> list[Any]:
    """Return a dataset's class, and the functions and classes in its configuration.

    Args:
        dataset: the dataset.
        validator: what its entry says under ``validator``.
    """
    found: list[Any] = [type(dataset)]
    if validator is not None:
        from kedro.utils import load_obj

        # What cannot be imported fails the run that needs it.
        with suppress(Exception):
            found.append(load_obj(validator["class"] if isinstance(validator, Mapping) else validator))

    def note(value: Any) -> str:
        found.append(value)
        return ""

    # Whatever cannot be compared is told by `entry_hash`.
    with suppress(UntoldError, AttributeError):
        value_hash(_relative(dataset._init_config(), ""), note)  # type: ignore[union-attr]
    return found


def _relative(value: Any, prefix: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _relative(item, prefix)
            for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
            if key not in _NO_PART
        }
    if isinstance(value, list | tuple):
        return [_relative(item, prefix) for item in value]
    if isinstance(value, Path):
        value = value.as_posix()
    return value.removeprefix(prefix) if isinstance(value, str) else value


def _name(value: Any) -> str:
    if hasattr(value, "__closure__") and value.__closure__:
        raise UntoldError(f"{value!r} has a closure")
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"


def loads_code(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Return whether what a dataset loads may have classes of the project, whatever its own type is.

    Args:
        dataset: the dataset.
    """
    texts = [type(dataset).__name__]
    with suppress(AttributeError):
        texts.append(repr(dataset._init_config()))  # type: ignore[union-attr]
    return any(word in text.lower() for text in texts for word in ("pickle", "joblib", "dill"))


def why_unloadable(dataset: AbstractDataset[Any, Any] | None, file: str | None) -> str:
    """Return why what a dataset loads cannot be compared; nothing if it can.

    Args:
        dataset: the dataset.
        file: its file, if it has a local one.
    """
    if dataset is None or getattr(dataset, "_EPHEMERAL", False):
        return _IN_MEMORY
    if hasattr(unwrapped(dataset), "confirm"):
        return "depends on what was loaded before"
    if find_database(dataset):
        return "" if table_of(dataset) else "may read any table"
    kind = type(unwrapped(dataset))
    if "query" in kind.__name__.lower() or hasattr(kind, "create_connection"):
        # Its file, if it has one, is the query.
        return "is what a database answers"
    return "" if file else "is neither a table in Dolt nor a local file"


def why_unrepeatable(dataset: AbstractDataset[Any, Any] | None, file: str | None) -> str:
    """Return why a save to a dataset does not simply put new content in the place of the old.

    Args:
        dataset: the dataset.
        file: its file, if it has a local one.
    """
    from kedro.io import AbstractVersionedDataset

    if dataset is None or (why := why_unloadable(dataset, file)):
        return why if dataset else _IN_MEMORY
    # What has no file is a table, by now.
    if file is None:
        if (mode := getattr(unwrapped(dataset), "mode", "replace")) != "replace":
            return f"is saved with `mode: {mode}`, so each run counts"
        mode = save_arguments(dataset).get("if_exists", "fail")
        if at_of(dataset) or mode != "replace":
            return f"is saved with `if_exists: {mode}`, so each run counts"
        return ""
    if isinstance(dataset, AbstractVersionedDataset) and getattr(dataset, "_version", None):
        return "is versioned, so each run makes a version"
    modes = [mode for mode in _modes(vars(dataset), 4) if mode not in _REPLACING_MODES]
    return f"is saved in the mode {modes[0]!r}, so each run counts" if modes else ""


def _modes(value: Any, depth: int) -> Iterator[str]:
    if depth and isinstance(value, Mapping):
        for key, item in value.items():
            if key == "mode" and isinstance(item, str):
                yield item
            else:
                yield from _modes(item, depth - 1)
