"""What the page may send, and what it is told; version 1."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.rounds import Sheet
from renzheng.edge.bedside.answering import Choice, Identifier, MismatchReason, Reason
from renzheng.edge.bedside.rounds import SheetState

LARGEST_BODY_BYTES = 3_000_000
_MOST_PHOTOGRAPH_BYTES = 2_000_000


def _writable(text: str) -> str:
    """Refuse half a character (a lone surrogate), which JSON can hold and no file can."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half a character") from None
    return text


def _writable_secret(secret: SecretStr) -> SecretStr:
    _writable(secret.get_secret_value())
    return secret


ShortText = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_writable)]
CheckId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_writable)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
PageMs = Annotated[float, Field(ge=0, le=4_102_444_800_000)]
"""Milliseconds since 1970 by the page's clock, until 2100."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _jpeg(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    if not content.startswith(b"\xff\xd8") or len(content) > _MOST_PHOTOGRAPH_BYTES:
        raise ValueError("it is no JPEG, or too large")
    return text


class PinCall(_Message):
    """A number and its PIN."""

    number: ShortText
    pin: Annotated[SecretStr, Field(min_length=1, max_length=64), AfterValidator(_writable_secret)]


Credential = Annotated[str, Field(min_length=2, max_length=16_000)]
"""What a browser answers for a passkey, as JSON."""
Ceremony = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,80}$")]


class PasskeyCodeCall(_Message):
    """Begin to set up a passkey, by the code that whoever looks after the unit gave."""

    number: ShortText
    code: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_writable)]


class NewPasskeyCall(_Message):
    """A passkey that was made."""

    ceremony: Ceremony
    credential: Credential


class PasskeyCall(_Message):
    """A number and its passkey."""

    number: ShortText
    ceremony: Ceremony
    credential: Credential


class PasskeyAsked(_Message):
    """What the browser is asked; `options` as Web Authentication has them in JSON."""

    ceremony: str
    options: dict[str, Any]


class OpenCall(_Message):
    """Open a sheet: with the code that was read out, or without, to ask central for it."""

    code: Annotated[str, Field(max_length=80)] | None = None


class LookCall(_Message):
    """Begin a look for one check."""

    sheet_id: Id
    check_id: CheckId


class PagePosition(_Message):
    """Where the page's device says it is."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    accuracy_m: Annotated[float, Field(ge=0)]
    taken_ms: PageMs


class AnswerCall(_Message):
    """One answer.

    Args:
        answer_id: made by the page once; a repetition with the same id changes nothing.
        answered_ms: when the inspector gave it, by the page's clock.
        sent_ms: when it is handed over, by the same clock.
        inspector_id: who gave it; must be who is signed in.
        look_id: of the look that ended.
        photograph: of the order (JPEG, base64).
    """

    answer_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{16,64}$")]
    sheet_id: Id
    check_id: CheckId
    inspector_id: ShortText
    choice: Choice
    answered_ms: PageMs
    sent_ms: PageMs | None = None
    look_id: Id | None = None
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=6)] = ()
    reason: Reason | MismatchReason | None = None
    witness: PinCall | None = None
    confirmed: bool = False
    patient_word: Literal["yes", "no", "unclear"] | None = None
    position: PagePosition | None = None
    photograph: Annotated[str, Field(max_length=2_800_000), AfterValidator(_jpeg)] | None = None


class SignedIn(_Message):
    """A session begins; `lists_secret` opens the lists kept on the page, where it began by passkey."""

    inspector_id: str
    lists_secret: str | None = None
    idle_seconds: float
    device_ms: float
    clock_trusted: bool


class RoundShown(_Message):
    """What may be shown of a round; its institution and patients only once it is open.

    Args:
        sealed: the sheet as it came, so that the page can open it by the code without this device.
    """

    sheet_id: str
    standing: SheetState
    due_at: datetime
    closes_at: datetime
    institution_name: str | None = None
    total: int | None = None
    answered: int = 0
    sealed: dict[str, str | int]


class AnswerShown(_Message):
    """What became of an answer."""

    answer_id: str
    check_id: str
    event_id: str
    choice: str
    result: SpotCheckResult
    reason: str | None
    at: datetime


class SheetShown(_Message):
    """An open sheet, with the answers that count so far."""

    sheet_id: str
    sheet: Sheet
    answers: tuple[AnswerShown, ...]


def moment(milliseconds: float) -> datetime:
    """Read a page's milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
