"""The two processes that are killed: a small agent over the real log and link, and a real consumer.

Each is a function that a fork server runs in a process of its own, so that a start costs a fork and not an
import, and `SIGKILL` takes everything that was not on disk.
"""

import ctypes
import logging
import os
import random
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults import quiet

from renzheng.central.ingest.consumer import Consumer
from renzheng.central.ingest.service import Ingest
from renzheng.central.metrics import Metrics
from renzheng.central.settings import BrokerSettings
from renzheng.central.store.database import Database
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import (
    AttendanceData,
    CoverageState,
    Outcome,
    Pad,
    Purpose,
    SignIn,
    device_source,
)
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.edge.device.clock import ClockReading, SteppedClock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.monitor import DeviceEventWriter, DeviceMonitor
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import LinkSettings, Settings

SHARD = "s1"
START = datetime(2026, 3, 2, tzinfo=UTC)
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


@dataclass(frozen=True)
class AgentOrders:
    """What an agent is told.

    Args:
        pace_seconds: the most that it rests between two events.
        notes: where it keeps what it was told; beside the store's disk, which may be full.
        jumps: step the wall clock by a day, back or forth, every so many events; 0 never.
        rotates: change the signing key every so many events; 0 never.
        network: a network namespace to live in.
    """

    folder: Path
    device_id: str
    host: str
    port: int
    notes: Path
    pace_seconds: float = 0.01
    jumps: int = 0
    rotates: int = 0
    network: str | None = None
    protocol: str = "5"

    @property
    def told(self) -> Path:
        """The file of sequences and hashes that the agent was told are durable."""
        return self.notes / "told"

    @property
    def refused(self) -> Path:
        """The file of appends that the store refused, in the error's own words."""
        return self.notes / "refused"


def sign_in(device_id: str, number: int, reading: ClockReading) -> SignIn:
    """One numbered event."""
    return SignIn(
        source=device_source(device_id),
        time=reading.wall,
        subject=f"P{number}",
        data=AttendanceData(
            institution_id="H1",
            clock=reading.as_event_clock(),
            purpose=Purpose.DIALYSIS,
            outcome=Outcome.MATCH,
            pad=Pad.BONA_FIDE,
            comparison_score=0.95,
            threshold=0.9,
            session_id=f"S{number}",
        ),
    )


def run_agent(orders: AgentOrders) -> None:
    """Write numbered events, keep a durable list of those that are durable, and send them."""
    _log_to(orders.notes / "agent.txt")
    if orders.network:
        enter_network(orders.network)
    path = orders.folder / "device.sqlite"
    log = DeviceLog(Store(path), orders.device_id)
    link_store = Store(path)
    clock = SteppedClock(START, runs=True)
    central_key = keys.load_public_key((orders.folder / "central.pub.pem").read_bytes())
    link = Link(
        LinkSettings(
            host=orders.host,
            port=orders.port,
            protocol=orders.protocol,
            keepalive_seconds=5,
            progress_seconds=1,
            status_seconds=1,
            reconnect_first_seconds=0.1,
            reconnect_longest_seconds=1,
        ),
        Identity(
            DeviceId(orders.device_id),
            Shard(SHARD),
            Keyring(link_store, orders.folder),
            central_key,
            "faults",
        ),
        DeviceLog(link_store, orders.device_id),
        wall=lambda: clock.read().wall,
        alarm=lambda kind, sequence: heartbeat.raise_alarm(link_store, kind, sequence, clock.read().wall),
    )
    log.on_append(link.wake)
    link.start()
    _write(orders, log, clock)


def _write(orders: AgentOrders, log: DeviceLog, clock: SteppedClock) -> None:
    monitor = make_monitor(orders, log, clock) if orders.jumps else None
    keyring = Keyring(log.store, orders.folder)
    chance = random.Random(os.getpid())
    told = os.open(orders.told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    while True:
        if quiet.holds(orders.notes):
            time.sleep(0.05)
            continue
        number = log.head().sequence + 1
        try:
            head = log.append(sign_in(orders.device_id, number, clock.read()))
        except RenzhengError as error:
            _note(orders.refused, str(error))
            time.sleep(0.05)
            continue
        os.write(told, f"{head.sequence} {head.hash}\n".encode())
        os.fsync(told)
        if monitor is not None and number % orders.jumps == 0:
            clock.set_wall(timedelta(days=chance.choice((-1, 1))))
            monitor.beat()
        if orders.rotates and number % orders.rotates == 0:
            keyring.rotate(log, institution_id="H1", clock=clock)
        time.sleep(chance.uniform(0, orders.pace_seconds))


def make_monitor(orders: AgentOrders, log: DeviceLog, clock: SteppedClock) -> DeviceMonitor:
    """The real monitor, which tells the clock's jumps and keeps coverage through them."""
    settings = Settings.model_validate(
        {"device": {"device_id": orders.device_id, "institution_id": "H1", "data_dir": orders.folder}}
    )
    monitor = DeviceMonitor(
        settings,
        log,
        clock,
        DeviceEventWriter(settings, log, clock),
        standing=lambda: CoverageStatus(CoverageState.UP),
        tidy=lambda _: None,
    )
    monitor.begin("faults")
    return monitor


@dataclass(frozen=True)
class IngestOrders:
    """What a consumer is told."""

    folder: Path
    url: str
    port: int
    network: str | None = None


def run_ingest(orders: IngestOrders) -> None:
    """Consume until killed."""
    _log_to(orders.folder / "ingest.txt")
    if orders.network:
        enter_network(orders.network)
    key = keys.load_private_key((orders.folder / "central.pem").read_bytes())
    ingest = Ingest(Database(orders.url), key, lambda: datetime.now(UTC))
    Consumer(SHARD, BrokerSettings(port=orders.port), ingest, Metrics()).start()
    while True:
        signal.pause()


def enter_network(name: str) -> None:
    """Move this process, which has one thread still, into a network namespace."""
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), f"setns {name}")
    os.close(handle)


def _log_to(path: Path) -> None:
    logging.basicConfig(
        filename=path,
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(name)s %(message)s",
        force=True,
    )


def _note(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
