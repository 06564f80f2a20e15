"""The visit under way: takes what happens, has it written, then shows what follows.

Lives on the event loop; events are written in a worker thread. The order is always: write, sync, then show.
"""

import asyncio
import logging
from dataclasses import dataclass, replace

from renzheng.contracts.errors import RenzhengError
from renzheng.edge.errors import CallError
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.attempts import Attempts
from renzheng.edge.kiosk.looks import LookListener, Looks
from renzheng.edge.kiosk.loop import KioskLoop
from renzheng.edge.kiosk.pages import Pages
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.screen import name_of
from renzheng.edge.kiosk.session import (
    BeginLook,
    EndLook,
    Idle,
    RecordAttempt,
    RecordConsent,
    Rules,
    ShowNotice,
)
from renzheng.edge.kiosk.sleep_timer import SleepTimer
from renzheng.edge.look.outcomes import LookOutcome
from renzheng.edge.look.watcher import now_ms

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What the page is told beside the state.

    Args:
        event_id: the event that was written last.
        problem: what was wrong with the QR code that was shown last.
        fault_until_ms: until when the fault screen stands; 0 shows none.
    """

    event_id: str | None = None
    problem: str | None = None
    fault_until_ms: int = 0


class Controller:
    """Holds the visit's state and carries out what its steps ask for.

    Args:
        rules: see `Rules`.
        recorder: writes consents.
        attempts: writes finished attempts.
        looks: the look under way.
        pages: hear of changes.
        rest: whether the kiosk sleeps.
        loop: where it lives.
    """

    def __init__(
        self,
        rules: Rules,
        recorder: Recorder,
        attempts: Attempts,
        looks: Looks,
        *,
        pages: Pages,
        rest: SleepTimer,
        loop: KioskLoop,
    ) -> None:
        self.state: session.State = session.IDLE
        self.result = Result()
        self.rules = rules
        self._recorder = recorder
        self._attempts = attempts
        self._looks = looks
        self._pages = pages
        self._rest = rest
        self._loop = loop
        self._lock = asyncio.Lock()
        looks.hears = LookListener(self._pages.announce, self._look_ended, self.fail)

    @property
    def asleep(self) -> bool:
        """Whether the screen is dark."""
        return self._rest.asleep and isinstance(self.state, Idle)

    @property
    def screen_name(self) -> str:
        """Which screen is shown."""
        if self.result.fault_until_ms:
            return "fault"
        return "asleep" if self.asleep else name_of(self.state)

    async def tick(self) -> bool:
        """Keep the time: a screen that nobody answers, the fault screen; True when the kiosk falls asleep."""
        await self.take(session.Tick())
        over = 0 < self.result.fault_until_ms <= now_ms()
        if over:
            self.result = replace(self.result, fault_until_ms=0)
        falls_asleep = self._settle()
        if falls_asleep or over:
            self._pages.announce()
        return falls_asleep

    def _settle(self) -> bool:
        if isinstance(self.state, Idle):
            return self._rest.settle(now_ms())
        self._rest.stir(now_ms())
        return False

    def stir(self) -> None:
        """Somebody is here: a touch, a key, a movement before the camera."""
        if self._rest.stir(now_ms()):
            self._pages.announce()

    async def must_take(self, happened: session.Input) -> None:
        """Take an input that somebody waits for.

        Raises:
            CallError: it means nothing now.
        """
        if not await self.take(happened):
            raise CallError(
                "This cannot be done now.",
                why=f"The kiosk shows {self.screen_name}.",
                do="Look at the screen again.",
            )

    async def take(self, happened: session.Input, crop: bytes | None = None) -> bool:
        """Take an input; False when it means nothing in the present state.

        Args:
            happened: the input.
            crop: the face behind it, kept with the event that it becomes and dropped where it becomes none.
        """
        async with self._lock:
            taken = session.step(self.state, happened, now_ms(), self.rules)
            if taken is None:
                return False
            try:
                for effect in taken.effects:
                    await self._carry_out(effect, crop)
            except RenzhengError as error:
                LOGGER.exception("not recorded")
                self.fail(error)
                return True
            self._go_to(taken.state, ticked=isinstance(happened, session.Tick))
            return True

    def _go_to(self, state: session.State, *, ticked: bool) -> None:
        self.state = state
        if not ticked:
            self._rest.stir(now_ms())
        self.result = replace(self.result, problem=None)
        if isinstance(state, Idle):
            self.result = Result()
            self._looks.clear()
        self._pages.announce()

    async def _carry_out(self, effect: session.Effect, crop: bytes | None) -> None:
        match effect:
            case RecordAttempt():
                event_id = await asyncio.to_thread(self._attempts.write, effect, crop)
                self.result = replace(self.result, event_id=event_id)
            case RecordConsent():
                await asyncio.to_thread(self._recorder.consent, effect)
            case ShowNotice(patient):
                await asyncio.to_thread(self._recorder.notice_seen, patient)
            case BeginLook(visit):
                self.result = Result()
                await self._looks.begin(visit.patient)
                if self._looks.blind:
                    self.give_up_looking()
            case EndLook():
                self._looks.end()

    def _look_ended(self, outcome: LookOutcome, crop: bytes | None) -> None:
        self._loop.soon(self._judge(outcome, crop))

    async def _judge(self, outcome: LookOutcome, crop: bytes | None) -> None:
        await self.take(session.LookEnded(outcome), crop)

    def give_up_looking(self) -> None:
        """Ask for the other way where a look is under way: the camera fails."""
        self._loop.soon(self._ask_other_way())

    async def _ask_other_way(self) -> None:
        await self.take(session.OtherWayAsked(session.Cause.CAMERA_FAULT))

    def refuse(self, problem: str) -> None:
        """Show what was wrong with what somebody held up."""
        self.result = replace(self.result, problem=problem)
        self._pages.announce()

    def fail(self, error: RenzhengError) -> None:
        """Show the fault screen: the patient is *not* signed in, and is told so."""
        LOGGER.error("fault screen: %s", error.what)
        self._looks.end()
        self._looks.clear()
        self.state = session.IDLE
        self.result = Result(fault_until_ms=now_ms() + self.rules.done_ms)
        self._pages.announce()
