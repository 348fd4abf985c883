"""``kedro dolt install``, inside and outside projects."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import click

from ..terminal import echo, results_alone


@click.command()
@click.option("--version", metavar="VERSION", default=None, help="That version, not any that is new enough.")
@click.option(
    "--prefix",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Put it into this directory, not into the Python environment or ~/.local/bin.",
)
def install(version: str | None, prefix: Path | None) -> None:
    """Install Dolt, if it is not there.

    It comes from Dolt's releases, compared with the digest published there; where they cannot be reached, it
    is built with Go, which takes some minutes. Nothing is done if there is a Dolt that is new enough. An
    interrupted download goes on where it stopped. HTTPS_PROXY names a proxy.

    Example: kedro dolt install
    """
    from ..install.install import install as make_available

    with results_alone():
        found, path = make_available(version, prefix, partial(echo, err=True))
        echo(f"Dolt {found} is there: {path}")
        first = os.environ.get("DOLT_PATH") or shutil.which("dolt")
        if first is None or not os.path.samefile(first, path):
            echo(
                "Your shell finds no `dolt`, or another one first. To type `dolt`, add this to its profile:\n"
                f'export PATH="{Path(path).parent}:$PATH"',
                err=True,
            )
