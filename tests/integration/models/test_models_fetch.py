"""`models fetch` from a real HTTPS server on loopback: kept only whole, and only if it is the card's file."""

import ssl
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from parts.certificates import CertificateAuthority

from renzheng.models.catalogue.cards import Card, card
from renzheng.models.catalogue.files import fetch
from renzheng.models.errors import DownloadError, ModelFileError
from renzheng.models.home import models_folder

MODEL = b"the model file's bytes " * 50_000


class _Shelf(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/whole.onnx":
                self._send(MODEL, len(MODEL))
            case "/other.onnx":
                self._send(MODEL[::-1], len(MODEL))
            case "/cut-off.onnx":
                self._send(MODEL[:1000], len(MODEL))
            case "/moved.onnx":
                self.send_response(302)
                self.send_header("Location", "/whole.onnx")
                self.end_headers()
            case "/garbage.onnx":
                self.wfile.write(b"\x00\x01 no HTTP at all\r\n\r\n")
            case _:
                self.send_error(404)

    def _send(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve over TLS under a CA that this process trusts; yields the address."""
    authority = CertificateAuthority(tmp_path / "ca")
    identity = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shelf)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path / "home"))
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _card(address: str) -> Card:
    changed = {"download": address, "sha256": sha256(MODEL).hexdigest()}
    return card("mobilefacenet").model_copy(update=changed)


@pytest.mark.parametrize("name", ["whole", "moved"])
def test_the_cards_file_is_kept(shelf: str, name: str) -> None:
    kept = fetch(_card(f"{shelf}/{name}.onnx"))
    assert kept == models_folder() / card("mobilefacenet").file
    assert kept.read_bytes() == MODEL


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("other", ModelFileError),
        ("cut-off", ModelFileError),
        ("garbage", DownloadError),
        ("missing", DownloadError),
    ],
)
def test_anything_else_is_named_and_nothing_kept(shelf: str, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        fetch(_card(f"{shelf}/{name}.onnx"))
    assert not list(models_folder().rglob("*.onnx*"))


def test_a_server_whom_nobody_vouches_for_is_not_asked(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(_card(f"{shelf}/whole.onnx"))
