"""The stage: broker, central and a kiosk a clinic, on loopback, under a clock that the play moves.

Everything on it is the product itself, wired by its own `build_central` and `build_agent`; only the clock and
the cables between the clinics and the broker are the demo's.
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import orjson
import sqlalchemy as sa

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.main import Central, build_central, make_signing_key
from renzheng.central.settings import BrokerSettings
from renzheng.central.settings import Settings as CentralSettings
from renzheng.central.store import schema
from renzheng.central.store.devices import Device, Institution
from renzheng.central.store.times import from_us
from renzheng.contracts import keys
from renzheng.contracts.errors import FaultError
from renzheng.contracts.events import Purpose
from renzheng.deploy.broker.access import CENTRAL_USER, Access
from renzheng.deploy.broker.embedded import EmbeddedBroker
from renzheng.deploy.demo import patience, story
from renzheng.deploy.demo.cable import Cable
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.kiosk.main import Agent, build_agent, device_key
from renzheng.edge.settings import (
    CoverageSettings,
    DeviceSettings,
    KioskSettings,
    LinkSettings,
)
from renzheng.edge.settings import Settings as EdgeSettings
from renzheng.models.engine import open_engine

BEAT = timedelta(minutes=5)
"""The play moves its clock in steps of this length, with one heartbeat of every kiosk a step."""
REGION = "371121"
SHARD = "0"
ARRIVES_SECONDS = 30.0


class StageError(FaultError):
    """A part of the demo did not do what it must."""


def free_port(wanted: int = 0) -> int:
    """Find a TCP port of the loopback interface that nobody listens on: the wanted one, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stage:
    """Sets everything up in `folder`; a context manager.

    Args:
        folder: where the stores and keys of the play lie; empty or new.
        portraits: folder of the portraits.
        with_pages: a browser shows the kiosks' pages; without one, a kiosk counts as seeing without its page.
        ports: wished for: central's, and the kiosks' by device; one that is taken or absent gives way to any.
    """

    def __init__(
        self, folder: Path, portraits: Path, *, with_pages: bool, ports: Mapping[str, int] | None = None
    ) -> None:
        self.folder, self.portraits = folder, portraits
        self.clock = SteppedClock(story.at(story.OPENS.hour, story.OPENS.minute), runs=True)
        self._with_pages = with_pages
        self._ports = {name: free_port(port) for name, port in (ports or {}).items()}
        self._ended = contextlib.ExitStack()
        self._passwords = {
            user: secrets.token_urlsafe(16)
            for user in (CENTRAL_USER, *(clinic.device_id for clinic in story.CLINICS))
        }
        self.agents: dict[str, Agent] = {}
        self._cables: dict[str, Cable] = {}
        self._unplugged: set[str] = set()
        self._latencies: dict[str, float] = {}

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._ended.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.agents.values():
            agent.stop()
        self._ended.close()

    def now(self) -> datetime:
        """The time of the play."""
        return self.clock.read().wall

    def _set_up(self) -> None:
        self.engine = open_engine("dlib", threads=1, population="lfw")  # what the portraits are of
        broker = EmbeddedBroker(free_port(), Access(self._passwords))
        self._ended.enter_context(broker)
        self.central = self._build_central(broker.port)
        self.central.start()
        self._ended.callback(self.central.stop)
        for clinic in story.CLINICS:
            self._cables[clinic.device_id] = self._ended.enter_context(Cable(broker.port))
            self._register(clinic)
            self.start_kiosk(clinic)
            self._enter_people(clinic)

    def _build_central(self, broker_port: int) -> Central:
        folder = self.folder / "central"
        settings = CentralSettings(
            data_dir=folder,
            shards=(SHARD,),
            port=self._ports.get("central", 0),
            broker=BrokerSettings(
                port=broker_port,
                protocol="3.1.1",
                username=CENTRAL_USER,
                password_file=self._secret(CENTRAL_USER),
            ),
        )
        key = make_signing_key(settings.key_file)
        (self.folder / "central.pub.pem").write_text(keys.public_pem(key), encoding="ascii")
        return build_central(settings, clock=self.now)

    def make_accounts(self) -> Mapping[str, str]:
        """Make the people of the console; return each one's one-time code."""
        now, codes = self.now(), {}
        with self.central.database.writing() as connection:
            for name, (role, institutions) in story.ACCOUNTS.items():
                new = New(name, frozenset({role}), frozenset(institutions))
                accounts.add(connection, new, "demo", now)
                codes[name] = accounts.give_code(connection, name, now)
        return codes

    def _secret(self, user: str) -> Path:
        path = self.folder / f"{user}.password"
        path.touch(mode=0o600)
        path.write_text(self._passwords[user], encoding="ascii")
        return path

    def _register(self, clinic: story.Clinic) -> None:
        self.central.register_institution(
            Institution(
                clinic.institution_id, clinic.name, REGION, story.ZONE.key, dialysis_machines=clinic.machines
            )
        )
        key = device_key(self.folder / clinic.device_id)
        device = Device(clinic.device_id, clinic.institution_id, SHARD, Purpose.DIALYSIS, clinic.name)
        self.central.register_device(device, key)

    def start_kiosk(self, clinic: story.Clinic) -> Agent:
        """Start a clinic's agent, or start it again after a breakdown."""
        settings = EdgeSettings(
            device=DeviceSettings(
                device_id=clinic.device_id,
                institution_id=clinic.institution_id,
                shard=SHARD,
                data_dir=self.folder / clinic.device_id,
            ),
            link=LinkSettings(
                host="127.0.0.1",
                port=self._cables[clinic.device_id].port,
                protocol="3.1.1",
                username=clinic.device_id,
                password_file=self._secret(clinic.device_id),
                central_key_file=self.folder / "central.pub.pem",
                progress_seconds=3,
                status_seconds=1,
                reconnect_first_seconds=0.2,
                reconnect_longest_seconds=1,
            ),
            coverage=CoverageSettings(
                beat_seconds=3600,
                longest_silence_seconds=BEAT.total_seconds() * 2,
                page_expected=self._with_pages,
            ),
            kiosk=KioskSettings(
                port=self._ports.get(clinic.device_id, 0),
                tries=1,
                attempt_seconds=20,  # a busy machine looks at few frames a second
                done_seconds=2,
                sleep_seconds=0,  # its browsers share one pretended camera, which nobody else may hold
            ),
        )
        agent = build_agent(settings, clock=self.clock, engine=self.engine)
        agent.start()
        self.agents[clinic.device_id] = agent
        self._ports[clinic.device_id] = agent.port  # a browser that shows the page finds it again
        return agent

    def _enter_people(self, clinic: story.Clinic) -> None:
        agent = self.agents[clinic.device_id]
        agent.people.put_witness(story.WITNESS_ID, story.WITNESS_PIN)
        for patient in story.PATIENTS:
            if patient.clinic is clinic:
                photographs = [(self.portraits / patient.portrait).read_bytes()] if patient.portrait else []
                self._enter(agent, patient, photographs)

    @staticmethod
    def _enter(agent: Agent, patient: story.Patient, photographs: list[bytes]) -> None:
        if photographs:
            agent.registration.enrol(
                patient.person_id,
                surname=patient.surname,
                card_number=patient.card_number,
                photographs=photographs,
                consented=True,
            )
        else:
            agent.people.put_patient(
                patient.person_id, surname=patient.surname, card_number=patient.card_number
            )
        agent.people.put_on_roster(story.DAY, [patient.person_id])

    def kiosk_down(self, clinic: story.Clinic) -> None:
        """Break a kiosk: it ends as in a power cut."""
        agent = self.agents.pop(clinic.device_id)
        self._keep_latencies(agent)
        agent.crash()

    def network_down(self, clinic: story.Clinic) -> None:
        """Pull a clinic's cable."""
        self._cables[clinic.device_id].pull()
        self._unplugged.add(clinic.device_id)

    def network_back(self, clinic: story.Clinic) -> None:
        """Plug a clinic's cable in and wait until central has everything."""
        self._cables[clinic.device_id].plug()
        self._unplugged.discard(clinic.device_id)
        self.wait_until_sent(clinic)

    def advance_to(self, moment: datetime) -> None:
        """Let the play's time pass up to `moment`, beat by beat.

        Before it does, central has what was recorded: on a slow machine a jump of half an hour would make an
        event that is on its way half an hour late.
        """
        for clinic in story.CLINICS:
            if clinic.device_id in self.agents and clinic.device_id not in self._unplugged:
                self.wait_until_sent(clinic)
        while (left := moment - self.now()) > timedelta():
            self.clock.advance(min(left, BEAT))
            self.beat()

    def beat(self) -> None:
        """Let every kiosk take one heartbeat."""
        for agent in self.agents.values():
            agent.beat()

    def wait_until_sent(self, clinic: story.Clinic) -> None:
        """Wait until central has acknowledged everything that a kiosk has recorded.

        Raises:
            StageError: it does not within half a minute of real time, or as long as a busy machine needs.
        """
        agent = self.agents[clinic.device_id]
        seconds = patience.scaled(ARRIVES_SECONDS)
        deadline = time.monotonic() + seconds
        while agent.log.acknowledged() < agent.log.head().sequence:
            if time.monotonic() > deadline:
                raise StageError(
                    f"Central did not acknowledge {clinic.device_id} within {seconds:.0f} s.",
                    do="Look at the log above; run the demo again.",
                )
            time.sleep(0.05)

    def latencies(self) -> dict[str, float]:
        """Milliseconds from usable face to green by event id, as the pages measured them."""
        for agent in self.agents.values():
            self._keep_latencies(agent)
        return dict(self._latencies)

    def _keep_latencies(self, agent: Agent) -> None:
        self._latencies |= {kept.event_id: kept.milliseconds for kept in agent.kiosk.latencies.reports}

    def stored_events(self) -> dict[str, dict[str, object]]:
        """Read every event that central has stored, by id, each with ``received_at``."""
        table = schema.log_entries
        with self.central.database.reading() as connection:
            rows = connection.execute(sa.select(table.c.line, table.c.received_at)).all()
        events = {}
        for line, received_us in rows:
            event = orjson.loads(bytes(line))["event"]
            events[event["id"]] = {**event, "received_at": from_us(received_us)}
        return events
