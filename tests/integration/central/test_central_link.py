"""The ingest on the wire: a real Mosquitto, and processes that die at the worst moment."""

import os
import signal
import subprocess
import sys
import textwrap

import paho.mqtt.client as mqtt
import pytest
import sqlalchemy as sa
from parts.central import OnWire, eventually, register, running_central
from parts.devices import LogWriter
from parts.postgresql import PostgreSql

from renzheng.central.errors import BrokerError
from renzheng.central.main import build_central, make_signing_key
from renzheng.central.settings import make_settings
from renzheng.central.store import schema

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

    assert eventually(resent, within_seconds=30)
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
    for _ in range(2):
        dying = start("die")
        wire.send("kiosk-1", batches[committed // 100 : committed // 100 + 3])
        assert dying.wait(20) == -signal.SIGKILL
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
    living.wait(20)
    living.stdout.close()
    wire.close()
    here.stop()


def test_a_broker_that_does_not_answer_is_named(tmp_path):
    settings = make_settings({"data_dir": str(tmp_path), "port": 0, "broker": {"port": 9}})
    make_signing_key(settings.key_file)
    central = build_central(settings)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:9"):
        central.start(connect_seconds=0.3)
    central.database.close()


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

            assert eventually(resent, within_seconds=40)
            assert sorted(sequences(central.database)) == list(range(1, 3001))
            wire.close()
