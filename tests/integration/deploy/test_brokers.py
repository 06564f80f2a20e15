"""One access rule, two brokers: the embedded one and a real Mosquitto refuse and allow the same over TLS."""

import contextlib
import gc
import queue
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from parts.certificates import CertificateAuthority
from parts.processes import end, find_program, free_port, listens, wait_until

from renzheng.central.site.revocation import render_acl
from renzheng.common.mqtt import release
from renzheng.deploy.broker import embedded
from renzheng.deploy.broker.access import CENTRAL_USER, Access
from renzheng.deploy.broker.embedded import BrokerFaultError, EmbeddedBroker, Tls
from renzheng.deploy.broker.mosquitto import MosquittoSite, render_config

SECONDS = 60
"""How long a busy machine may take for what must come; nothing waits so long for what must not."""
LOG = "renzheng/v1/s0/{}/up/log"
READ_AGAIN = "Reloading config"
ACK = "renzheng/v1/s0/{}/down/ack"


class RunningEmbedded:
    def __init__(self, tls, _crl, _folder):
        self.access = Access()
        self.port = free_port()
        self._broker = EmbeddedBroker(self.port, self.access, tls)

    def __enter__(self):
        self._broker.start()
        return self

    def __exit__(self, *_):
        self._broker.stop()

    def revoke(self, user):
        self.access.revoked.add(user)


def test_silent_callers_of_the_embedded_broker_make_room_for_others(monkeypatch):
    monkeypatch.setattr(embedded, "MOST_UNKNOWN", 5)
    access = Access(passwords={"central": "secret"})
    with EmbeddedBroker(port := free_port(), access), contextlib.ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS)) for _ in range(8)
        ]
        assert silent[0].recv(1) == b"", "the one that waited longest has gone"
        monkeypatch.setattr(embedded, "CONNECT_SECONDS", 0.01)
        late = held.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS))
        assert late.recv(1) == b""
    gc.collect()  # a connection that the broker left open would be told here


@pytest.mark.parametrize(
    "said", [b"\x10", b"\x10\x7f\x00\x04MQ", b"\x10\xff\xff\xff\xff\x7f", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_connect_ends_its_own_connection_only(said):
    with (
        EmbeddedBroker(port := free_port(), Access(passwords={"central": "secret"})),
        contextlib.ExitStack() as held,
    ):
        stranger, waiting = (
            held.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS)) for _ in range(2)
        )
        stranger.sendall(said)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(1) == b""
        waiting.settimeout(0)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)
    gc.collect()


class RunningMosquitto:
    def __init__(self, tls, crl, folder):
        self.port = free_port()
        self._acl = folder / "acl"
        self._acl.write_text(render_acl(consumers=[f"{CENTRAL_USER}-s0"]))
        self._acl.chmod(0o700)
        self._log = folder / "log"
        told = {"host": "127.0.0.1", "port": self.port, "log": f"file {self._log}"}
        site = MosquittoSite(tls, self._acl, crl, **told)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(render_config(site) + "user root\nlog_type information\n")

    def __enter__(self):
        program = find_program("mosquitto", "mosquitto", [Path("/usr/sbin")])
        self._process = subprocess.Popen([str(program), "-c", str(self._config)])
        wait_until(lambda: listens(self.port), within_seconds=SECONDS, what="mosquitto listens")
        return self

    def __exit__(self, *_):
        end(self._process)

    def revoke(self, user):
        read = self._log.read_text().count(READ_AGAIN)
        self._acl.write_text(render_acl([user]))
        self._process.send_signal(subprocess.signal.SIGHUP)
        wait_until(
            lambda: self._log.read_text().count(READ_AGAIN) > read,
            within_seconds=SECONDS,
            what="mosquitto reads its files again",
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("site"))


@pytest.fixture(params=[RunningEmbedded, pytest.param(RunningMosquitto, marks=pytest.mark.mosquitto)])
def broker(request, authority, tmp_path):
    server = authority.issue("broker")
    tls = Tls(authority.certificate, server.certificate, server.key)
    with request.param(tls, authority.revocation_list(), tmp_path) as running:
        yield running


class Client:
    """A paho client that collects what it receives."""

    def __init__(self, broker, authority, identity=None, name="", will=None):
        self.received = queue.Queue()
        self.connected = queue.Queue()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv311)
        self._client.on_message = lambda _c, _u, message: self.received.put((message.topic, message.payload))
        self._subscribed = queue.Queue()
        self._client.on_subscribe = lambda _c, _u, message, _r, _p: self._subscribed.put(message)
        self.ended = queue.Queue()
        self._told = threading.Event()
        self._client.on_disconnect = lambda _c, _u, _f, reason, _p: self._tell(self.ended, reason)
        if will:
            self._client.will_set(will, b"will", qos=1)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: self._tell(self.connected, reason)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
        self._client.tls_set_context(context)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def _tell(self, into, reason):
        into.put(reason)
        self._told.set()

    def answered(self):
        """Wait until the broker has let it in or put it out."""
        assert self._told.wait(SECONDS)

    def subscribe(self, *topics):
        self._client.subscribe([(topic, 1) for topic in topics])
        self._subscribed.get(timeout=SECONDS)

    def publish(self, topic, payload=b"x"):
        self._client.publish(topic, payload, qos=1)

    def die(self):
        """End without a word, as a power cut does; the broker then publishes the last will."""
        self._client.loop_stop()
        release(self._client)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
        release(self._client)


@pytest.fixture
def connect(broker, authority):
    with contextlib.ExitStack() as stack:

        def make(common_name):
            client = Client(broker, authority, authority.issue(common_name), common_name)
            stack.callback(client.close)
            assert client.connected.get(timeout=SECONDS) == 0
            return client

        yield make


def test_a_device_reaches_central_and_central_the_device(connect):
    central, device = connect(CENTRAL_USER), connect("kiosk-01")
    central.subscribe("renzheng/v1/s0/+/up/log", "renzheng/v1/s0/+/up/status")
    device.subscribe(ACK.format("kiosk-01"))
    device.publish(LOG.format("kiosk-01"), b"b" * 160_000)
    assert central.received.get(timeout=SECONDS) == (LOG.format("kiosk-01"), b"b" * 160_000)
    central.publish(ACK.format("kiosk-01"), b"a")
    assert device.received.get(timeout=SECONDS) == (ACK.format("kiosk-01"), b"a")


def test_a_device_cannot_write_or_read_anothers_topics(connect):
    central, thief, victim = connect(CENTRAL_USER), connect("kiosk-02"), connect("kiosk-01")
    central.subscribe("renzheng/v1/s0/+/up/log")
    thief.subscribe(ACK.format("kiosk-01"), "renzheng/v1/s0/+/down/ack", "#")
    thief.publish(LOG.format("kiosk-01"), b"forged")
    central.publish(ACK.format("kiosk-01"), b"for another")
    victim.publish(LOG.format("kiosk-01"), b"genuine")
    assert central.received.get(timeout=SECONDS) == (LOG.format("kiosk-01"), b"genuine")
    assert central.received.empty()
    assert thief.received.empty()


def test_a_revoked_device_is_silent_at_once_on_an_open_connection(connect, broker):
    central, revoked, other = connect(CENTRAL_USER), connect("kiosk-01"), connect("kiosk-02")
    central.subscribe("renzheng/v1/s0/+/up/log")
    revoked.publish(LOG.format("kiosk-01"), b"before")
    assert central.received.get(timeout=SECONDS)[1] == b"before"
    broker.revoke("kiosk-01")
    revoked.publish(LOG.format("kiosk-01"), b"after")
    other.publish(LOG.format("kiosk-02"), b"other")
    assert central.received.get(timeout=SECONDS)[1] == b"other"
    assert central.received.empty()


@pytest.mark.parametrize("taken", ["kiosk-01", CENTRAL_USER, f"{CENTRAL_USER}-s0"])
def test_taking_anothers_client_id_ends_nobodys_session(connect, broker, authority, taken):
    victim = connect(taken)
    victim.subscribe(ACK.format("kiosk-01") if taken == "kiosk-01" else LOG.format("+"))
    for _ in range(2):
        thief = Client(broker, authority, authority.issue("kiosk-02"), taken)
        thief.answered()
        thief.close()
    other = connect(CENTRAL_USER) if taken == "kiosk-01" else connect("kiosk-01")
    topic = ACK.format("kiosk-01") if taken == "kiosk-01" else LOG.format("kiosk-01")
    other.publish(topic, b"still here")
    assert victim.received.get(timeout=SECONDS) == (topic, b"still here")
    assert victim.ended.empty()


@pytest.mark.parametrize("topic", [LOG.format("kiosk-01"), "renzheng/v1/s0/kiosk-01/up/status"])
def test_a_last_will_reaches_no_topic_of_another(connect, broker, authority, topic):
    central = connect(CENTRAL_USER)
    central.subscribe(LOG.format("+"), "renzheng/v1/s0/+/up/status")
    thief = Client(broker, authority, authority.issue("kiosk-02"), "kiosk-02", will=topic)
    thief.answered()
    thief.die()
    good = Client(broker, authority, authority.issue("kiosk-01"), "kiosk-01",
                  will="renzheng/v1/s0/kiosk-01/up/status")  # fmt: skip
    assert good.connected.get(timeout=SECONDS) == 0
    good.die()
    assert central.received.get(timeout=SECONDS) == ("renzheng/v1/s0/kiosk-01/up/status", b"will")
    assert central.received.empty()
    thief.close()
    good.close()


@pytest.mark.parametrize("who", ["nobody", "impostor"])
def test_without_a_certificate_of_the_site_nobody_connects(broker, authority, tmp_path, who):
    impostor = CertificateAuthority(tmp_path / "elsewhere").issue("kiosk-01") if who == "impostor" else None
    try:
        client = Client(broker, authority, impostor, "kiosk-01")
    except (ssl.SSLError, ConnectionError):
        return
    try:
        client.answered()
        assert 0 not in client.connected.queue
    finally:
        client.close()


def test_a_taken_port_is_said_so():
    with (
        EmbeddedBroker(free_port(), Access()) as first,
        pytest.raises(BrokerFaultError, match=str(first.port)),
    ):
        EmbeddedBroker(first.port, Access()).start()


def test_the_embedded_broker_hands_on_while_clients_come_and_go():
    heard = embedded._Subscriptions({"a": 1})
    for topic, clients in heard.items():
        heard[f"{topic}/b"] = clients + 1  # somebody subscribes meanwhile
    assert dict(heard) == {"a": 1, "a/b": 2}
