"""What MkDocs is told beyond mkdocs.yml: where the pages lie, and that they show what GitHub shows.

The pages are the repository's own, README.md the first, under the paths that they have there. So their links
are right on GitHub and on the site, and so are those to files, which come along.
"""

from __future__ import annotations

import logging
import re
from difflib import unified_diff
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import griffe
from markdown_it import MarkdownIt
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import kedro_doltdb

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/*.md", "benchmarks/*.md")
LINK = re.compile(r"\]\(([^)#\s]+)[^)\s]*\)|<img [^>]*src=\"([^\"]+)\"")
# The one page that is not in the repository, where a reader has the docstrings themselves.
PYTHON = "docs/python.md"
WITH_METHODS = ("DoltData", "DoltRun")

# A warning here ends a strict build.
log = logging.getLogger("mkdocs.hooks.docs_site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the pages from the repository, with the files that they link to, and add the Python reference."""
    site = [file for file in files if file.src_dir != config.docs_dir]
    pages = {path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)}
    linked = {target for page in pages for target in _linked(ROOT / page)}
    for uri in sorted(pages | linked):
        site.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    site.append(File.generated(config, PYTHON, content=_python()))
    for file in site:
        if file.is_documentation_page():
            # docs/tutorial.md is tutorial/ there.
            file.dest_uri = file.dest_uri.removeprefix("docs/")
    return Files(site)


def _linked(page: Path) -> set[str]:
    found = set()
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / (link[0] or link[1])).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            found.add(path.relative_to(ROOT).as_posix())
    return found


def _python() -> str:
    parts = [
        "# Python: what you may import",
        "The names in `kedro_doltdb.__all__`. They stay for a major version, and so does what the hooks of a "
        "new project call on a `DoltRun`. All other modules may move in any version.",
    ]
    for name in sorted(kedro_doltdb.__all__, key=str.lower):
        # Where it is defined: kedro_doltdb.bulk_load is a module, too.
        path = f"{kedro_doltdb.__name__}.{kedro_doltdb._MODULES.get(name, 'errors')}.{name}"
        parts.append(f"::: {path}" + ("" if name in WITH_METHODS else "\n    options: {members: false}"))
    return "\n\n".join(parts)


class Docstrings(griffe.Extension):
    """Gives docstrings to the Python reference as Markdown: they are Google's with a few roles of Sphinx."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change what mkdocstrings would show as it stands."""
        if obj.docstring:
            text = re.sub(r":\w+:(`[^`]+`)", r"\1", obj.docstring.value)
            # A code block after two colons is indented, and so it is one in Markdown.
            text = re.sub(r"::\n", ":\n", text)
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", text, flags=re.MULTILINE)


def on_page_content(html: str, page: Page, **_: Any) -> None:
    """Warn where Python-Markdown makes something else of a page than CommonMark, and so GitHub, does.

    The usual cause is a list's continuation that is indented by less than four spaces.
    """
    if page.file.src_uri == PYTHON:
        return
    github = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(page.markdown or "")
    difference = list(unified_diff(_outline(github), _outline(html), "GitHub", "here", lineterm="", n=1))
    if difference:
        log.warning("%s is not what GitHub shows:\n%s", page.file.src_uri, "\n".join(difference[:20]))


class _Outline(HTMLParser):
    BLOCKS = ("h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "pre", "table", "tr", "th", "td", "blockquote")

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self._permalink = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._permalink = dict(attrs).get("class") == "headerlink"
        # Whether a list's items are paragraphs is a matter of looks.
        if tag in self.BLOCKS and tag != "p":
            self.lines.append(f"<{tag}> ")

    def handle_endtag(self, tag: str) -> None:
        self._permalink = False

    def handle_data(self, data: str) -> None:
        if not self._permalink:
            self.lines[-1] += "".join(data.split())


def _outline(html: str) -> list[str]:
    outline = _Outline()
    outline.feed(html)
    return [line for line in outline.lines if line]
