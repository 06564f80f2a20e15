"""A device and a central for the test of four devices; what they mean to write, they note before.

Everything is told by names of sessions, which no change of log or sequence touches.
"""

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
from renzheng.central.site.succession import read_former
from renzheng.central.store.database import Database
from renzheng.contracts import events, keys
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import new_id
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.uplink import open_uplink, read_central_key
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import Settings

SHARD = "s1"


@dataclass(frozen=True)
class Orders:
    """Where a device keeps its things, and how to behave."""

    folder: Path
    device_id: str
    port: int
    seed: int

    @property
    def notes(self) -> Path:
        """Outside of the data folder, as that may be set back."""
        return self.folder.with_name(f"{self.device_id}-notes")

    def settings(self) -> Settings:
        """The settings of the device."""
        link = {
            "host": "127.0.0.1",
            "port": self.port,
            "keepalive_seconds": 5,
            "progress_seconds": 1,
            "status_seconds": 0.5,
            "reconnect_first_seconds": 0.05,
            "reconnect_longest_seconds": 0.5,
            "central_key_file": self.folder / "central.pub.pem",
        }
        device = {
            "device_id": self.device_id,
            "institution_id": "H1",
            "shard": SHARD,
            "data_dir": self.folder,
        }
        return Settings.model_validate({"device": device, "link": link})


def run_device(orders: Orders) -> None:
    """Write, send, prune, change key and jump in time until killed; `quiet` lets it only send."""
    _log_to(orders.notes / "log.txt")
    settings, chance = orders.settings(), random.Random(orders.seed ^ os.getpid())
    store = Store(orders.folder / "device.sqlite")
    log, clock = DeviceLog(store, orders.device_id), SteppedClock(datetime.now(UTC), runs=True)
    keyring = Keyring(store, orders.folder)
    keyring.sweep()
    uplink = open_uplink(settings, log, clock, read_central_key(settings))
    assert uplink is not None
    uplink.start()
    meant = os.open(orders.notes / "meant", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    told = os.open(orders.notes / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    while True:
        (orders.notes / "halted").write_text(uplink.halted or "")
        if quiet.holds(orders.notes):
            time.sleep(0.05)
            continue
        session = f"{orders.device_id}/{new_id()}"
        _note(meant, session)
        try:
            log.append(sign_in(orders.device_id, session, clock))
            _note(told, session)
            done = chance.random()
            if done < 0.02:
                keyring.rotate(log, institution_id="H1", clock=clock)
            elif done < 0.06:
                clock.set_wall(timedelta(days=chance.choice((-1, 1))))
            elif done < 0.1:
                log.prune(datetime(2100, 1, 1, tzinfo=UTC))
        except RenzhengError as error:
            logging.getLogger(__name__).warning("%s", error)
        time.sleep(chance.uniform(0, 0.1))


def sign_in(device_id: str, session: str, clock: SteppedClock) -> events.SignIn:
    """One event of a session of its own."""
    reading = clock.read()
    return events.SignIn(
        source=events.device_source(device_id),
        time=reading.wall,
        subject="P1",
        data=events.AttendanceData(
            institution_id="H1",
            clock=reading.as_event_clock(),
            purpose=events.Purpose.DIALYSIS,
            outcome=events.Outcome.MATCH,
            pad=events.Pad.BONA_FIDE,
            comparison_score=0.95,
            threshold=0.9,
            session_id=session,
        ),
    )


@dataclass(frozen=True)
class CentralOrders:
    """Where central keeps its key, and where its store and broker are."""

    key_file: Path
    url: str
    port: int


def run_central(orders: CentralOrders) -> None:
    """Consume until killed, with whatever key lies there now."""
    _log_to(orders.key_file.parent / "log.txt")
    key = keys.load_private_key(orders.key_file.read_bytes())
    ingest = Ingest(Database(orders.url), key, lambda: datetime.now(UTC), former=read_former(orders.key_file))
    Consumer(SHARD, BrokerSettings(port=orders.port), ingest, Metrics()).start()
    while True:
        signal.pause()


def _note(handle: int, line: str) -> None:
    os.write(handle, f"{line}\n".encode())
    os.fsync(handle)


def _log_to(path: Path) -> None:
    logging.basicConfig(
        filename=path,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(name)s %(message)s",
        force=True,
    )
    logging.getLogger("renzheng.edge.device.log").setLevel(logging.WARNING)
