"""The threads that look at pictures: each with its own engine, always at the camera that waits longest."""

import logging
import threading
from collections.abc import Callable, Sequence

from renzheng.contracts.errors import RenzhengError
from renzheng.edge.ward.camera import Taken
from renzheng.edge.ward.watch import CameraWatch, WardEngine

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
        self._ending = False
        self._threads = [
            threading.Thread(target=self._run, name=f"analyst-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is being looked at, and end."""
        with self._wake:
            self._ending = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=20)

    def wake(self) -> None:
        """Say that a camera has a new picture."""
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        engine = self._open_engine()
        while True:
            with self._wake:
                if self._ending:
                    return
                chosen = self._next()
                if chosen is None:
                    self._wake.wait(_LOOK_SECONDS)
                    continue
            watch, taken = chosen
            try:
                watch.analyse(engine, taken)
                watch.fault = None
            except RenzhengError as error:
                watch.fault = "store_fault" if type(error).__name__ == "StoreError" else "model_fault"
                LOGGER.exception("camera %s: a picture was not looked at", watch.camera.settings.id)
            except Exception:  # whatever a picture provokes, the other cameras go on
                watch.fault = "model_fault"
                LOGGER.exception("camera %s: a picture was not looked at", watch.camera.settings.id)
            finally:
                watch.lock.release()

    def _next(self) -> tuple[CameraWatch, Taken] | None:
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
