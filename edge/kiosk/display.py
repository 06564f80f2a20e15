"""What the pages should show now: the visit's screen, with what staff should be told beside it."""

from collections.abc import Callable
from dataclasses import dataclass

from renzheng.edge.kiosk.controller import Controller
from renzheng.edge.kiosk.frames import Frames
from renzheng.edge.kiosk.lens import Lens
from renzheng.edge.kiosk.looks import Looks
from renzheng.edge.kiosk.pages import Pages
from renzheng.edge.kiosk.screen import Screen, challenge_of, screen_of
from renzheng.edge.kiosk.session import Done, Looking
from renzheng.edge.kiosk.verifying import Verifying


@dataclass(frozen=True, slots=True)
class Delivery:
    """How it stands with what this device hands over.

    Args:
        away: whether central is out of reach.
        halted: what keeps this device from delivering until somebody acts, if anything.
    """

    away: Callable[[], bool]
    halted: Callable[[], str | None]


class Display:
    """Makes the screen.

    Args:
        controller: the visit.
        looks: what the look under way has shown.
        frames: how old a frame of the agent's own camera is.
        lens: whether the camera sees.
        verifying: whether this kiosk can verify anybody.
        delivery: whether events reach central.
        pages: hear of a disk that is nearly full.
        witness_needed: whether hardly anybody matches until the site has calibrated.
    """

    def __init__(
        self,
        controller: Controller,
        looks: Looks,
        frames: Frames,
        *,
        lens: Lens,
        verifying: Verifying,
        delivery: Delivery,
        pages: Pages,
        witness_needed: Callable[[], bool],
    ) -> None:
        self._controller = controller
        self._looks = looks
        self._frames = frames
        self._lens = lens
        self._verifying = verifying
        self._delivery = delivery
        self._pages = pages
        self._witness_needed = witness_needed
        self._disk_short = False

    def warn_of_disk(self, short: bool) -> None:
        """Say on the screen that the disk is nearly full, or no longer."""
        self._disk_short = short
        self._pages.announce()

    def screen(self) -> Screen:
        """Return what the pages should show now."""
        controller, seen = self._controller, self._looks.seen
        if controller.result.fault_until_ms:
            return Screen(screen="fault")
        if controller.asleep:
            return Screen(screen="asleep", network_away=self._delivery.away())
        state = controller.state
        return screen_of(
            state,
            tries=controller.rules.tries,
            frame=seen.frame,
            first_usable_frame=seen.first_usable_frame,
            first_usable_ago_ms=self._frames.own_age_ms(seen.first_usable_frame),
            guidance=seen.guidance,
            challenge=challenge_of(seen.asked) if isinstance(state, Looking) else None,
            event_id=controller.result.event_id if isinstance(state, Done) else None,
            network_away=self._delivery.away(),
            disk_short=self._disk_short,
            halted=self._delivery.halted(),
            problem=controller.result.problem,
            camera=self._lens.trouble,
            unable=self._verifying.trouble,
            witness_needed=self._witness_needed(),
        )
