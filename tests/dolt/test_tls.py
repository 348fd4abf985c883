"""Somebody between us and a Dolt server, who takes the encryption away: nothing is said to them."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from external_dolt import PASSWORD, External, make_certificate
from pymysql.constants import CLIENT

from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ServerError
from kedro_doltdb.server.external import ExternalServer

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
    # The old versions of TLS are.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Between:
    """Somebody who listens in the server's place, and keeps what the client has said in the clear.

    Args:
        port: the server's.
        greet: what they make of the server's greeting.
        encrypt: what they make of the client's connection once it has asked for encryption; None passes on
            what is said.
    """

    def __init__(
        self,
        port: int,
        greet: Callable[[bytes], bytes] = bytes,
        encrypt: Callable[[socket.socket], socket.socket] | None = None,
    ) -> None:
        self.heard = b""
        self._server = port
        self._greet, self._encrypt = greet, encrypt
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._server)) as server:
            client.sendall(self._greet(_packet(server)))
            if self._encrypt:
                # The packet that asks for encryption.
                self.heard += client.recv(36)
                with self._encrypt(client) as inner:
                    self.heard += inner.recv(1 << 16)
                return
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            while said := client.recv(1 << 16):
                self.heard += said
                server.sendall(said)
            # To close it would not wake who waits for it.
            server.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while said := source.recv(1 << 16):
                target.sendall(said)


def _packet(source: socket.socket) -> bytes:
    """A whole packet of MySQL's, which may come in pieces: its length is in the first three bytes."""
    said = source.recv(1 << 16)
    while len(said) < 4 or len(said) < 4 + int.from_bytes(said[:3], "little"):
        said += source.recv(1 << 16)
    return said


def without_tls(greeting: bytes) -> bytes:
    """The greeting of a server that offers no encryption."""
    # After the header: protocol, version, connection, eight bytes of salt, a filler, then what it can do.
    flags = greeting.index(b"\0", 5) + 1 + 4 + 8 + 1
    low = int.from_bytes(greeting[flags : flags + 2], "little") & ~CLIENT.SSL
    return greeting[:flags] + low.to_bytes(2, "little") + greeting[flags + 2 :]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    for args in (("ours",), ("other",), ("server", "ours"), ("evil", "other")):
        make_certificate(directory, *args)
    return directory


@pytest.fixture(scope="module")
def server(
    dolt_env: dict[str, str], directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[External]:
    path = tmp_path_factory.mktemp("tls")
    initialise(path / "data", [])
    files = {
        f"tls_{what}": str(directory / f"server.{end}") for what, end in (("cert", "pem"), ("key", "key"))
    }
    server = External(path / "server", path / "data", **files)
    try:
        server.start()
        server.let_in()
        yield server
    finally:
        server.stop()


@contextmanager
def between(server: External, **how: Callable[..., object]) -> Iterator[Between]:
    somebody = Between(server.port, **how)  # type: ignore[arg-type]
    try:
        yield somebody
    finally:
        somebody.close()


def log_in(server: External, somebody: Between, directory: Path) -> None:
    trust = {"host": "localhost", "port": somebody.port, "ssl_ca": str(directory / "ours.pem")}
    lease = ExternalServer.from_credentials("dolt", {**server.credentials(), **trust}).acquire("one")
    lease.release()


def speaking(
    directory: Path, certificate: str, version: ssl.TLSVersion
) -> Callable[[socket.socket], socket.socket]:
    """Encrypt as a server with a certificate and no later version of TLS would."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{certificate}.pem", directory / f"{certificate}.key")
    # Without it OpenSSL itself would refuse the old versions here.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    return lambda client: context.wrap_socket(client, server_side=True)


def test_who_passes_on_what_is_said_hears_nothing(server: External, directory: Path) -> None:
    with between(server) as somebody:
        log_in(server, somebody, directory)
    assert b"kedro" not in somebody.heard


def test_the_offer_to_encrypt_is_taken_out(server: External, directory: Path) -> None:
    with between(server, greet=without_tls) as somebody:
        with pytest.raises(ServerError, match="SSL is required but the server doesn't support it"):
            log_in(server, somebody, directory)
        assert somebody.heard == b""
        # What is to be found out would be: without TLS, they hear who logs in.
        plain = {**server.credentials(), "port": somebody.port, "tls": False}
        ExternalServer.from_credentials("dolt", plain).acquire("one").release()
        assert b"kedro\0" in somebody.heard


def test_plain_text_follows_the_offer_to_encrypt(server: External, directory: Path) -> None:
    def answer(client: socket.socket) -> socket.socket:
        client.sendall(b"\x07\0\0\x02\0\0\0\x02\0\0\0")
        return client.dup()

    with between(server, encrypt=answer) as somebody:
        with pytest.raises(ServerError, match="cannot be used"):
            log_in(server, somebody, directory)
        # Their thread may still have to read it.
        deadline = time.monotonic() + 10
        while len(somebody.heard) <= 36 and time.monotonic() < deadline:
            time.sleep(0.01)
    # The packet that asks for encryption, and then the first of TLS.
    assert somebody.heard[36:37] == b"\x16" and b"kedro" not in somebody.heard


@pytest.mark.parametrize(
    ("certificate", "version", "words"),
    [
        ("server", ssl.TLSVersion.TLSv1_1, "(?i)protocol"),
        ("server", ssl.TLSVersion.TLSv1, "(?i)protocol"),
        ("evil", ssl.TLSVersion.TLSv1_3, "certificate verify failed"),
    ],
)
def test_an_old_version_of_tls_and_a_certificate_of_their_own(
    server: External, directory: Path, certificate: str, version: ssl.TLSVersion, words: str
) -> None:
    with (
        between(server, encrypt=speaking(directory, certificate, version)) as somebody,
        pytest.raises(ServerError, match=words) as caught,
    ):
        log_in(server, somebody, directory)
    assert b"kedro" not in somebody.heard and PASSWORD not in str(caught.value)


def test_a_version_that_is_good_enough_is_taken(server: External, directory: Path) -> None:
    with (
        between(server, encrypt=speaking(directory, "server", ssl.TLSVersion.TLSv1_2)) as somebody,
        pytest.raises(ServerError, match="cannot be used"),
    ):
        log_in(server, somebody, directory)
    # They have the server's own key: so it is the version alone that the others were refused for.
    assert b"kedro\0" in somebody.heard
