"""One camera's video over RTSP, plain or in TLS, one connection; every way in which it fails has a name."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from renzheng.contracts.errors import FaultError
from renzheng.edge.errors import SettingsError
from renzheng.edge.ward import rtp, rtsp
from renzheng.edge.ward.rtp import AccessUnit, Assembler, PacketError
from renzheng.edge.ward.rtsp import Credentials, Head, ProtocolError, UnknownCodecError, Video

CONNECT_SECONDS = 5.0
STALL_SECONDS = 10.0
KEY_FRAME_SECONDS = 30.0
_MOST_BAD_PACKETS = 50
_KEEP_ALIVE_SECONDS = 20.0
_BUFFER_BYTES = 256_000
_PORT, _TLS_PORT = 554, 322


class CameraTrouble(StrEnum):
    """Why a camera gives no pictures."""

    UNREACHABLE = "unreachable"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason
    WRONG_CERTIFICATE = "wrong_certificate"
    NO_SUCH_STREAM = "no_such_stream"
    NOT_A_CAMERA = "not_a_camera"
    WRONG_CODEC = "wrong_codec"
    STALLED = "stalled"
    GARBAGE = "garbage"
    NO_WHOLE_KEY_FRAME = "no_whole_key_frame"
    UNDECODABLE = "undecodable"
    ENDED = "ended"


class StreamError(FaultError):
    """A camera gives no pictures; `trouble` says why."""

    def __init__(self, trouble: CameraTrouble, what: str, *, do: str = "") -> None:
        self.trouble = trouble
        super().__init__(what, why="Nobody can be seen there; that is told as not covered.", do=do)


def read_credentials(path: Path) -> Credentials:
    """Read user and password, one a line.

    Raises:
        SettingsError: the file is missing, or others may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(
                f"{path} may be read by others.",
                why="It holds a camera's password.",
                do=f"chmod 600 {path}",
            )
        user, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The camera's credentials {path} cannot be read: {type(error).__name__}.",
            do="First line the user, second line the password; mode 600.",
        ) from None
    return Credentials(user.strip(), rest.split("\n", 1)[0].strip())


def read_certificate(path: Path) -> bytes:
    """Read the certificate that a camera must show (PEM in, DER out).

    Raises:
        SettingsError: the file is missing, or holds no certificate.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The camera's certificate {path} cannot be read: {type(error).__name__}.",
            why="A camera at rtsps:// is believed by it alone.",
            do="Export the camera's certificate as PEM (-----BEGIN CERTIFICATE-----), one in the file.",
        ) from None


class RtspStream:
    """A connection to one camera.

    Args:
        url: without user and password.
        credentials: shown when the camera asks.
        keys_only: content of key frames only.
        certificate: the one that a camera at ``rtsps://`` must show (DER); without it one for its name, from
            an authority that this machine believes.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        *,
        keys_only: bool = True,
        certificate: bytes | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "rtsps"
        self._certificate = certificate
        self._address = (parts.hostname or "", parts.port or (_TLS_PORT if self._tls else _PORT))
        self._url = urlunsplit(parts._replace(fragment=""))
        self._credentials = credentials
        self._keys_only = keys_only
        self._number = 0
        self._session = ""
        self._offers = ""
        self._channel = 0
        self._alive_due = 0.0
        self._socket: socket.socket | None = None
        self._file: BufferedReader | None = None
        self.video: Video | None = None

    def open(self) -> Video:
        """Connect, find the video and have it sent.

        Raises:
            StreamError: with its reason.
        """
        try:
            self._socket = socket.create_connection(self._address, CONNECT_SECONDS)
            self._socket.settimeout(STALL_SECONDS)
            if self._tls:
                self._secure(self._socket)
            self._file = BufferedReader(self._socket.makefile("rb", buffering=0), _BUFFER_BYTES)
            described, body = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
            base = described.headers.get("content-base") or self._url
            self.video = rtsp.parse_description(body.decode("utf-8", errors="replace"), base.strip())
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            setup, _ = self._ask("SETUP", self.video.control, {"Transport": transport})
            self._session = setup.headers.get("session", "").partition(";")[0].strip()
            self._channel = rtsp.channel_of(setup.headers.get("transport", ""))
            self._ask("PLAY", base.strip(), {"Range": "npt=0.000-"})
        except UnknownCodecError as error:
            raise StreamError(
                CameraTrouble.WRONG_CODEC,
                f"The camera sends {error}, which is not read.",
                do="Set the camera to H.264 or H.265.",
            ) from None
        except ProtocolError as error:
            raise StreamError(
                CameraTrouble.NOT_A_CAMERA,
                f"What answers is no camera: {error}.",
                do="Check host, port and path.",
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise _wrong_certificate(error.verify_message) from None
        except ssl.SSLError as error:
            raise StreamError(
                CameraTrouble.NOT_A_CAMERA,
                f"What answers speaks no TLS: {error.reason}.",
                do="Check the port, and whether the camera has RTSPS switched on.",
            ) from None
        except TimeoutError:
            raise StreamError(
                CameraTrouble.UNREACHABLE,
                "The camera does not answer in time.",
                do="Check cable and address.",
            ) from None
        except OSError as error:
            raise StreamError(
                CameraTrouble.UNREACHABLE,
                f"The camera cannot be reached: {error.strerror or type(error).__name__}.",
                do="Check cable, power and address.",
            ) from None
        return self.video

    def units(self) -> Iterator[AccessUnit]:
        """Walk the camera's pictures as they come, for ever.

        Raises:
            StreamError: the stream stalls, ends, or is nothing that can be read.
        """
        assert self._file is not None, "open comes first"
        assert self.video is not None, "open comes first"
        assembler = Assembler(self.video.codec, self.video.parameter_sets, keys_only=self._keys_only)
        bad, self._alive_due = 0, time.monotonic() + _KEEP_ALIVE_SECONDS
        key_due = time.monotonic() + KEY_FRAME_SECONDS
        while True:
            data = self._next_packet()
            now = time.monotonic()
            if now > key_due:
                raise StreamError(
                    CameraTrouble.NO_WHOLE_KEY_FRAME,
                    f"No whole key frame came for {KEY_FRAME_SECONDS:g} s.",
                    do="Check the network, and the camera's key frame interval.",
                )
            try:
                units = [] if data is None else assembler.push(rtp.parse_packet(data))
            except PacketError as error:
                bad += 1
                if bad >= _MOST_BAD_PACKETS:
                    raise StreamError(CameraTrouble.GARBAGE, f"The stream is no video: {error}.") from None
                continue
            for unit in units:
                bad = 0
                if unit.key and unit.whole:
                    key_due = now + KEY_FRAME_SECONDS
                yield unit

    def _next_packet(self) -> bytes | None:
        """Read the next packet, and keep the camera's session alive; None for anything but video.

        Raises:
            StreamError: the stream stalls, ends, or is no RTSP any more.
        """
        try:
            data = self._interleaved()
            if time.monotonic() > self._alive_due:
                self._alive_due = time.monotonic() + _KEEP_ALIVE_SECONDS
                self._send("OPTIONS", self._url, {})
        except TimeoutError:
            raise StreamError(CameraTrouble.STALLED, f"Nothing came for {STALL_SECONDS:g} s.") from None
        except OSError as error:
            raise StreamError(CameraTrouble.ENDED, f"The connection broke: {type(error).__name__}.") from None
        except ProtocolError as error:
            raise StreamError(CameraTrouble.GARBAGE, f"The stream cannot be read: {error}.") from None
        return data

    def close(self) -> None:
        """Say good-bye where that is possible, and let go."""
        with contextlib.suppress(OSError):
            if self._socket is not None and self._session:
                self._send("TEARDOWN", self._url, {})
        for one in (self._file, self._socket):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.close()
        self._file = self._socket = None

    def abort(self) -> None:
        """Wake whoever waits for the camera, from another thread."""
        with contextlib.suppress(OSError):
            if self._socket is not None:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's, which another thread uses

    def _secure(self, plain: socket.socket) -> None:
        """Go on in TLS with the camera, and with nobody else.

        Raises:
            StreamError: it shows another certificate than the one that was set.
            ssl.SSLError: it speaks no TLS, or shows a certificate that nobody vouches for.
            OSError: the connection broke.
        """
        context = ssl.create_default_context()
        if self._certificate is not None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # compared as a whole instead
        host = self._address[0]
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._socket = secured
        secured.do_handshake()
        if self._certificate not in (None, secured.getpeercert(binary_form=True)):
            raise _wrong_certificate("it is not the one in certificate_file")

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> tuple[Head, bytes]:
        """Send a request and wait for its answer, authenticating once when asked to.

        Raises:
            StreamError: the camera refuses.
            ProtocolError: the answer is none.
            OSError: the connection broke.
        """
        for shown in (bool(self._offers), True):
            self._send(method, url, headers)
            head, body = self._answer()
            if head.status != 401:  # noqa: PLR2004 - HTTP's
                break
            refused = shown and bool(self._offers)
            self._offers = head.headers.get("www-authenticate", "")
            if self._credentials is None or refused:
                raise _wrong_password()
        if head.status in (401, 403):
            raise _wrong_password()
        if head.status == 404:  # noqa: PLR2004 - HTTP's
            raise StreamError(
                CameraTrouble.NO_SUCH_STREAM,
                "The camera has no stream at that path.",
                do="Check the url's path.",
            )
        if not 200 <= head.status < 300:  # noqa: PLR2004 - HTTP's
            raise StreamError(
                CameraTrouble.NOT_A_CAMERA,
                f"The camera answers {head.status} to {method}.",
                do="Check the camera's settings for RTSP over TCP.",
            )
        return head, body

    def _send(self, method: str, url: str, headers: dict[str, str]) -> None:
        assert self._socket is not None
        self._number += 1
        sent = dict(headers)
        if self._session:
            sent["Session"] = self._session
        if self._offers and self._credentials is not None:
            shown = rtsp.authorise(self._offers, self._credentials, method, url)
            if shown is not None:
                sent["Authorization"] = shown
        self._socket.sendall(rtsp.request(method, url, self._number, sent))

    def _answer(self) -> tuple[Head, bytes]:
        """Wait for an answer; pictures that come before it are let go."""
        while True:
            first = self._read(1)
            if first == b"$":
                self._read(int.from_bytes(self._read(3)[1:]))
                continue
            return self._rest_of_answer(first)

    def _rest_of_answer(self, first: bytes) -> tuple[Head, bytes]:
        assert self._file is not None
        lines, size = [first], 0
        while True:
            line = self._file.readline(4096)
            size += len(line)
            if not line:
                raise ConnectionResetError("the camera hung up")
            if not line.endswith(b"\n") or size > rtsp.SPACE_OF_BYTES:
                raise ProtocolError("the answer is not RTSP")
            if line in (b"\r\n", b"\n") and lines != [first]:
                break
            lines.append(line)
        head = rtsp.parse_head(b"".join(lines))
        return head, self._read(head.body_length)

    def _interleaved(self) -> bytes | None:
        """Read the next packet of the video; None for anything else, such as the answer to a keep-alive."""
        first = self._read(1)
        if first != b"$":
            head, _ = self._rest_of_answer(first)
            # A challenge grows old; the next keep-alive answers the new one.
            self._offers = head.headers.get("www-authenticate", self._offers)
            return None
        header = self._read(3)
        data = self._read(int.from_bytes(header[1:]))
        return data if header[0] == self._channel else None

    def _read(self, count: int) -> bytes:
        assert self._file is not None
        data = self._file.read(count)
        if len(data) < count:
            raise ConnectionResetError("the camera hung up")
        return data


def _wrong_certificate(why: str) -> StreamError:
    return StreamError(
        CameraTrouble.WRONG_CERTIFICATE,
        f"The camera's certificate is not believed: {why}.",
        do="Put the camera's own certificate (PEM) into certificate_file, after comparing it at the camera.",
    )


def _wrong_password() -> StreamError:
    return StreamError(
        CameraTrouble.WRONG_PASSWORD,
        "The camera refuses user or password.",
        do="Put the camera's own into credentials_file: user on the first line, password on the second.",
    )
