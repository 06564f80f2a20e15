"""A device as central sees one: it writes a log, signs batches and reads acknowledgements.

It speaks the contract only; the real agent has its own tests.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey

from renzheng.contracts import keys, log
from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    CoverageData,
    CoverageState,
    DeviceCoverage,
    DeviceKeyRotated,
    IdentityCheck,
    KeyRotationData,
    Outcome,
    Pad,
    Purpose,
    SignIn,
    SignOut,
    device_source,
)

MORNING = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)  # 08:00 in Shanghai


class LogWriter:
    """A device's log in memory, with its key."""

    def __init__(self, device_id: str = "kiosk-1", institution_id: str = "H1") -> None:
        self.device_id = device_id
        self.institution_id = institution_id
        self.key: OKPKey = keys.generate_key()
        self.entries: list[log.Entry] = []

    @property
    def head(self) -> log.Head:
        if not self.entries:
            return log.genesis(self.device_id)
        return log.Head(self.entries[-1].sequence, self.entries[-1].hash)

    @property
    def public_key(self) -> OKPKey:
        return keys.load_public_key(keys.public_pem(self.key))

    def append_json(self, event_json: bytes) -> log.Entry:
        entry = log.append(self.head, event_json)
        self.entries.append(entry)
        return entry

    def sign_in(self, person_id: str = "P1", at: datetime = MORNING, **changes: Any) -> log.Entry:
        return self.append_json(self._attendance(SignIn, person_id, at, changes))

    def sign_out(self, person_id: str = "P1", at: datetime = MORNING, **changes: Any) -> log.Entry:
        return self.append_json(self._attendance(SignOut, person_id, at, changes))

    def tried(self, person_id: str, at: datetime, outcome: Outcome, **changes: Any) -> log.Entry:
        """Write a try that did not sign the person in."""
        told = {"outcome": outcome, "pad": Pad.NOT_SHOWN, "session_id": None, **changes}
        return self.append_json(self._attendance(IdentityCheck, person_id, at, told))

    def covered(
        self, from_at: datetime, to_at: datetime, state: CoverageState = CoverageState.UP
    ) -> log.Entry:
        data = CoverageData(
            institution_id=self.institution_id,
            clock=self._clock(to_at),
            purpose=Purpose.DIALYSIS,
            from_at=from_at,
            to_at=to_at,
            state=state,
        )
        return self.append_json(
            DeviceCoverage(source=device_source(self.device_id), time=to_at, data=data).to_json()
        )

    def many(self, count: int, *, people: int = 20) -> Sequence[log.Entry]:
        return [
            self.sign_in(f"P{number % people}", MORNING + timedelta(seconds=number))
            for number in range(count)
        ]

    def batches(self, entries: Iterable[log.Entry] | None = None) -> list[bytes]:
        lines = [entry.line for entry in (self.entries if entries is None else entries)]
        signed = []
        while lines:
            taken = log.cut_batch(lines)
            signed.append(log.sign_batch(self.device_id, taken, self.key))
            lines = lines[len(taken) :]
        return signed

    def batch(self, entries: Iterable[log.Entry] | None = None) -> bytes:
        lines = [entry.line for entry in (self.entries if entries is None else entries)]
        return log.sign_batch(self.device_id, lines, self.key)

    def _attendance(
        self,
        kind: type[SignIn | SignOut | IdentityCheck],
        person_id: str,
        at: datetime,
        changes: dict[str, Any],
    ) -> bytes:
        values: dict[str, Any] = {
            "institution_id": self.institution_id,
            "clock": self._clock(at),
            "purpose": Purpose.DIALYSIS,
            "outcome": Outcome.MATCH,
            "pad": Pad.BONA_FIDE,
            "comparison_score": 0.71,
            "threshold": 0.52,
            "false_match_rate": 1e-4,
            "session_id": f"{person_id}-{at:%Y%m%d}",
            **changes,
        }
        data = AttendanceData(**values)
        return kind(source=device_source(self.device_id), time=at, subject=person_id, data=data).to_json()

    def _clock(self, at: datetime) -> Clock:
        return Clock(trusted=True, boot_id="boot-1", monotonic_ms=int(at.timestamp() * 1000) % 10**9)


def rotate(writer: LogWriter) -> tuple[OKPKey, OKPKey]:
    """Let a device change its key; its later batches are signed with the new one."""
    old, new = writer.key, keys.generate_key()
    signed = log.sign_rotation(writer.device_id, writer.head, old, new)
    data = KeyRotationData(
        institution_id=writer.institution_id,
        clock={"trusted": True, "boot_id": "b", "monotonic_ms": 1},
        new_key=signed.new_key,
        signed_by_old=signed.signed_by_old,
        signed_by_new=signed.signed_by_new,
    )
    event = DeviceKeyRotated(source=device_source(writer.device_id), time=MORNING, data=data)
    writer.append_json(event.to_json())
    return old, new
