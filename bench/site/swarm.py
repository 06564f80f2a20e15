"""Simulated devices by the hundred: the real log and link of each, in processes that hold eighty.

A process is forked before the measurement has any thread; it is told what to do, and asked how it stands,
over a pipe. The sign-ins are made up; everything from the log's file to the broker's socket is the product.
"""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from renzheng.contracts import keys
from renzheng.contracts.events import (
    AttendanceData,
    Clock,
    Outcome,
    Pad,
    Purpose,
    SignIn,
    device_source,
    utc_now,
)
from renzheng.contracts.ids import DeviceId, Shard
from renzheng.edge.device.keyring import Keyring
from renzheng.edge.device.link.runner import Identity, Link
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.settings import LinkSettings

INSTITUTION = "H1"
SHARD = "0"
IN_ONE_PROCESS = 80
"""The MQTT library asks `select`, which knows no descriptor above 1,023; a device has up to seven."""
MORNING = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where devices find what they need: in `site` ``<id>.pem``, ``<id>.key``, and a folder ``<id>``."""

    site: Path
    port: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How many of a swarm's devices are connected, and have delivered all that they wrote."""

    connected: int
    delivered: int


class Device:
    """One device.

    Args:
        place: where it finds what it needs.
        device_id: its name.
    """

    def __init__(self, place: Place, device_id: str) -> None:
        folder = place.site / device_id
        self._device_id = device_id
        self._stores = Store(folder / "device.sqlite"), Store(folder / "device.sqlite")
        self.log = DeviceLog(self._stores[0], device_id)
        settings = LinkSettings(
            host="127.0.0.1",
            port=place.port,
            ca_file=place.site / "ca.pem",
            certificate_file=place.site / f"{device_id}.pem",
            key_file=place.site / f"{device_id}.key",
        )
        central_key = keys.load_public_key((place.site / "central-sign.pem").read_bytes())
        keyring = Keyring(self._stores[1], folder)
        self.link = Link(
            settings,
            Identity(DeviceId(device_id), Shard(SHARD), keyring, central_key, "bench"),
            DeviceLog(self._stores[1], device_id),
            wall=utc_now,
            alarm=lambda _kind, _sequence: None,
        )
        self.log.on_append(self.link.wake)
        self.written = 0

    def write(self, count: int) -> None:
        """Sign so many people in."""
        for _ in range(count):
            self.written += 1
            self.log.append(_sign_in(self._device_id, self.written))

    def delivered(self) -> bool:
        """Whether central has acknowledged all of it."""
        return self.log.acknowledged() == self.written

    def stop(self) -> None:
        """End."""
        self.link.stop()
        for store in self._stores:
            store.close()


def _sign_in(device_id: str, number: int) -> SignIn:
    return SignIn(
        source=device_source(device_id),
        time=MORNING + timedelta(seconds=number),
        subject=f"P{number:06}",
        data=AttendanceData(
            institution_id=INSTITUTION,
            clock=Clock(trusted=True, boot_id="boot-1", monotonic_ms=number),
            purpose=Purpose.DIALYSIS,
            outcome=Outcome.MATCH,
            pad=Pad.BONA_FIDE,
            comparison_score=0.7135,
            threshold=0.52,
            session_id=f"S-20260302-{number:04}",
            engine="dlib-resnet-1",
        ),
    )


class Swarm:
    """Devices in processes of their own.

    Args:
        place: where they find what they need.
        device_ids: their names.
    """

    def __init__(self, place: Place, device_ids: Sequence[str]) -> None:
        self._ends: list[tuple[Any, Connection]] = []
        context = multiprocessing.get_context("fork")
        for first in range(0, len(device_ids), IN_ONE_PROCESS):
            near, far = context.Pipe()
            names = device_ids[first : first + IN_ONE_PROCESS]
            process = context.Process(target=_serve, args=(place, names, far), daemon=True)
            process.start()
            self._ends.append((process, near))

    def tell(self, word: str, number: int = 0) -> None:
        """Let every process do something, and wait until all have: ``write`` so many, ``start``."""
        for _, end in self._ends:
            end.send((word, number))
        for _, end in self._ends:
            end.recv()

    def standing(self) -> Standing:
        """Ask how the devices stand."""
        for _, end in self._ends:
            end.send(("standing", 0))
        answers = [end.recv() for _, end in self._ends]
        return Standing(sum(one[0] for one in answers), sum(one[1] for one in answers))

    def stop(self) -> None:
        """End every device and process."""
        for process, end in self._ends:
            end.send(("stop", 0))
            end.recv()
            process.join(60)
            end.close()


def _serve(place: Place, device_ids: Sequence[str], end: Connection) -> None:
    """Do what is told, in a process of its own, until it is `stop`."""
    devices = [Device(place, device_id) for device_id in device_ids]
    while True:
        word, number = end.recv()
        if word == "standing":
            end.send((sum(one.link.connected for one in devices), sum(one.delivered() for one in devices)))
            continue
        for one in devices:
            match word:
                case "write":
                    one.write(number)
                case "start":
                    one.link.start()
                case "stop":
                    one.stop()
        end.send(None)
        if word == "stop":
            return
