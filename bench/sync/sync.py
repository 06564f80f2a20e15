"""`renzheng bench sync`: signed, verified, committed and acknowledged events a second, beside the ceiling.

The ceiling is the same broker, the same devices and the same acknowledgements with a consumer that looks at
nothing: what no ingest on this machine can exceed. Beside each rate stands the processor time that the
consumer's process took for an event, which other work on the machine changes less than the rate.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from joserfc.jwk import OKPKey

from renzheng.bench.sync.devices import Told
from renzheng.bench.sync.servers import Certificates, mosquitto, postgresql
from renzheng.central.errors import BenchError
from renzheng.central.ingest.consumer import Consumer
from renzheng.central.ingest.decide import Problem, Refused
from renzheng.central.ingest.service import Ingest, Message, PreparedGroup, PreparedMessage, Reply
from renzheng.central.metrics import Metrics
from renzheng.central.settings import BrokerSettings
from renzheng.central.site.authority import Authority
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices, reading
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.common.files import write_whole
from renzheng.contracts import keys, log
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.messages import Ack, sign_ack
from renzheng.contracts.topics import Channel, parse_topic

DEVICES = ("bench-1", "bench-2", "bench-3", "bench-4")
INSTITUTION = "H1"
SHARD = "0"
Say = Callable[[str], None]


class EmptyIngest(Ingest):
    """Answers every batch as if it had been stored, and looks at nothing: the ceiling."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key
        self._upto: dict[str, int] = {}

    def prepare(self, messages: Sequence[Message]) -> PreparedGroup:
        """Look at nothing but the topics."""
        unread = Refused(Problem.MALFORMED, "Nobody has looked at it.")
        ones = [PreparedMessage(message, parse_topic(message.topic), unread) for message in messages]
        return PreparedGroup(0, frozenset(), ones)

    def commit(self, group: PreparedGroup) -> list[Reply]:
        """Answer; the devices send whole batches in order, so counting them is enough."""
        replies = []
        for topic in (one.topic for one in group.ones if one.topic):
            self._upto[topic.device_id] = self._upto.get(topic.device_id, 0) + log.MAX_BATCH_ENTRIES
            ack = Ack(device_id=topic.device_id, upto=self._upto[topic.device_id], head_hash="0" * 64)
            replies.append(Reply(str(topic._replace(channel=Channel.ACK)), sign_ack(ack, self._key)))
        return replies


class Bench:
    """One measurement's folder: a site with its CA, four devices, central's keys."""

    def __init__(self, folder: Path, events: int) -> None:
        batches_each = max(events // (len(DEVICES) * log.MAX_BATCH_ENTRIES), 1)
        self.events_each = batches_each * log.MAX_BATCH_ENTRIES
        self.events = self.events_each * len(DEVICES)
        self.folder = folder
        self.site = folder / "site"
        make_site(self.site, "bench", ["localhost", "127.0.0.1"], utc_now())
        authority = Authority.load(self.site)
        self.key = keys.generate_key()
        (self.site / "central-sign.pem").write_text(keys.public_pem(self.key), encoding="ascii")
        for device_id in DEVICES:
            pair = authority.issue_client(device_id, utc_now())
            write_whole(self.site / f"{device_id}.key", pair.key)
            (self.site / f"{device_id}.pem").write_bytes(pair.certificate)
            write_whole(self.site / f"{device_id}.sign", keys.private_pem(keys.generate_key()))

    def measure(self, ingest: Ingest) -> tuple[float, float]:
        """Run the devices against an ingest; return events a second, and µs of processor time an event."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name, ExitStack() as stack:
            port = stack.enter_context(mosquitto(Path(name) / "mosquitto", Certificates(self.site)))
            broker = BrokerSettings(
                port=port,
                ca_file=self.site / "ca.pem",
                certificate_file=self.site / "central.pem",
                key_file=self.site / "central.key",
            )
            consumer = Consumer(SHARD, broker, ingest, Metrics())
            consumer.start()
            stack.callback(consumer.stop)
            consumer.wait_until_subscribed(15)
            told = Told(str(self.site), port, list(DEVICES), self.events_each, SHARD, INSTITUTION)
            busy = time.process_time()
            rate = self.events / _run_devices(told)
            return rate, 1e6 * (time.process_time() - busy) / self.events

    @contextmanager
    def store(self, url: str) -> Iterator[Database]:
        """Make a store in which the devices are registered; at the end it must hold every event once."""
        database = Database(url)
        database.migrate()
        with database.writing() as connection:
            devices.put_institution(connection, Institution(INSTITUTION, "Bench", "000000"))
            for device_id in DEVICES:
                key = keys.load_private_key((self.site / f"{device_id}.sign").read_bytes())
                public = keys.load_public_key(keys.public_pem(key))
                device = Device(device_id, INSTITUTION, SHARD, Purpose.DIALYSIS)
                devices.register(connection, device, public, utc_now())
        try:
            yield database
            with database.reading() as connection:
                held = sum(row["head_sequence"] for row in reading.devices(connection))
            if held != self.events:
                raise BenchError(f"The store holds {held} events of {self.events}.")
        finally:
            database.close()


def run(events: int, say: Say) -> dict[str, float]:
    """Measure ceiling, SQLite and PostgreSQL in turn; returns the figures by their names in the report."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="renzheng-bench-") as name:
        Path(name).chmod(0o711)  # PostgreSQL's own user has to reach its folder below
        bench = Bench(Path(name), events)
        say(f"{bench.events} events of {len(DEVICES)} devices, TLS, 100 a batch")
        figures["events"] = bench.events

        def note(part: str, label: str, ingest: Ingest) -> None:
            rate, cpu_us = bench.measure(ingest)
            figures[f"{part}_events_per_second"], figures[f"{part}_cpu_us_per_event"] = rate, cpu_us
            say(f"{label:<11} {rate:>10,.0f} events/s, {cpu_us:.0f} µs of the consumer's processor time each")

        note("ceiling", "ceiling", EmptyIngest(bench.key))
        with bench.store(f"sqlite:///{name}/central.sqlite") as database:
            note("sqlite", "SQLite", Ingest(database, bench.key, utc_now))
        with postgresql(Path(name) / "postgresql") as url, bench.store(url) as database:
            note("postgresql", "PostgreSQL", Ingest(database, bench.key, utc_now))
    return {figure: round(value, 1) for figure, value in figures.items()}


def _run_devices(told: Told) -> float:
    """Start the devices' process, let it make its chains, and time it from the first batch on."""
    command = [sys.executable, "-m", "renzheng.bench.sync.devices"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(told)) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise BenchError("The devices' process did not come up.")
        process.stdin.write("go\n")
        process.stdin.flush()
        return float(json.loads(process.stdout.readline())["seconds"])
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()
