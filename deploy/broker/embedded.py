"""An MQTT broker inside the process (amqtt), for the demo and for a single site without its own.

It forgets everything when it stops, which is no loss: only central's own acknowledgement means *stored*.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig
from amqtt.errors import AMQTTError, MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session
from cryptography import x509
from cryptography.x509.oid import NameOID

from renzheng.common.supervised import Worker
from renzheng.contracts.errors import FaultError
from renzheng.deploy.broker.access import Access, Action

LISTENER = "default"
_BEAT_SECONDS = 2.0
_PARTING_SECONDS = 1.0
CONNECT_SECONDS = 10.0
"""How long a caller may take to say who it is."""
MOST_UNKNOWN = 100
"""Callers that have not said who they are; beyond them the one that has waited longest goes."""
logger = logging.getLogger(__name__)


class BrokerFaultError(FaultError):
    """The embedded broker could not start."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the site: its CA, and the broker's own certificate and key."""

    ca: Path
    certificate: Path
    key: Path


class AccessAuthentication(BaseAuthPlugin):
    """Admits by client certificate under TLS, by password on loopback; never anonymously."""

    @dataclass
    class Config:
        """The access rule to ask."""

        access: Any = None

    async def authenticate(self, *, session: Session) -> bool | None:
        """Decide on one connection; under TLS the user becomes the certificate's common name."""
        access: Access = self.config.access
        if session.ssl_object is None:
            known = access.admits(session.username, session.password)
        else:
            session.username = common_name(session.ssl_object.getpeercert(binary_form=True))
            known = access.admits_certificate(session.username)
        if session.will_flag and not access.admits_will(session.username, session.will_topic):
            logger.warning("%s may leave no last will on that topic; it is dropped", session.username)
            session.will_flag = False
        return known and access.admits_client(session.username, session.client_id)


class AccessTopics(BaseTopicPlugin):
    """Lets a device use its own topics only."""

    @dataclass
    class Config:
        """The access rule to ask."""

        access: Any = None

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Any = None
    ) -> bool | None:
        """Decide on one publish, subscription or delivery."""
        access: Access = self.config.access
        return access.allows(session.username if session else None, topic, Action(str(action)))


def common_name(der: bytes | None) -> str | None:
    """Read the common name of a certificate in DER; None without a certificate or name."""
    if not der:
        return None
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


class _Subscriptions(dict[str, Any]):
    """Who hears what. A message is handed on while others come and go: it goes to those who were there."""

    def items(self) -> Any:
        """Return the pairs as of now."""
        return list(super().items())


class _AskingBroker(Broker):
    """amqtt, which ends an older session of the same client id; here it first asks who is calling.

    No session is kept for anybody: what a client missed, the sender sends again.
    """

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._unknown: dict[WriterAdapter, None] = {}
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._subscriptions = _Subscriptions()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection; it is closed when this ends, however it ends."""
        self._open[writer] = None
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            del self._open[writer]
            writer.close()

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        del remote_address, remote_port
        handler, session = await self._hear(reader, writer)
        if not await self._authenticate(session, self.listeners_config[LISTENER]):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await _part(writer)
            raise MQTTError(f"{session.username} may not connect as {session.client_id}")
        await self._delete_session(session.client_id)
        session.parent = 0
        return handler, session

    async def shutdown(self) -> None:
        """Stop, and leave nobody waiting and no connection open."""
        await asyncio.gather(*(_part(writer) for writer in list(self._unknown)))
        await super().shutdown()
        for writer in list(self._open):
            writer.transport.abort()

    async def _hear(
        self, reader: ReaderAdapter, writer: WriterAdapter
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Wait for a caller's first words; whoever says nothing makes room for others."""
        self._unknown[writer] = None
        if len(self._unknown) > MOST_UNKNOWN:
            oldest = next(iter(self._unknown))
            del self._unknown[oldest]
            await _part(oldest)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                handler, session = await BrokerProtocolHandler.init_from_connect(
                    reader, writer, self.plugins_manager
                )
                return handler, session
        except (AMQTTError, MQTTError):
            await _part(writer)
            raise
        except TimeoutError:
            await _part(writer)
            raise MQTTError(f"a caller said nothing in {CONNECT_SECONDS:.0f} s") from None
        except Exception as error:  # whatever a stranger sent: amqtt's decoders raise what they like
            await _part(writer)
            raise MQTTError(f"a caller's first message cannot be read ({error!r})") from error
        finally:
            self._unknown.pop(writer, None)


async def _part(writer: WriterAdapter) -> None:
    """Close a connection; a caller that does not take part in it is not waited for."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_PARTING_SECONDS):
            await writer.close()


class EmbeddedBroker:
    """The broker, on a thread and event loop of its own; a context manager.

    Args:
        port: TCP port on `host`.
        access: who may do what; may be changed while the broker runs (revocation).
        tls: certificates; None only on loopback.
        host: address to listen on.
    """

    def __init__(self, port: int, access: Access, tls: Tls | None = None, host: str = "127.0.0.1") -> None:
        self.host, self.port, self.access, self.tls = host, port, access, tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broker: Broker | None = None
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and return when the port answers.

        Raises:
            BrokerFaultError: it cannot listen (port taken, certificate unreadable).
        """
        self._loop = asyncio.new_event_loop()
        self._worker = Worker("broker", self._loop.run_forever, repeatable=False)
        self._loop.call_soon(self._beat, self._loop, self._worker)
        self._worker.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=30)
        except Exception as error:
            self._end_loop()
            raise BrokerFaultError(
                f"The embedded broker cannot listen on {self.host}:{self.port} ({error}).",
                why="Without a broker no event reaches central; the kiosks keep them until then.",
                do="Free the port or choose another.",
            ) from error

    @property
    def worker(self) -> Worker:
        """Its thread, once it has started."""
        assert self._worker is not None
        return self._worker

    def _beat(self, loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
        worker.beat()
        loop.call_later(_BEAT_SECONDS, self._beat, loop, worker)

    def stop(self) -> None:
        """Stop; clients see their connection end."""
        if self._loop is None or self._broker is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop).result(timeout=30)
        finally:
            self._broker = None
            self._end_loop()

    async def _start(self) -> None:
        listener: dict[str, Any] = {"type": "tcp", "bind": f"{self.host}:{self.port}"}
        if self.tls:
            listener |= {"ssl": True, "cafile": self.tls.ca}
            listener |= {"certfile": self.tls.certificate, "keyfile": self.tls.key}
        config = BrokerConfig.from_dict(
            {
                "listeners": {LISTENER: listener},
                "plugins": {
                    f"{__name__}.{AccessAuthentication.__name__}": {"access": self.access},
                    f"{__name__}.{AccessTopics.__name__}": {"access": self.access},
                },
            }
        )
        self._broker = _AskingBroker(config)
        await self._broker.start()

    def _end_loop(self) -> None:
        loop, worker, self._loop = self._loop, self._worker, None
        if loop is None or worker is None:
            return
        worker.stop(timeout_seconds=0)
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        worker.stop(timeout_seconds=10)
        loop.close()


async def _end_tasks() -> None:
    """End what still runs on this loop; a connection closes its socket one turn after its task."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
