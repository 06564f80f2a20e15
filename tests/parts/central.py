"""A central in the test's own process, and a device on the wire that speaks to it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from parts import stores
from parts.devices import LogWriter

from renzheng.central.main import Central, build_central, make_signing_key
from renzheng.central.settings import make_settings
from renzheng.central.store import devices
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.common.mqtt import release
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.messages import Ack, open_ack


def register(database: Database, writer: LogWriter, *, shard: str = "s1") -> LogWriter:
    """Register a device and its institution."""
    with database.writing() as connection:
        devices.put_institution(connection, Institution(writer.institution_id, "Dialysis centre", "371122"))
        device = Device(writer.device_id, writer.institution_id, shard, Purpose.DIALYSIS)
        devices.register(connection, device, writer.public_key, utc_now())
    return writer


@contextlib.contextmanager
def running_central(
    folder: Path, broker_port: int, *, connect_seconds: float = 60.0, **told: Any
) -> Iterator[Central]:
    """Run a central over a folder of its own."""
    broker = {"port": broker_port, **told.pop("broker", {})}
    settings = make_settings({"data_dir": str(folder), "port": 0, "shards": ["s1"], "broker": broker, **told})
    make_signing_key(settings.key_file)
    stores.lay(settings.database)
    central = build_central(settings)
    central.start(connect_seconds=connect_seconds)
    try:
        yield central
    finally:
        central.stop()


class OnWire:
    """A client of the broker that publishes batches and reads the answers."""

    def __init__(self, port: int, central: Central, *, version: int = mqtt.MQTTv5) -> None:
        self.acks: list[Ack] = []
        self._key = central.public_key
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=version)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("renzheng/v1/+/+/down/ack", 1)
        self._subscribed = False
        self._client.on_subscribe = self._on_subscribe
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert eventually(lambda: self._subscribed)

    def _on_subscribe(self, *_: Any) -> None:
        self._subscribed = True

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.acks.append(open_ack(message.payload, self._key))

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def send(self, device_id: str, batches: Sequence[bytes], *, shard: str = "s1") -> None:
        for batch in batches:
            self.publish(f"renzheng/v1/{shard}/{device_id}/up/log", batch)

    def upto(self, device_id: str) -> int:
        return max((ack.upto for ack in self.acks if ack.device_id == device_id), default=0)

    def wait_for(self, device_id: str, upto: int) -> None:
        assert eventually(lambda: self.upto(device_id) >= upto), f"{device_id} is at {self.upto(device_id)}"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


def eventually(check: Callable[[], Any], *, within_seconds: float = 60.0) -> Any:
    """Ask until the answer is true, or time is up; return the last answer."""
    deadline = time.monotonic() + within_seconds
    while True:
        found = check()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
