"""The kiosk put together: each part answers one question, this one keeps the time and knows whether it sees.

kiosk = build_kiosk(settings, people, recorder, engine, clock, evidence, ...)
await kiosk.run()           # on the event loop that the pages live on
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta

from renzheng.common.supervised import Worker, frames, named
from renzheng.contracts.events import CoverageState
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.store.people import People
from renzheng.edge.kiosk import session
from renzheng.edge.kiosk.attempts import Attempts
from renzheng.edge.kiosk.controller import Controller
from renzheng.edge.kiosk.display import Delivery, Display
from renzheng.edge.kiosk.frame_scan import FrameScanner
from renzheng.edge.kiosk.frames import Frames
from renzheng.edge.kiosk.latencies import Latencies
from renzheng.edge.kiosk.lens import Lens
from renzheng.edge.kiosk.looks import Looks
from renzheng.edge.kiosk.loop import KioskLoop
from renzheng.edge.kiosk.pages import Pages
from renzheng.edge.kiosk.recorder import Recorder
from renzheng.edge.kiosk.scan_handler import ScanHandler
from renzheng.edge.kiosk.screen import CameraCall
from renzheng.edge.kiosk.sleep_timer import SleepTimer
from renzheng.edge.kiosk.verifying import Verifying
from renzheng.edge.kiosk.visitors import Visitors
from renzheng.edge.kiosk.witnesses import Witnesses
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.look.watcher import Watcher, now_ms
from renzheng.edge.settings import KioskSettings, Settings
from renzheng.models.liveness.network import LivenessNetwork

LOGGER = logging.getLogger(__name__)
_TICK_S = 0.25


@dataclass(slots=True)
class Kiosk:
    """One kiosk's parts.

    Args:
        settings: the agent's.
        people: who is known here.
        controller: what happens in the visit under way?
        display: what do the pages show?
        pages: who is shown it?
        visitors: who is named?
        witnesses: who vouches?
        attempts: what became of attempts?
        latencies: how long did sign-ins take?
        looks: what has the look under way shown?
        frames: where does a frame go?
        scanner: scan_handler at frames.
        lens: does the camera see?
        verifying: can this kiosk verify anybody?
        loop: how do other threads reach the kiosk?
        ticked_ms: when its loop turned last.
    """

    settings: Settings
    people: People
    controller: Controller
    display: Display
    pages: Pages
    visitors: Visitors
    witnesses: Witnesses
    attempts: Attempts
    latencies: Latencies
    looks: Looks
    frames: Frames
    scanner: FrameScanner
    lens: Lens
    verifying: Verifying
    loop: KioskLoop
    ticked_ms: int = field(default_factory=now_ms)

    @property
    def watcher(self) -> Watcher:
        """The thread that looks at frames."""
        return self.looks.watcher

    @property
    def workers(self) -> tuple[Worker, Worker]:
        """The threads that look and glance at frames."""
        return self.watcher.worker, self.scanner.worker

    async def run(self) -> None:
        """Serve until cancelled: keeps time for the session."""
        self.loop.enter()
        self.watcher.start()
        self.scanner.start()
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                try:
                    await self._tick()
                except Exception as error:  # noqa: BLE001 - the next tick may do better; time must go on
                    LOGGER.error("a tick failed: %s\n%s", named(error), frames(error))  # noqa: TRY400
        finally:
            self.watcher.stop()
            self.scanner.stop()

    async def _tick(self) -> None:
        self.ticked_ms = now_ms()
        self.pages.note(now_ms())
        if await self.controller.tick():
            self.scanner.rest()

    def standing(self) -> CoverageStatus:
        """Return what this kiosk can see at this moment, for coverage."""
        coverage = self.settings.coverage
        if not coverage.page_expected:
            return CoverageStatus(CoverageState.UP)
        seen_ms = self.pages.seen_ms
        if seen_ms is None or now_ms() - seen_ms > coverage.longest_silence_seconds * 1000:
            return CoverageStatus(CoverageState.DOWN, "no_page")
        seeing = self.lens.standing()
        return self.verifying.standing() if seeing.state is CoverageState.UP else seeing

    def warn_of_disk(self, short: bool) -> None:
        """Let the pages say that the disk is nearly full, or no longer; from any thread."""
        if not self.loop.call(self.display.warn_of_disk, short):
            self.display.warn_of_disk(short)

    def take_own_frame(self, jpeg: bytes) -> None:
        """Take a frame of the agent's own camera; from any thread."""
        self.loop.call(self.frames.show_own, jpeg)

    def hear_own_camera(self, trouble: str | None) -> None:
        """Hear of the agent's own camera that it failed, or works (again); from any thread."""
        report = CameraCall(state="failed" if trouble else "up", cause=trouble)
        if not self.loop.call(self._camera_changed, report):
            self.lens.report(report)

    def _camera_changed(self, report: CameraCall) -> None:
        self.lens.report(report)
        if self.lens.fails and isinstance(self.controller.state, session.Looking):
            self.controller.give_up_looking()


def build_kiosk(
    settings: Settings,
    people: People,
    recorder: Recorder,
    engine: FaceEngine,
    clock: Clock,
    *,
    delivery: Delivery,
    evidence: Evidence,
    gallery: SiteGallery,
    network: LivenessNetwork | None = None,
) -> Kiosk:
    """Put a kiosk together.

    Args:
        settings: the agent's settings.
        people: who is known here.
        recorder: writes what the session decides.
        engine: the face engine.
        clock: the wall clock, for the roster's day and the age of sessions.
        delivery: whether events reach central.
        evidence: where the crops behind decisions are kept.
        gallery: what is known of this site's own people.
        network: a liveness network, when the catalogue has one.
    """
    loop, pages, latencies = KioskLoop(), Pages(), Latencies()
    watcher = Watcher(
        engine,
        settings.face.false_match_rate,
        lambda progress: loop.call(looks.progressed, progress),
        calibration=lambda: gallery.calibration,
        network=network,
    )
    lens = Lens(own=settings.camera.source != "browser", know=watcher.know)
    verifying = Verifying()
    looks = Looks(settings, people, engine.model, watcher, lens, verifying=verifying)
    attempts = Attempts(recorder, evidence, latencies, verifying)
    rest = SleepTimer(round(settings.kiosk.sleep_seconds * 1000), now_ms())
    controller = Controller(
        rules_of(settings.kiosk), recorder, attempts, looks, pages=pages, rest=rest, loop=loop
    )
    visitors = Visitors(settings, people, clock, engine.model)
    scan_handler = ScanHandler(controller, lens, visitors, pages, loop)
    scanner = FrameScanner(lambda scan: loop.call(scan_handler.take, scan))
    shown = Frames(watcher, scanner, lambda: controller.state)
    return Kiosk(
        settings=settings,
        people=people,
        controller=controller,
        display=Display(
            controller,
            looks,
            shown,
            lens=lens,
            verifying=verifying,
            delivery=delivery,
            pages=pages,
            witness_needed=lambda: gallery.standing(settings.face.false_match_rate).witness_needed,
        ),
        pages=pages,
        visitors=visitors,
        witnesses=Witnesses(people, recorder, clock),
        attempts=attempts,
        latencies=latencies,
        looks=looks,
        frames=shown,
        scanner=scanner,
        lens=lens,
        verifying=verifying,
        loop=loop,
    )


def rules_of(kiosk: KioskSettings) -> session.Rules:
    """Return the session's rules, as the settings say."""
    return session.Rules(
        tries=kiosk.tries,
        idle_ms=round(kiosk.idle_seconds * 1000),
        done_ms=round(kiosk.done_seconds * 1000),
        already=timedelta(minutes=kiosk.already_minutes),
        open_too_long=timedelta(hours=kiosk.open_too_long_hours),
    )
