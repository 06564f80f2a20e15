"""The national network identity (网号, 网证) as a further, equal way to be known, beside face and witness.

A person shows a code of the service's app; the site's gateway says whose it is, by a token that names nobody.
The service publishes no interface that this project could be written against, so a port takes what any such
service must give, and the gateway speaks the service's own (docs/kiosk.md). Whatever goes wrong there turns
nobody away: the other ways stay.
"""

import http.client
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts.ids import new_id
from renzheng.edge.errors import NetworkIdentityRefusedError, NetworkIdentityUnreachedError, SettingsError
from renzheng.edge.settings.network_identity import NetworkIdentitySettings

LARGEST_ANSWER_BYTES = 65_536
TOLERANCE = timedelta(minutes=10)
"""How far the service's clock and this device's may be apart."""
_PIECE_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose code somebody has shown.

    Args:
        person_token: what the service calls the person: opaque, the same every time at this site.
        at: when the service looked.
        assurance: how sure it is, in its own words.
    """

    person_token: str
    at: datetime
    assurance: str


class NetworkIdentity(Protocol):
    """The port: a service that knows whose code it is."""

    def ask(self, code: str) -> Shown:
        """Ask whose code this is.

        Args:
            code: what the person's app shows; good for one question.

        Raises:
            NetworkIdentityUnreachedError: it is absent, slow, or answers something else.
            NetworkIdentityRefusedError: the service does not take the code.
        """


class Gateway:
    """Asks the site's gateway over HTTPS: one question a connection, one answer in bounded time.

    Args:
        settings: where it is, and whom to trust; with a `url`.
        now: this device's wall clock, aware.

    Raises:
        SettingsError: a certificate file cannot be read.
    """

    def __init__(self, settings: NetworkIdentitySettings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._place = urlsplit(settings.url or "")
        try:
            self._context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.certificate_file is not None:
                self._context.load_cert_chain(settings.certificate_file, settings.key_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"A certificate file of [network_identity] cannot be read: {error}.",
                do="Mend ca_file, certificate_file and key_file.",
            ) from None

    def ask(self, code: str) -> Shown:
        """Ask whose code this is; raises as `NetworkIdentity.ask`."""
        asked = _Question(transaction=new_id(), code=code)
        try:
            answer = _Answer.model_validate_json(self._post(asked.model_dump_json().encode()))
        except (OSError, http.client.HTTPException, ValidationError, ValueError):
            raise _unreached() from None
        if answer.transaction != asked.transaction or abs(answer.at - self._now()) > TOLERANCE:
            raise _unreached()  # the answer to another question, or an old one
        taken = not self._settings.assurances or answer.assurance in self._settings.assurances
        if answer.result != "verified" or not answer.person or not taken:
            raise refused()
        return Shown(answer.person, answer.at, answer.assurance)

    def _post(self, body: bytes) -> bytes:
        seconds = self._settings.seconds
        deadline = time.monotonic() + seconds
        connection = http.client.HTTPSConnection(self._place.netloc, timeout=seconds, context=self._context)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self._place.path or "/", body=body, headers=headers)
            response = connection.getresponse()
            read = b""
            while piece := response.read1(_PIECE_BYTES):
                read += piece
                if len(read) > LARGEST_ANSWER_BYTES or time.monotonic() > deadline:
                    raise TimeoutError("the answer is too long or too late")
            if response.status != http.client.OK:
                raise http.client.HTTPException(response.status)
            return read
        finally:
            connection.close()


class _Question(BaseModel):
    transaction: str
    code: str


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a gateway may say more

    transaction: str
    result: Literal["verified", "refused"]
    at: AwareDatetime
    person: Annotated[str, Field(max_length=200)] = ""
    assurance: Annotated[str, Field(max_length=64)] = ""


def open_network_identity(
    settings: NetworkIdentitySettings, now: Callable[[], datetime]
) -> NetworkIdentity | None:
    """Return the service that the settings name; None where they name none.

    Raises:
        SettingsError: a certificate file cannot be read.
    """
    return Gateway(settings, now) if settings.url is not None else None


def refused() -> NetworkIdentityRefusedError:
    """Return that a code did not show who this is; nobody is accused of anything."""
    return NetworkIdentityRefusedError(
        "The code of the network identity did not show who this is.",
        why="It may have run out, or not be entered for this patient here.",
        do="Show a new code, or take another way.",
    )


def _unreached() -> NetworkIdentityUnreachedError:
    return NetworkIdentityUnreachedError(
        "The network identity service cannot be asked.",
        why="It did not answer in time, or not as agreed.",
        do="Take another way; it is as good.",
    )
