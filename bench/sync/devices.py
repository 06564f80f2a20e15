"""The devices of a measurement, in a process of their own: ``python -m renzheng.bench.sync.devices``.

Reads one JSON object (`Told`), makes each device's chain, says ``ready``, waits for a line, then sends: sign
a batch, publish it, keep at most `WINDOW` unacknowledged, until central has acknowledged everything. Signing
is inside the measured time, recording is not: a device records when people come and drains when the link is
up.
"""

import json
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from renzheng.common.mqtt import release
from renzheng.contracts import keys, log
from renzheng.contracts.events import AttendanceData, Clock, Outcome, Pad, Purpose, SignIn, device_source
from renzheng.contracts.messages import open_ack
from renzheng.contracts.topics import Channel, Topic

WINDOW = 4
STALL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the process is told; every device has ``<id>.pem``, ``<id>.key`` and ``<id>.sign`` in `folder`."""

    folder: str
    port: int
    devices: list[str]
    events_each: int
    shard: str
    institution_id: str


class Sender:
    """One device: a chain, a key, a connection."""

    def __init__(self, told: Told, device_id: str) -> None:
        folder = Path(told.folder)
        self._device_id = device_id
        self._key = keys.load_private_key((folder / f"{device_id}.sign").read_bytes())
        self._central_key = keys.load_public_key((folder / "central-sign.pem").read_bytes())
        self._lines = make_lines(device_id, told.institution_id, told.events_each)
        self._topic = Topic(told.shard, device_id, Channel.LOG)  # type: ignore[arg-type]
        self._upto = 0
        self._moved = threading.Condition()
        self._client = self._connect(told, folder)

    def _connect(self, told: Told, folder: Path) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._device_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.tls_set(
            str(folder / "ca.pem"),
            str(folder / f"{self._device_id}.pem"),
            str(folder / f"{self._device_id}.key"),
        )
        subscribed = threading.Event()
        client.on_message = self._on_message
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", told.port)
        client.loop_start()
        client.subscribe(str(self._topic._replace(channel=Channel.ACK)), 1)
        subscribed.wait(10)
        return client

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        ack = open_ack(bytes(message.payload), self._central_key)
        with self._moved:
            self._upto = max(self._upto, ack.upto)
            self._moved.notify()

    def send(self) -> None:
        """Send everything; returns when central has acknowledged the last entry."""
        sent, total = 0, len(self._lines)
        outstanding: list[int] = []
        while self._upto < total:
            while sent < total and len(outstanding) < WINDOW:
                taken = log.cut_batch(self._lines[sent : sent + log.MAX_BATCH_ENTRIES])
                envelope = log.sign_batch(self._device_id, taken, self._key)
                self._client.publish(str(self._topic), envelope, qos=1)
                sent += len(taken)
                outstanding.append(sent)
            if not self._wait_for(outstanding[0]):
                sent, outstanding = self._upto, []  # nothing moves: rewind to the last acknowledged
            outstanding = [end for end in outstanding if end > self._upto]

    def _wait_for(self, sequence: int) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self._upto >= sequence, STALL_SECONDS)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


def make_lines(device_id: str, institution_id: str, count: int) -> list[bytes]:
    """Record sign-ins of 200 people, some 550 bytes an entry."""
    head, lines = log.genesis(device_id), []
    start = datetime(2026, 3, 2, tzinfo=UTC)
    template = SignIn(
        source=device_source(device_id),
        time=start,
        subject="P000000",
        data=AttendanceData(
            institution_id=institution_id,
            clock=Clock(trusted=True, boot_id="boot-1", monotonic_ms=1),
            purpose=Purpose.DIALYSIS,
            outcome=Outcome.MATCH,
            pad=Pad.BONA_FIDE,
            comparison_score=0.7135,
            threshold=0.52,
            false_match_rate=1e-4,
            session_id="S-20260302-0001",
            engine="dlib-resnet-1",
            identifiers=("name", "insurance_number"),
            attempts=1,
            decision_ms=412,
        ),
    ).to_json()
    identifier = json.loads(template)["id"].encode()
    for number in range(count):
        moment = (start + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        event = template.replace(b"2026-03-02T00:00:00Z", moment).replace(
            b"P000000", b"P%06d" % (number % 200)
        )
        event = event.replace(identifier, identifier[:24] + b"%012d" % number)
        entry_line = b'{"sequence":%d,"previous":"%b","event":%b}' % (
            head.sequence + 1,
            head.hash.encode(),
            event,
        )
        ((link),) = log.walk(head, [entry_line])
        head = log.Head(link.sequence, link.hash)
        lines.append(entry_line)
    return lines


def main() -> None:
    """Do what the module says."""
    told = Told(**json.loads(sys.stdin.readline()))
    senders = [Sender(told, device_id) for device_id in told.devices]
    print("ready", flush=True)  # noqa: T201 - spoken to the process that started us
    sys.stdin.readline()
    began = time.monotonic()
    threads = [threading.Thread(target=sender.send) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seconds": time.monotonic() - began}), flush=True)  # noqa: T201 - the same
    for sender in senders:
        sender.close()


if __name__ == "__main__":
    main()
