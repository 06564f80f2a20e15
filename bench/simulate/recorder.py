"""How attempts to show who is there become events on a device, with all that goes wrong in a real clinic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from renzheng.bench.simulate import rates
from renzheng.bench.simulate.coverage import DeviceLife
from renzheng.bench.simulate.ledger import DAY, MINUTE, Event, Ledger, MachineSession, Session
from renzheng.bench.simulate.world import DialysisPatient, Institution

THRESHOLD = 0.62
LATEST_ARRIVAL_S = 50 * MINUTE

ArrivalKind = Literal[
    "match", "retry_match", "manual", "declined", "pad_not_shown", "impostor", "attack", "nobody"
]

ATTEMPTS: Mapping[ArrivalKind, tuple[str, ...]] = {
    "match": ("match",),
    "retry_match": ("non_match", "match"),
    "manual": ("non_match", "manual"),
    "declined": ("declined",),
    "pad_not_shown": ("match",),
    "impostor": ("non_match",) * 3,
    "attack": ("attack_suspected",) * 3,
}
"""The outcomes of an arrival's attempts, in order."""
PAD: Mapping[str, str] = {
    "match": "bona_fide",
    "non_match": "bona_fide",
    "attack_suspected": "attack",
    "not_acquired": "not_shown",
    "manual": "not_shown",
    "declined": "not_shown",
}


@dataclass(slots=True)
class Recorder:
    """Writes events for the devices of one county.

    Args:
        random: the simulation's generator.
        ledger: where they are written.
        lives: when each device could see.
    """

    random: np.random.Generator
    ledger: Ledger
    lives: dict[str, DeviceLife]
    _busy: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """When each machine runs: it treats one person at a time, as long as another one is free."""

    def event(
        self,
        device_id: str,
        person_id: str,
        event_type: str,
        at: int,
        *,
        outcome: str = "match",
        pad: str = "bona_fide",
        witness_id: str | None = None,
        session_id: str | None = None,
    ) -> Event:
        """Write one event; the device must be up."""
        life = self.lives[device_id]
        trusted = at // DAY not in life.untrusted_days
        score = None
        if outcome == "match":
            score = round(float(self.random.uniform(THRESHOLD, 0.95)), 4)
        elif outcome in {"non_match", "attack_suspected"}:
            score = round(float(self.random.uniform(0.05, THRESHOLD - 0.001)), 4)
        drift = 0 if trusted else int(self.random.integers(-20 * MINUTE, 20 * MINUTE))
        event = Event(
            event_id=self.ledger.number("E"),
            institution_id=life.institution_id,
            device_id=device_id,
            person_id=person_id,
            event_type=event_type,
            purpose=life.purpose,
            at=at + drift,
            received_at=max(life.received(at), at + drift),
            outcome=outcome,
            pad=pad,
            score=score,
            witness_id=witness_id,
            session_id=session_id,
            clock_trusted=trusted,
        )
        self.ledger.events.append(event)
        return event

    def first_up(
        self, devices: tuple[str, ...], at: int, patience: int = LATEST_ARRIVAL_S
    ) -> tuple[str, int] | None:
        """Find a device that is up, and when: who comes to a dark kiosk waits for a while."""
        for wait in range(0, patience, 5 * MINUTE):
            for device in devices:
                if self.lives[device].is_up(at + wait):
                    return device, at + wait
        return None

    def dialyse(
        self, patient: DialysisPatient, at: int, minutes: int, kind: ArrivalKind, *, named: bool = True
    ) -> Session:
        """Play one visit to a unit: arrival, machine, perhaps a camera's glance, departure.

        Args:
            patient: who it is recorded for.
            at: arrival.
            minutes: on the machine.
            kind: how the arrival at the kiosk goes.
            named: whether the machine's log, where there is one, names the patient.
        """
        site, person_id = patient.site, patient.person.person_id
        session = Session(site.institution_id, person_id, patient.need_minutes)
        session_id = self.session_id()
        arrival = self.first_up(site.kiosks, at)
        begin = at if arrival is None else arrival[1]
        if arrival is not None:
            session.sign_in = self.arrive(arrival[0], person_id, begin, kind, session_id=session_id)
        start = begin + int(self.random.integers(12, 25)) * MINUTE
        end = start + minutes * MINUTE
        if site.machine_log:
            session.machines = self._run_machine(site, person_id if named else None, start, end)
        self._depart(session, site, end + int(self.random.integers(5, 20)) * MINUTE, session_id)
        return session

    def arrive(
        self, device: str, person_id: str, at: int, kind: ArrivalKind, *, session_id: str | None
    ) -> Event | None:
        """Play an arrival, attempt by attempt; give the sign-in that counts, None when nobody was let in."""
        last = None
        for number, outcome in enumerate(ATTEMPTS[kind]):
            lost = outcome == "non_match" and kind != "impostor" and self.random.random() < rates.NOT_ACQUIRED
            made = "not_acquired" if lost else outcome
            last = self.event(
                device,
                person_id,
                "sign_in",
                at + 25 * number,
                outcome=made,
                pad="not_shown" if kind == "pad_not_shown" else PAD[made],
                witness_id=self.witness(device) if made in {"manual", "declined"} else None,
                session_id=session_id,
            )
        return None if kind in {"impostor", "attack"} else last

    def session_id(self) -> str | None:
        """Give the id that sign-in and sign-out share; older kiosks keep none: time alone joins the two."""
        return None if self.random.random() < rates.SESSION_ID_LOST else self.ledger.number("S")

    def witness(self, device: str) -> str:
        """Pick a nurse."""
        return f"{self.lives[device].institution_id}-nurse-{int(self.random.integers(0, 8))}"

    def _run_machine(
        self, site: Institution, person_id: str | None, start: int, end: int
    ) -> list[MachineSession]:
        machine = self._free_machine(site, int(self.random.integers(0, site.machines)), start, end)
        cuts = [(start, end)]
        if self.random.random() < rates.MACHINE_FAILS:  # in the middle; the patient is moved to another
            middle = (start + end) // 2
            cuts = [(start, middle), (middle + 4 * MINUTE, end)]
        runs = [MachineSession(site.institution_id, machine, person_id, a, b) for a, b in cuts]
        self.ledger.machines.extend(runs)
        return runs

    def _free_machine(self, site: Institution, drawn: int, start: int, end: int) -> str:
        """Take the machine that was drawn, or the next one that is free; where none is, the one drawn."""
        names = [f"{site.institution_id}-m{(drawn + k) % site.machines:02d}" for k in range(site.machines)]
        free = (
            name
            for name in names
            if all(start >= until or end <= since for since, until in self._busy.get(name, ()))
        )
        machine = next(free, names[0])
        self._busy.setdefault(machine, []).append((start, end))
        return machine

    def _depart(self, session: Session, site: Institution, at: int, session_id: str | None) -> None:
        """Play the departure: some forget, and now and then the face fails on the way out."""
        sign_in = session.sign_in
        if sign_in is None:
            return
        glance = sign_in.at + int(self.random.uniform(0.6, 0.9) * (at - sign_in.at))
        seen = self.random.random() < rates.CAMERA_GLANCE
        camera = next((kiosk for kiosk in site.kiosks if self.lives[kiosk].is_up(glance)), None)
        if seen and camera and sign_in.outcome == "match":
            session.presences.append(self.event(camera, session.person_id, "presence", glance))
        leaving = self.first_up(site.kiosks, at, 10 * MINUTE)
        if leaving is None or self.random.random() < rates.NO_SIGN_OUT:
            return
        manual = sign_in.outcome != "match" or self.random.random() < rates.MANUAL_SIGN_OUT
        session.sign_out = self.event(
            leaving[0],
            session.person_id,
            "sign_out",
            leaving[1],
            outcome="manual" if manual else "match",
            pad="not_shown" if manual else "bona_fide",
            witness_id=self.witness(leaving[0]) if manual else None,
            session_id=session_id,
        )
