"""Names for the identifiers that travel; all are text, so that tables, topics and JSON agree."""

import re
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


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562): sortable by time of creation, unique without coordination."""
    return str(uuid_utils.uuid7())


BUREAU = "bureau:"
"""Begins the id of a bureau, registered like an institution so that its inspectors' devices have one."""


def is_bureau(institution_id: str) -> bool:
    """Say whether this is a bureau, whose devices report from every institution."""
    return institution_id.startswith(BUREAU)
