"""Four devices, one central, everything at once: kills, pauses, jumps, keys, old words, old backups.

Nothing is known here of how the two sides keep their promises. Each device notes the name of a session before
it writes it, and again once it was told that it is durable. At the end every session that was told stands at
central once, none stands there that no device meant, and every device is free and has delivered everything.
"""

import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from datetime import timedelta

import paho.mqtt.client as mqtt
import pytest
import sqlalchemy as sa
from faults import quiet
from faults.four_parties import SHARD, CentralOrders, Orders, run_central, run_device
from faults.rig import Party, eventually
from paho.mqtt.enums import CallbackAPIVersion
from parts.stores import lay

from renzheng.central.backup import stores
from renzheng.central.main import make_signing_key
from renzheng.central.site import succession
from renzheng.central.store import devices, identity, schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.publish import check_checkpoints, take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.common.mqtt import release
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.log import Head
from renzheng.edge.device.clock import SystemClock
from renzheng.edge.device.closing import NewIdentity, close_log
from renzheng.edge.device.keyring import device_key, new_key
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store

LONG = os.environ.get("FAULTS") == "long"
ROUNDS = int(os.environ.get("FAULTS_COUNT", "150")) if LONG else 9
NAMES = ("kiosk-1", "kiosk-2", "kiosk-3", "kiosk-4")
RIGHTLY = {"fork", "revoked"}
"""Alarms that setting a device back causes: of what it wrote on, and of what it had sent with its last key.
Every other one that stays open accuses somebody wrongly."""


class Echo:
    """Somebody on the way who keeps every acknowledgement, and says old ones again, to anybody."""

    def __init__(self, port, chance):
        self.heard, self._chance = [], chance
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"renzheng/v1/{SHARD}/+/down/ack", 1)
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload)
        )
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say_again(self, count=30):
        heard = list(self.heard)
        for _ in range(min(count, len(heard))):
            topic, payload = self._chance.choice(heard)
            other = self._chance.choice(NAMES) if self._chance.random() < 0.2 else topic.split("/")[3]
            self._client.publish(f"renzheng/v1/{SHARD}/{other}/down/ack", payload, qos=1)

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


class World:
    """The four, central, and what can happen to them."""

    def __init__(self, folder, broker, url, seed):
        self.folder, self.broker, self.url = folder, broker, url
        self.chance = random.Random(seed)
        self.database = Database(lay(url))
        self.database.migrate()
        self.key_file = folder / "central" / "central.pem"
        key = make_signing_key(self.key_file)
        self.central = Party(run_central, CentralOrders(self.key_file, url, broker.port))
        self.devices, self.counts = [], Counter()
        with self.database.writing() as connection:
            devices.put_institution(connection, devices.Institution("H1", "x", "1"))
            for number, name in enumerate(NAMES):
                orders = Orders(folder / name, name, broker.port, seed + number)
                orders.folder.mkdir()
                orders.notes.mkdir()
                (orders.folder / "central.pub.pem").write_text(keys.public_pem(key))
                device = devices.Device(name, "H1", SHARD, Purpose.DIALYSIS)
                devices.register(connection, device, device_key(orders.folder), utc_now())
                self.devices.append(Party(run_device, orders))
        self.copy = folder / "copy"
        self.back_up()
        self.echo = Echo(broker.port, self.chance)
        for party in (self.central, *self.devices):
            party.start()
        for party in self.devices:
            assert eventually(lambda party=party: len(_lines(party.orders.notes / "told")) > 1, 60)

    def close(self):
        for party in (*self.devices, self.central):
            party.kill()
        self.echo.stop()
        self.database.close()

    # what can happen

    def kill_a_device(self):
        victim = self.chance.choice(self.devices)
        victim.kill()
        victim.start()

    def kill_central(self):
        self.central.kill()
        self.central.start()

    def kill_the_broker(self):
        self.broker.kill()
        self.broker.start()

    def pause_somebody(self):
        victim = self.chance.choice([self.central, *self.devices])
        victim.signal(signal.SIGSTOP)
        time.sleep(0.3)
        victim.signal(signal.SIGCONT)

    def repeat_old_words(self):
        self.echo.say_again()

    def back_up(self):
        key = keys.load_private_key(self.key_file.read_bytes())
        notes = self.folder / "notes"
        take_checkpoint(self.database, "renzheng/test", key, notes, utc_now(), timedelta(0))
        self.copy.unlink(missing_ok=True)
        stores.copy_store(self.url, self.copy)
        with self.database.writing() as connection:
            told = {"taken_at": to_us(utc_now()), "path": "x", "bytes": 1}
            connection.execute(sa.insert(schema.backups).values(told))
        take_checkpoint(self.database, "renzheng/test", key, notes, utc_now(), timedelta(0))

    def restore_the_backup(self):
        """Put the copy back; every other time so that nobody tells the store."""
        self.central.kill()
        self.database.close()
        if self.url.startswith("sqlite"):
            for ending in ("", "-wal", "-shm"):
                (self.folder / f"central.sqlite{ending}").unlink(missing_ok=True)
        stores.put_store(self.url, self.copy)
        self.database = Database(self.url)
        if self.counts["restore_the_backup"] % 2:
            with self.database.writing() as connection:
                above = 1000 * self.counts["restore_the_backup"]
                identity.begin_epoch(connection, above, "restored", to_us(utc_now()))
        self.central.start()

    def change_centrals_key(self):
        self.central.kill()
        succession.rotate(self.database, self.key_file, utc_now())
        self.central.start()

    def set_a_device_back(self):
        """A device's folder becomes an older copy, writes on, and joins again by the way out."""
        party = self.chance.choice(self.devices)
        orders = party.orders
        quiet.order(orders.notes)
        assert eventually(lambda: self._settled(orders), 60), self._state()
        party.kill()
        older = orders.notes / "older"
        shutil.copytree(orders.folder, older)
        quiet.lift(orders.notes)
        party.start()
        count = len(_lines(orders.notes / "told"))
        assert eventually(lambda: len(_lines(orders.notes / "told")) > count, 60)
        quiet.order(orders.notes)
        assert eventually(lambda: self._settled(orders), 60), self._state()
        party.kill()
        shutil.rmtree(orders.folder)
        older.rename(orders.folder)
        quiet.lift(orders.notes)
        party.start()
        assert eventually(lambda: _halted(orders) in ("fork", "ahead"), 60), self._state()
        party.kill()
        self._join_again(orders)
        party.start()
        self.back_up()  # a store from before does not know the device's new key

    def _join_again(self, orders):
        """What `device join --again` and the door do, without the door."""
        key = new_key(orders.folder)
        with self.database.writing() as connection:
            state = devices.states(connection, [orders.device_id], lock=True)[orders.device_id]
            devices.replace_key(connection, orders.device_id, key, utc_now())
            store_id = identity.read(connection).store_id
        now = keys.load_private_key(self.key_file.read_bytes())
        (orders.folder / "central.pub.pem").write_text(keys.public_pem(now))
        store = Store(orders.folder / "device.sqlite")
        close_log(
            DeviceLog(store, orders.device_id),
            state.head,
            NewIdentity(key, "H1", store_id),
            SystemClock().read(),
        )
        store.close()

    # the account

    def play(self, rounds):
        """Let things happen: each at least once, in an order of chance."""
        must = [
            self.kill_a_device,
            self.kill_central,
            self.kill_the_broker,
            self.pause_somebody,
            self.repeat_old_words,
            self.back_up,
            self.restore_the_backup,
            self.change_centrals_key,
            self.set_a_device_back,
        ]
        for number in range(rounds):
            if number % len(must) == 0:
                self.chance.shuffle(must)
            happening = must[number % len(must)]
            happening()
            self.counts[happening.__name__] += 1
            time.sleep(self.chance.uniform(0.05, 0.3))

    def settle(self):
        """Let everybody rest and wait until nothing is under way; what stays is stuck."""
        for party in self.devices:
            quiet.order(party.orders.notes)
        self.stuck = []
        for party in self.devices:
            if not eventually(lambda party=party: self._settled(party.orders), 120):
                self.stuck.append((party.orders.device_id, *self._standing(party.orders)))
        for party in self.devices:
            party.kill()
        self.central.kill()

    def _settled(self, orders):
        if not quiet.is_heard(orders.notes):
            return False
        own, acknowledged, halted, at_central = self._standing(orders)
        return own == acknowledged == at_central and not halted

    def _standing(self, orders):
        connection = sqlite3.connect(orders.folder / "device.sqlite", timeout=30)
        try:
            query = "SELECT head_sequence, head_hash, acknowledged, acknowledged_hash FROM log_state"
            row = connection.execute(query).fetchone()
        finally:
            connection.close()
        table = schema.devices
        of_device = table.c.device_id == orders.device_id
        with self.database.reading() as connection:
            query = sa.select(table.c.head_sequence, table.c.head_hash).where(of_device)
            here = connection.execute(query).one()
        return Head(row[0], row[1]), Head(row[2], row[3]), _halted(orders), Head(*here)

    def _state(self):
        return {party.orders.device_id: self._standing(party.orders) for party in self.devices}

    def account(self):
        """Draw it up from the notes and central's rows alone."""
        meant = {line for party in self.devices for line in _lines(party.orders.notes / "meant")}
        told = {line for party in self.devices for line in _lines(party.orders.notes / "told")}
        with self.database.reading() as connection:
            held = Counter(connection.execute(sa.select(schema.attendance.c.session_id)).scalars())
            alarms = connection.execute(
                sa.select(schema.alarms).where(schema.alarms.c.resolved_at.is_(None))
            ).all()
        return {
            "told": len(told),
            "lost": sorted(told - held.keys()),
            "doubled": [name for name, times in held.items() if times > 1],
            "forged": sorted(held.keys() - meant),
            "stuck": self.stuck,
            "accused": sorted({(row.device_id, row.problem) for row in alarms if row.problem not in RIGHTLY}),
            "bad": [one for one in check_store(self.database) if not isinstance(one, LogVerified)]
            + [one for one in check_projections(self.database) if not isinstance(one, LogVerified)],
        }


def _halted(orders):
    path = orders.notes / "halted"
    return path.read_text() if path.exists() else ""


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.mosquitto
@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize(
    "backend",
    [
        "sqlite",
        # the same on PostgreSQL; test_faults_kill.py kills its consumer
        pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.long]),
    ],
)
def test_four_devices_lose_double_forge_nothing_and_none_is_stuck(backend, tmp_path, broker, counts, request):
    url = f"sqlite:///{tmp_path / 'central.sqlite'}"
    if backend == "postgresql":
        url = request.getfixturevalue("postgresql_server").new_database()
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10_000) if LONG else 29))
    world = World(tmp_path, broker, url, seed)
    try:
        world.play(ROUNDS)
        world.settle()
        found = world.account()
        by = succession.verifying_keys(world.key_file)
        assert check_checkpoints(world.database, *by) > 0
    finally:
        world.close()
    told = found.pop("told")
    assert found == {name: [] for name in found}, f"FAULTS_SEED={seed}"
    assert told > 0
    assert sum(world.counts.values()) == ROUNDS
    counts.add(f"four devices, {backend}", told=told, seed=seed, **world.counts)
