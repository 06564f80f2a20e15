"""`renzheng bench fleet`: a thousand devices at once, a broker that dies under them, and a slow line.

Real Mosquitto with TLS and the site's own access rules, real `renzheng central ingest` over SQLite, the real
log and link of every device. What it counts at the end is held against what the devices wrote.
"""

import logging
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from renzheng.bench.site.slow_line import slow_line
from renzheng.bench.site.swarm import INSTITUTION, SHARD, Device, Place, Standing, Swarm
from renzheng.bench.sync.servers import Certificates, Mosquitto
from renzheng.central.errors import BenchError
from renzheng.central.ingest_process import IngestProcess
from renzheng.central.main import make_signing_key
from renzheng.central.settings import Settings, make_settings
from renzheng.central.site.authority import Authority
from renzheng.central.site.revocation import render_acl
from renzheng.central.site.setup import consumer_name, make_site
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Institution
from renzheng.common.files import write_whole
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.edge.device.keyring import device_key

Say = Callable[[str], None]
SLOW_BITS_A_SECOND = 32_000
WRITTEN_BEFORE, WRITTEN_MEANWHILE = 3, 2
"""Sign-ins of each device before the broker dies, and while it is away."""
AWAY_SECONDS = 5.0
LONGEST_SECONDS = 1800.0
SLOW = "slow-1"
_CONNECTION = re.compile(r"^(\d+): New client connected from \S+ as ", re.MULTILINE)


class Fleet:
    """A site with its broker, its store, and so many devices.

    Args:
        folder: an empty one.
        connected: devices that connect.
        registered: devices that the store knows.
    """

    def __init__(self, folder: Path, connected: int, registered: int) -> None:
        self.settings = _settings(folder)
        self.site = self.settings.site_dir
        make_site(self.site, "bench", ["localhost", "127.0.0.1"], utc_now())
        key = make_signing_key(self.settings.key_file)
        (self.site / "central-sign.pem").write_text(keys.public_pem(key), encoding="ascii")
        self.names = [f"kiosk-{number:05}" for number in range(connected)]
        self._register([f"kiosk-{number:05}" for number in range(max(registered, connected))])
        acl = render_acl(consumers=[consumer_name(SHARD)])
        self.broker = Mosquitto(folder / "mosquitto", Certificates(self.site), acl)
        broker = {
            "port": self.broker.port,
            "ca_file": str(self.site / "ca.pem"),
            "certificate_file": str(self.site / "central.pem"),
            "key_file": str(self.site / "central.key"),
        }
        self.settings = make_settings({**self.settings.model_dump(mode="json"), "broker": broker})
        self.place = Place(self.site, self.broker.port)

    def _register(self, names: list[str]) -> None:
        authority, database = Authority.load(self.site), Database(self.settings.database)
        database.migrate()
        connected = {*self.names, SLOW}
        with database.writing() as connection:
            devices.put_institution(connection, Institution(INSTITUTION, "Bench", "000000"))
            for name in (*names, SLOW):
                key = keys.generate_key()
                if name in connected:
                    pair = authority.issue_client(name, utc_now())
                    write_whole(self.site / f"{name}.key", pair.key)
                    (self.site / f"{name}.pem").write_bytes(pair.certificate)
                    (self.site / name).mkdir(mode=0o700)
                    key = device_key(self.site / name)
                public = keys.load_public_key(keys.public_pem(key))
                device = devices.Device(name, INSTITUTION, SHARD, Purpose.DIALYSIS)
                devices.register(connection, device, public, utc_now())
        database.close()

    def most_connections_in_a_second(self, since: int) -> int:
        """Count the broker's log: how many clients it took within one second since a moment (Unix time)."""
        found = _CONNECTION.findall(self.broker.log_file.read_text(encoding="utf-8", errors="replace"))
        return max(Counter(at for at in found if int(at) >= since).values(), default=0)

    def held(self) -> tuple[int, int]:
        """Count the entries and the rows of sign-ins that the store holds."""
        database = Database(self.settings.database, connections=1)
        with database.reading() as connection:
            tables = (schema.log_entries, schema.attendance)
            counted = [
                connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables
            ]
        database.close()
        return counted[0], counted[1]


def _settings(folder: Path) -> Settings:
    return make_settings({"data_dir": str(folder / "central"), "shards": [SHARD]})


@contextmanager
def _quiet() -> Iterator[None]:
    """Log errors only meanwhile: a thousand devices say a thousand times the same."""
    logger = logging.getLogger("renzheng")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def run(
    connected: int, registered: int, slow_entries: int, say: Say, *, away_seconds: float = AWAY_SECONDS
) -> dict[str, float]:
    """Measure, with a broker that is away for a while; returns the figures by their names in the report.

    Raises:
        BenchError: devices did not come back, or entries were lost or doubled.
    """
    with _quiet(), tempfile.TemporaryDirectory(prefix="renzheng-bench-") as name:
        fleet = Fleet(Path(name), connected, registered)
        say(f"{connected} devices connect, {max(registered, connected)} are registered")
        swarm = Swarm(fleet.place, fleet.names)  # forked before there is any thread
        swarm.tell("write", WRITTEN_BEFORE)
        fleet.broker.start()
        central = IngestProcess(fleet.settings, [SHARD], utc_now)
        central.start()
        try:
            figures = _storms(fleet, swarm, connected, say, away_seconds)
            figures |= _slow(fleet, slow_entries, say)
        finally:
            swarm.stop()
            central.stop()
            fleet.broker.stop()
        wanted = connected * (WRITTEN_BEFORE + WRITTEN_MEANWHILE) + slow_entries
        entries, rows = fleet.held()
        if (entries, rows) != (wanted, wanted):
            raise BenchError(
                f"{wanted} entries were written; the store holds {entries}, and {rows} rows of them."
            )
        say(f"{entries} entries: none lost, none doubled")
    return {"devices": connected, "registered": max(registered, connected), "entries": entries, **figures}


def _storms(fleet: Fleet, swarm: Swarm, connected: int, say: Say, away_seconds: float) -> dict[str, float]:
    """Let all connect at once; then kill the broker under them."""
    since = int(time.time())
    began = time.monotonic()
    swarm.tell("start")
    half, _ = _until(swarm, began, lambda now: now.connected * 2 >= connected)
    whole, _ = _until(swarm, began, lambda now: now.connected == now.delivered == connected)
    most = fleet.most_connections_in_a_second(since)
    say(f"first: half connected after {half:.1f} s, all delivered after {whole:.1f} s, {most}/s at most")
    fleet.broker.stop(signal.SIGKILL)
    swarm.tell("write", WRITTEN_MEANWHILE)
    time.sleep(max(away_seconds, 1.0))  # its log counts in seconds: those before are not of these
    since = int(time.time())
    fleet.broker.start()
    began = time.monotonic()
    half_back, _ = _until(swarm, began, lambda now: now.connected * 2 >= connected)
    back, _ = _until(swarm, began, lambda now: now.connected == now.delivered == connected)
    most_back = fleet.most_connections_in_a_second(since)
    say(
        f"broker killed: half back after {half_back:.1f} s, all delivered after {back:.1f} s, "
        f"{most_back}/s at most"
    )
    return {
        "first_half_seconds": round(half, 1),
        "first_all_seconds": round(whole, 1),
        "first_most_a_second": most,
        "back_half_seconds": round(half_back, 1),
        "back_all_seconds": round(back, 1),
        "back_most_a_second": most_back,
    }


def _until(swarm: Swarm, began: float, done: Callable[[Standing], bool]) -> tuple[float, Standing]:
    while not done(now := swarm.standing()):
        if time.monotonic() - began > LONGEST_SECONDS:
            raise BenchError(f"{now.connected} are connected, {now.delivered} have delivered; that is all.")
        time.sleep(0.2)
    return time.monotonic() - began, now


def _slow(fleet: Fleet, entries: int, say: Say) -> dict[str, float]:
    """Drain a backlog over a line of 32 kbit/s; which share of it was used, and how much of that was new."""
    with slow_line(fleet.broker.port, SLOW_BITS_A_SECOND) as line:
        device = Device(Place(fleet.site, line.port), SLOW)
        device.write(entries)
        lines = device.log.lines(0, entries)
        began = time.monotonic()
        device.link.start()
        while not device.delivered():
            if time.monotonic() - began > LONGEST_SECONDS:
                raise BenchError("The device behind the slow line did not deliver.")
            time.sleep(0.05)
        seconds = time.monotonic() - began
        device.stop()
    could = seconds * SLOW_BITS_A_SECOND / 8
    once = sum(len(one) + 1 for one in lines) * 4 / 3  # base64
    say(
        f"slow line: {line.carried / could:.0%} of {SLOW_BITS_A_SECOND // 1000} kbit/s used "
        f"for {seconds:.0f} s, {once / could:.0%} for entries that had not been sent before"
    )
    return {"slow_line_share": round(line.carried / could, 3), "slow_entries_share": round(once / could, 3)}
