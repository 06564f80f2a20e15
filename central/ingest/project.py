"""Events as rows: what the pages and the audit read, drawn from the log's entries.

A validly signed entry is stored whatever its event looks like; an event that cannot be used is a *flaw* of
its entry, stored beside it and shown, and makes no row.
"""

from dataclasses import dataclass
from typing import Any

from renzheng.central.store.times import to_us
from renzheng.contracts import events
from renzheng.contracts.events import (
    Attendance,
    DeviceClock,
    DeviceCoverage,
    Event,
    EventError,
    SpotCheckAnswered,
)
from renzheng.contracts.log import Link, read_entry

INT64_MAX = 2**63 - 1
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why the event of an entry cannot be used; names fields, never their values."""

    detail: str


@dataclass(frozen=True, slots=True)
class Projection:
    """One row for one table, values in the order of the table's columns."""

    table: str
    row: Row


def read_event(link: Link, device_id: str, institution_id: str) -> Event | Flaw:
    """Read the event of an entry that came from `device_id`, which stands in `institution_id`.

    Raises:
        BrokenChainError: the line is no entry at all.
    """
    try:
        event = events.parse_event(link.event_json)
    except EventError as error:
        read_entry(link.line)
        return Flaw(error.what)
    except OverflowError:
        return Flaw("A moment lies outside what a calendar can hold.")
    if event.source != events.device_source(device_id):
        return Flaw("source: the event names another device.")
    if event.data.institution_id != institution_id:
        return Flaw("data.institution_id: the device is registered at another institution.")
    if b"\\u0000" in link.line:
        return Flaw("A text holds the character NUL, which no table can.")
    return event


def project(event: Event, device_id: str, sequence: int, received_us: int) -> Projection | Flaw | None:
    """Make the row of an event; None when its type has no table of its own."""
    if isinstance(event, Attendance):
        return Projection("attendance", _attendance(event, device_id, sequence, received_us))
    if isinstance(event, DeviceCoverage):
        data = event.data
        return Projection(
            "coverage",
            (
                device_id,
                sequence,
                data.institution_id,
                data.purpose.value,
                to_us(data.from_at),
                to_us(data.to_at),
                data.state.value,
                data.cause,
                received_us,
            ),
        )
    if isinstance(event, SpotCheckAnswered):
        return Projection("spot_checks", _spot_check(event, device_id, sequence))
    if isinstance(event, DeviceClock):
        offset_ms = event.data.offset_ms
        if offset_ms is not None and abs(offset_ms) > INT64_MAX:
            return Flaw("data.offset_ms: no clock is that wrong.")
        trusted = int(event.data.clock.trusted)
        row = (device_id, sequence, event.data.change, offset_ms, trusted, to_us(event.time), received_us)
        return Projection("device_clocks", row)
    return None


def _attendance(event: Attendance, device_id: str, sequence: int, received_us: int) -> Row:
    data = event.data
    return (
        device_id,
        sequence,
        event.id,
        data.institution_id,
        event.subject,
        event.type.rsplit(".", 1)[1],
        data.purpose.value,
        to_us(event.time),
        received_us,
        data.outcome.value,
        data.comparison_score,
        data.threshold,
        data.pad.value,
        data.witness_id,
        data.session_id,
        int(data.clock.trusted),
    )


def _spot_check(event: SpotCheckAnswered, device_id: str, sequence: int) -> Row:
    data = event.data
    return (
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
    )
