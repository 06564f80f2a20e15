"""Whether this kiosk can verify anybody at all, as its last looks showed.

A camera that sees well is not enough: a machine that analyses too few frames, gets none, cannot read them, or
cannot write what came of it verifies nobody. That is degraded coverage, so that the missing sign-ins of such
an hour speak against no patient and no institution. The next look that works ends it.
"""

import logging

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.look.attempt import TOO_SLOW
from renzheng.edge.look.outcomes import NotAcquired, NotShown
from renzheng.edge.look.watcher import Progress

LOGGER = logging.getLogger(__name__)
ENGINE_FAULT, NOT_RECORDED = "engine_fault", "not_recorded"
_OF_THE_KIOSK = {TOO_SLOW, "no_frames", "unreadable_frame"}
"""Reasons for which no look can succeed, whoever stands before the camera."""


class Verifying:
    """What the last looks showed of the kiosk, not of the patient."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.typical_ms: int | None = None

    def progressed(self, progress: Progress) -> None:
        """Take what the watcher says after a frame, and at the end of a look."""
        self.typical_ms = progress.pace.typical_ms or self.typical_ms
        if progress.fault is not None:
            self._change(ENGINE_FAULT)
        elif progress.pace.hopeless:
            self._change(TOO_SLOW)
        elif progress.outcome is not None:
            self._change(_trouble_of(progress.outcome))

    def recorded(self, *, done: bool) -> None:
        """Keep whether what came of an attempt could be written."""
        if not done:
            self._change(NOT_RECORDED)
        elif self.trouble == NOT_RECORDED:
            self._change(None)

    def standing(self) -> CoverageStatus:
        """What it can see at this moment as far as looks show, for coverage."""
        if self.trouble is None:
            return CoverageStatus(CoverageState.UP)
        return CoverageStatus(CoverageState.DEGRADED, self.trouble)

    def _change(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        LOGGER.warning(
            "this kiosk can verify %s", "people again" if trouble is None else f"nobody: {trouble}"
        )
        self.trouble = trouble


def _trouble_of(outcome: object) -> str | None:
    match outcome:
        case NotAcquired(reason):
            return reason if reason in _OF_THE_KIOSK else None
        case NotShown(too_slow=True):
            return TOO_SLOW
        case _:
            return None
