"""Reports in a real browser: opened by Playwright in the Chromium of the machine, judged by axe-core.

``make test-slow`` installs what drives the browser. Pictures of every page stay in ``build/report``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

WHY = "make test-slow installs it, or: pip install 'kedro-doltdb[browser]'"
playwright = pytest.importorskip("playwright.sync_api", reason=f"Playwright is not installed; {WHY}")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=f"axe-core is not installed; {WHY}")

PICTURES = ROOT / "build" / "report"
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(not _BROWSER, reason="no Chromium or Google Chrome on PATH: install one"),
]

# Opens the page of a file, as a tab of Playwright.
Opener = Callable[..., Any]


@contextmanager
def started_browser() -> Iterator[Any]:
    """Yield a browser without a window."""
    with playwright.sync_playwright() as started:
        # Chromium's own sandbox does not work for root, as whom containers run.
        browser = started.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched_pages(browser: Any) -> Iterator[Opener]:
    """Yield what opens files; in the end none has complained, asked for anything or run a value."""
    said: list[str] = []
    asked: list[str] = []
    tabs: list[Any] = []

    def open_page(path: Path, **options: Any) -> Any:
        tab = browser.new_page(**options)
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        assert asked.pop() == path.as_uri()
        tabs.append(tab)
        return tab

    yield open_page
    for tab in tabs:
        tab.close()
    assert said == [] and asked == []


def check_it_can_be_read(open_page: Opener, path: Path, name: str) -> None:
    """Look at a page in light and dark, on a wide and a narrow screen, and on paper.

    Args:
        open_page: what opens it.
        path: the page.
        name: what its pictures are called.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong = []
    for scheme in ("light", "dark"):
        tab = open_page(path, color_scheme=scheme)
        for width in (1280, 400):
            tab.set_viewport_size({"width": width, "height": 900})
            # What is folded is judged, too.
            tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            tab.screenshot(path=PICTURES / f"{name}-{scheme}-{width}.png", full_page=True)
            if tab.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{scheme} {width}: the page itself is wider than the screen")
            wrong += [f"{scheme} {width}: {each}" for each in barriers(tab)]
    tab.emulate_media(media="print", color_scheme="dark")
    assert background(tab) == "rgb(255, 255, 255)"
    tab.set_viewport_size({"width": 720, "height": 900})
    tab.screenshot(path=PICTURES / f"{name}-print.png", full_page=True)
    tab.pdf(path=PICTURES / f"{name}.pdf")
    assert not wrong, "\n".join(wrong)


def barriers(tab: Any) -> list[str]:
    """Return what axe-core finds serious or critical on a page."""
    # On a shadow, which no text is on, it would judge no colour of a table's.
    tab.evaluate("document.querySelectorAll('.scroll').forEach(each => each.style.backgroundImage = 'none')")
    return [
        f"{each['id']} {node['target']} {node['failureSummary']}"
        for each in axe.Axe().run(tab).response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def background(tab: Any) -> str:
    """Return the colour behind a page."""
    return str(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
