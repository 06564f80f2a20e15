"""The link over a real Mosquitto: everything arrives once, in order, whatever the broker does."""

import threading

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from parts.edge import eventually, sign_in, stepped_clock
from parts.mosquitto import Mosquitto

from renzheng.contracts import keys, messages
from renzheng.contracts import log as chain
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.contracts.messages import Ack, sign_ack
from renzheng.contracts.topics import Channel, Topic, shard_filter
from renzheng.edge.keyring import Keyring
from renzheng.edge.link.runner import Identity, Link
from renzheng.edge.log import DeviceLog
from renzheng.edge.settings import LinkSettings
from renzheng.edge.store.database import Store

pytestmark = pytest.mark.mosquitto
DEVICE = DeviceId("kiosk-01")


class SmallCentral:
    """Follows one device's chain in memory and answers as central does."""

    def __init__(self, port, device_key):
        self.key, self.device_key = keys.generate_key(), device_key
        self.head, self.lines, self.batches, self.statuses = chain.genesis(DEVICE), [], 0, []
        self.deaf = False
        self.lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(shard_filter("0", Channel.LOG), 1), (shard_filter("0", Channel.STATUS), 1)]
        )
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client, _data, message):
        with self.lock:
            if message.topic.endswith("status"):
                self.statuses.append(messages.parse_status(message.payload))
                return
            self.batches += 1
            if self.deaf:
                return
            answer = self.take(message.payload)
        client.publish(str(Topic(Shard("0"), DEVICE, Channel.ACK)), sign_ack(answer, self.key), qos=1)

    def take(self, envelope):
        if chain.read_batch_header(envelope).key_id == keys.key_id(self.device_key):
            batch = chain.open_batch(envelope, self.device_key)
        else:
            batch = chain.open_batch(envelope, self.old_key)
        fresh = [line for line in batch.lines if chain.read_entry(line).sequence > self.head.sequence]
        problem = None
        try:
            for entry, reached in chain.follow(self.head, fresh):
                self.lines.append(entry.line)
                self.head = reached
                if chain.is_rotation(entry):
                    self.old_key = self.device_key
                    self.device_key = chain.open_rotation(DEVICE, entry, self.device_key)
        except chain.BrokenChainError as error:
            problem = error.problem
        return Ack(device_id=DEVICE, upto=self.head.sequence, head_hash=self.head.hash, problem=problem)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


class Device:
    """A log with its link."""

    def __init__(self, folder, port, *, protocol="5"):
        self.folder = folder
        self.store, link_store = Store(folder / "device.sqlite"), Store(folder / "device.sqlite")
        self.log = DeviceLog(self.store, DEVICE)
        self.keyring = Keyring(self.store, folder)
        self.key = self.keyring.current()
        self.alarms = []
        self.settings = LinkSettings(
            host="127.0.0.1",
            port=port,
            protocol=protocol,
            keepalive_seconds=5,
            progress_seconds=1,
            status_seconds=0.5,
            reconnect_first_seconds=0.1,
            reconnect_longest_seconds=0.5,
        )
        self._link_log = DeviceLog(link_store, DEVICE)

    def start(self, central_key):
        identity = Identity(
            DEVICE, Shard("0"), Keyring(self._link_log.store, self.folder), central_key, "test"
        )
        clock = stepped_clock()
        self.link = Link(
            self.settings,
            identity,
            self._link_log,
            wall=lambda: clock.read().wall,
            alarm=lambda kind, sequence: self.alarms.append((kind, sequence)),
        )
        self.log.on_append(self.link.wake)
        self.link.start()

    def write(self, count):
        start = self.log.head().sequence
        for number in range(start + 1, start + count + 1):
            self.log.append(sign_in(number))

    def all_acknowledged(self):
        return self.log.acknowledged() == self.log.head().sequence


@pytest.fixture
def broker(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, config=["max_queued_messages 10"]) as broker:
        yield broker


@pytest.fixture(params=["5", "3.1.1"])
def device(tmp_path, broker, request):
    device = Device(tmp_path, broker.port, protocol=request.param)
    yield device
    device.link.stop()
    device.store.close()


@pytest.fixture
def central(broker, device):
    central = SmallCentral(broker.port, device.key)
    yield central
    central.close()


def test_what_waited_and_what_comes_arrives_once_and_the_status_says_so(device, central):
    device.write(250)
    device.start(central.key)
    assert eventually(device.all_acknowledged)
    device.write(5)
    assert eventually(device.all_acknowledged)
    assert central.lines == device.log.lines(0, 1000)
    assert eventually(lambda: central.statuses and central.statuses[-1].acknowledged == 255)
    assert central.statuses[-1].waiting_since is None
    device.link.stop()
    assert eventually(lambda: central.statuses[-1].state == "offline")


def test_a_broker_that_dies_and_forgets_loses_nothing(device, central, broker):
    device.start(central.key)
    for _ in range(3):
        device.write(60)
        broker.kill()
        device.write(60)
        broker.start()
    assert eventually(device.all_acknowledged, within_seconds=30)
    assert central.lines == device.log.lines(0, 1000)
    assert device.alarms == []


def test_a_central_that_does_not_answer_is_asked_again(device, central):
    central.deaf = True
    device.start(central.key)
    device.write(10)
    assert eventually(lambda: central.batches >= 1)
    assert device.log.acknowledged() == 0
    central.deaf = False
    assert eventually(device.all_acknowledged)
    assert central.lines == device.log.lines(0, 100)


def test_a_frozen_broker_is_noticed_and_left(device, central, broker):
    device.start(central.key)
    device.write(1)
    assert eventually(device.all_acknowledged)
    broker.pause()
    device.write(5)
    assert eventually(lambda: not device.link.connected, within_seconds=25)
    broker.resume()
    assert eventually(device.all_acknowledged, within_seconds=30)
    assert central.lines == device.log.lines(0, 100)


def test_an_acknowledgement_that_central_did_not_sign_changes_nothing(device, central):
    device.start(keys.generate_key())
    device.write(3)
    assert eventually(lambda: central.batches >= 2)
    assert device.log.acknowledged() == 0


def test_a_central_that_holds_another_history_is_an_alarm_and_gets_nothing_more(device, central):
    other = chain.append(chain.genesis(DEVICE), sign_in(999).to_json())
    central.head = chain.Head(1, other.hash)
    device.write(3)
    device.start(central.key)
    assert eventually(lambda: device.alarms != [])
    assert device.alarms[0][0].startswith("fork")
    assert device.link.halted == "fork"
    assert device.log.acknowledged() == 0


def test_keys_change_in_the_middle_of_a_backlog_and_the_old_ones_are_destroyed(device, central, tmp_path):
    for _ in range(3):
        device.write(30)
        device.keyring.rotate(device.log, institution_id="H1", clock=stepped_clock())
    device.write(30)
    assert len(list(tmp_path.glob("*.key.pem"))) == 4
    device.start(central.key)
    assert eventually(device.all_acknowledged)
    assert keys.key_id(central.device_key) == keys.key_id(device.keyring.current())
    assert len(central.lines) == 123
    assert eventually(lambda: len(list(tmp_path.glob("*.key.pem"))) == 1)
    device.write(5)
    assert eventually(device.all_acknowledged)
    assert device.log.verify(device.keyring.key_at(0)).sequence == 128


def test_a_broker_with_a_small_limit_gets_messages_that_fit(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    with Mosquitto(folder) as broker:
        text = broker.config_file.read_text().replace("max_packet_size 262144", "max_packet_size 6000")
        broker.config_file.write_text(text)
        broker.restart()
        device = Device(tmp_path, broker.port, protocol="3.1.1")
        central = SmallCentral(broker.port, device.key)
        device.write(40)
        device.start(central.key)
        assert eventually(device.all_acknowledged, within_seconds=30)
        assert central.lines == device.log.lines(0, 100)
        device.link.stop()
        central.close()
