"""Dolt's official release archive: downloaded, compared with its published digest, unpacked."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, cast

from .notice import NotInstalledError, Say

DOWNLOADS = "https://github.com/dolthub/dolt/releases/download"
API = "https://api.github.com/repos/dolthub/dolt/releases/tags"

# Seconds without a byte.
_TIMEOUT = 15
_CHUNK = 1 << 20
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def platform_name() -> str:
    """Return what Dolt calls this platform: ``linux-amd64``.

    Raises:
        NotInstalledError: there is no archive for it.
    """
    system = _SYSTEMS.get(platform.system())
    processor = _PROCESSORS.get(platform.machine().lower())
    if system is None or processor is None:
        raise NotInstalledError(
            f"release archive: none for {platform.system()} on {platform.machine()}; on Windows, use WSL"
        )
    return f"{system}-{processor}"


def fetch_release(version: str, name: str, downloads: Path, into: Path, say: Say) -> tuple[Path, Path]:
    """Download the archive of a release and unpack the executable and the licences.

    Args:
        version: of Dolt.
        name: of the platform.
        downloads: where what is downloaded stays until it is complete, so that it can be gone on with.
        into: where they are put.
        say: tells the user.

    Returns:
        The executable, and the file of licences.

    Raises:
        NotInstalledError: the archive, or its digest, cannot be had, or it is not what was published.
    """
    file = f"dolt-{name}.tar.gz"
    url = f"{DOWNLOADS}/v{version}/{file}"
    # First: an archive that nobody vouches for is no use.
    digest = _digest(version, url)
    partial = downloads / f"{version}-{file}.part"
    say(f"downloading {url}")
    _download(url, partial, say)
    if _sha256(partial) != digest:
        partial.unlink()
        raise NotInstalledError(
            f"release archive: not the file that was published, its SHA-256 is not {digest}"
        )
    try:
        with tarfile.open(partial) as archive:
            for member, target in ((f"dolt-{name}/bin/dolt", "dolt"), (f"dolt-{name}/LICENSES", "LICENSES")):
                content = archive.extractfile(member)
                if content is None:
                    raise KeyError(member)
                with content, open(into / target, "wb") as out:
                    shutil.copyfileobj(content, out)
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise NotInstalledError(f"release archive: it cannot be unpacked: {error}") from error
    (into / "dolt").chmod(0o755)
    partial.unlink()
    return into / "dolt", into / "LICENSES"


class _Secure(urllib.request.HTTPRedirectHandler):
    """Follows no redirection from an encrypted connection to another."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("it was redirected to a connection without encryption")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: dict[str, str]) -> HTTPResponse:
    # An opener asks the proxy that the environment names.
    request = urllib.request.Request(url, headers={"User-Agent": "kedro-doltdb", **headers})
    opener = urllib.request.build_opener(_Secure)
    return cast("HTTPResponse", opener.open(request, timeout=_TIMEOUT))


def _digest(version: str, url: str) -> str:
    # Dolt publishes no checksums with its archives; GitHub keeps one of each as it was uploaded.
    try:
        with _open(f"{API}/v{version}", {}) as answer:
            assets = json.load(answer)["assets"]
        digests = {asset["browser_download_url"]: asset.get("digest") for asset in assets}
    except urllib.error.HTTPError as error:
        why = f"there is no Dolt {version}" if error.code == 404 else str(error)
        raise NotInstalledError(f"release archive: its digest is not to be had from {API}: {why}") from error
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotInstalledError(
            f"release archive: its digest is not to be had from {API}: {error}"
        ) from error
    match = re.fullmatch("sha256:([0-9a-f]{64})", str(digests.get(url)))
    if not match:
        raise NotInstalledError(f"release archive: {API} has no digest of {url}")
    return match[1]


def _download(url: str, partial: Path, say: Say) -> None:
    """Download a file, going on where an earlier attempt was cut off."""
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            if _download_rest(url, partial, before, say):
                return
        except urllib.error.HTTPError as error:
            if error.code != 416 or before == 0:
                raise NotInstalledError(f"release archive: download failed: {error}") from error
            # More than there is: the file is another one by now.
            partial.unlink()
            continue
        except (OSError, HTTPException) as error:
            if not partial.exists() or partial.stat().st_size <= before:
                raise NotInstalledError(f"release archive: download failed: {error}") from error
        if partial.stat().st_size <= before:
            raise NotInstalledError("release archive: download failed: the connection ends early")
        say("the connection was lost: going on from there")


def _download_rest(url: str, partial: Path, before: int, say: Say) -> bool:
    """Download what is missing; return whether that is all."""
    with _open(url, {"Range": f"bytes={before}-"} if before else {}) as answer:
        resumed = answer.status == 206
        done = before if resumed else 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        tell = _teller(say, total)
        with open(partial, "ab" if resumed else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                tell(done)
    return total is None or done == total


def _teller(say: Say, total: int | None) -> Callable[[int], None]:
    """Return a function that tells how much has come, every tenth of it."""
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        step = (total or 100 << 20) // 10
        if step and done // step > told:
            told = done // step
            say(f"  {done >> 20} MB" + (f" of {total >> 20}" if total else ""))

    return tell


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
