#!/usr/bin/env python3
"""Draw what Kedro-Viz shows of a project after two runs into docs/viz.png: nothing there is made up.

    nox -s plugins --install-only
    .nox/plugins/bin/pip install playwright
    .nox/plugins/bin/python scripts/viz_picture.py

It needs Chromium and, in the environment of its Python, this package, Kedro-Viz and Playwright. In the second
run the share of test data is another one, so the tables have more rows or fewer.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "viz.png"
# The dataset whose panel is open.
DATASET = "example_predictions"
os.environ["DO_NOT_TRACK"] = "1"
KEDRO = [sys.executable, "-m", "kedro"]
SECONDS = 120
CHOSEN = {"showFeatureHints": False, "theme": "light", "visible": {"sidebar": False}}


def main() -> None:
    """Make a project, run it twice, and draw it."""
    browser = shutil.which("chromium") or sys.exit("viz_picture: there is no chromium on PATH")
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([*KEDRO, "new", f"--starter={ROOT}", "--name=Iris Dolt"], cwd=directory, check=True)
        project = Path(directory) / "iris-dolt"
        for ratio in (0.2, 0.3):
            params = f"--params=example_test_data_ratio={ratio}"
            subprocess.run([*KEDRO, "run", params], cwd=project, check=True)
        with kedro_viz(project) as url:
            with urllib.request.urlopen(f"{url}/api/main") as answer:
                nodes = {node["name"]: node["id"] for node in json.load(answer)["nodes"]}
            draw(browser, f"{url}/?pid=__default__&sid={nodes[DATASET]}")


def draw(browser: str, address: str) -> None:
    """Draw a page of Kedro-Viz, as somebody sees it who has closed its hints and the list at the left."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": 1280, "height": 980})
        chosen = json.dumps(json.dumps(CHOSEN))
        page.add_init_script(f"localStorage.setItem('KedroViz', {chosen})")
        page.goto(address)
        page.get_by_text("Dataset statistics").wait_for(timeout=60_000)
        # It moves to the dataset.
        page.wait_for_timeout(3000)
        page.screenshot(path=PICTURE)
        started.close()


@contextmanager
def kedro_viz(project: Path) -> Iterator[str]:
    """Serve a project by Kedro-Viz on a free port, and give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # It takes none above 49151.
    port = min(port, 20000 + port % 10000)
    command = [*KEDRO, "viz", "run", "--no-browser", f"--port={port}"]
    process = subprocess.Popen(command, cwd=project, start_new_session=True)
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/main").close()
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        # As Ctrl-C in a terminal.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=SECONDS)


if __name__ == "__main__":
    main()
