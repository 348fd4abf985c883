"""The documents keep up with the code: every message is explained, every link leads somewhere."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from kedro_doltdb.cli.main import dolt
from kedro_doltdb.settings import Settings

TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
OTHERS = "## What others say"
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(ROOT.glob("[A-Z]*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

# Parts of a message that are written apart from it.
REASONS = {"_not_published"}
NOT_FOR_USERS = {"UntoldError", "AssertionError", "AttributeError"}


def template(message: ast.expr) -> str | None:
    """A message as written in the source, ``…`` for what changes; None when it is another one's."""
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        return re.sub(r"%(\.\d+)?[sdrf]", "…", message.value)
    if isinstance(message, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in message.values)
        return re.sub("…+", "…", "".join(map(str, parts)))
    return None


def messages() -> dict[str, str]:
    """Every error and warning of the library, the generation hooks and the installer, and where it is."""
    found = {}
    for path in [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "hooks").glob("*.py"))]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            error = re.search(r"(Error|Exception|BadParameter)$", name) and name not in NOT_FOR_USERS
            if (error or name in {"warning", "error"} | REASONS) and (text := template(call.args[0])):
                found[text] = f"{path.relative_to(ROOT)}:{call.lineno}"
    return found


def entries() -> list[str]:
    """The page's entries for messages of ours: its third headings, and the reasons in its tables."""
    ours, _, others = TROUBLESHOOTING.read_text(encoding="utf-8").partition(OTHERS)
    assert others
    return re.findall(r"^### (.+)$", ours, re.MULTILINE) + [
        cell.strip("`") for cell in re.findall(r"^\| (`.+?`) \|", ours, re.MULTILINE)
    ]


def explained_by(message: str) -> str | None:
    """The entry that a message begins with; the longest, if there are several."""
    return max(filter(message.startswith, entries()), key=len, default=None)


@pytest.mark.parametrize(("message", "place"), messages().items(), ids=lambda value: str(value)[:60])
def test_every_message_has_an_entry(message: str, place: str) -> None:
    heading = re.match(r"(?:[^:.;]|[:.;](?! ))+", message)
    assert heading and explained_by(message), (
        f"docs/troubleshooting.md explains no message that begins as the one at {place} does. "
        f"Add an entry to the section where it belongs, with the heading\n### {heading and heading[0]}"
    )


def test_every_entry_has_a_message() -> None:
    used = {explained_by(message) for message in messages()}
    unused = [entry for entry in entries() if entry not in used]
    assert not unused, (
        "docs/troubleshooting.md explains what no message begins with. An entry repeats the message's first "
        f"words as they stand in the source, with … for what changes. Change or remove: {unused}"
    )


def test_entries_are_there_once_and_say_enough() -> None:
    assert sorted(set(entries())) == sorted(entries())
    assert [entry for entry in entries() if len(re.findall(r"\w\w+", entry)) < 2] == []


def test_contributors_find_every_module() -> None:
    text, library = (ROOT / "CONTRIBUTING.md").read_text("utf-8"), ROOT / "src" / "kedro_doltdb"
    packages = {f"{path.parent.name}/" for path in library.glob("*/__init__.py")}
    assert packages <= set(re.findall(r"^\| `(\w+/)` \|", text, re.MULTILINE)), "a row a package"
    listed = re.findall(r"^\| `((?:\w+/)?\w+\.py)` \|", text, re.MULTILINE)
    modules = {path.relative_to(library).as_posix() for path in library.rglob("[!_]*.py")}
    assert sorted(listed) == sorted(modules), "CONTRIBUTING.md, where things are: a row a module"


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_their_options_exist(document: Path) -> None:
    for name, rest in re.findall(r"kedro dolt ([a-z]+)([^`\n|#;&]*)", document.read_text(encoding="utf-8")):
        command = dolt.commands.get(name)
        assert command, f"{document.relative_to(ROOT)} has `kedro dolt {name}`, which is no command"
        known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest))
        assert options <= known, f"{document.relative_to(ROOT)} has `kedro dolt {name}{rest}`"


def test_commands_and_settings_are_those_of_the_code() -> None:
    pages = runpy.run_path(str(ROOT / "scripts" / "reference"))["pages"]()
    old = [path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    assert len(pages) == 2 and not old, "scripts/reference writes them again"


def test_the_example_of_settings_can_be_used() -> None:
    [example] = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs" / "settings.md").read_text("utf-8"), re.DOTALL
    )
    settings = Settings.from_config(yaml.safe_load(example))
    assert settings.remote and settings.checks and settings.initial_tables


def test_the_site_has_every_page() -> None:
    menu = set(re.findall(r"\S+\.md\b", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))
    pages = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert pages <= menu
    # Made when the site is built: the docstrings.
    assert {page for page in menu if not (ROOT / page).exists()} == {"docs/python.md"}


def test_design_decisions_are_in_the_contents() -> None:
    text = (ROOT / "docs" / "design_decisions.md").read_text(encoding="utf-8")
    headings = re.findall(r"^###? (.+)$", text, re.MULTILINE)
    assert re.findall(r"\[([^\]]+)\]\(#", text.partition("\n## ")[0]) == headings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"", text):
        target = link[0] or link[1]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), f"{document.relative_to(ROOT)} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(file), f"{document.relative_to(ROOT)}: no heading for {target}"
