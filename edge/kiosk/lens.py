"""Whether the kiosk's camera can see, as the page, the agent's own camera and its pictures say."""

import logging
from collections.abc import Callable

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.kiosk.screen import CameraCall
from renzheng.edge.kiosk.virtual import virtual_video_devices
from renzheng.models.liveness.stream import Camera

LOGGER = logging.getLogger(__name__)


class Lens:
    """What is known of the camera.

    Args:
        own: the camera is the agent's, not the page's.
        know: told of the camera whenever its name is known.
    """

    def __init__(self, *, own: bool, know: Callable[[Camera], None]) -> None:
        self.trouble: str | None = None
        self._own = own
        self._know = know
        self._report: CameraCall | None = None
        self._label = ""

    def report(self, call: CameraCall) -> None:
        """Keep what the page, or the agent's own camera, says of itself."""
        if call.state == "failed" and not self.fails:
            LOGGER.warning("the page's camera failed: %s", call.cause)
        self._report = call
        if call.label is not None:
            self._label = call.label
            self.recheck()

    def recheck(self) -> None:
        """Hand on what is known of the camera now; another device may have been plugged in."""
        self._know(Camera(self._label, virtual_video_devices()))

    def see(self, trouble: str | None) -> bool:
        """Keep what its pictures show: `covered`, `frozen` or nothing wrong; True when that is new."""
        if trouble == self.trouble:
            return False
        LOGGER.warning("the camera's picture: %s", trouble or "well again")
        self.trouble = trouble
        return True

    @property
    def fails(self) -> bool:
        """Whether it has said that it gives no pictures."""
        return self._report is not None and self._report.state == "failed"

    @property
    def own_fails(self) -> bool:
        """Whether it is the agent's own and fails: no page will say so."""
        return self._own and self.fails

    def standing(self) -> CoverageStatus:
        """What it can see at this moment, for coverage."""
        if self._report is not None and self.fails:
            return CoverageStatus(CoverageState.DEGRADED, f"camera_{self._report.cause or 'failed'}")
        if self.trouble is not None:
            return CoverageStatus(CoverageState.DEGRADED, f"camera_{self.trouble}")
        return CoverageStatus(CoverageState.UP)
