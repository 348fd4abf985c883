"""What a catalog entry of a ``DoltTableDataset`` may say, checked when the dataset is made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ..errors import ConfigError

_KINDS = ("pandas", "polars", "pyarrow")
_MODES = ("replace", "upsert", "append")
_SAVE_ARGS = {"name", "method", "if_exists", "index", "index_label", "dtype", "chunksize"}


def check_at(at: object, table: str, *, in_dolt: bool) -> None:
    """Refuse a version that cannot be read.

    Args:
        at: what the entry says.
        table: its table.
        in_dolt: whether it has ``credentials: dolt``.

    Raises:
        ConfigError: it is no text, or the table is in another database.
    """
    if not isinstance(at, str) or not at:
        raise ConfigError(
            f"The dataset of the table {table} has `at: {at}`, which was read as "
            f"{type(at).__name__}: name a run, commit, tag or branch, in quotes."
        )
    if not in_dolt:
        raise ConfigError(
            f"The dataset of the table {table} has `at: {at}`, and only Dolt knows how a table was: "
            "give it `credentials: dolt`, or remove `at`."
        )


def check_as(kind: object, load_args: Mapping[str, Any], *, in_dolt: bool) -> None:
    """Refuse a library whose frames cannot be given.

    Args:
        kind: what the entry says of it, as ``as`` in its ``load_args``.
        load_args: the other ones.
        in_dolt: whether it has ``credentials: dolt``.

    Raises:
        ConfigError: it is not known or not installed, or does not go with the rest of the entry.
    """
    table = load_args["table_name"]
    if kind not in _KINDS:
        raise ConfigError(
            f"The dataset of the table {table} has `as: {kind}` in its load_args: choose {', '.join(_KINDS)}."
        )
    if others := sorted(load_args.keys() - {"table_name", "columns"}):
        raise ConfigError(
            f"The dataset of the table {table} has `{others[0]}` in its load_args, which is for pandas, and "
            f"`as: {kind}`: remove one of them."
        )
    if not in_dolt:
        raise ConfigError(
            f"The dataset of the table {table} has `as: {kind}`, which reads from Dolt alone: give it "
            "`credentials: dolt`, or remove `as`."
        )
    # Of the three only Polars is not needed anyway.
    if find_spec(str(kind)) is None:
        raise ConfigError(
            f"The dataset of the table {table} has `as: {kind}`, which is not installed: "
            f"`pip install 'kedro-doltdb[{kind}]'`."
        )


def check_save_args(save_args: Mapping[str, Any]) -> None:
    """Refuse arguments that would have no effect, or another one than a keyed save has.

    Args:
        save_args: what the entry says, and the table's ``name``.

    Raises:
        ConfigError: with the first such argument.
    """
    table = save_args["name"]
    if unknown := sorted(save_args.keys() - _SAVE_ARGS):
        raise ConfigError(
            f"The dataset of the table {table} has `{unknown[0]}` in its save_args, which a "
            "DoltTableDataset does not know: remove it, or take pandas.SQLTableDataset."
        )
    if save_args["if_exists"] not in ("replace", "append", "fail"):
        raise ConfigError(
            f"The dataset of the table {table} has `if_exists: {save_args['if_exists']}` in its save_args: "
            "choose replace, which keeps the table in place, append or fail."
        )


def check_mode(mode: object, change_column: object, table: str, save_args: Mapping[str, Any]) -> None:
    """Refuse a way of saving that is not known, or does not go with the rest of the entry.

    Args:
        mode: what the entry says.
        change_column: likewise.
        table: its table.
        save_args: what the entry says.

    Raises:
        ConfigError: with what to change.
    """
    if mode not in _MODES:
        raise ConfigError(
            f"The dataset of the table {table} has `mode: {mode}`: choose replace, upsert or append."
        )
    if change_column is not None and mode != "upsert":
        raise ConfigError(
            f"The dataset of the table {table} has `change_column`, which only `mode: upsert` reads: set "
            "that, or remove it."
        )
    if mode != "replace" and "if_exists" in save_args:
        raise ConfigError(
            f"The dataset of the table {table} has `mode: {mode}` and `if_exists` in its save_args: "
            "remove `if_exists`."
        )
