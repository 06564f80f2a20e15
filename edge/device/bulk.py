"""Calls to central's door over HTTPS: rosters and rounds in, answers and released evidence out.

    bulk = open_bulk(settings, key=keyring.current, wall=lambda: clock.read().wall)
    answer = bulk.get(f"{INPATIENTS_PATH}?day=2026-03-01")

TLS shows the device that it speaks with its own site; a signature on every call shows the door which device
speaks. Where central has said that its door moves, the new place is tried first, then that of the settings. A
device whose clock is off is not locked out: the door names its own time in every answer, and the call is
signed once more by that. Nothing is retried beyond this; who calls tries again when it suits.
"""

import http.client
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from joserfc.jwk import OKPKey

from renzheng.contracts.messages import read_kept_moved
from renzheng.contracts.requests import DATE_HEADER, sign_request
from renzheng.edge.errors import BulkRefusedError, BulkUnreachableError, SettingsError
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
LARGEST_ANSWER_BYTES = 16_000_000
_PIECE_BYTES = 65_536
MOVED = "central.moved.jws"
"""In the data folder: central's last word on where broker and door are, kept by the link."""
_CLOCKS_APART = timedelta(seconds=60)
"""Only a clock that is off by more than this can have been the reason of a refusal."""

Address = tuple[str, int]
Method = Literal["GET", "POST", "PUT"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said.

    Args:
        status: HTTP's, 200 to 299.
        body: at most `LARGEST_ANSWER_BYTES`.
        content_type: as the door named it; empty when it did not.
        door_at: the door's clock; None when it did not say.
    """

    status: int
    body: bytes
    content_type: str
    door_at: datetime | None


class Bulk:
    """A signing client of one door; safe to use from several threads, each call has its own connection.

    Args:
        host: the door's name or address, as in its certificate.
        port: where it listens.
        elsewhere: where central has said that it is now; None while it has not.
        context: trusts the site's CA and nobody else.
        key: the key that signs the device's log at this moment.
        wall: the device's wall clock, aware.
        timeout_seconds: for one whole call.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext,
        key: Callable[[], OKPKey],
        wall: Callable[[], datetime],
        elsewhere: Callable[[], Address | None] = lambda: None,
        timeout_seconds: float = 20.0,
    ) -> None:
        self._host = host
        self._port = port
        self._elsewhere = elsewhere
        self._context = context
        self._key = key
        self._wall = wall
        self._timeout_seconds = timeout_seconds

    def get(self, target: str) -> Answer:
        """Fetch something; `target` is path and query. Raises as `call`."""
        return self.call("GET", target)

    def post(self, target: str, body: bytes, content_type: str = "application/json") -> Answer:
        """Hand something in. Raises as `call`."""
        return self.call("POST", target, body, content_type)

    def call(self, method: Method, target: str, body: bytes = b"", content_type: str = "") -> Answer:
        """Make one call, signed; signed again by the door's clock when ours is off.

        Raises:
            BulkUnreachableError: nobody answered in time, or not with our site's certificate.
            BulkRefusedError: the door answered, and not with what was asked for.
        """
        now = self._wall()
        answer = self._once(method, target, body, content_type, now)
        if answer.status in (401, 403) and answer.door_at is not None:
            apart = answer.door_at - now
            if abs(apart) > _CLOCKS_APART:
                LOGGER.warning("the door's clock is %d s ahead of ours", round(apart.total_seconds()))
                answer = self._once(method, target, body, content_type, answer.door_at)
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's successes
            raise BulkRefusedError(
                f"Central's door answered {answer.status} to {method} {target.partition('?')[0]}.",
                why=_said(answer),
                do="See the device's page at central: is it known, not revoked, of the right institution?",
                status=answer.status,
            )
        return answer

    def _once(self, method: Method, target: str, body: bytes, content_type: str, at: datetime) -> Answer:
        headers = {"Authorization": sign_request(self._key(), method, target, body, at)}
        if content_type:
            headers["Content-Type"] = content_type
        connection = self._connect()
        try:
            connection.request(method, target, body=body or None, headers=headers)
            return self._read(connection.getresponse(), time.monotonic() + self._timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable((connection.host, connection.port), error) from None
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        """Connect to the door, at its new place first; nothing was sent to a place that is given up.

        Raises:
            BulkUnreachableError: nobody answered at any place.
        """
        own, moved = (self._host, self._port), self._elsewhere()
        places = [own] if moved is None or moved == own else [moved, own]
        for place in places:
            connection = http.client.HTTPSConnection(
                *place, timeout=self._timeout_seconds, context=self._context
            )
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failed = _unreachable(place, error)
            else:
                return connection
        raise failed

    def _read(self, response: http.client.HTTPResponse, deadline: float) -> Answer:
        pieces, size = [], 0
        while piece := response.read1(_PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_ANSWER_BYTES:
                raise BulkRefusedError(
                    f"Central's door answers with more than {LARGEST_ANSWER_BYTES} bytes.",
                    do="Report it: no answer of this contract is that large.",
                    status=response.status,
                )
            if time.monotonic() > deadline:
                raise TimeoutError("the answer took too long")
        body = b"".join(pieces)
        if response.length:
            raise http.client.IncompleteRead(body, response.length)
        return Answer(
            response.status,
            body,
            response.headers.get("Content-Type", ""),
            _moment(response.headers.get(DATE_HEADER)),
        )


def open_bulk(settings: Settings, *, key: Callable[[], OKPKey], wall: Callable[[], datetime]) -> Bulk | None:
    """Make the client that the settings describe; None when they name no door.

    Raises:
        SettingsError: the address is none, or the CA cannot be read.
    """
    if settings.bulk.url is None:
        return None
    host, port = door_address(settings.bulk.url)
    ca_file = settings.bulk.ca_file or settings.link.ca_file
    if ca_file is None:
        raise SettingsError(
            "bulk.url is set, but neither bulk.ca_file nor link.ca_file.",
            why="Without the site's CA nobody knows whom the device would ask.",
            do="Set bulk.ca_file to the site's CA (PEM); `renzheng device join` wrote it beside the keys.",
        )
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The site's CA {ca_file} cannot be read: {_reason(error)}.",
            do="Copy it from central, or join the device again.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    kept = settings.device.data_dir / MOVED
    return Bulk(
        host,
        port,
        context=context,
        key=key,
        wall=wall,
        elsewhere=lambda: moved_door(kept),
        timeout_seconds=settings.bulk.timeout_seconds,
    )


def moved_door(kept: Path) -> Address | None:
    """Read where central has said that its door is now; None when it has not."""
    try:
        moved = read_kept_moved(kept.read_bytes())
        return None if moved is None or moved.door is None else door_address(moved.door)
    except (FileNotFoundError, SettingsError):
        return None


def _unreachable(place: Address, error: Exception) -> BulkUnreachableError:
    return BulkUnreachableError(
        f"Central's door at {place[0]}:{place[1]} does not answer: {_reason(error)}.",
        why="What was fetched last stays in use; nothing is lost.",
        do="Check the network and bulk.url; the call is made again later.",
    )


def door_address(url: str) -> Address:
    """Read host and port out of ``https://central.example:8443``.

    Raises:
        SettingsError: it is anything else; a path before the door's own would not match what is signed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        parts, port = urlsplit(""), 0
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.username
        or parts.path.strip("/")
        or parts.query
    ):
        raise SettingsError(
            "bulk.url is not the address of a door.", do="Write it as https://central.example:8443"
        )
    return parts.hostname, port


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _said(answer: Answer) -> str:
    """The door's own words, when they are words: its first line, without anything that is not printable."""
    line = answer.body[:500].decode(errors="replace").split("\n", 1)[0]
    return "".join(character for character in line if character.isprintable())[:200]


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not our site's ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
