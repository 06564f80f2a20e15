"""Listens for ADT messages over MLLP, plain or in TLS; each is acknowledged once it is committed."""

import contextlib
import logging
import socket
import socketserver
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from renzheng.central.adt import framing
from renzheng.central.adt.callers import ANYBODY, Caller, caller_of
from renzheng.central.adt.framing import Broken, Framer, frame
from renzheng.central.adt.messages import Header, acknowledge
from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.adt.receiving import Receiver
from renzheng.central.errors import SettingsError
from renzheng.central.settings import AdtSettings
from renzheng.common.supervised import Worker
from renzheng.contracts.events import utc_now
from renzheng.contracts.ids import new_id

logger = logging.getLogger(__name__)
PART_BYTES = 65_536
IDLE_SECONDS = 600.0
DRAIN_SECONDS = 2.0
MOST_CONNECTIONS = 64
MOST_OF_ONE_ADDRESS = 32
HANDSHAKE_SECONDS = 10.0
FIRST_WORD_SECONDS = 60.0
"""A connection that says nothing for so long after it was made is ended; later it may rest `IDLE_SECONDS`."""
_UNTIL_STOPPED_SECONDS = 0.2


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128  # callers that come at once, as after a power cut, are not put off by seconds

    def __init__(
        self,
        address: tuple[str, int],
        receiver: Receiver,
        tls: ssl.SSLContext | None,
        know: Callable[[Any], Caller],
    ) -> None:
        self.receiver = receiver
        self.tls = tls
        self.know = know
        self.places = _Places(MOST_CONNECTIONS, MOST_OF_ONE_ADDRESS)
        self.open: set[socket.socket] = set()
        self.beat: Callable[[], None] = lambda: None
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        """Say, between two looks for callers, that it is alive."""
        self.beat()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection if there is a place for it."""
        if not self.places.take(client_address[0]):
            logger.warning(
                "a connection for ADT was refused: %d are open, or %d of its address",
                MOST_CONNECTIONS,
                MOST_OF_ONE_ADDRESS,
            )
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.give_back(client_address[0])

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak with a caller, in TLS where that is asked for."""
        request.settimeout(HANDSHAKE_SECONDS)
        stream = self.tls.wrap_socket(request, server_side=True) if self.tls else request
        stream.settimeout(FIRST_WORD_SECONDS)
        self.open.add(stream)
        try:
            super().finish_request(stream, client_address)
        finally:
            self.open.discard(stream)
            stream.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that breaks off is no fault of ours."""
        del request, client_address
        logger.info("a connection for ADT broke off: %s", type(sys.exception()).__name__)


class _Places:
    """Counts open connections, all of them and by address."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Take a place; says whether there was one."""
        with self._lock:
            if self._taken.total() >= self._most or self._taken[address] >= self._most_of_one:
                return False
            self._taken[address] += 1
            return True

    def give_back(self, address: str) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= Counter((address,))


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        framer = Framer()
        self.caller = self.server.know(self.request)
        try:
            while part := self.request.recv(PART_BYTES):
                self.request.settimeout(IDLE_SECONDS)
                for found in framer.feed(part):
                    if isinstance(found, Broken):
                        self._refuse(found)
                        return
                    self.request.sendall(frame(self._answer(found)))
        except TimeoutError:
            pass
        if framer.unfinished:
            self.server.receiver.note_broken(
                framer.unfinished, "the connection ended within a message", self.caller
            )

    def _answer(self, message: bytes) -> bytes:
        try:
            return self.server.receiver.receive(message, self.caller)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender must hear of it
            logger.error("a message for ADT could not be stored: %s", type(error).__name__)  # noqa: TRY400 - a driver's error holds names
            ending = Ending(Outcome.REJECTED, "not stored: send it again")
            return acknowledge(Header(), ending, new_id(), utc_now())

    def _refuse(self, broken: Broken) -> None:
        self.server.receiver.note_broken(broken.content, broken.why, self.caller)
        ending = Ending(Outcome.FRAMING, broken.why)
        self.request.sendall(frame(acknowledge(Header(), ending, new_id(), utc_now())))
        self.request.settimeout(DRAIN_SECONDS)  # closing on unread bytes would take the answer back
        self.request.shutdown(socket.SHUT_WR)
        left = framing.MOST_BYTES
        while left > 0 and (part := self.request.recv(PART_BYTES)):
            left -= len(part)


class AdtListener:
    """Listens in a thread of its own until stopped.

    Args:
        settings: where, and who may call.
        receiver: takes the messages.
        site_ca: the certificate of the site's own CA, if it has one.
    """

    def __init__(self, settings: AdtSettings, receiver: Receiver, site_ca: Path | None = None) -> None:
        assert settings.port is not None
        self._settings = settings
        self._site = _subject(site_ca)
        self._address = (settings.host, settings.port)
        self._receiver = receiver
        self._tls = _context(settings)
        self._server: _Server | None = None
        self.worker = Worker("adt", self._serve, repeatable=False)

    @property
    def port(self) -> int:
        """Where it listens; known once it has started."""
        return int(self._server.server_address[1]) if self._server else self._address[1]

    def start(self) -> None:
        """Bind and listen.

        Raises:
            SettingsError: the address cannot be bound.
        """
        try:
            self._server = _Server(self._address, self._receiver, self._tls, self._know)
        except OSError as error:
            raise SettingsError(
                f"Central cannot listen for ADT on {self._address[0]}:{self._address[1]}: {error.strerror}.",
                do="Choose another host or port under [adt].",
            ) from error
        self._server.beat = self.worker.beat
        self.worker.start()

    def _serve(self) -> None:
        assert self._server is not None
        self._server.serve_forever(poll_interval=_UNTIL_STOPPED_SECONDS)

    def _know(self, stream: Any) -> Caller:
        """Tell who calls, by the certificate that was shown; anybody where none is asked for."""
        if self._settings.client_ca_file is None:
            return ANYBODY
        shown = x509.load_der_x509_certificate(stream.getpeercert(binary_form=True))
        names = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if len(names) == 1 else None
        return caller_of(name, self._settings.callers, of_this_site=shown.issuer == self._site)

    def stop(self) -> None:
        """End; what was not acknowledged, the hospital's system sends again."""
        if self._server is None:
            return
        self.worker.stop(timeout_seconds=0)
        if self.worker.is_alive():
            self._server.shutdown()
        for stream in list(self._server.open):
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self.worker.stop()


def _subject(certificate: Path | None) -> x509.Name | None:
    if certificate is None or not certificate.exists():
        return None
    return x509.load_pem_x509_certificate(certificate.read_bytes()).subject


def _context(settings: AdtSettings) -> ssl.SSLContext | None:
    if settings.certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
        if settings.client_ca_file is not None:
            context.load_verify_locations(settings.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The certificates of [adt] cannot be read: {error.strerror or type(error).__name__}."
        ) from error
    return context
