"""Events as rows: what the pages and the audit read, drawn from the log's entries.

A validly signed entry is stored whatever its event looks like; an event that cannot be used is a *flaw* of
its entry, stored beside it and shown, and makes no row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from orjson import dumps

from renzheng.central.ingest import quick
from renzheng.central.store.times import to_us
from renzheng.contracts import events
from renzheng.contracts.events import EventError
from renzheng.contracts.ids import is_bureau
from renzheng.contracts.log import BrokenChainError, Link, read_entry

INT64_MAX = 2**63 - 1
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class EventFlaw:
    """Why the event of an entry cannot be used; names fields, never their values."""

    detail: str


class Projection(NamedTuple):
    """One row for one table, values in the order of the table's columns."""

    table: str
    row: Row


def read_event(link: Link, device_id: str, institution_id: str) -> Any | EventFlaw:
    """Read the event of an entry that came from `device_id`, which stands in `institution_id`.

    Returns:
        The event as a struct of `quick`, or why it cannot be used.

    Raises:
        BrokenChainError: the line is no entry at all.
    """
    try:
        event = quick.read(link.event_json)
    except EventError as error:
        read_entry(link.line)
        return EventFlaw(error.what)
    except OverflowError:
        return EventFlaw("A moment lies outside what a calendar can hold.")
    if event.source != events.device_source(device_id):
        return EventFlaw("source: the event names another device.")
    elsewhere = event.data.institution_id != institution_id
    if elsewhere and not (is_bureau(institution_id) and type(event) in _OF_INSPECTORS):
        return EventFlaw("data.institution_id: the device is registered at another institution.")
    if b"\\u0000" in link.line:
        return EventFlaw("A text holds the character NUL, which no table can.")
    return event


def carried(event: Any, device_id: str, institution_id: str) -> Any | EventFlaw:
    """Read the event that an entry carries over from a closed log; any other event is returned as it is."""
    if type(event) is not _CARRIED:
        return event
    try:
        entry = read_entry(event.data.line.encode())
    except BrokenChainError:
        return EventFlaw("data.line: what is carried over is no entry.")
    if entry.sequence != event.data.sequence:
        return EventFlaw("data.line: the entry that is carried over says another sequence.")
    inner = read_event(
        Link(entry.sequence, entry.hash, entry.line, dumps(entry.event)), device_id, institution_id
    )
    return EventFlaw("data.line: carried over twice.") if type(inner) is _CARRIED else inner


def is_carried(line: bytes) -> bool:
    """Say whether an entry carries another over; looked at before anything of it is read in full."""
    return _CARRIED_TYPE in line and read_entry(line).event.get("type") == _CARRIED_TYPE.decode()


def project(event: Any, device_id: str, sequence: int, received_us: int) -> Projection | EventFlaw | None:
    """Make the row of an event that `read_event` read; None when its type has no table of its own."""
    make = _PROJECTIONS.get(type(event))
    return make(event, device_id, sequence, received_us) if make else None


_Make = Callable[[Any, str, int, int], Projection | EventFlaw]


def _attendance(event_type: str) -> _Make:
    def make(event: Any, device_id: str, sequence: int, received_us: int) -> Projection:
        data = event.data
        row = (
            device_id,
            sequence,
            event.id,
            data.institution_id,
            event.subject,
            event_type,
            data.purpose._value_,
            to_us(event.time),
            received_us,
            data.outcome._value_,
            data.comparison_score,
            data.threshold,
            data.pad._value_,
            data.witness_id,
            data.session_id,
            int(data.clock.trusted),
        )
        return Projection("attendance", row)

    return make


def _counter(event: Any, device_id: str, sequence: int, received_us: int) -> Projection:
    data = event.data
    row = (
        device_id,
        sequence,
        event.id,
        data.institution_id,
        data.purpose._value_,
        event.subject,
        to_us(event.time),
        received_us,
        data.outcome._value_,
        data.pad._value_,
        data.method,
        data.source,
        data.relation,
        data.basis,
        int({"patient", "buyer"} <= set(data.papers_shown)),
        data.holder_id,
        data.buyer_id,
        data.clerk_id,
        data.witness_id,
        data.terminal_reference,
        data.purchase_id,
        int(data.clock.trusted),
    )
    return Projection("counter_identifications", row)


def _coverage(event: Any, device_id: str, sequence: int, received_us: int) -> Projection:
    data = event.data
    row = (
        device_id,
        sequence,
        data.institution_id,
        data.purpose._value_,
        to_us(data.from_at),
        to_us(data.to_at),
        data.state.value,
        data.cause,
        received_us,
    )
    return Projection("coverage", row)


def _run(event: Any, device_id: str, sequence: int, received_us: int) -> Projection:
    data = event.data
    row = (
        device_id,
        sequence,
        data.institution_id,
        data.machine_id,
        data.person_id,
        to_us(data.started_at),
        to_us(data.ended_at),
        "device",
        data.serial_number,
        data.accession_number,
        received_us,
    )
    return Projection("machine_runs", row)


def _spot_check(event: Any, device_id: str, sequence: int, received_us: int) -> Projection:
    data = event.data
    row = (
        device_id,
        sequence,
        data.check_id,
        data.round_id,
        data.institution_id,
        data.visit_id,
        event.subject,
        to_us(data.drawn_at),
        to_us(data.due_at),
        to_us(event.time),
        data.result.value,
        data.inspector_id,
        received_us,
    )
    return Projection("spot_checks", row)


def _clock(event: Any, device_id: str, sequence: int, received_us: int) -> Projection | EventFlaw:
    offset_ms = event.data.offset_ms
    if offset_ms is not None and abs(offset_ms) > INT64_MAX:
        return EventFlaw("data.offset_ms: no clock is that wrong.")
    trusted = int(event.data.clock.trusted)
    row = (device_id, sequence, event.data.change, offset_ms, trusted, to_us(event.time), received_us)
    return Projection("device_clocks", row)


_PROJECTIONS: Mapping[type, _Make] = {
    quick.struct_of(events.SignIn): _attendance("sign_in"),
    quick.struct_of(events.SignOut): _attendance("sign_out"),
    quick.struct_of(events.Presence): _attendance("presence"),
    quick.struct_of(events.IdentityCheck): _attendance("identity_check"),
    quick.struct_of(events.CounterIdentification): _counter,
    quick.struct_of(events.DeviceCoverage): _coverage,
    quick.struct_of(events.MachineRun): _run,
    quick.struct_of(events.SpotCheckAnswered): _spot_check,
    quick.struct_of(events.DeviceClock): _clock,
}
_CARRIED = quick.struct_of(events.DeviceEntryCarried)
_CARRIED_TYPE = b"renzheng.v1.device.entry_carried"
_OF_INSPECTORS = frozenset(
    quick.struct_of(model) for model in (events.SpotCheckAnswered, events.Presence, events.IdentityCheck)
)
"""What a bureau's device tells of an institution that it was carried to."""
