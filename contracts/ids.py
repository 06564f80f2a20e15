"""Names for the identifiers that travel; all are text, so that tables, topics and JSON agree."""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import NewType

import uuid_utils

from renzheng.contracts.errors import InputError

DeviceId = NewType("DeviceId", str)
InstitutionId = NewType("InstitutionId", str)
PersonId = NewType("PersonId", str)
WitnessId = NewType("WitnessId", str)
SessionId = NewType("SessionId", str)
EventId = NewType("EventId", str)
LineId = NewType("LineId", str)
KeyId = NewType("KeyId", str)
Shard = NewType("Shard", str)

_TOPIC_LEVEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class IdError(InputError):
    """An identifier has characters that a topic, a file name or a certificate cannot hold."""


def topic_level(value: str, what: str) -> str:
    """Return `value` if it can stand as one level of an MQTT topic and as a certificate's common name.

    Raises:
        IdError: it is empty, over 64 characters, or has a character outside ``A-Z a-z 0-9 . _ -``.
    """
    if not _TOPIC_LEVEL.fullmatch(value):
        raise IdError(
            f"{value!r} cannot be a {what}.",
            why="It becomes a level of an MQTT topic and a certificate's name.",
            do="Use 1 to 64 of: letters, digits, dot, underscore, hyphen; start with a letter or digit.",
        )
    return value


_RESERVED = re.compile(r"central([._-].*)?|bureau.*|site|server|ca", re.IGNORECASE)


def is_reserved(name: str) -> bool:
    """Say whether a name belongs to the site itself: central and its shards, the bureau, the CA's own files.

    A device of such a name would be taken for what the name says, by the broker's access list first.
    """
    return _RESERVED.fullmatch(name) is not None


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562): sortable by time of creation, unique without coordination."""
    return str(uuid_utils.uuid7())


BUREAU = "bureau:"
"""Begins the id of a bureau, registered like an institution so that its inspectors' devices have one."""


def is_bureau(institution_id: str) -> bool:
    """Say whether this is a bureau, whose devices report from every institution."""
    return institution_id.startswith(BUREAU)


_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"


_UNSEEN_CATEGORIES = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Unicode's categories of control, format (zero-width among them) and space characters."""
_UNSEEN_RANGES = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # fillers of Hangul
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),  # Braille's blank, which is no default ignorable, and is blank
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),
    (0xE0000, 0xE0FFF),  # tags, and more variation selectors
)


def is_unseen(character: str) -> bool:
    """Return whether a character leaves no trace in print: a blank, a control, one without width."""
    point = ord(character)
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or any(
        first <= point <= last for first, last in _UNSEEN_RANGES
    )


@lru_cache(maxsize=65536)
def tidy_id(text: str) -> str:
    """Return an id without blanks and invisible characters, narrowed by NFKC; its case is kept.

    For ids whose case may tell two apart: lines, events, sessions, devices.
    """
    if text.isascii() and text.isprintable() and " " not in text:
        return text  # as nearly all are
    seen = (one for one in text if not is_unseen(one))
    narrow = unicodedata.normalize("NFKC", "".join(seen))
    return "".join(one for one in narrow if not is_unseen(one))


@lru_cache(maxsize=65536)
def normalised_id(text: str) -> str:
    """Return the one spelling of a person's, institution's, visit's or doctor's id or of an item code.

    `tidy_id` in capitals: small and full-width letters make no second person. A letter of another alphabet is
    another letter, however alike (AUDIT.md: NFKC): who is billed under it was never here.
    Importers, kiosks and the audit all use it.
    """
    return tidy_id(tidy_id(text).upper())


def birth_date_of(text: str) -> date | None:
    """Return the date of birth in a citizen number; None for any other id, of which it is not known."""
    if not is_citizen_number(text):
        return None
    try:
        return date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return None


def is_citizen_number(text: str) -> bool:
    """Return whether a normalised id is a citizen number of 18 characters with the right check digit.

    Source: GB 11643-1999, check by ISO 7064 MOD 11-2.
    """
    if len(text) != 18 or not (text[:17].isascii() and text[:17].isdigit()):  # noqa: PLR2004 - GB 11643
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], _CITIZEN_WEIGHTS, strict=True))
    return text[17] == _CITIZEN_CHECKS[total % 11]
