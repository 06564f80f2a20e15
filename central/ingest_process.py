"""Wires the process of `renzheng central ingest`: shards, and the watch over them; no page, door or night.

A shard's process takes nothing but its devices' messages. It shares store, key and configuration with the
central that serves pages, and may be stopped, killed and started on its own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from renzheng.central.errors import SettingsError
from renzheng.central.metrics import Metrics
from renzheng.central.settings import Settings
from renzheng.central.shards import Shards
from renzheng.central.site.succession import read_former
from renzheng.central.store.database import Database
from renzheng.central.watch.watch import Watch
from renzheng.common.files import warn_of_open_folder
from renzheng.common.supervised import Workers
from renzheng.contracts import keys

CONNECT_SECONDS = 15.0


def must_have_key(settings: Settings) -> None:
    """Refuse to start without the key that signs acknowledgements.

    Raises:
        SettingsError: there is none.
    """
    if not settings.key_file.exists():
        raise SettingsError(
            f"Central has no signing key at {settings.key_file}.",
            why="Devices forget an entry only on central's signed word.",
            do="Make one with: renzheng central init",
        )


class IngestProcess:
    """Some shards as a process of their own.

    Attributes:
        workers: its threads.
        shards: what it consumes.
    """

    def __init__(self, settings: Settings, shards: Sequence[str], clock: Callable[[], datetime]) -> None:
        must_have_key(settings)
        metrics = Metrics()
        warn_of_open_folder(settings.data_dir)
        key = keys.load_private_key(settings.key_file.read_bytes())
        former = read_former(settings.key_file)
        self.shards = Shards(settings, shards, key, former, clock=clock, metrics=metrics)
        self.workers = Workers(self.shards.workers)
        self._database = Database(settings.database, connections=2)
        self._watch = Watch(
            self._database,
            settings,
            clock,
            metrics,
            workers=self.workers,
            brokers=self.shards.standings,
            refused=self.shards.refused,
            whole=False,
        )
        self.workers.add(self._watch.worker)

    def start(self, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        """Bring the store to this version and consume; returns when messages can arrive, or time is up.

        Raises:
            StoreError: the store cannot be opened.
        """
        self._database.migrate()
        self.shards.start()
        self._watch.worker.start()
        self.shards.wait_until_subscribed(connect_seconds)

    def stop(self) -> None:
        """Stop in good order: what was not committed, the devices send again."""
        self._watch.worker.stop()
        self.shards.stop()
        self._database.close()
