"""An agent's way to central: a link over a store connection of its own, opened, drained and closed as one.

Kiosk, ward agent and inspector's unit each have one; none when their settings name no broker.
"""

import logging
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from joserfc.jwk import OKPKey

from renzheng.common.files import write_whole
from renzheng.common.supervised import Worker
from renzheng.contracts import keys
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.edge.device.bulk import MOVED, open_bulk
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.renewal import Renewal
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store import entered, heartbeat
from renzheng.edge.device.store.database import Store
from renzheng.edge.errors import SettingsError
from renzheng.edge.settings import Settings

LOGGER = logging.getLogger(__name__)
SOFTWARE = f"renzheng {version('renzheng')}"


def software_with(engine: str) -> str:
    """Return name and version of this software with the face engine in force, for log, status and health."""
    return f"{SOFTWARE} ({engine})"[:64]


_DRAIN_SECONDS = 1.5
REASSIGNED = "central.reassigned.jws"
"""Central's latest word on this device's shard."""


class Uplink:
    """The link of one agent.

    Args:
        settings: the device's settings; `link.host` must be set.
        log: the agent's log; what is appended to it wakes the link.
        clock: where time comes from.
        central_key: whose acknowledgements count; None while central's key is not known.
        software: what the device's status says of itself.
    """

    def __init__(
        self,
        settings: Settings,
        log: DeviceLog,
        clock: Clock,
        central_key: OKPKey | None,
        software: str = SOFTWARE,
    ) -> None:
        device = settings.device
        self._central_key_file = settings.link.central_key_file
        self._moved_file = device.data_dir / MOVED
        self._reassigned_file = device.data_dir / REASSIGNED
        self._log = log
        self._clock = clock
        self._store = Store(device.data_dir / "device.sqlite")  # SQLite connections are a thread's own
        keyring = Keyring(self._store, device.data_dir)
        self._link = Link(
            settings.link,
            Identity(
                DeviceId(device.device_id),
                Shard(device.shard),
                keyring,
                central_key,
                software,
                self._keep_central_key,
                _kept(self._moved_file),
                lambda word: write_whole(self._moved_file, word),
                _kept(self._reassigned_file),
                lambda word: write_whole(self._reassigned_file, word),
            ),
            DeviceLog(self._store, device.device_id),
            wall=lambda: clock.read().wall,
            alarm=self._alarm,
        )
        log.on_append(self._link.wake)
        self._renewal = self._open_renewal(settings, keyring, clock)

    @staticmethod
    def _open_renewal(settings: Settings, keyring: Keyring, clock: Clock) -> Renewal | None:
        link = settings.link
        if link.certificate_file is None or link.key_file is None:
            return None
        try:
            bulk = open_bulk(settings, key=keyring.current, wall=lambda: clock.read().wall)
        except SettingsError as error:  # a kiosk signs people in all the same
            LOGGER.warning("the certificate will not be renewed: %s", error)
            return None
        if bulk is None:
            return None
        return Renewal(bulk, link.certificate_file, link.key_file, wall=lambda: clock.read().wall)

    @property
    def connected(self) -> bool:
        """Whether a broker takes messages."""
        return self._link.connected

    @property
    def workers(self) -> Sequence[Worker]:
        """The thread that sends, and the one that renews the certificate."""
        return (self._link.worker, self._renewal.worker) if self._renewal else (self._link.worker,)

    @property
    def halted(self) -> str | None:
        """The alarm that keeps everything back, if any."""
        return self._link.halted

    def start(self) -> None:
        """Begin."""
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """End in good order: the last events get a moment to reach central; what does not, waits on disk."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.connected and time.monotonic() < deadline:
            if self._log.acknowledged() == self._log.head().sequence:
                break
            time.sleep(0.02)
        if self._renewal is not None:
            self._renewal.worker.stop(
                timeout_seconds=1.0
            )  # a call to the door may take longer than a stop may
        self._link.stop()
        self._store.close()

    def drop(self) -> None:
        """End as a power cut would, with the will to be published."""
        if self._renewal is not None:
            self._renewal.worker.stop(timeout_seconds=0)
        self._link.stop(drop=True)
        self._store.close()

    def _keep_central_key(self, key: OKPKey) -> None:
        path = self._central_key_file
        if path is not None:
            write_whole(path, keys.public_pem(key).encode())

    def _alarm(self, kind: str, sequence: int) -> None:
        if entered.shows_set_back(kind):
            with self._store.writing() as database:
                gone = entered.forget(database)
            if gone:
                LOGGER.error("the device was set back: inspectors and their passkeys are entered anew")
        heartbeat.raise_alarm(self._store, kind, sequence, self._clock.read().wall)


def _kept(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def open_uplink(
    settings: Settings,
    log: DeviceLog,
    clock: Clock,
    central_key: OKPKey | None,
    software: str = SOFTWARE,
) -> Uplink | None:
    """Open the link that the settings describe; None when they name no broker."""
    return None if settings.link.host is None else Uplink(settings, log, clock, central_key, software)


def read_central_key(settings: Settings) -> OKPKey | None:
    """Read central's public key; None when the settings name none.

    Raises:
        SettingsError: the file cannot be read.
    """
    path = settings.link.central_key_file
    if path is None:
        return None
    try:
        return keys.load_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"Central's key {path} cannot be read: {error.strerror}.",
            why="Only what central signed counts as an acknowledgement.",
            do="Copy it from central, or join the device again.",
        ) from None
