"""A limit of time on what an engine does."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from renzheng.central.audit.errors import EngineError, OutOfTimeError

AGAIN_SECONDS = 0.5


@contextmanager
def limited(seconds: float, interrupt: Callable[[], object]) -> Iterator[None]:
    """Interrupt what runs inside after so many seconds, again and again until it has ended.

    Once is not enough: what is interrupted while it plans may go on to run.

    Raises:
        OutOfTimeError: it was interrupted.
    """
    over, expired, one_at_a_time = threading.Event(), threading.Event(), threading.Lock()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with one_at_a_time:
                if over.is_set():
                    return
                expired.set()
                interrupt()
            wait = AGAIN_SECONDS

    watcher = threading.Thread(target=watch, name="limit", daemon=True)
    watcher.start()
    try:
        yield
    except EngineError as error:
        if expired.is_set():
            raise OutOfTimeError(f"It was stopped after {seconds:g} seconds.") from error
        raise
    finally:
        with one_at_a_time:
            over.set()
        watcher.join()
