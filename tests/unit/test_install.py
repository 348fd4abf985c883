"""`kedro dolt install`: what is there is taken, and what cannot be had is told in one error."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kedro_doltdb.errors import DoltError
from kedro_doltdb.install import release
from kedro_doltdb.install.install import install
from kedro_doltdb.install.release import platform_name

VERSION = "1.83.2"


def fake_dolt(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'dolt version {version}'\n")
    path.chmod(0o755)
    return path


class Releases:
    """A web server with one release, as GitHub has them."""

    def __init__(self, archive: bytes) -> None:
        self.archive = archive
        self.digest: str | None = hashlib.sha256(archive).hexdigest()
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        releases = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/api"):
                    releases.describe(self)
                else:
                    releases.send(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def describe(self, request: BaseHTTPRequestHandler) -> None:
        url = f"{self.url}/download/v{VERSION}/dolt-{platform_name()}.tar.gz"
        other = {"browser_download_url": f"{url}.other", "digest": "sha256:" + "1" * 64}
        asset = {"browser_download_url": url, "digest": self.digest and f"sha256:{self.digest}"}
        body = json.dumps({"assets": [other, asset]}).encode()
        request.send_response(200)
        request.end_headers()
        request.wfile.write(body)

    def send(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(self.archive):
            request.send_error(416)
            return
        body = self.archive[start:]
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on a machine with neither Dolt, Go, apt-get nor a network."""
    tools, home = tmp_path / "tools", tmp_path / "home"
    tools.mkdir()
    home.mkdir()
    for name in ("DOLT_PATH", "XDG_CACHE_HOME", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GOROOT", str(tmp_path / "no go"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "scripts"))
    for name in ("DOWNLOADS", "API"):
        monkeypatch.setattr(release, name, "http://127.0.0.1:9")
    return home


@pytest.fixture
def releases(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    name = f"dolt-{platform_name()}"
    fake_dolt(tmp_path / name / "bin" / "dolt", VERSION)
    (tmp_path / name / "LICENSES").write_text("Apache-2.0")
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / name, name)
    found = Releases((tmp_path / "archive.tar.gz").read_bytes())
    monkeypatch.setattr(release, "DOWNLOADS", f"{found.url}/download")
    monkeypatch.setattr(release, "API", f"{found.url}/api")
    yield found
    found.server.shutdown()
    found.server.server_close()


def installed(prefix: Path, version: str | None = None) -> tuple[tuple[str, str], list[str]]:
    said: list[str] = []
    return install(version, prefix, said.append), said


def test_a_good_dolt_on_path_is_taken_and_nothing_is_written(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dolt = fake_dolt(tmp_path / "with space" / "dolt", "1.83.0")
    monkeypatch.setenv("PATH", str(dolt.parent), prepend=os.pathsep)

    assert installed(tmp_path / "prefix") == (("1.83.0", str(dolt)), [])
    assert list(machine.iterdir()) == [] and not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("version", ["1.83.2", "1.100.0", "2.3.1"])
def test_dolt_path_goes_before_path(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_dolt(tmp_path / "tools" / "dolt", "1.20.0")
    mine = fake_dolt(tmp_path / "mine" / "my-dolt", version)
    monkeypatch.setenv("DOLT_PATH", str(mine))

    assert installed(tmp_path / "prefix") == ((version, str(mine)), [])


@pytest.mark.parametrize(("version", "why"), [("1.82.9", "or newer is needed"), ("", "does not answer")])
def test_a_useless_dolt_path_is_an_error(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, why: str
) -> None:
    bad = fake_dolt(tmp_path / "bad", version)
    monkeypatch.setenv("DOLT_PATH", str(bad))

    with pytest.raises(DoltError, match=f"{bad}.*{why}.*unset it"):
        installed(tmp_path / "prefix")


def test_a_release_is_installed_once(releases: Releases, tmp_path: Path) -> None:
    fake_dolt(tmp_path / "tools" / "dolt", "1.20.0")
    prefix = tmp_path / "in here"

    (version, path), said = installed(prefix)
    again, said_again = installed(prefix)

    assert (version, path) == again == (VERSION, str(prefix / "dolt"))
    assert any("is Dolt 1.20.0" in line for line in said) and said_again == []
    assert os.access(path, os.X_OK) and [entry.name for entry in prefix.iterdir()] == ["dolt"]
    assert len(releases.ranges) == 1


def test_another_prefix_is_served_from_what_was_downloaded(releases: Releases, tmp_path: Path) -> None:
    installed(tmp_path / "one")
    installed(tmp_path / "two")

    assert len(releases.ranges) == 1 and (tmp_path / "two" / "dolt").is_file()


def test_a_version_that_is_asked_for_replaces_another(releases: Releases, tmp_path: Path) -> None:
    fake_dolt(tmp_path / "prefix" / "dolt", "1.84.0")

    assert installed(tmp_path / "prefix", VERSION)[0] == (VERSION, str(tmp_path / "prefix" / "dolt"))
    assert VERSION in (tmp_path / "prefix" / "dolt").read_text()


@pytest.mark.parametrize(
    ("version", "why"), [("1.83", "is not a version"), ("v1.83.2", "is not a version"), ("1.20.0", "too old")]
)
def test_a_version_that_cannot_be_is_refused(machine: Path, tmp_path: Path, version: str, why: str) -> None:
    with pytest.raises(DoltError, match=why):
        installed(tmp_path / "prefix", version)


def test_a_download_goes_on_where_it_was_cut_off(releases: Releases, tmp_path: Path) -> None:
    releases.cuts = [60, 50]

    (_, path), said = installed(tmp_path / "prefix")

    assert releases.ranges == [None, "bytes=60-", "bytes=110-"]
    assert VERSION in Path(path).read_text() and any("going on" in line for line in said)


def test_a_download_that_was_given_up_is_gone_on_with_later(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.cuts = [60, 0]
    with pytest.raises(DoltError, match="download failed"):
        installed(tmp_path / "prefix")

    (_, path), _ = installed(tmp_path / "prefix")

    assert releases.ranges[-1] == "bytes=60-" and VERSION in Path(path).read_text()


@pytest.mark.parametrize(
    ("digest", "why"), [("0" * 64, "not the file that was published"), (None, "has no digest")]
)
def test_an_archive_that_nothing_vouches_for_is_not_installed(
    releases: Releases, machine: Path, tmp_path: Path, digest: str | None, why: str
) -> None:
    releases.digest = digest

    with pytest.raises(DoltError, match=why):
        installed(tmp_path / "prefix")

    assert [*machine.rglob("dolt*"), *(tmp_path / "prefix").iterdir()] == [machine / ".cache/kedro-dolt/dolt"]


def test_when_nothing_works_one_error_lists_every_try(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake_dolt(tmp_path / "tools" / "dolt", "1.20.0")

    with pytest.raises(DoltError) as caught:
        installed(tmp_path / "prefix")

    first, *tried = caught.value.message.splitlines()
    assert first.startswith("Dolt could not be installed") and "DOLT_PATH" in first
    beginnings = (str(old), "release archive: its digest", "Go: no go on PATH")
    assert [line.startswith(f"  - {text}") for line, text in zip(tried, beginnings, strict=True)] == [
        True
    ] * 3


def test_a_prefix_that_is_a_file_is_an_error(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "prefix").touch()

    with pytest.raises(DoltError, match="Name another: --prefix"):
        installed(tmp_path / "prefix")


def test_no_redirection_leads_to_a_connection_without_encryption() -> None:
    request = release.urllib.request.Request("https://example.org/dolt.tar.gz")

    with pytest.raises(release.urllib.error.URLError, match="without encryption"):
        release._Secure().redirect_request(request, None, 302, "", {}, "http://example.org/other")  # type: ignore[arg-type]
