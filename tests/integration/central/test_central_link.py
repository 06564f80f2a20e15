"""The ingest on the wire: a real Mosquitto, and processes that die at the worst moment."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
import sqlalchemy as sa
from parts.central import OnWire, eventually, register, running_central
from parts.devices import LogWriter
from parts.postgresql import PostgreSql

from renzheng.central.main import build_central, make_signing_key
from renzheng.central.settings import make_settings
from renzheng.central.site.setup import make_site
from renzheng.central.store import database as database_module
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.faults import StoreRefusesError

pytestmark = pytest.mark.mosquitto


def sequences(database):
    with database.reading() as connection:
        return list(connection.execute(sa.select(schema.log_entries.c.sequence)).scalars())


@pytest.mark.parametrize(("protocol", "version"), [("5", mqtt.MQTTv5), ("3.1.1", mqtt.MQTTv311)])
def test_batches_are_committed_and_then_acknowledged(tmp_path, broker, protocol, version):
    with running_central(tmp_path / "c", broker.port, broker={"protocol": protocol}) as central:
        writer = register(central.database, LogWriter())
        wire = OnWire(broker.port, central, version=version)
        writer.many(1000)
        wire.send("kiosk-1", writer.batches())
        wire.wait_for("kiosk-1", 1000)
        assert sequences(central.database) == list(range(1, 1001))
        assert wire.acks[-1].head_hash == writer.head.hash
        wire.close()


def test_every_shard_has_its_consumer(tmp_path, broker):
    with running_central(tmp_path / "c", broker.port, shards=["east", "west"]) as central:
        east = register(central.database, LogWriter("e"), shard="east")
        west = register(central.database, LogWriter("w"), shard="west")
        wire = OnWire(broker.port, central)
        for one, shard in ((east, "east"), (west, "west")):
            one.many(200)
            wire.send(one.device_id, one.batches(), shard=shard)
        wire.wait_for("e", 200)
        wire.wait_for("w", 200)
        wire.close()


def test_a_broker_that_is_killed_and_forgets_everything(central, broker):
    writer = register(central.database, LogWriter())
    wire = OnWire(broker.port, central)
    writer.many(400)
    batches = writer.batches()
    wire.send("kiosk-1", batches[:2])
    wire.wait_for("kiosk-1", 200)
    broker.kill()
    broker.start()

    def resent():
        wire.send("kiosk-1", batches)  # what a device does when nothing has moved for a while
        return eventually(lambda: wire.upto("kiosk-1") >= 400, within_seconds=1)

    assert eventually(resent, within_seconds=60)
    assert sequences(central.database) == list(range(1, 401))
    wire.close()


CRASHING = """
    import os, signal, sys
    from pathlib import Path
    from renzheng.central.ingest.service import Ingest
    from renzheng.central.main import build_central
    from renzheng.central.settings import read_settings

    commit = Ingest.commit

    def commit_and_die(self, group):
        commit(self, group)                 # committed, not yet acknowledged
        os.kill(os.getpid(), signal.SIGKILL)

    if sys.argv[2] == "die":
        Ingest.commit = commit_and_die
    central = build_central(read_settings(Path(sys.argv[1])))
    central.start()
    print("ready", flush=True)
    signal.pause()
"""


def test_a_consumer_killed_between_commit_and_acknowledgement(tmp_path, broker):
    settings = make_settings({"data_dir": "c", "port": 0, "shards": ["s1"], "broker": {"port": broker.port}})
    config = tmp_path / "central.toml"
    config.write_text(f"data_dir = 'c'\nport = 0\nshards = ['s1']\n[broker]\nport = {settings.broker.port}\n")
    make_signing_key(tmp_path / "c" / "keys" / "central.pem")
    here = build_central(settings.model_copy(update={"data_dir": tmp_path / "c"}))
    writer = register(here.database, LogWriter())
    writer.many(1200)
    batches = writer.batches()
    wire = OnWire(broker.port, here)

    def start(what):
        command = [sys.executable, "-c", textwrap.dedent(CRASHING), config, what]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=os.environ)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    committed = 0
    for _ in range(2 if os.environ.get("FAULTS") == "long" else 1):
        dying = start("die")
        wire.send("kiosk-1", batches[committed // 100 : committed // 100 + 3])
        assert dying.wait(60) == -signal.SIGKILL
        dying.stdout.close()
        assert wire.upto("kiosk-1") == 0
        kept = sequences(here.database)
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) > committed
        committed = len(kept)
    living = start("live")
    wire.send("kiosk-1", batches)
    wire.wait_for("kiosk-1", 1200)
    assert sequences(here.database) == list(range(1, 1201))
    with here.database.reading() as connection:
        count = sa.select(sa.func.count()).select_from(schema.attendance)
        assert connection.execute(count).scalar_one() == 1200
    living.terminate()
    living.wait(60)
    living.stdout.close()
    wire.close()
    here.stop()


def get_json(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def wrong(central):
    return {one["kind"]: one for one in get_json(f"{central.url}/api/v1/problems")[1]["problems"]}


def test_without_a_broker_everything_else_serves_and_says_why(tmp_path):
    make_site(tmp_path / "site", "s", ["127.0.0.1"], datetime(2020, 1, 1, tzinfo=UTC))
    site = tmp_path / "site"
    broker = {"port": 9, "ca_file": str(site / "ca.pem"), "certificate_file": str(site / "central.pem")}
    broker["key_file"] = str(site / "central.key")
    with running_central(tmp_path / "c", 9, broker=broker, connect_seconds=0.0) as central:
        assert eventually(lambda: "broker_unreachable" in wrong(central), within_seconds=60)
        detail = wrong(central)["broker_unreachable"]["detail"]
        assert detail == "broker unreachable: certificate expired (ours, 2021-12-31)"
        status, health = get_json(f"{central.url}/health")
        assert (status, health["state"]) == (503, "failing")
        assert get_json(f"{central.url}/api/v1/health")[1]["state"] == "failing"
        with urllib.request.urlopen(f"{central.url}/problems?lang=en", timeout=60) as page:
            assert "broker unreachable: certificate expired" in page.read().decode()
        assert get_json(f"{central.url}/api/v1/devices")[0] == 200


def test_a_broker_that_comes_later_is_taken_up(tmp_path, broker):
    broker.kill()
    with running_central(tmp_path / "c", broker.port, connect_seconds=0.0) as central:
        writer = register(central.database, LogWriter())
        assert eventually(lambda: "broker_unreachable" in wrong(central), within_seconds=60)
        broker.start()
        assert eventually(lambda: "broker_unreachable" not in wrong(central), within_seconds=60)
        wire = OnWire(broker.port, central)
        writer.many(10)
        wire.send("kiosk-1", writer.batches())
        wire.wait_for("kiosk-1", 10)
        assert get_json(f"{central.url}/health")[0] == 200
        wire.close()


def test_more_open_files_than_select_knows_keep_nobody_from_storing(tmp_path, broker):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    broker.kill()
    with (
        running_central(tmp_path / "c", broker.port, connect_seconds=0.0) as central,
        contextlib.ExitStack() as idle,
    ):
        for _ in range(1100):  # until no lower number is free for the connection to come
            idle.enter_context(Path(os.devnull).open(encoding="ascii"))
        broker.start()
        connected = eventually(
            lambda: central.metrics.value("renzheng_ingest_connected", shard="s1"), within_seconds=60
        )
        assert connected, get_json(f"{central.url}/api/v1/problems")


@pytest.mark.postgresql
def test_a_table_that_is_locked_for_long_is_a_fault_that_is_named_and_not_a_hang(
    postgresql_server, monkeypatch
):
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 1)
    store = Database(postgresql_server.new_database())
    store.migrate()
    with store.writing() as holder:
        holder.execute(sa.text("LOCK TABLE last_times IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreRefusesError, match="LockNotAvailable"):
            store.probe(1)
    store.probe(2)
    store.close()


def test_a_second_consumer_on_a_shard_is_named(tmp_path, broker):
    with running_central(tmp_path / "c", broker.port) as central:
        other = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="central-s1", protocol=mqtt.MQTTv5)
        other.reconnect_delay_set(min_delay=1, max_delay=1)
        other.connect("127.0.0.1", broker.port)
        other.loop_start()
        assert eventually(lambda: "second_consumer" in wrong(central), within_seconds=60)
        assert "central-s1" in wrong(central)["second_consumer"]["detail"]
        other.disconnect()
        other.loop_stop()


@pytest.mark.postgresql
def test_a_read_only_postgresql_and_a_pool_emptied_by_readers_heal_by_themselves(
    tmp_path, broker, postgresql_server
):
    url = postgresql_server.new_database()
    with running_central(tmp_path / "c", broker.port, database_url=url) as central:
        writer = register(central.database, LogWriter())
        wire = OnWire(broker.port, central)
        admin = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        name = admin.info.dbname

        def read_only(on):
            admin.execute("SET default_transaction_read_only = off")
            admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {on}')
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

        read_only("on")
        writer.many(100)
        wire.send("kiosk-1", writer.batches())
        assert eventually(
            lambda: get_json(f"{central.url}/api/v1/health")[1]["state"] == "failing", within_seconds=60
        )
        read_only("off")
        wire.wait_for("kiosk-1", 100)
        assert problems_of(central) == set()
        holding = [central.database.engine.connect() for _ in range(24)]  # as readers of pages would
        writer.many(100)
        wire.send("kiosk-1", writer.batches()[1:])
        wire.wait_for("kiosk-1", 200)
        assert get_json(f"{central.url}/health")[1]["workers"]["ingest-s1"] == "ok"
        for one in holding:
            one.close()
        admin.close()
        wire.close()


def problems_of(central):
    with central.database.reading() as connection:
        query = sa.select(schema.alarms.c.problem).where(schema.alarms.c.device_id == "kiosk-1")
        return set(connection.execute(query).scalars())


@pytest.mark.postgresql
def test_a_postgresql_that_is_restarted_under_load(tmp_path, broker):
    with PostgreSql() as server:
        url = server.new_database()
        with running_central(tmp_path / "c", broker.port, database_url=url) as central:
            writer = register(central.database, LogWriter())
            wire = OnWire(broker.port, central)
            writer.many(3000)
            batches = writer.batches()
            wire.send("kiosk-1", batches[:10])
            server.kill()
            wire.send("kiosk-1", batches[10:])
            server.start()

            def resent():
                wire.send("kiosk-1", batches[wire.upto("kiosk-1") // 100 :])
                return eventually(lambda: wire.upto("kiosk-1") >= 3000, within_seconds=3)

            assert eventually(resent, within_seconds=60)
            assert sorted(sequences(central.database)) == list(range(1, 3001))
            wire.close()
