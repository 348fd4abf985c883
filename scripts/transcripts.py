#!/usr/bin/env python3
"""Type what the tutorial says, and write what the commands print into it: nothing there is made up.

    scripts/transcripts.py           in a new project, page by page; the pages and their pictures are written
    scripts/transcripts.py --check   write nothing; say where a page says what no command prints

What is typed: each line of a ```bash block; the command after ``$ `` in a ```text block; a ```yaml block
after a paragraph that names a file, whose keys are set in it; a ```python block. A block after a paragraph
that ends with another file's name becomes that file. What is printed goes into the ```text block that
follows. There a line ``...`` stands for any number of lines, and stays. A ```sh block is for a reader to
fill in, and not typed.

``<!-- picture: FILE: COMMAND -->`` draws what the command prints in a terminal at that place; where a page
of HTML stands in place of the command, what a browser shows of it, if there is Chromium on this machine.
"""

from __future__ import annotations

import ast
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("tutorial.md", "label_fix.md", "branches.md", "your_tables.md")
# Of the terminal, of messages on a page, of pictures.
WIDTH, FOLD, PICTURE = 110, 84, 80
# On a machine of nobody's, as somebody with a name.
ENVIRONMENT = {
    "COLUMNS": str(WIDTH),
    "DO_NOT_TRACK": "1",
    "DOLT_PAGER": "cat",
    "GIT_PAGER": "cat",
    "NO_COLOR": "1",
    "TERM": "xterm-256color",
    "TZ": "UTC",
}
UNFOLDED = {"COLUMNS": "1000"}
GITCONFIG = "[user]\nname = Ada Lovelace\nemail = ada@example.org\n"

# What differs each time: runs, commits of Dolt and git, times and, where they are not of today, dates.
VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\dT[\d.]+Z|\b[0-9a-v]{32}\b|\b[0-9a-v]{10}\b|\b[0-9a-f]{7}\b|\b\d+\.\ds\b"
    r"|\b([A-Z][a-z]{2} \d\d? )?\d\d:\d\d\b"
)
STYLES = re.compile(r"\x1b\[[\d;]*m|\x1b\]8;.*?\x1b\\")
LOG = re.compile(r"(?:\[.*?\])?\s+(DEBUG|INFO|WARNING|ERROR) +")
SOURCE = re.compile(r"\b(\w+\.py):\d+$")


class Result(NamedTuple):
    """What a command printed on its terminal and beside it, and its exit code."""

    code: int
    output: str
    errors: str


class Unexpected(Exception):
    """A page does not say what a command prints."""


Run = Callable[[list[str], Path, Mapping[str, str]], Result]


def in_a_terminal(command: list[str], directory: Path, environment: Mapping[str, str]) -> Result:
    """Run a command with a terminal as its standard output; what it prints there is without colours."""
    code, printed, errors = _styled(command, directory, environment)
    return Result(code, STYLES.sub("", printed), errors)


def _styled(command: list[str], directory: Path, environment: Mapping[str, str]) -> Result:
    ours, theirs = pty.openpty()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=errors,
        )
        os.close(theirs)
        printed = read_terminal(ours)
        code = process.wait()
        errors.seek(0)
        return Result(code, printed, errors.read().decode())


def read_terminal(ours: int) -> str:
    """Return all that is written to a terminal until nobody has it open any more."""
    printed = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody writes any more
            part = b""
        if not part:
            os.close(ours)
            return printed.decode().replace("\r\n", "\n")
        printed += part


@dataclass
class Block:
    """A block of code: its language, its lines, where they are, and the paragraph before it."""

    language: str
    lines: list[str]
    start: int
    end: int
    before: str


def blocks(lines: list[str]) -> Iterator[Block]:
    """The blocks of code of a page."""
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        text = "\n".join(lines[:start]).rstrip()
        before = text.rpartition("\n\n")[2]
        yield Block(lines[start][3:], lines[start + 1 : end], start + 1, end, before)


class Session:
    """Somebody who types what a page says.

    Args:
        directory: where; the project is made in there.
        run: runs a command.
        environment: the variables of the terminal.
    """

    def __init__(self, directory: Path, run: Run, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self._run, self._environment = run, environment

    def type_line(self, line: str) -> list[str]:
        """Type a line, and return what is worth showing of what it prints."""
        shown: list[str] = []
        for part in re.sub(r"\s+#.*", "", line).split(" && "):
            words = shlex.split(part)
            if words[0] == "cd":
                self.directory = (self.directory / words[1]).resolve()
            elif words[0] != "pip":  # what it would install is here already
                shown += self._type(words)
        return shown

    def _type(self, words: list[str]) -> list[str]:
        kedro_run = words[:2] == ["kedro", "run"]
        done = self._run(words, self.directory, {**self._environment, **(UNFOLDED if kedro_run else {})})
        said = [line for line in STYLES.sub("", done.errors).splitlines() if line]
        error = next((number for number, line in enumerate(said) if line.lower().startswith("error:")), None)
        if done.code and error is None:
            raise Unexpected(f"{shlex.join(words)}\n{done.output}\n{done.errors}")
        if words[0] in ("dolt", "git") or words[:2] == ["kedro", "new"]:
            return []
        # Kedro logs to standard output, and in a command of ours to standard error.
        output = _logged_by_hooks(done.output) if kedro_run else done.output.rstrip().splitlines()
        logged = [] if kedro_run else [" ".join(_logged_by_hooks("\n".join(said[:error])))]
        lines = [line.rstrip() for line in filter(None, logged)] + [line.rstrip() for line in output]
        lines += [] if error is None else said[error:]
        return [short for line in lines for short in _wrapped(line)]

    def set_keys(self, file: str, yaml: list[str]) -> None:
        """Set keys of a YAML file that are there, or add the whole at its end."""
        path = self.directory / file
        text = path.read_text(encoding="utf-8")
        for line in yaml:
            key = line.partition(":")[0]
            text, found = re.subn(rf"(?m)^{re.escape(key)}:.*", lambda _, line=line: line, text)
            if not found:
                text += "\n" + "\n".join(yaml) + "\n"
                break
        path.write_text(text, encoding="utf-8")

    def write(self, file: str, lines: list[str]) -> None:
        """Write a whole file."""
        path = self.directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def python(self, code: str) -> list[str]:
        """Run Python, and return what a notebook shows: the value of the last line."""
        tree = ast.parse(code)
        if isinstance(tree.body[-1], ast.Expr):
            tree.body[-1].value = ast.Call(ast.Name("print"), [tree.body[-1].value], [])
        command = [sys.executable, "-c", ast.unparse(ast.fix_missing_locations(tree))]
        done = self._run(command, self.directory, {**self._environment, **UNFOLDED})
        if done.code:
            raise Unexpected(f"{code}\n{done.errors}")
        return [line.rstrip() for line in done.output.rstrip().splitlines() if not LOG.match(line.rstrip())]


def _logged_by_hooks(log: str) -> list[str]:
    """The messages of the project's hooks and all warnings, in a log whose lines are not folded."""
    shown: list[str] = []
    taking = False
    for line in map(str.rstrip, log.splitlines()):
        entry, source = LOG.match(line), SOURCE.search(line)
        if entry and source:
            taking = source[1] == "hooks.py" or entry[1] in ("WARNING", "ERROR")
            shown += [line[entry.end() : source.start()].strip()] if taking else []
        elif taking:
            shown.append(line.strip())
    return shown


def _wrapped(line: str) -> list[str]:
    # Of what is in columns nothing is folded.
    if len(line) <= FOLD or "  " in line.strip():
        return [line]
    return textwrap.wrap(line, FOLD, break_long_words=False, break_on_hyphens=False)


def settled(line: str) -> str:
    """A line without what differs each time."""
    return " ".join(VOLATILE.sub("…", line).split())


def fill_in(page: list[str], printed: list[str]) -> list[str] | None:
    """Return what was printed with the page's ``...`` in it; None if the page says something else."""
    parts: list[list[str]] = [[]]
    for line in page:
        if line == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    have = [settled(line) for line in printed]
    filled: list[str] = []
    at = 0
    for number, part in enumerate(parts):
        wanted = [settled(line) for line in part]
        last = len(have) - len(wanted)
        first = last if number == len(parts) - 1 and number else at
        places = range(at, last + 1) if 0 < number < len(parts) - 1 else [first]
        found = next((p for p in places if p >= at and have[p : p + len(wanted)] == wanted), None)
        if found is None or (len(parts) == 1 and len(have) != len(wanted)):
            return None
        filled += (["..."] if number else []) + printed[found : found + len(wanted)]
        at = found + len(wanted)
    return filled


def play(
    text: str,
    session: Session,
    wrong: Callable[[Block, list[str]], list[str]],
    draw: Callable[[str, str], None] = lambda file, command: None,
) -> str:
    """Type what a page says.

    Args:
        text: the page.
        session: who types it.
        wrong: is given each block that says what was not printed, and what was; returns what is to be there.
        draw: is given the file and the command of each picture.

    Returns:
        The page with what was printed.
    """
    lines = text.split("\n")
    printed: list[str] = []
    written: list[tuple[Block, list[str]]] = []
    all_blocks = list(blocks(lines))
    for previous, block in pairwise([None, *all_blocks, None]):
        if previous:
            between = "\n".join(lines[previous.end : block.start if block else len(lines)])
            for file, command in re.findall(r"<!-- picture: (\S+): (.+) -->", between):
                draw(file, command)
        if not block:
            break
        file = re.search(r"`([\w/.]+)`:$", block.before)
        if block.language in ("csv", "python") and file:
            session.write(file[1], block.lines)
        elif block.language == "bash":
            printed = [shown for line in block.lines if line for shown in session.type_line(line)]
        elif block.language == "python":
            printed = session.python("\n".join(block.lines))
        elif block.language == "yaml":
            if settings := re.search(r"`(conf/[\w/.]+)`", block.before):
                session.set_keys(settings[1], block.lines)
        elif block.language == "text":
            said = block.lines
            if said and said[0].startswith("$ "):
                printed = [said[0], *session.type_line(said[0][2:])]
            elif not _follows(lines, previous, block):
                continue
            filled = fill_in(said, printed)
            written.append((block, wrong(block, printed) if filled is None else filled))
    for block, new in reversed(written):
        lines[block.start : block.end] = new
    return "\n".join(lines)


def _follows(lines: list[str], previous: Block | None, block: Block) -> bool:
    """Whether a block of text says what the block before it prints: nothing is between them."""
    if previous is None or previous.language not in ("bash", "python"):
        return False
    return not "".join(lines[previous.end + 1 : block.start - 1]).strip()


def draw_in(directory: Path, file: str, command: str, variables: Mapping[str, str]) -> None:
    """Draw what a command prints, or a page of HTML, into docs/."""
    if command.endswith(".html"):
        if browser := shutil.which("chromium"):
            screenshot(browser, directory / command, ROOT / "docs" / file)
        return
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    coloured = {k: v for k, v in variables.items() if k != "NO_COLOR"} | {"COLUMNS": str(PICTURE)}
    screen = _styled(shlex.split(command), directory, coloured).output
    with open(os.devnull, "w") as nowhere:
        console = Console(file=nowhere, record=True, width=PICTURE, force_terminal=True)
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(screen.rstrip("\n")))
    drawn = console.export_svg(title=directory.name, theme=MONOKAI, unique_id="screen")
    # A picture on a page loads no fonts from elsewhere; the length of each text is written beside it.
    drawn = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    )
    (ROOT / "docs" / file).write_text(drawn, encoding="utf-8")


def screenshot(browser: str, page: Path, file: Path) -> None:
    """Have a browser without a window draw the top of a page."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1160,1310"]
    subprocess.run(
        [browser, *options, f"--screenshot={file}", page.as_uri()], check=True, capture_output=True
    )


def environment(home: Path) -> dict[str, str]:
    """The variables of a terminal whose user has this home."""
    (home / ".gitconfig").write_text(GITCONFIG, encoding="utf-8")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "KEDRO_"))}
    return {**mine, **ENVIRONMENT, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}


def main() -> None:
    """Play the pages, one after the other in one project."""
    check = sys.argv[1:] == ["--check"]
    differences: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        home.mkdir()
        session = Session(Path(directory), in_a_terminal, environment(home))
        for name in PAGES:
            page = ROOT / "docs" / name

            def wrong(block: Block, printed: list[str], name: str = name) -> list[str]:
                differences.append(f"docs/{name}:{block.start + 1}: printed was\n" + "\n".join(printed))
                return printed

            def draw(file: str, command: str) -> None:
                if not check:
                    draw_in(session.directory, file, command, environment(home))

            text = play(page.read_text(encoding="utf-8"), session, wrong, draw)
            if not check:
                page.write_text(text, encoding="utf-8")
    if differences:
        sys.exit("\n\n".join([*differences, "transcripts: these blocks said something else"]))


if __name__ == "__main__":
    shutil.which("dolt") or sys.exit("transcripts: error: there is no dolt on PATH")
    main()
