"""The link over a real Mosquitto: everything arrives once, in order, whatever the broker does."""

import queue
import sqlite3
import threading
from datetime import timedelta

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from parts.edge import DAY, eventually, sign_in, stepped_clock
from parts.mosquitto import Mosquitto
from parts.processes import free_port

from renzheng.common.mqtt import release
from renzheng.contracts import keys, messages
from renzheng.contracts import log as chain
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.contracts.messages import Ack, sign_ack
from renzheng.contracts.topics import Channel, Topic, shard_filter
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link import runner
from renzheng.edge.device.link.mqtt import Stop
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import LinkSettings

pytestmark = pytest.mark.mosquitto
SECOND_PROTOCOL = pytest.param("3.1.1", marks=pytest.mark.long)  # the keep-alive's ten seconds are the same
DEVICE = DeviceId("kiosk-01")


def flip_in_time(path, sequence):
    """What a bad disk does: one byte of a waiting entry is another one."""
    connection = sqlite3.connect(path, timeout=30)
    (line,) = connection.execute("SELECT line FROM entries WHERE sequence = ?", (sequence,)).fetchone()
    at = bytes(line).index(b'"time":"') + len(b'"time":"')
    connection.execute(
        "UPDATE entries SET line = ? WHERE sequence = ?", (line[:at] + b"x" + line[at + 1 :], sequence)
    )
    connection.commit()
    connection.close()


class SmallCentral:
    """Follows one device's chain in memory and answers as central does."""

    def __init__(self, port, device_key, shard="0"):
        self.shard = shard
        self.key, self.device_key = keys.generate_key(), device_key
        self.head, self.lines, self.batches, self.statuses = chain.genesis(DEVICE), [], 0, []
        self.deaf, self.given, self.safe, self.epoch, self.answers = False, 0, 0, 1, []
        self.lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(shard_filter(shard, Channel.LOG), 1), (shard_filter(shard, Channel.STATUS), 1)]
        )
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, client, _data, message):
        with self.lock:
            if message.topic.endswith("status"):
                self.statuses.append(messages.parse_status(message.payload))
                if self.shard != "0":
                    self.say(sign_ack(self.word(), self.key))
                return
            self.batches += 1
            if self.deaf:
                return
            answer = self.take(message.payload)
            self.answers.append(sign_ack(answer, self.key))
        client.publish(str(Topic(Shard(self.shard), DEVICE, Channel.ACK)), self.answers[-1], qos=1)

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
        return self.word(problem)

    def word(self, problem=None):
        self.given += 1
        place = {"store_id": "store", "epoch": self.epoch, "counter": self.given, "at": DAY}
        head = {"upto": self.head.sequence, "head_hash": self.head.hash}
        safe = min(self.safe, self.head.sequence)
        return Ack(version=2, device_id=DEVICE, problem=problem, safe_upto=safe, **head, **place)

    def say(self, envelope):
        self._client.publish(str(Topic(Shard(self.shard), DEVICE, Channel.ACK)), envelope, qos=1)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


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
    assert eventually(device.all_acknowledged, within_seconds=60)
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


@pytest.mark.parametrize("device", ["5", SECOND_PROTOCOL], indirect=True)
def test_a_frozen_broker_is_noticed_and_left(device, central, broker):
    device.start(central.key)
    device.write(1)
    assert eventually(device.all_acknowledged)
    broker.pause()
    device.write(5)
    assert eventually(lambda: not device.link.connected, within_seconds=60)
    broker.resume()
    assert eventually(device.all_acknowledged, within_seconds=60)
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


def test_keys_change_in_the_middle_of_a_backlog_and_the_old_ones_go_once_a_checkpoint_holds_them(
    device, central, tmp_path
):
    for _ in range(3):
        device.write(30)
        device.keyring.rotate(device.log, institution_id="H1", clock=stepped_clock())
    device.write(30)
    assert len(list(tmp_path.glob("*.key.pem"))) == 4
    device.start(central.key)
    assert eventually(device.all_acknowledged)
    assert keys.key_id(central.device_key) == keys.key_id(device.keyring.current())
    assert len(central.lines) == 123
    assert len(list(tmp_path.glob("*.key.pem"))) == 4
    central.safe = 62
    device.write(1)
    assert eventually(lambda: len(list(tmp_path.glob("*.key.pem"))) == 2)
    central.safe = 123
    device.write(4)
    assert eventually(lambda: len(list(tmp_path.glob("*.key.pem"))) == 1)
    assert eventually(device.all_acknowledged)
    assert device.log.verify(device.keyring.key_at(0)).sequence == 128


def test_an_old_acknowledgement_that_comes_again_changes_nothing(device, central):
    device.start(central.key)
    device.write(10)
    assert eventually(device.all_acknowledged)
    old = central.answers[0]
    device.write(10)
    assert eventually(lambda: device.log.acknowledged() == 20)
    told = len(central.statuses)
    central.say(old)
    first = sign_ack(Ack(device_id=DEVICE, upto=0, head_hash=chain.genesis(DEVICE).hash), central.key)
    central.say(first)  # of version 1, without a place
    assert eventually(lambda: len(central.statuses) > told)  # it asks for the latest word instead
    assert device.log.acknowledged() == 20
    assert (device.alarms, device.link.halted, len(central.lines)) == ([], None, 20)


def test_a_central_of_a_later_epoch_is_followed_back_even_by_an_idle_device(device, central):
    device.start(central.key)
    device.write(20)
    assert eventually(device.all_acknowledged)
    central.head, central.lines = device.log.head_at(5), central.lines[:5]
    central.epoch, central.given = 2, 0
    central.say(sign_ack(central.word(), central.key))
    assert eventually(lambda: len(central.lines) == 20)
    assert eventually(device.all_acknowledged)
    assert device.alarms == []


def test_words_of_another_store_and_of_an_unknown_key_are_told_and_leave_again(device, central, monkeypatch):
    device.start(central.key)
    device.write(3)
    assert eventually(device.all_acknowledged)
    other = central.word().model_copy(update={"store_id": "other", "epoch": 9, "upto": 0})
    central.say(sign_ack(other, central.key))
    assert eventually(lambda: device.link.halted == "other_store")
    assert eventually(lambda: central.statuses[-1].halted == "other_store")
    central.say(sign_ack(central.word(), central.key))
    assert eventually(lambda: device.link.halted is None)
    changed = keys.generate_key()
    central.say(sign_ack(central.word(), changed))
    assert eventually(lambda: device.link.halted == "unknown_central_key")
    follow = messages.CentralKey(new_key=keys.public_pem(changed), since=DAY)
    topic = str(Topic(Shard("0"), DEVICE, Channel.COMMAND))
    central._client.publish(topic, messages.sign_central_key(follow, central.key), qos=1)
    central.key = changed
    device.write(2)
    assert eventually(device.all_acknowledged)
    assert device.link.halted is None
    assert {kind for kind, _ in device.alarms} == {"other_store"}  # a key that is followed alarms nobody
    monkeypatch.setattr(runner, "_DOUBT_MS", 0)
    central.say(sign_ack(central.word(), keys.generate_key()))
    assert eventually(lambda: device.alarms[-1][0] == "unknown_central_key")
    assert eventually(lambda: central.statuses[-1].halted == "unknown_central_key")


def test_a_device_follows_central_to_another_broker_and_comes_back_while_nobody_is_there(
    device, central, tmp_path
):
    (tmp_path / "other").mkdir()
    device.start(central.key)
    device.write(3)
    assert eventually(device.all_acknowledged)
    with Mosquitto(tmp_path / "other") as other:
        there = SmallCentral(other.port, device.key)
        there.key, there.head, there.lines, there.given = central.key, central.head, list(central.lines), 1000
        stranger = messages.Moved(host="127.0.0.1", port=9, since=DAY)
        topic = str(Topic(Shard("0"), DEVICE, Channel.COMMAND))
        central._client.publish(topic, messages.sign_moved(stranger, keys.generate_key()), qos=1)
        moved = messages.Moved(host="127.0.0.1", port=other.port, since=DAY)
        central._client.publish(topic, messages.sign_moved(moved, central.key), qos=1)
        assert eventually(lambda: there.statuses and there.statuses[-1].state == "online")
        device.write(2)
        assert eventually(device.all_acknowledged)
        assert len(there.lines) == 5
        there.close()
    central.head, central.lines, central.given = there.head, list(there.lines), 2000
    device.write(1)
    assert eventually(device.all_acknowledged, within_seconds=60)
    assert len(central.lines) == 6


def test_a_device_follows_only_centrals_latest_word_on_its_own_shard(device, central, broker):
    device.start(central.key)
    device.write(2)
    assert eventually(device.all_acknowledged)
    there = SmallCentral(broker.port, device.key, shard="7")
    there.key, there.head, there.lines, there.given = central.key, central.head, list(central.lines), 1000

    def tell(shard, minutes, key=central.key, device_id=DEVICE, over="0"):
        since = DAY + timedelta(minutes=minutes)
        word = messages.Reassigned(device_id=device_id, shard=shard, since=since)
        topic = str(Topic(Shard(over), DEVICE, Channel.COMMAND))
        central._client.publish(topic, messages.sign_reassigned(word, key), qos=1)

    tell("9", 9, key=keys.generate_key())
    tell("9", 9, device_id="kiosk-99")
    tell("7", 2)
    assert eventually(lambda: there.statuses and there.statuses[-1].state == "online")
    tell("0", 1, over="7")  # an older word, said again by somebody
    device.write(3)
    assert eventually(device.all_acknowledged)
    assert (len(there.lines), len(central.lines)) == (5, 2)
    there.close()
    before = len(central.statuses)
    back = lambda: any(one.state == "online" for one in central.statuses[before:])  # noqa: E731
    assert eventually(back, within_seconds=60), "nobody answers in that shard any more"


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
        assert eventually(device.all_acknowledged, within_seconds=60)
        assert central.lines == device.log.lines(0, 100)
        device.link.stop()
        central.close()


class Handing(queue.SimpleQueue):
    """Gives the word to stop away before its sender goes on; knows whether more was asked for behind it."""

    def __init__(self):
        super().__init__()
        self.device, self.stops, self.asked_again = None, False, False

    def get(self, *arguments, **named):
        self.asked_again = self.asked_again or self.stops
        found = super().get(*arguments, **named)
        self.stops = isinstance(found, Stop)
        return found

    def put(self, item):
        super().put(item)
        if isinstance(item, Stop):
            assert eventually(lambda: self.asked_again or not self.device.link.worker.is_alive())


def test_a_link_that_is_told_to_stop_begins_no_further_turn(tmp_path, monkeypatch):
    """Each turn may wait a second for something to happen, and nothing will."""
    happenings = Handing()
    monkeypatch.setattr(runner.queue, "SimpleQueue", lambda: happenings)
    happenings.device = device = Device(tmp_path, free_port())
    device.start(keys.generate_key())
    device.link.stop()
    assert not happenings.asked_again
    assert not device.link.worker.is_alive()
    device.store.close()


class WholeBatches(SmallCentral):
    """Takes a batch whole or not at all, as central does."""

    def take(self, envelope):
        before, kept = self.head, list(self.lines)
        answer = super().take(envelope)
        if answer.problem is None:
            return answer
        self.head, self.lines = before, kept
        return answer.model_copy(update={"upto": before.sequence, "head_hash": before.hash})


@pytest.mark.parametrize("device", ["5"], indirect=True)
def test_a_flipped_byte_in_a_waiting_entry_is_told_and_ends_nothing(device, broker, tmp_path):
    central = WholeBatches(broker.port, device.key)
    device.write(9)
    flip_in_time(tmp_path / "device.sqlite", 6)
    device.start(central.key)
    assert eventually(lambda: ("damaged", 6) in device.alarms, within_seconds=60)
    assert eventually(lambda: device.log.acknowledged() == 5, within_seconds=60)
    assert eventually(
        lambda: central.statuses and central.statuses[-1].halted == "damaged", within_seconds=60
    )
    assert device.link.halted == "damaged"
    assert device.link.worker.is_alive()
    central.close()


@pytest.mark.parametrize("device", ["5"], indirect=True)
def test_a_flipped_byte_in_the_oldest_waiting_entry_does_not_end_the_link(device, broker, tmp_path):
    central = WholeBatches(broker.port, device.key)
    device.write(3)
    flip_in_time(tmp_path / "device.sqlite", 1)
    device.start(central.key)
    assert eventually(lambda: central.statuses != [], within_seconds=60), "its time cannot be read"
    assert eventually(lambda: ("damaged", 1) in device.alarms, within_seconds=60)
    assert device.link.worker.is_alive()
    central.close()
