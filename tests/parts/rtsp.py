"""Cameras for tests: scripted ones that behave badly in one way each, and short clips for the real server.

with BadCamera("stalls") as camera:
    Camera(settings(url=camera.url), None, ...)
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 {codec}/90000\r\na=control:track1\r\n"
)
SPS = bytes.fromhex("6742c01eda0280bfe5c044000003000400000300c83c58ba80")
PPS = bytes.fromhex("68ce3c80")


class BadCamera:
    """An RTSP server on a free loopback port that serves one script to every client.

    Args:
        script: the name of one of this class's scripts, below.
    """

    def __init__(self, script: str) -> None:
        self._script: Callable[[socket.socket], None] = getattr(self, f"_{script}")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/main"
        self.clients = 0
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                self._script(client)
            except OSError:
                return

    def _garbage(self, client: socket.socket) -> None:
        """Answers with bytes that are no RTSP."""
        client.recv(4096)
        client.sendall(bytes(range(256)) * 20)

    def _web_server(self, client: socket.socket) -> None:
        """Is something else altogether."""
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    def _wrong_codec(self, client: socket.socket) -> None:
        """Sends Motion JPEG."""
        self._handshake(client, codec="JPEG")

    def _stalls(self, client: socket.socket) -> None:
        """Agrees to everything and sends nothing."""
        self._handshake(client)
        self._ending.wait()

    def _silent(self, client: socket.socket) -> None:  # noqa: ARG002 - a script's
        """Takes the connection and never answers."""
        self._ending.wait()

    def _garbage_packets(self, client: socket.socket) -> None:
        """Sends packets of noise where video should be."""
        self._handshake(client)
        for number in range(400):
            self._send(client, bytes([28 + number % 4]) * 40, number, moment=number)
        self._ending.wait()

    def _undecodable(self, client: socket.socket) -> None:
        """Sends well-formed key frames whose content is noise."""
        self._handshake(client)
        number = 0
        while not self._ending.wait(0.1):
            for unit in (SPS, PPS, b"\x65" + b"\xaa\x55\x13" * 300):
                self._send(client, unit, number, moment=number // 3, marker=unit[0] == 0x65)
                number += 1

    def _restarts(self, client: socket.socket) -> None:
        """Begins its clock anew after a second, on the channel that it chose itself."""
        self._handshake(client, transport="Transport: RTP/AVP/TCP;unicast;interleaved=4-5\r\n")
        for number in range(200):
            moment = number if number < 20 else 900_000 + number
            self._send(client, b"\x41" + b"\x11" * 30, number, moment=moment, marker=True, channel=4)
            self._send(client, b"noise on another channel", number, moment=0, channel=0)
            if self._ending.wait(1 / 15):
                return

    def _half_key_frames(self, client: socket.socket) -> None:
        """Loses the middle of every key frame."""
        self._handshake(client)
        number = moment = 0
        while not self._ending.wait(0.05):
            for flags in (0x80, None, 0x40):
                if flags is not None:
                    unit = bytes([0x7C, flags | 5]) + b"\x11" * 200
                    self._send(client, unit, number, moment=moment, marker=flags == 0x40)
                number += 1
            moment += 1

    def _hangs_up(self, client: socket.socket) -> None:
        """Ends the connection in the middle of a packet."""
        self._handshake(client)
        client.sendall(b"$\x00\x10\x00" + b"\x80" * 10)

    def _not_found(self, client: socket.socket) -> None:
        """Has no stream of that name."""
        client.recv(4096)
        client.sendall(b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n")
        self._ending.wait()

    def _handshake(self, client: socket.socket, codec: str = "H264", transport: str = "") -> None:
        for _ in ("DESCRIBE", "SETUP", "PLAY"):
            request = client.recv(4096).decode()
            number = request.partition("CSeq: ")[2].partition("\r\n")[0]
            body = SDP.format(codec=codec) if request.startswith("DESCRIBE") else ""
            client.sendall(
                f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 12345678\r\n{transport}"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )

    def _send(
        self,
        client: socket.socket,
        unit: bytes,
        number: int,
        *,
        moment: int,
        marker: bool = False,
        channel: int = 0,
    ) -> None:
        head = struct.pack(
            ">BBHII", 0x80, 96 | (0x80 if marker else 0), number & 0xFFFF, moment * 6000 & 0xFFFFFFFF, 7
        )
        client.sendall(struct.pack(">cBH", b"$", channel, 12 + len(unit)) + head + unit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)


class TlsFront:
    """Takes TLS on a free loopback port and passes what comes on to a plain server's.

    Args:
        port: of the plain server.
        certificate: what it shows, PEM.
        key: of the certificate.
    """

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._behind = port
        self.passed_on = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, mount: str) -> str:
        """The address of a stream of the server behind."""
        return f"rtsps://127.0.0.1:{self.port}{mount}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        """Ask and answer in turns of what is there, in one thread: TLS is not read and written by two."""
        with contextlib.suppress(OSError), client:
            client.getpeername()  # who has gone already leaves nothing to wrap
            self._pass_on(self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False))

    def _pass_on(self, secured: ssl.SSLSocket) -> None:
        with (
            secured as front,
            socket.create_connection(("127.0.0.1", self._behind)) as behind,
        ):
            front.do_handshake()
            while True:
                front.settimeout(0.02)
                behind.settimeout(0.02)
                with contextlib.suppress(TimeoutError):
                    if not (asked := front.recv(65_536)):
                        return
                    self.passed_on += len(asked)
                    behind.sendall(asked)
                front.settimeout(10)
                with contextlib.suppress(TimeoutError):
                    while answer := behind.recv(65_536):
                        front.sendall(answer)
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
