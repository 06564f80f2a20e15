"""The station: holds the session's state, carries out its effects, tells the page.

Lives on the event loop; frames are looked at in the watcher's thread and events written in a worker thread.
The order is always: write, sync, then show.
"""

import asyncio
import logging
import secrets
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from renzheng.common.supervised import frames, named
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.events import CoverageState
from renzheng.contracts.ids import EventId, WitnessId, new_id
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.coverage import Standing
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.pins import PinDesk
from renzheng.edge.device.store.people import NOTICE, Patient, People
from renzheng.edge.errors import CallError, UnknownPersonError
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.glimpse import Glimpse, Glimpser
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.rest import Rest
from renzheng.edge.kiosk.screen import (
    AbilitiesCall,
    CameraCall,
    IdentifyCall,
    LatencyCall,
    PaintedCall,
    Screen,
    WitnessCall,
    challenge_of,
    screen_of,
)
from renzheng.edge.kiosk.session import (
    BeginLook,
    EndLook,
    Identified,
    Identifier,
    Idle,
    Looking,
    RecordAttempt,
    RecordConsent,
    Rules,
    Scanning,
    Witnessed,
)
from renzheng.edge.kiosk.virtual import virtual_video_devices
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.watcher import Caution, Frame, Progress, Watcher, now_ms
from renzheng.edge.settings import Settings
from renzheng.models.liveness import challenge
from renzheng.models.liveness.challenge import Plan
from renzheng.models.liveness.light import Shown
from renzheng.models.liveness.network import LivenessNetwork
from renzheng.models.liveness.stream import Camera

LOGGER = logging.getLogger(__name__)
LATENCIES_KEPT = 1_000
OWN_FRAMES_KEPT = 600
GLANCE_MS = 500
"""A frame is glanced at this often while the camera serves something else."""

REPEATED_CODE_MS = 3_000
"""A QR code that names nobody is looked up again only after this long: it is still being held there."""

_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Latency:
    """One report of the page: from the first usable face to green."""

    event_id: str
    person_id: str
    intent: str
    milliseconds: float


@dataclass(slots=True)
class _Live:
    """What the page is told beside the session's state."""

    frame: int | None = None
    first_usable_frame: int | None = None
    guidance: str | None = None
    asked: Plan | None = None
    event_id: str | None = None
    fault_until_ms: int = 0
    problem: str | None = None
    recent: dict[str, tuple[str, str]] = field(default_factory=dict)


class Station:
    """One kiosk's session, effects and screens.

    Args:
        settings: the agent's settings.
        people: who is known here.
        recorder: writes what the session decides.
        engine: the face engine.
        clock: the wall clock, for the roster's day and the age of sessions.
        network_away: whether central is out of reach.
        halted: what keeps this device from delivering until somebody acts, if anything.
        evidence: where the crops behind decisions are kept.
        gallery: what is known of this site's own people.
        network: a liveness network, when the catalogue has one.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        recorder: Recorder,
        engine: FaceEngine,
        clock: Clock,
        *,
        network_away: Callable[[], bool],
        halted: Callable[[], str | None] = lambda: None,
        evidence: Evidence,
        gallery: SiteGallery,
        network: LivenessNetwork | None = None,
    ) -> None:
        kiosk = settings.kiosk
        self.settings = settings
        self.people = people
        self.recorder = recorder
        self.engine = engine
        self.clock = clock
        self.watcher = Watcher(
            engine,
            settings.face.false_match_rate,
            self._progressed_elsewhere,
            calibration=lambda: gallery.calibration,
            network=network,
        )
        self.latencies: deque[Latency] = deque(maxlen=LATENCIES_KEPT)
        self._network_away = network_away
        self._halted = halted
        self.disk_short = False
        self._standing_of_faces = partial(gallery.standing, settings.face.false_match_rate)
        self._evidence = evidence
        self._crop: bytes | None = None
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._rules = Rules(
            tries=kiosk.tries,
            idle_ms=round(kiosk.idle_seconds * 1000),
            done_ms=round(kiosk.done_seconds * 1000),
            already=timedelta(minutes=kiosk.already_minutes),
            open_too_long=timedelta(hours=kiosk.open_too_long_hours),
        )
        self._state: session.State = session.IDLE
        self._live = _Live()
        self._look_id = 0
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[object, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pins = PinDesk(
            people.store,
            people,
            wall_ms=lambda: round(clock.read().wall.timestamp() * 1000),
            tell=recorder.pin_refused,
        )
        self._page_seen_ms: int | None = None
        self._camera: CameraCall | None = None
        self._camera_label = ""
        self._camera_trouble: str | None = None
        self.glimpser = Glimpser(self._glimpsed_elsewhere)
        self._glanced_ms = 0
        self._rest = Rest(round(kiosk.sleep_seconds * 1000), now_ms())
        self._refused_code: tuple[str, int] = ("", 0)
        self._reads_code = False
        self._own_frames: dict[int, int] = {}
        self._own_number = 0
        self.ticked_ms = now_ms()

    async def run(self) -> None:
        """Serve until cancelled: keeps time for the session."""
        self._loop = asyncio.get_running_loop()
        self.watcher.start()
        self.glimpser.start()
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                try:
                    await self._tick()
                except Exception as error:  # noqa: BLE001 - the next tick may do better; time must go on
                    LOGGER.error("a tick failed: %s\n%s", named(error), frames(error))  # noqa: TRY400
        finally:
            self.watcher.stop()
            self.glimpser.stop()

    async def _tick(self) -> None:
        self.ticked_ms = now_ms()
        if self._listeners:
            self._page_seen_ms = now_ms()
        await self.take(session.Tick())
        self._settle()
        if self._live.fault_until_ms and now_ms() >= self._live.fault_until_ms:
            self._live.fault_until_ms = 0
            self._announce()

    def _settle(self) -> None:
        if not isinstance(self._state, Idle):
            self._rest.stir(now_ms())
        elif self._rest.settle(now_ms()):
            self.glimpser.rest()
            self._announce()

    def stir(self) -> None:
        """Somebody is here: a touch, a key, a movement before the camera."""
        if self._rest.stir(now_ms()):
            self._announce()

    def standing(self) -> Standing:
        """What this kiosk can see at this moment, for coverage."""
        if not self.settings.coverage.page_expected:
            return Standing(CoverageState.UP)
        grace_ms = self.settings.coverage.longest_silence_seconds * 1000
        if self._page_seen_ms is None or now_ms() - self._page_seen_ms > grace_ms:
            return Standing(CoverageState.DOWN, "no_page")
        if self._camera is not None and self._camera.state == "failed":
            return Standing(CoverageState.DEGRADED, f"camera_{self._camera.cause or 'failed'}")
        if self._camera_trouble is not None:
            return Standing(CoverageState.DEGRADED, f"camera_{self._camera_trouble}")
        return Standing(CoverageState.UP)

    def screen(self) -> Screen:
        """What the page should show now."""
        live = self._live
        if live.fault_until_ms:
            return Screen(screen="fault")
        if self._rest.asleep and isinstance(self._state, Idle):
            return Screen(screen="asleep", network_away=self._network_away())
        return screen_of(
            self._state,
            tries=self._rules.tries,
            frame=live.frame,
            first_usable_frame=live.first_usable_frame,
            first_usable_ago_ms=self._usable_ago_ms(),
            guidance=live.guidance,
            challenge=challenge_of(live.asked) if isinstance(self._state, Looking) else None,
            event_id=live.event_id if isinstance(self._state, session.Done) else None,
            network_away=self._network_away(),
            disk_short=self.disk_short,
            halted=self._halted(),
            problem=live.problem,
            camera=self._camera_trouble,
            witness_needed=self._standing_of_faces().witness_needed,
        )

    def listen(self, listener: object) -> asyncio.Event:
        """Register a page; its event is set whenever the screen changes."""
        self._listeners[listener] = asyncio.Event()
        self.stir()
        self._page_seen_ms = now_ms()
        return self._listeners[listener]

    def forget(self, listener: object) -> None:
        """A page went away."""
        self._listeners.pop(listener, None)

    def show_frame(self, number: int, jpeg: bytes) -> None:
        """Take a frame from the page; returns at once."""
        frame = Frame(number, jpeg, now_ms())
        looking, scanning = isinstance(self._state, Looking), isinstance(self._state, Scanning)
        if looking:
            self.watcher.show(frame)
        if scanning or frame.at_ms - self._glanced_ms >= GLANCE_MS:
            self._glanced_ms = frame.at_ms
            self.glimpser.show(frame, for_code=scanning)

    @property
    def shows_preview(self) -> bool:
        """Whether somebody is to see themselves before the agent's own camera."""
        return isinstance(self._state, Looking | Scanning)

    def own_frame(self, jpeg: bytes) -> None:
        """Take a frame of the agent's own camera; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take_own_frame, jpeg)

    def _take_own_frame(self, jpeg: bytes) -> None:
        self._own_number += 1
        self._own_frames[self._own_number] = now_ms()
        while len(self._own_frames) > OWN_FRAMES_KEPT:
            self._own_frames.pop(next(iter(self._own_frames)))
        self.show_frame(self._own_number, jpeg)

    def _usable_ago_ms(self) -> int | None:
        first = self._live.first_usable_frame
        at = None if first is None else self._own_frames.get(first)
        return None if at is None else now_ms() - at

    def own_camera(self, trouble: str | None) -> None:
        """Hear of the agent's own camera that it failed, or works (again); from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._heard_of_camera, trouble)
        else:
            self._camera = CameraCall(state="failed" if trouble else "up", cause=trouble)

    def _heard_of_camera(self, trouble: str | None) -> None:
        self.camera(CameraCall(state="failed" if trouble else "up", cause=trouble))
        if trouble is not None and isinstance(self._state, Looking):
            self._soon(self._give_up_looking())

    def _own_camera_fails(self) -> bool:
        own = self.settings.camera.source != "browser"
        return own and self._camera is not None and self._camera.state == "failed"

    async def _give_up_looking(self) -> None:
        await self.take(session.OtherWayAsked(session.Cause.CAMERA_FAULT))

    def roster(self) -> list[Patient]:
        """Today's patients."""
        today = self.clock.read().wall.astimezone(ZoneInfo(self.settings.device.time_zone)).date()
        return self.people.roster(today)

    async def identify(self, call: IdentifyCall) -> None:
        """Begin a visit.

        Raises:
            UnknownPersonError: nobody here is named by that.
            CallError: neither or both ways of naming, or somebody else's visit is under way.
        """
        if (call.card_number is None) == (call.person_id is None):
            raise CallError("Give either card_number or person_id.")
        named = await asyncio.to_thread(self._named, call)
        await self.must_take(named)

    def _named(self, call: IdentifyCall) -> Identified:
        if call.card_number is not None:
            return self._welcomed(self.people.by_card(call.card_number), Identifier.INSURANCE_CARD)
        return self._welcomed(self.people.by_id(call.person_id or ""), Identifier.NAME_AND_NUMBER)

    def _named_by_code(self, code: str) -> Identified:
        return self._welcomed(self.people.by_credential(code), Identifier.E_CREDENTIAL)

    def _welcomed(self, patient: Patient, identifier: Identifier) -> Identified:
        version = self.settings.kiosk.notice_version
        return Identified(
            patient=patient,
            identifier=identifier,
            open_session=self.people.open_session(patient.person_id),
            has_reference=bool(self.people.references(patient.person_id, self.engine.model)),
            consent=self.people.consented(patient.person_id, NOTICE, version),
            now=self.clock.read().wall,
        )

    async def witness(self, call: WitnessCall) -> None:
        """Let a witness vouch.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
            CallError: the identifier is the one the patient was named by, or nobody asked.
        """
        witness_id = await self.check_witness(call.witness_id, call.pin.get_secret_value())
        await self.must_take(Witnessed(witness_id, call.identifier, call.cause))

    async def keep_abilities(self, call: AbilitiesCall) -> None:
        """Keep what a patient can do, as a witness says.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
            UnknownPersonError: there is no such patient.
        """
        await self.check_witness(call.witness_id, call.pin.get_secret_value())
        await asyncio.to_thread(self.people.put_abilities, call.person_id, call.abilities)

    async def check_witness(self, witness_id: str, pin: str) -> WitnessId:
        """Check a PIN, slowly.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
        """
        return await asyncio.to_thread(self._pins.check, witness_id, pin, caller="kiosk", known=True)

    def warn_of_disk(self, short: bool) -> None:
        """Let the page say that the disk is nearly full, or no longer; from any thread."""
        self.disk_short = short
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce)

    def camera(self, call: CameraCall) -> None:
        """Keep the page's word about its camera."""
        if call.state == "failed" and (self._camera is None or self._camera.state != "failed"):
            LOGGER.warning("the page's camera failed: %s", call.cause)
        self._camera = call
        if call.label is not None:
            self._camera_label = call.label
            self.watcher.know(Camera(self._camera_label, virtual_video_devices()))

    def keep_latency(self, call: LatencyCall) -> None:
        """Keep what the page measured.

        Raises:
            CallError: no recent green screen has that event.
        """
        if call.event_id not in self._live.recent:
            raise CallError("No recent sign-in has that event_id.")
        person_id, intent = self._live.recent.pop(call.event_id)
        self.latencies.append(Latency(call.event_id, person_id, intent, call.milliseconds))

    async def must_take(self, happened: session.Input) -> None:
        """Take an input that somebody waits for.

        Raises:
            CallError: it means nothing now.
        """
        if not await self.take(happened):
            raise CallError(
                "This cannot be done now.",
                why=f"The kiosk shows {self.screen().screen}.",
                do="Look at the screen again.",
            )

    async def take(self, happened: session.Input) -> bool:
        """Take an input; False when it means nothing in the present state."""
        async with self._lock:
            taken = session.step(self._state, happened, now_ms(), self._rules)
            if taken is None:
                return False
            try:
                for effect in taken.effects:
                    await self._carry_out(effect)
            except RenzhengError as error:
                LOGGER.exception("not recorded")
                self._fail(error)
                return True
            self._state = taken.state
            if not isinstance(happened, session.Tick):
                self._rest.stir(now_ms())
            self._live.problem = None
            if isinstance(taken.state, Idle):
                self._live = _Live(recent=self._live.recent)
            self._announce()
            return True

    async def _carry_out(self, effect: session.Effect) -> None:
        match effect:
            case RecordAttempt():
                event_id = await asyncio.to_thread(self.recorder.attempt, effect)
                self.outcomes[effect.kind.value, effect.outcome.value] += 1
                await self._keep_crop(event_id)
                self._live.event_id = event_id
                self._live.recent[event_id] = (effect.patient.person_id, effect.kind.value)
                while len(self._live.recent) > LATENCIES_KEPT:
                    self._live.recent.pop(next(iter(self._live.recent)))
            case RecordConsent():
                await asyncio.to_thread(self.recorder.consent, effect)
            case BeginLook(visit):
                references = await asyncio.to_thread(
                    self.people.references, visit.patient.person_id, self.engine.model
                )
                self._look_id += 1
                self._live = _Live(recent=self._live.recent)
                limit_ms = round(self.settings.kiosk.attempt_seconds * 1000)
                caution = await asyncio.to_thread(self._caution_for, visit.patient)
                if self._own_camera_fails():
                    self._soon(self._give_up_looking())
                self.watcher.begin(self._look_id, references, limit_ms, caution)
            case EndLook():
                self._look_id += 1
                self.watcher.end()

    def _caution_for(self, patient: Patient) -> Caution:
        """Draw anew, for each attempt, what may be asked of this patient."""
        plan = challenge.draw(self.people.abilities(patient.person_id), new_id(), secrets.randbelow)
        self.watcher.know(Camera(self._camera_label, virtual_video_devices()))
        return Caution(plan, shown_is_needed=self.settings.kiosk.unshown_liveness == "refuse")

    def painted(self, call: PaintedCall) -> None:
        """Keep that the page has painted the next colour of the plan that it was told.

        Raises:
            CallError: nothing is asked now, or something else.
        """
        plan = self._live.asked
        if plan is None or plan.nonce != call.nonce or call.step >= len(plan.colours):
            raise CallError("No such colour is asked for now.")
        self.watcher.painted(plan.nonce, Shown(now_ms(), plan.colours[call.step]))

    async def _keep_crop(self, event_id: EventId) -> None:
        """Keep the crop of the attempt that has just been recorded; the event stands without it too."""
        crop, self._crop = self._crop, None
        if crop is not None:
            try:
                await asyncio.to_thread(self._evidence.put, event_id, crop)
            except OSError as error:
                LOGGER.warning("no crop was kept for event %s: %s", event_id, error)

    def _fail(self, error: RenzhengError) -> None:
        """Show the fault screen: the patient is *not* signed in, and is told so."""
        LOGGER.error("fault screen: %s", error.what)
        self.watcher.end()
        self._look_id += 1
        self._state = session.IDLE
        self._live = _Live(fault_until_ms=now_ms() + self._rules.done_ms, recent=self._live.recent)
        self._announce()

    def _progressed_elsewhere(self, progress: Progress) -> None:
        """In the watcher's thread: hand over to the loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._progressed, progress)

    def _progressed(self, progress: Progress) -> None:
        if progress.look_id != self._look_id or not isinstance(self._state, Looking):
            return
        if progress.fault is not None:
            self._fail(progress.fault)
            return
        if progress.frame is not None:
            self._live.frame = progress.frame
        self._live.guidance = progress.guidance
        self._live.asked = progress.asked
        self._live.first_usable_frame = progress.first_usable_frame
        if progress.outcome is None:
            self._announce()
            return
        self.watcher.end()
        self._look_id += 1
        self._soon(self._end_look(progress))

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_look(self, progress: Progress) -> None:
        assert progress.outcome is not None
        self._crop = progress.crop
        await self.take(session.LookEnded(progress.outcome))

    def _glimpsed_elsewhere(self, glimpse: Glimpse) -> None:
        """In the glimpser's thread: hand over to the loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._glimpsed, glimpse)

    def _glimpsed(self, glimpse: Glimpse) -> None:
        if glimpse.trouble != self._camera_trouble:
            LOGGER.warning("the camera's picture: %s", glimpse.trouble or "well again")
            self._camera_trouble = glimpse.trouble
            self._announce()
        if glimpse.stirs:
            self.stir()
        if glimpse.code is not None and isinstance(self._state, Scanning) and not self._reads_code:
            code, refused_ms = self._refused_code
            if glimpse.code != code or now_ms() - refused_ms > REPEATED_CODE_MS:
                self._reads_code = True
                self._soon(self._read_code(glimpse.code))

    async def _read_code(self, code: str) -> None:
        try:
            await self.take(await asyncio.to_thread(self._named_by_code, code))
        except UnknownPersonError:
            self._refused_code = code, now_ms()
            self._live.problem = "unknown_code"
            self._announce()
        except RenzhengError as error:
            self._fail(error)
        finally:
            self._reads_code = False

    def _announce(self) -> None:
        for event in self._listeners.values():
            event.set()
