"""Which device may say which event: one table of event types and the purposes of devices.

A sign-in comes from a kiosk or counter, a presence from a ward's unit or the bureau, coverage from the
device's own cameras. Who may answer a spot check is decided by whom its sheet was addressed to
(`draw.authority`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from renzheng.central.ingest import quick
from renzheng.central.ingest.project import EventFlaw
from renzheng.contracts import events
from renzheng.contracts.events import Purpose
from renzheng.contracts.ids import is_bureau

FOREIGN = "foreign_event"
"""How the flaw of such an entry begins, and its alarm."""
WARD = Purpose.INPATIENT.value
DOORS = frozenset(one.value for one in Purpose) - {WARD}
"""Purposes of devices at which people sign in: kiosks at the doors of treatment rooms, and counters."""
COUNTERS = frozenset(one.value for one in events.COUNTER_PURPOSES)
May = Callable[[Any, str, bool], bool]


def _signs_in(event: Any, purpose: str, bureau: bool) -> bool:
    return not bureau and purpose in DOORS and event.data.purpose._value_ == purpose


def _sees(event: Any, purpose: str, bureau: bool) -> bool:
    return bureau or (purpose == WARD and event.data.purpose._value_ == WARD)


def _identifies(event: Any, purpose: str, bureau: bool) -> bool:
    return bureau or event.data.purpose._value_ == purpose


def _sells(event: Any, purpose: str, bureau: bool) -> bool:
    return not bureau and purpose in COUNTERS and event.data.purpose._value_ == purpose


def _runs(_event: Any, purpose: str, bureau: bool) -> bool:
    return not bureau and purpose in DOORS


def _covers(event: Any, purpose: str, _bureau: bool) -> bool:
    return bool(event.data.purpose._value_ == purpose)


MAY: Mapping[type, May] = {
    quick.struct_of(events.SignIn): _signs_in,
    quick.struct_of(events.SignOut): _signs_in,
    quick.struct_of(events.Presence): _sees,
    quick.struct_of(events.IdentityCheck): _identifies,
    quick.struct_of(events.CounterIdentification): _sells,
    quick.struct_of(events.MachineRun): _runs,
    quick.struct_of(events.DeviceCoverage): _covers,
}
"""By event type: whether a device of a purpose, of a bureau or not, may say it. Other types: any device."""


def unentitled(event: Any, institution_id: str, purpose: str) -> EventFlaw | None:
    """Return the flaw of an event that its device may not say; None when it may.

    Args:
        event: as `project.read_event` read it.
        institution_id: where the device is registered.
        purpose: what the device is registered for.
    """
    may = MAY.get(type(event))
    if may is None or may(event, purpose, is_bureau(institution_id)):
        return None
    return EventFlaw(f"{FOREIGN}: a device registered for {purpose} may not say this type of event.")
