"""The look that is under way at the kiosk: how it begins, what it has shown, how it ends.

Lives on the event loop; the watcher's thread looks at the frames. A look is known by its number, so that what
still comes of one that was let go counts for nothing.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import new_id
from renzheng.edge.device.store.people import Patient, People
from renzheng.edge.errors import CallError
from renzheng.edge.kiosk.lens import Lens
from renzheng.edge.kiosk.screen import PaintedCall
from renzheng.edge.kiosk.verifying import Verifying
from renzheng.edge.look.outcomes import LookOutcome
from renzheng.edge.look.watcher import Caution, Progress, Watcher, now_ms
from renzheng.edge.settings import Settings
from renzheng.models.liveness import challenge
from renzheng.models.liveness.challenge import Plan
from renzheng.models.liveness.light import PaintedColour
from renzheng.models.templates import ModelId


@dataclass(frozen=True, slots=True)
class LookView:
    """What the look under way has shown so far; see `Progress`."""

    frame: int | None = None
    first_usable_frame: int | None = None
    guidance: str | None = None
    asked: Plan | None = None


@dataclass(frozen=True, slots=True)
class LookListener:
    """Who hears of the look under way, on the event loop.

    Args:
        change: something is to be shown anew.
        end: it has ended, with its outcome and the best probe's crop.
        fault: the engine failed.
    """

    change: Callable[[], None]
    end: Callable[[LookOutcome, bytes | None], None]
    fault: Callable[[RenzhengError], None]


class Looks:
    """One look at a time.

    Args:
        settings: how long it takes, what becomes of a match that shows nothing living.
        people: references, and what may be asked of each patient.
        model: whose references are compared.
        watcher: looks at the frames.
        lens: the camera, of which the watcher is told before each look.
        verifying: hears of each look what it shows of this kiosk.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        model: ModelId,
        watcher: Watcher,
        lens: Lens,
        *,
        verifying: Verifying,
    ) -> None:
        kiosk = settings.kiosk
        self.seen = LookView()
        self.watcher = watcher
        self.hears = LookListener(lambda: None, lambda _outcome, _crop: None, lambda _error: None)
        self._limit_ms = round(kiosk.attempt_seconds * 1000)
        self._shown_is_needed = kiosk.unshown_liveness == "refuse"
        self._people = people
        self._model = model
        self._lens = lens
        self._verifying = verifying
        self._number = 0

    async def begin(self, patient: Patient) -> None:
        """Begin a look at a patient; one that is under way is let go."""
        references = await asyncio.to_thread(self._people.references, patient.person_id, self._model)
        caution = await asyncio.to_thread(self._caution_for, patient)
        self._number += 1
        self.seen = LookView()
        self.watcher.begin(self._number, references, self._limit_ms, caution)

    @property
    def blind(self) -> bool:
        """Whether the agent's own camera fails, so that nothing will be seen."""
        return self._lens.own_fails

    def end(self) -> None:
        """Let go of the look under way; nothing more is heard of it."""
        self._number += 1
        self.watcher.end()

    def clear(self) -> None:
        """Forget what the last look has shown."""
        self.seen = LookView()

    def painted(self, call: PaintedCall) -> None:
        """Keep that the page has painted the next colour of the plan that it was told.

        Raises:
            CallError: nothing is asked now, or something else.
        """
        plan = self.seen.asked
        if plan is None or plan.nonce != call.nonce or call.step >= len(plan.colours):
            raise CallError("No such colour is asked for now.")
        self.watcher.painted(plan.nonce, PaintedColour(now_ms(), plan.colours[call.step]))

    def progressed(self, progress: Progress) -> None:
        """Take what the watcher says after a frame."""
        if progress.look_id != self._number:
            return
        self._verifying.progressed(progress)
        if progress.fault is not None:
            self.hears.fault(progress.fault)
            return
        self.seen = LookView(
            self.seen.frame if progress.frame is None else progress.frame,
            progress.first_usable_frame,
            progress.guidance,
            progress.asked,
        )
        if progress.outcome is None:
            self.hears.change()
            return
        self.end()
        self.hears.end(progress.outcome, progress.crop)

    def _caution_for(self, patient: Patient) -> Caution:
        """Draw anew, for each attempt, what may be asked of this patient."""
        plan = challenge.draw(self._people.abilities(patient.person_id), new_id(), secrets.randbelow)
        self._lens.recheck()
        return Caution(plan, shown_is_needed=self._shown_is_needed)
