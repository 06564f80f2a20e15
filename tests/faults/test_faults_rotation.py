"""Keys that change while a backlog is under way: what the link hands over, whatever gets lost of it."""

from datetime import UTC, datetime

from faults.parties import SHARD, sign_in
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import reading
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import LinkSettings

CENTRAL_KEY = keys.generate_key()


class Wire:
    """A connection that keeps what it is handed."""

    def __init__(self):
        self.batches = []

    def publish(self, topic, payload, **_):
        if topic.channel == "up/log":
            self.batches.append(payload)
        return True


class Device:
    """A device with some entries, and its link on a wire that keeps everything."""

    def __init__(self, folder, keyring=Keyring):
        self.store = Store(folder / "device.sqlite")
        self.log = DeviceLog(self.store, "kiosk-1")
        self.clock = SteppedClock(datetime(2026, 3, 2, tzinfo=UTC))
        self.ring = Keyring(self.store, folder)
        self.first_key = self.ring.key_at(0)
        self.linked = keyring(self.store, folder)
        self.wire = Wire()

    def write(self, count):
        for _ in range(count):
            self.log.append(sign_in("kiosk-1", self.log.head().sequence + 1, self.clock.read()))

    def rotate(self):
        self.ring.rotate(self.log, institution_id="H1", clock=self.clock)

    def send(self):
        link = Link(
            LinkSettings(host="127.0.0.1"),
            Identity(DeviceId("kiosk-1"), Shard(SHARD), self.linked, CENTRAL_KEY, "faults"),
            self.log,
            wall=lambda: self.clock.read().wall,
            alarm=lambda *_: None,
        )
        link._connection = self.wire
        link._sender = link._sender.joined(0)
        link._send()
        return self.wire.batches


def problems(database, device, batches):
    """The alarms that central raises over these batches."""
    writer = LogWriter()
    writer.key = device.first_key
    register(database, writer)
    ingest = Ingest(database, CENTRAL_KEY, utc_now)
    for batch in batches:
        ingest.take([Message(f"renzheng/v1/{SHARD}/kiosk-1/up/log", batch)])
    with database.reading() as connection:
        return {row["problem"] for row in reading.alarms(connection)}


def test_a_lost_change_of_key_is_a_gap_and_no_stranger(tmp_path, database):
    device = Device(tmp_path)
    device.write(3)
    device.rotate()
    device.write(3)
    _, *rest = device.send()
    found = problems(database, device, rest)
    device.store.close()
    assert found <= {"gap"}


class RacedKeyring(Keyring):
    """Another thread changes the key just after this one has asked who signs."""

    device = None

    def signer(self, after):
        found = super().signer(after)
        device, RacedKeyring.device = RacedKeyring.device, None
        if device is not None:
            device.rotate()
            device.write(2)
        return found


def test_a_key_that_changes_while_a_batch_is_made(tmp_path, database):
    device = Device(tmp_path, RacedKeyring)
    device.write(3)
    RacedKeyring.device = device
    found = problems(database, device, device.send())
    device.store.close()
    assert found == set()
