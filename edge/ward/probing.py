"""Trying cameras once, for whoever hangs them: what comes, or by what name it fails."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from renzheng.contracts.events import CoverageState
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward import sight
from renzheng.edge.ward.camera import Camera
from renzheng.edge.ward.stream import read_credentials

_ENOUGH_PICTURES = 3


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of one camera."""

    good: bool
    line: str


def probe(cameras: Sequence[CameraSettings], seconds: float) -> Iterator[Probed]:
    """Connect to each camera in turn.

    Raises:
        SettingsError: a credentials file cannot be read.
    """
    for settings in cameras:
        yield _probe(settings, seconds)


def _probe(settings: CameraSettings, seconds: float) -> Probed:
    credentials = None if settings.credentials_file is None else read_credentials(settings.credentials_file)
    camera = Camera(settings, credentials, on_picture=lambda: None)
    began = time.monotonic()
    camera.start()
    try:
        while time.monotonic() - began < seconds and camera.counts.pictures < _ENOUGH_PICTURES:
            time.sleep(0.1)
            if camera.standing().cause not in ("connecting", "stalled", None):
                break
        passed, standing, taken = time.monotonic() - began, camera.standing(), camera.take()
    finally:
        camera.stop()
    if taken is None:
        return Probed(good=False, line=f"{settings.id}: {standing.cause or 'no_picture'}")
    rows, columns = taken.picture.grey.shape
    light = float(sight.in_small(taken.picture.grey).mean())
    line = (
        f"{settings.id}: {columns} x {rows}, {camera.counts.pictures} pictures in {passed:.1f} s,"
        f" mean brightness {light:.0f} of 255"
    )
    return Probed(good=standing.state is CoverageState.UP, line=line)
