"""The tutorial, typed to the letter: everything that it says is printed is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import ROOT, run_kedro
from forked_kedro import can_be_forked
from helpers import server_is_running

from scripts.transcripts import (
    PAGES,
    STYLES,
    Block,
    Result,
    Session,
    Unexpected,
    environment,
    in_a_terminal,
    play,
)


def forked(command: list[str], directory: Path, env: Mapping[str, str]) -> Result:
    """Run ``kedro`` in a fork, which is the quicker way, and other commands as they are."""
    if command[0] != "kedro" or not can_be_forked(env):
        return in_a_terminal(command, directory, env)
    done = run_kedro(directory, *command[1:], check=False, terminal=True, **env)
    return Result(done.returncode, STYLES.sub("", done.stdout.replace("\r\n", "\n")), done.stderr)


def say_what_differs(block: Block, printed: list[str]) -> list[str]:
    raise Unexpected("\n".join(["The page says", *block.lines, "", "and printed was", *printed]))


def type_pages(names: tuple[str, ...], tmp_path: Path) -> None:
    home, somewhere = tmp_path / "home", tmp_path / "a directory with spaces"
    home.mkdir()
    somewhere.mkdir()
    variables = {name: value for name, value in environment(home).items() if not name.startswith("TZ")}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    session = Session(somewhere, forked, variables)
    for name in names:
        play((ROOT / "docs" / name).read_text(encoding="utf-8"), session, say_what_differs)
        assert not server_is_running(somewhere / "iris-dolt")


def test_tutorial_says_what_is_printed(tmp_path: Path) -> None:
    type_pages(PAGES[:1], tmp_path)


@pytest.mark.slow
def test_guides_say_what_is_printed(tmp_path: Path) -> None:
    type_pages(PAGES, tmp_path)
