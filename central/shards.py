"""The consumers of some shards, over connections to the store that are theirs alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from joserfc.jwk import OKPKey

from renzheng.central.errors import SettingsError
from renzheng.central.ingest.consumer import Connected, Consumer
from renzheng.central.ingest.service import Ingest
from renzheng.central.metrics import Metrics
from renzheng.central.settings import BrokerSettings, Settings
from renzheng.central.site.setup import CENTRAL_NAME, certify_consumer
from renzheng.central.store.database import Database
from renzheng.central.store.identity import FormerKeys
from renzheng.common.supervised import Worker


class Shards:
    """Some shards of a site.

    Args:
        settings: the site's.
        shards: which of its shards; none for a process that only serves pages.
        key: central's signing key.
        former: keys with which central signed before.
        clock: when it is.
        metrics: where the consumers count.

    Raises:
        SettingsError: the site has no such shard, or one certificate would have to name several.
    """

    def __init__(
        self,
        settings: Settings,
        shards: Sequence[str],
        key: OKPKey,
        former: FormerKeys,
        *,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        for shard in shards:
            must_be_known(settings, shard)
        # Apart from what pages read through, so that no number of readers stops the ingest or the devices.
        self._database = Database(settings.database, connections=2 * max(len(shards), 1))
        self._consumers = [
            Consumer(
                shard,
                _broker_of(settings, shards, shard, clock()),
                Ingest(self._database, key, clock, metrics, former),
                metrics,
            )
            for shard in shards
        ]

    @property
    def workers(self) -> list[Worker]:
        """The consumers' threads."""
        return [worker for one in self._consumers for worker in one.workers]

    def standings(self) -> list[Connected]:
        """Tell how each shard's connection to the broker is."""
        return [one.standing() for one in self._consumers]

    def refused(self) -> Mapping[str, str]:
        """Name the devices of which the store lately refused something, and how it said so."""
        return {device: why for one in self._consumers for device, why in one.refused().items()}

    def start(self) -> None:
        """Begin to consume; where one cannot start, none is left running."""
        started: list[Consumer] = []
        try:
            for consumer in self._consumers:
                consumer.start()
                started.append(consumer)
        except BaseException:
            for consumer in started:
                consumer.stop()
            raise

    def wait_until_subscribed(self, timeout_seconds: float) -> None:
        """Wait until messages of every shard can arrive, or time is up; `standings` explains."""
        deadline = time.monotonic() + timeout_seconds
        for consumer in self._consumers:
            consumer.wait_until_subscribed(max(deadline - time.monotonic(), 0.0))

    def stop(self) -> None:
        """Stop in good order: what was not committed, the devices send again."""
        for consumer in self._consumers:
            consumer.stop()
        self._database.close()


def must_be_known(settings: Settings, shard: str) -> None:
    """Refuse a shard that the site does not have.

    Raises:
        SettingsError: it is none of the configuration's.
    """
    if shard not in settings.shards:
        raise SettingsError(
            f"This site has no shard {shard!r}; its shards are {', '.join(settings.shards)}.",
            why="No device sends there, and the broker's access rules do not name its consumer.",
            do="Add it to `shards` in the configuration, then run: renzheng central broker-config",
        )


def _broker_of(settings: Settings, shards: Sequence[str], shard: str, now: datetime) -> BrokerSettings:
    """Return the broker with the certificate of this shard's consumer, where the site issues its own.

    A certificate from elsewhere is taken as it is; it can name one consumer only.

    Raises:
        SettingsError: it would have to name several.
    """
    told, folder = settings.broker, settings.site_dir
    if told.certificate_file is None:
        return told
    if told.certificate_file.resolve() == (folder / f"{CENTRAL_NAME}.pem").resolve():
        certificate, key = certify_consumer(folder, shard, now)
        return told.model_copy(update={"certificate_file": certificate, "key_file": key})
    if len(shards) > 1:
        raise SettingsError(
            f"One certificate, {told.certificate_file}, cannot serve {len(shards)} shards.",
            why="The broker takes its name for the client id: consumers would end each other's session.",
            do=f"Use the site's own {folder / 'central.pem'}, or a `central ingest` for each shard.",
        )
    return told
