"""Which acknowledgement is the later one; pure.

The broker may hand over an old acknowledgement again, and so may anybody who can write on the way. What
counts is the latest word of the one store that this device knows.
"""

from enum import StrEnum

from renzheng.contracts.errors import InputError
from renzheng.contracts.keys import decode, split
from renzheng.contracts.messages import Ack, Place


class AckStatus(StrEnum):
    """What an acknowledgement is to a device that has heard another one before."""

    FRESH = "fresh"
    STALE = "stale"
    OTHER_STORE = "other_store"


def standing(heard: Place | None, ack: Ack) -> AckStatus:
    """Hold an acknowledgement against the latest that was believed.

    A word without a place (version 1) is stale for whoever has heard one with a place.
    """
    if heard is None:
        return AckStatus.FRESH
    if ack.place is None:
        return AckStatus.STALE
    if ack.place.store_id != heard.store_id:
        return AckStatus.OTHER_STORE
    later = (ack.place.epoch, ack.place.counter) > (heard.epoch, heard.counter)
    return AckStatus.FRESH if later else AckStatus.STALE


def place_of(word: str | None) -> Place | None:
    """Read the place of a word that this device has kept; its signature was verified when it came."""
    if not word:
        return None
    try:
        return Ack.model_validate_json(decode(split(word.encode())[1])).place
    except (InputError, ValueError):
        return None
