"""Agents, a broker and a consumer that can be killed, and the account that is drawn up at the end."""

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import orjson
import sqlalchemy as sa
from faults import quiet
from faults.parties import SHARD, AgentOrders, IngestOrders, run_agent, run_ingest
from parts import stores

from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.edge.device.keyring import Keyring, device_key
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.database import Store

TESTS = Path(__file__).resolve().parents[1]


def _server() -> multiprocessing.context.ForkServerContext:
    """A process that has everything imported and forks the parties off; it ends with the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.parties"])
    paths = [str(TESTS), *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return context


SERVER = _server()


class Broker(Protocol):
    """What the rig needs of a broker."""

    port: int

    def kill(self) -> None: ...
    def start(self) -> None: ...


@dataclass
class Party:
    """One process, started again after each kill."""

    run: Callable[[Any], None]
    orders: Any
    process: ForkServerProcess | None = None

    def start(self) -> None:
        self.process = SERVER.Process(target=self.run, args=(self.orders,), daemon=True)
        self.process.start()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process.close()
            self.process = None

    def signal(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.pid is not None:
            os.kill(self.process.pid, how)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.is_alive()


@dataclass
class Account:
    """What the two sides hold against each other; all but `told`, `entries` and `answered` must be zero."""

    told: int = 0
    entries: int = 0
    lost: int = 0
    doubled: int = 0
    forged: int = 0
    rotations: int = 0
    faulty_logs: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def check(self) -> dict[str, int]:
        """Hold it to what the suite promises, and return its figures."""
        assert self.faulty_logs == []
        assert self.alarms == []
        figures = {name: getattr(self, name) for name in ("told", "entries", "lost", "doubled", "forged")}
        assert figures | {"lost": 0, "doubled": 0, "forged": 0} == figures
        assert self.told > 0
        return figures | ({"rotations": self.rotations} if self.rotations else {})


class Rig:
    """Some agents and a consumer over one broker, on one store.

    Args:
        folder: an own, empty folder.
        broker: running already.
        url: central's store; SQLite in `folder` by default.
        agents: changes to the agents' orders.
        network: where the consumer lives, and at which address agents find the broker.
    """

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        *,
        url: str | None = None,
        device_ids: Sequence[str] = ("kiosk-1", "kiosk-2"),
        host: str = "127.0.0.1",
        ingest_network: str | None = None,
        device_folder: Callable[[str], Path] | None = None,
        **agents: Any,
    ) -> None:
        self.folder, self.broker = folder, broker
        self.url = url or f"sqlite:///{folder / 'central.sqlite'}"
        self.database = Database(stores.lay(self.url))
        self.database.migrate()
        self.central_key = keys.generate_key()
        (folder / "central.pem").write_bytes(keys.private_pem(self.central_key))
        self.ingest = Party(run_ingest, IngestOrders(folder, self.url, broker.port, ingest_network))
        self.agents: list[Party] = []
        for device_id in device_ids:
            own = device_folder(device_id) if device_folder else folder / device_id
            own.mkdir(exist_ok=True)
            notes = folder / f"{device_id}-notes"
            notes.mkdir()
            (own / "central.pub.pem").write_text(keys.public_pem(self.central_key))
            self._register(device_id, own)
            orders = AgentOrders(own, device_id, host, broker.port, notes, **agents)
            self.agents.append(Party(run_agent, orders))

    def _register(self, device_id: str, folder: Path) -> None:
        with self.database.writing() as connection:
            devices.put_institution(connection, devices.Institution("H1", "Dialysis centre", "371122"))
            device = devices.Device(device_id, "H1", SHARD, Purpose.DIALYSIS)
            devices.register(connection, device, device_key(folder), utc_now())

    def __enter__(self) -> Self:
        for party in (self.ingest, *self.agents):
            party.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for party in (*self.agents, self.ingest):
            party.kill()
        self.database.close()

    def again(self, victim: Party | Broker) -> None:
        """Kill and start one."""
        victim.kill()
        victim.start()

    def heads(self) -> dict[str, int]:
        """How far central is, by device."""
        table = schema.devices
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(table.c.device_id, table.c.head_sequence))
            return {row.device_id: row.head_sequence for row in rows}

    def grows(self, *, within_seconds: float = 60, restarting: bool = False) -> bool:
        """Wait until central has got further with every device; `restarting`: agents may end meanwhile."""
        before = self.heads()

        def has_grown() -> bool:
            if restarting:
                self._start_who_ended()
            return all(now > before[name] for name, now in self.heads().items())

        return eventually(has_grown, within_seconds)

    def _start_who_ended(self) -> None:
        for agent in self.agents:
            if not agent.alive:
                agent.start()

    def drain(self, *, within_seconds: float = 120) -> bool:
        """Let the agents write no more, and wait until every one of them knows that central has all."""
        self._start_who_ended()
        # on a busy machine an agent may not have begun yet, and a quiet one never would
        begun = eventually(lambda: all(self._log_of(agent)[0] for agent in self.agents), within_seconds)
        for agent in self.agents:
            quiet.order(agent.orders.notes)
        if begun and eventually(lambda: all(self._drained(agent) for agent in self.agents), within_seconds):
            return True
        sys.stderr.write(f"{self.standing()}\n")
        return False

    def standing(self) -> list[str]:
        """Say where everybody is: for a failing test."""
        table = schema.device_status
        with self.database.reading() as connection:
            said = [str(dict(row._mapping)) for row in connection.execute(sa.select(table))]
        parties = [f"ingest alive {self.ingest.alive}, heads {self.heads()}", *said]
        for agent in self.agents:
            head, acknowledged = self._log_of(agent)
            parties.append(
                f"{agent.orders.device_id} alive {agent.alive}, head {head}, acknowledged {acknowledged}"
            )
        return parties

    def _drained(self, agent: Party) -> bool:
        if not quiet.is_heard(agent.orders.notes):
            return False
        head, acknowledged = self._log_of(agent)
        return acknowledged == head > 0

    def _log_of(self, agent: Party) -> tuple[int, int]:
        """The last entry of an agent's log, and of those that it knows to be with central."""
        store = Store(agent.orders.folder / "device.sqlite")
        try:
            log = DeviceLog(store, agent.orders.device_id)
            return log.head().sequence, log.acknowledged()
        finally:
            store.close()

    def account(self) -> Account:
        """Stop everything, and hold what agents were told and wrote against what central holds."""
        for party in (*self.agents, self.ingest):
            party.kill()
        account = Account()
        for agent in self.agents:
            self._hold(agent.orders, account)
        bad = [one for one in check_store(self.database) if not isinstance(one, LogVerified)]
        account.faulty_logs += [f"central {one.device_id} {one.sequence} {one.fault}" for one in bad]
        with self.database.reading() as connection:
            for row in connection.execute(sa.select(schema.alarms)):
                if row.problem != "gap" or row.resolved_at is None:
                    account.alarms.append(f"central {row.device_id} {row.problem} {row.detail}")
            rows = connection.execute(sa.select(sa.func.count()).select_from(schema.attendance)).scalar_one()
            kinds = connection.execute(sa.select(schema.log_entries.c.line)).scalars()
            sign_ins = sum(b'"renzheng.v1.attendance.' in line for line in kinds)
            account.doubled += abs(rows - sign_ins)
        return account

    def _hold(self, orders: AgentOrders, account: Account) -> None:
        store = Store(orders.folder / "device.sqlite")
        log = DeviceLog(store, orders.device_id)
        head = log.verify(Keyring(store, orders.folder).key_at(0))
        own = dict(enumerate(log.lines(0, head.sequence + 1), start=1))
        keys_so_far = store.row("SELECT count(*) AS n FROM device_keys")
        account.rotations += keys_so_far["n"] - 1 if keys_so_far else 0
        account.alarms += [f"{orders.device_id} {alarm['kind']}" for alarm in heartbeat.alarms(store)]
        store.close()
        table = schema.log_entries
        with self.database.reading() as connection:
            query = sa.select(table).where(table.c.device_id == orders.device_id).order_by(table.c.sequence)
            held = list(connection.execute(query))
        by_sequence = {row.sequence: row for row in held}
        told = [line.split() for line in orders.told.read_text().splitlines()]
        account.told += len(told)
        account.entries += len(held)
        for sequence, digest in told:
            row = by_sequence.get(int(sequence))
            account.lost += row is None or row.hash != digest
        account.lost += len(own.keys() - by_sequence.keys())
        ids = [orjson.loads(row.line)["event"]["id"] for row in held]
        account.doubled += len(ids) - len(set(ids))
        account.forged += sum(own.get(row.sequence) != row.line for row in held)


def eventually(true: Callable[[], bool], within_seconds: float) -> bool:
    """Wait until something holds; False when it does not in time."""
    deadline = time.monotonic() + within_seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def seeded(default: int) -> random.Random:
    """The chance of this run; FAULTS_SEED repeats another one's."""
    seed = int(os.environ.get("FAULTS_SEED", default))
    sys.stderr.write(f"FAULTS_SEED={seed}\n")
    return random.Random(seed)
