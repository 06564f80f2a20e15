"""The threads that look at pictures: each with its own engine, always at the camera that waits longest."""

import logging
import threading
from collections.abc import Callable, Sequence

from renzheng.common.supervised import Worker, frames, named
from renzheng.edge.errors import StoreError
from renzheng.edge.ward.camera import TimedPicture
from renzheng.edge.ward.shots import WardEngine
from renzheng.edge.ward.watch import CameraWatch

LOGGER = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5


class Analysts:
    """Looks at all cameras with a few threads.

    Args:
        watches: the cameras.
        open_engine: makes an engine; called once for each thread, since an engine serves one at a time.
        workers: how many threads.
    """

    def __init__(
        self, watches: Sequence[CameraWatch], open_engine: Callable[[], WardEngine], workers: int
    ) -> None:
        self._watches = watches
        self._open_engine = open_engine
        self._wake = threading.Condition()
        self._engines: dict[str, WardEngine] = {}
        self.workers = [self._worker(f"analyst-{number}") for number in range(workers)]

    def start(self) -> None:
        """Begin."""
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """Finish what is being looked at, and end."""
        for worker in self.workers:
            worker.stop(timeout_seconds=20)

    def wake(self) -> None:
        """Say that a camera has a new picture."""
        with self._wake:
            self._wake.notify()

    def _worker(self, name: str) -> Worker:
        return Worker(name, lambda: self._turn(name), essential=True)

    def _turn(self, name: str) -> None:
        """Look at one picture, with the engine of this thread's own."""
        engine = self._engines.get(name)
        if engine is None:
            engine = self._engines[name] = self._open_engine()
        with self._wake:
            chosen = self._next()
            if chosen is None:
                self._wake.wait(_LOOK_SECONDS)
                return
        watch, taken = chosen
        try:
            watch.analyse(engine, taken)
            watch.fault = None
        except Exception as error:  # noqa: BLE001 - whatever a picture provokes, the other cameras go on
            watch.fault = "store_fault" if isinstance(error, StoreError) else "model_fault"
            camera, what, where = watch.camera.settings.id, named(error), frames(error)
            LOGGER.error("camera %s: a picture was not looked at: %s\n%s", camera, what, where)  # noqa: TRY400
        finally:
            watch.lock.release()

    def _next(self) -> tuple[CameraWatch, TimedPicture] | None:
        """Take the picture that waits longest, of a camera that nobody looks at; its lock is then held."""
        waiting = [
            (since, number)
            for number, watch in enumerate(self._watches)
            if (since := watch.camera.waiting_since) is not None
        ]
        for _, number in sorted(waiting):
            watch = self._watches[number]
            if watch.lock.acquire(blocking=False):
                taken = watch.camera.take()
                if taken is not None:
                    return watch, taken
                watch.lock.release()
        return None
