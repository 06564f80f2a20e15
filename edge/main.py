"""The agent of one clinic machine: the only place that wires its parts.

    agent = build_agent(load_settings(path))
    agent.start(); ...; agent.stop()

Several agents may live in one process, as in demo and tests; each has its own folder, port and threads.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from importlib.metadata import version
from typing import Any

import uvicorn
from joserfc.jwk import OKPKey

from renzheng.contracts import events, keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import CoverageState, device_source
from renzheng.contracts.ids import DeviceId, EventId, Shard
from renzheng.contracts.log import Head
from renzheng.edge import coverage
from renzheng.edge.clock import Clock, Reading, SystemClock, watch
from renzheng.edge.coverage import Intervals, OpenStretch, Standing, Stretch
from renzheng.edge.enrolment import Enrolment, engine_name, take_template
from renzheng.edge.errors import SettingsError
from renzheng.edge.keyring import Keyring, device_key
from renzheng.edge.kiosk.app import build_app
from renzheng.edge.kiosk.enrolling import Enrolling
from renzheng.edge.kiosk.faces import FaceEngine
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.session import RecordConsent
from renzheng.edge.kiosk.station import Station
from renzheng.edge.link.runner import Identity, Link
from renzheng.edge.log import DeviceLog
from renzheng.edge.settings import Settings
from renzheng.edge.store import heartbeat
from renzheng.edge.store.database import Store
from renzheng.edge.store.people import People
from renzheng.models.engine import open_engine
from renzheng.models.images import decode as decode_photograph

__all__ = ["SOFTWARE", "Agent", "build_agent", "device_key"]

LOGGER = logging.getLogger(__name__)
DRAIN_SECONDS = 1.5
_LOOK_SECONDS = 0.5
SOFTWARE = f"renzheng {version('renzheng')}"


class Agent:
    """One device: store, log, link, kiosk and coverage.

    Args:
        settings: the device's settings.
        clock: where time comes from.
        engine: the face engine; several agents may share one.
        central_key: whose acknowledgements count; None while central's key is not known.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock, engine: FaceEngine, central_key: OKPKey | None
    ) -> None:
        device = settings.device
        path = device.data_dir / "device.sqlite"
        self.settings = settings
        self.clock = clock
        self.store = Store(path)
        self.log = DeviceLog(self.store, device.device_id)
        self.keyring = Keyring(self.store, device.data_dir)
        self.people = People(self.store)
        self.recorder = Recorder(settings, self.log, self.people, clock, engine_name(engine))
        self.enrolment = Enrolment(settings, self.log, self.people, clock, engine)
        self.link: Link | None = None
        if settings.link.host is not None:
            self._link_store = Store(path)
            keyring = Keyring(self._link_store, device.data_dir)
            identity = Identity(
                DeviceId(device.device_id), Shard(device.shard), keyring, central_key, SOFTWARE
            )
            self.link = Link(
                settings.link,
                identity,
                DeviceLog(self._link_store, device.device_id),
                wall=lambda: clock.read().wall,
                alarm=self._alarm,
            )
            self.log.on_append(self.link.wake)
        self.station = Station(
            settings, self.people, self.recorder, engine, clock, network_away=self._network_away
        )
        self.app = build_app(self.station, Enrolling(self.station, self.enrolment), health=self.health)
        self._intervals = Intervals(
            timedelta(seconds=settings.coverage.longest_silence_seconds),
            timedelta(seconds=settings.coverage.tell_every_seconds),
        )
        self._beat_lock = threading.Lock()
        self._open: OpenStretch | None = None
        self._reading: Reading | None = None
        self._ending = threading.Event()
        self._beater = threading.Thread(target=self._keep_beating, name="coverage", daemon=True)
        self._server = _Server(self.app, settings.kiosk.host, settings.kiosk.port)

    @property
    def port(self) -> int:
        """The port of the kiosk's pages."""
        return self._server.port

    @property
    def kiosk_url(self) -> str:
        """The address of the kiosk page."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Tell what happened while the agent was away, then serve."""
        self._begin_coverage()
        if self.link is not None:
            self.link.start()
        self._server.start()
        self._beater.start()
        LOGGER.info("agent %s serves %s", self.settings.device.device_id, self.kiosk_url)

    def stop(self, reason: str = "asked_to") -> None:
        """Stop on purpose: closes the coverage, says so, and lets go of the broker in good order."""
        self._halt()
        with self._beat_lock:
            reading = self.clock.read()
            if self._open is not None:
                open_, closed = coverage.beat(self._open, reading.wall, self._open.standing, self._intervals)
                self._tell([*closed, *open_.close(reading.wall)])
                self._keep(coverage.begin(reading.wall, Standing(CoverageState.DOWN)), stopped=True)
                self._append(events.DeviceStopped, events.DeviceData, software=SOFTWARE, reason=reason)
        if self.link is not None:
            self._let_drain()
            self.link.stop()
        self._close()

    def _let_drain(self) -> None:
        """Give the last events a moment to reach central; what does not get there waits on disk."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.link is not None and self.link.connected and time.monotonic() < deadline:
            if self.log.acknowledged() == self.log.head().sequence:
                return
            time.sleep(0.02)

    def crash(self) -> None:
        """End as a power cut would: nothing is closed, nothing is said. For tests and the demo."""
        self._halt()
        if self.link is not None:
            self.link.stop(drop=True)
        self._close()

    def _halt(self) -> None:
        self._ending.set()
        self._server.stop()
        if self._beater.is_alive():
            self._beater.join(timeout=15)

    def _close(self) -> None:
        if self.link is not None:
            self._link_store.close()
        self.store.close()

    def beat(self) -> None:
        """Take one heartbeat: keep coverage, watch the clock. A thread calls this at an interval."""
        with self._beat_lock:
            if self._open is None:
                return
            reading = self.clock.read()
            if self._reading is not None:
                for change in watch(self._reading, reading):
                    self._append(
                        events.DeviceClock,
                        events.ClockData,
                        change=change.change,
                        offset_ms=change.offset_ms,
                    )
            self._reading = reading
            self._open, closed = coverage.beat(
                self._open, reading.wall, self.station.standing(), self._intervals
            )
            self._tell(closed)
            self._keep(self._open)

    def _keep_beating(self) -> None:
        """Beat at the interval, and at once when what the kiosk can see has changed."""
        due = time.monotonic() + self.settings.coverage.beat_seconds
        while not self._ending.wait(_LOOK_SECONDS):
            changed = self._open is not None and self._open.standing != self.station.standing()
            if not changed and time.monotonic() < due:
                continue
            due = time.monotonic() + self.settings.coverage.beat_seconds
            try:
                self.beat()
            except RenzhengError:
                LOGGER.exception("no heartbeat was kept")

    def _begin_coverage(self) -> None:
        with self._beat_lock:
            reading = self.clock.read()
            self._append(events.DeviceStarted, events.DeviceData, software=SOFTWARE)
            last = heartbeat.last(self.store)
            if last is not None:
                self._tell(coverage.resume(last.open_stretch, reading.wall, stopped=last.stopped))
            self._open = coverage.begin(reading.wall, self.station.standing())
            self._reading = reading
            self._keep(self._open)

    def _tell(self, stretches: Sequence[Stretch]) -> None:
        for stretch in stretches:
            self._append(
                events.DeviceCoverage,
                events.CoverageData,
                purpose=self.settings.device.purpose,
                from_at=stretch.from_at,
                to_at=stretch.to_at,
                state=stretch.state,
                cause=stretch.cause,
            )

    def _keep(self, open_: OpenStretch, *, stopped: bool = False) -> None:
        with self.store.writing() as database:
            heartbeat.keep(open_, stopped=stopped)(database)

    def _append(self, kind: type[Any], data: type[Any], **values: Any) -> None:
        reading = self.clock.read()
        filled = data(
            institution_id=self.settings.device.institution_id, clock=reading.as_event_clock(), **values
        )
        event = kind(source=device_source(self.settings.device.device_id), time=reading.wall, data=filled)
        self.log.append(event)

    def _network_away(self) -> bool:
        return self.link is not None and not self.link.connected

    def _alarm(self, kind: str, sequence: int) -> None:
        heartbeat.raise_alarm(self._link_store, kind, sequence, self.clock.read().wall)

    def health(self) -> dict[str, Any]:
        """What an operator asks first."""
        standing = self.station.standing()
        since = self.log.waiting_since()
        return {
            "device_id": self.settings.device.device_id,
            "software": SOFTWARE,
            "sequence": self.log.head().sequence,
            "acknowledged": self.log.acknowledged(),
            "waiting_since": None if since is None else since.astimezone(UTC).isoformat(),
            "connected": self.link is not None and self.link.connected,
            "halted": None if self.link is None else self.link.halted,
            "state": standing.state.value,
            "cause": standing.cause,
            "clock_trusted": self.clock.read().trusted,
            "frames": self.station.watcher.handled,
            "alarms": heartbeat.alarms(self.store),
        }

    def rotate_key(self) -> Head:
        """Change the device's signing key; central learns the new one from the log itself."""
        return self.keyring.rotate(
            self.log, institution_id=self.settings.device.institution_id, clock=self.clock
        )

    def enrol(
        self,
        person_id: str,
        *,
        surname: str,
        card_number: str,
        photographs: Sequence[bytes],
        consented: bool = False,
        on_roster: date | None = None,
    ) -> EventId:
        """Enter a patient with references from photographs.

        Args:
            person_id: the insured person's id.
            surname: what the roster shows.
            card_number: kept as a hash, shown masked.
            photographs: image files' bytes.
            consented: the patient's consent to the present notice is on paper; it is recorded as an event.
            on_roster: a local day on which to expect the patient.

        Raises:
            PhotographRefusedError: one of the photographs cannot serve; nothing is kept.
            ImageError: one of them is no image.
        """
        engine = self.enrolment.engine
        templates = [
            take_template(engine, decode_photograph(data), f"Photograph {number}")
            for number, data in enumerate(photographs, start=1)
        ]
        patient = self.people.put_patient(person_id, surname=surname, card_number=card_number)
        if on_roster is not None:
            self.people.put_on_roster(on_roster, [person_id])
        if consented:
            self.recorder.consent(RecordConsent(patient, given=True))
        return self.enrolment.enrol(person_id, templates, source="photograph")


class _Server:
    """uvicorn in a thread of its own; the socket is bound first, so that port 0 has an answer at once."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SettingsError(
                f"The kiosk's port {port} cannot be used: {error.strerror}.",
                do="Stop what listens there, or set kiosk.port.",
            ) from None
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws_max_size=4_000_000, timeout_graceful_shutdown=2
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=f"kiosk-{self.port}", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._uvicorn.serve(sockets=[self._socket]))

    def start(self) -> None:
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            self._thread.join(0.01)

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()


def build_agent(
    settings: Settings,
    *,
    clock: Clock | None = None,
    engine: FaceEngine | None = None,
) -> Agent:
    """Put an agent together.

    Args:
        settings: the device's settings.
        clock: the machine's own when None.
        engine: dlib's converted networks when None.

    Raises:
        SettingsError: a file that the settings name is missing, or the port is taken.
        StoreError: the store cannot be opened.
    """
    central_key = None
    if settings.link.central_key_file is not None:
        try:
            central_key = keys.load_public_key(settings.link.central_key_file.read_bytes())
        except OSError as error:
            raise SettingsError(
                f"Central's key {settings.link.central_key_file} cannot be read: {error.strerror}.",
                why="Only what central signed counts as an acknowledgement.",
                do="Copy it from central, or join the device again.",
            ) from None
    return Agent(
        settings,
        clock=clock or SystemClock(),
        engine=engine or open_engine("dlib", threads=1),
        central_key=central_key,
    )
