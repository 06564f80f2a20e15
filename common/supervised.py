"""Threads that are supervised, and telling systemd of them; used by every thread of edge and central.

    worker = Worker("rounds", settle, every_seconds=20)
    worker.start(); ...; worker.stop()
    attend(Workers([worker]), ended)

A worker calls its `turn` again and again. An error ends that turn and no more: it is logged once in full and
then seldom, counted, and the next turn waits longer each time. A worker that cannot go on (a library called
`exit`, or an essential worker fails for long) ends the process, so that whoever watches the process starts
it again. Health, metrics and systemd's watchdog all read the same `State`. Needs the standard library only.
"""

import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from renzheng.common.backoff import back_off
from renzheng.contracts.errors import FaultError, RenzhengError

LOGGER = logging.getLogger(__name__)
Turn = Callable[[], float | None]
"""One piece of work; returns how many seconds to rest until the next, None for the worker's own interval."""

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0
LONGEST_TURN_SECONDS = 120.0
"""A turn that takes longer is called stalled: generous, as a busy machine must not be taken for a hang."""
GIVE_UP_FAILURES = 10
GIVE_UP_SECONDS = 600.0
"""An essential worker that fails so often in a row, and for so long, ends the process."""
STALLED_TOO_LONG_SECONDS = 600.0
"""A worker that stays stalled for so long ends the process where no watchdog of systemd's does."""
LOG_EVERY_SECONDS = 60.0
END_WITHIN_SECONDS = 30.0
_FRAMES_SHOWN = 8
_LOOK_SECONDS = 5.0

Condition = Literal["ok", "failing", "stalled", "dead"]


class WorkerGaveUpError(FaultError):
    """A worker cannot go on, so the process ends."""


@dataclass(frozen=True, slots=True)
class State:
    """How a worker is.

    Args:
        name: the worker.
        condition: `failing` while its last turn ended in an error, `stalled` while a turn takes too long,
            `dead` once its thread has ended unasked.
        idle_seconds: since its last turn ended, or since it last said that it is alive.
        turns: turns that ended well.
        failures: turns that ended in an error, ever.
        failing_seconds: for how long every turn has failed; 0 while they do not.
        problem: the kind of the last error, without values; empty while it is well.
        gave_up: it cannot go on.
    """

    name: str
    condition: Condition
    idle_seconds: float
    turns: int
    failures: int
    failing_seconds: float
    problem: str
    gave_up: bool

    @property
    def moves(self) -> bool:
        """Whether its turns still come and go, be it with errors."""
        return self.condition in ("ok", "failing")


class Worker:
    """A supervised thread.

    Args:
        name: for logs, metrics and health; one of a kind within a process.
        turn: see `Turn`.
        every_seconds: rest between two turns.
        longest_turn_seconds: a turn that takes longer is called stalled.
        longest_wait_seconds: the longest rest after errors.
        expected: errors that lie outside this process (a store that refuses, a network that is down): logged
            without a trace, tried again for ever.
        essential: when it fails for long with other errors, the process ends.
        repeatable: False for a turn that lasts as long as the process, such as a server: its end is final.
        at_end: done in the thread after the last turn of a worker that was stopped.
        monotonic: the clock.
    """

    def __init__(
        self,
        name: str,
        turn: Turn,
        *,
        every_seconds: float = 0.0,
        longest_turn_seconds: float = LONGEST_TURN_SECONDS,
        longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
        expected: tuple[type[Exception], ...] = (),
        essential: bool = False,
        repeatable: bool = True,
        at_end: Callable[[], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._turn = turn
        self._every_seconds = every_seconds
        self._longest_turn_seconds = longest_turn_seconds
        self._longest_wait_seconds = longest_wait_seconds
        self._expected = expected
        self._essential = essential
        self._repeatable = repeatable
        self._at_end = at_end
        self._monotonic = monotonic
        self._ending = threading.Event()
        self._awake = threading.Event()
        self._lock = threading.Lock()
        self._last_at = self._due_at = monotonic()
        self._turns = self._failures = self._in_a_row = 0
        self._failing_since: float | None = None
        self._problem = ""
        self._logged_at = float("-inf")
        self._gave_up = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def stopping(self) -> bool:
        """Whether it was told to stop; a turn that waits should look."""
        return self._ending.is_set()

    def start(self) -> None:
        """Begin."""
        self._alive_until(self._longest_turn_seconds)
        self._thread.start()

    def ask_to_end(self) -> None:
        """Say that the turn under way is the last, and wait for nothing: `stop` then does."""
        self._ending.set()
        self._awake.set()

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """Finish the turn under way and end; one that was never started only stays so."""
        self.ask_to_end()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_seconds)

    def join(self, timeout_seconds: float) -> None:
        """Wait for its end, which somebody else has brought about."""
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def wake(self) -> None:
        """Take the next turn at once; a rest after an error is not cut short."""
        self._awake.set()

    def beat(self) -> None:
        """Say, from within a long turn, that it is alive."""
        self._alive_until(self._longest_turn_seconds)

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait within a turn; True when it was told to stop meanwhile."""
        return self._ending.wait(seconds)

    def state(self) -> State:
        """Tell how it is."""
        now = self._monotonic()
        started = self._thread.ident is not None
        with self._lock:
            failing = 0.0 if self._failing_since is None else now - self._failing_since
            condition: Condition = "failing" if self._failing_since is not None else "ok"
            if started and not self._ending.is_set():
                if not self._thread.is_alive():
                    condition = "dead"
                elif now > self._due_at:
                    condition = "stalled"
            given_up = self._gave_up or (
                self._essential and self._in_a_row >= GIVE_UP_FAILURES and failing >= GIVE_UP_SECONDS
            )
            late = condition == "stalled" and now - self._due_at > STALLED_TOO_LONG_SECONDS
            idle = now - self._last_at if started else 0.0
            return State(
                self.name,
                condition,
                idle,
                self._turns,
                self._failures,
                failing,
                self._problem,
                given_up or late or condition == "dead",
            )

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._alive_until(self._longest_turn_seconds)
                try:
                    seconds = self._turn()
                    if not self._repeatable and not self._ending.is_set():
                        raise RuntimeError("it ended unasked")  # noqa: TRY301 - handled as any other end of it
                except Exception as error:  # noqa: BLE001 - this is the place that catches everything
                    self._rest_after(error)
                    if not self._repeatable:
                        self._gave_up = True
                        return
                else:
                    self._went_well()
                    self._rest(self._every_seconds if seconds is None else seconds)
            if self._at_end is not None:
                self._at_end()
        except BaseException as error:  # noqa: BLE001 - SystemExit of a library, MemoryError in the log, and the like
            self._gave_up = True
            LOGGER.critical("worker %s has ended: %s\n%s", self.name, named(error), frames(error))

    def _went_well(self) -> None:
        with self._lock:
            self._turns += 1
            after, self._in_a_row, self._failing_since, self._problem = self._in_a_row, 0, None, ""
            self._last_at = self._monotonic()
            self._logged_at = float("-inf")
        if after:
            LOGGER.warning("worker %s goes on, after %d failures in a row", self.name, after)

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self._alive_until(seconds + self._longest_turn_seconds)
            self._awake.wait(seconds)
        self._awake.clear()

    def _rest_after(self, error: Exception) -> None:
        now = self._monotonic()
        with self._lock:
            self._failures += 1
            self._in_a_row += 1
            self._failing_since = now if self._failing_since is None else self._failing_since
            self._problem = named(error)
            self._last_at = now
            wait = back_off(self._in_a_row, FIRST_WAIT_SECONDS, self._longest_wait_seconds)
            number, due = self._in_a_row, now - self._logged_at >= LOG_EVERY_SECONDS
            self._logged_at = now if due else self._logged_at
        if due:
            text, again = named(error), f"again in {wait:.1f} s"
            if isinstance(error, self._expected):
                LOGGER.warning("worker %s: %s (%d in a row), %s", self.name, text, number, again)
            else:
                where = frames(error)
                LOGGER.error(
                    "worker %s failed: %s (%d in a row), %s\n%s", self.name, text, number, again, where
                )
        self._alive_until(wait + self._longest_turn_seconds)
        self._ending.wait(wait)

    def _alive_until(self, seconds: float) -> None:
        with self._lock:
            now = self._monotonic()
            self._due_at = now + seconds
            self._last_at = now


def named(error: BaseException) -> str:
    """Name an error for a log: our own in their words, others by type; a driver's words may hold people."""
    if isinstance(error, RenzhengError):
        return error.what or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__} ({error.strerror})"
    return type(error).__name__


def frames(error: BaseException) -> str:
    """Say where an error came from, line by line, without what it says."""
    last = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in last)


class Workers:
    """The workers of one process, or of one agent of several in it.

    Args:
        workers: those that are known from the beginning.
    """

    def __init__(self, workers: Iterable[Worker] = ()) -> None:
        self._workers = list(workers)

    def add(self, *workers: Worker) -> None:
        """Look after further ones."""
        self._workers += workers

    def states(self) -> list[State]:
        """Tell how each is."""
        return [worker.state() for worker in list(self._workers)]

    def troubled(self) -> list[State]:
        """Name those that are not well."""
        return [state for state in self.states() if state.condition != "ok"]

    def moving(self) -> bool:
        """Whether no worker is stalled or dead."""
        return all(state.moves for state in self.states())

    def gave_up(self) -> State | None:
        """Name one that cannot go on, if any."""
        return next((state for state in self.states() if state.gave_up), None)


class Waits(Protocol):
    """What `threading.Event` offers."""

    def wait(self, timeout: float | None = None) -> bool:
        """True when the end was asked for, False after the time."""


class Notifier:
    """Speaks sd_notify's protocol to systemd (a datagram to a socket it names); silent where there is none.

    Args:
        environment: NOTIFY_SOCKET and WATCHDOG_USEC are systemd's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        told = os.environ if environment is None else environment
        self._address = told.get("NOTIFY_SOCKET", "")
        limit = told.get("WATCHDOG_USEC", "")
        self.every_seconds = min(int(limit) / 1e6 / 3, _LOOK_SECONDS) if limit.isdigit() else _LOOK_SECONDS

    def say(self, word: str) -> None:
        """Send one word, such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            try:
                to.sendto(word.encode(), address)
            except OSError as error:
                LOGGER.warning("systemd cannot be told %s: %s", word, named(error))


def attend(
    workers: Workers,
    ended: Waits,
    *,
    notifier: Notifier | None = None,
    also: Callable[[], bool] = lambda: True,
    end_hard: Callable[[float], None] | None = None,
) -> None:
    """Stay until the end is asked for; tell systemd that all is well as long as every worker moves.

    Args:
        workers: the process's.
        ended: is set when the end is asked for.
        notifier: speaks to systemd.
        also: whether what is no worker (an event loop) moves too.
        end_hard: is called with how long a process that cannot go on has to end by itself.

    Raises:
        WorkerGaveUpError: a worker cannot go on. If what follows does not end the process in
            `END_WITHIN_SECONDS`, it is ended all the same, with the same exit status.
    """
    told = notifier or Notifier()
    told.say("READY=1")
    while not ended.wait(told.every_seconds):
        stuck = [state for state in workers.states() if not state.moves]
        for state in stuck:
            LOGGER.error("worker %s is %s for %.0f s", state.name, state.condition, state.idle_seconds)
        if not stuck and also():
            told.say("WATCHDOG=1")
        gone = workers.gave_up()
        if gone is not None:
            told.say("STOPPING=1")
            (end_hard or _end_within)(END_WITHIN_SECONDS)
            raise WorkerGaveUpError(
                f"The worker {gone.name} cannot go on ({gone.condition}{_of(gone.problem)}).",
                why="A service of which a part is dead looks well and is not.",
                do="The process ends; systemd starts it again. The log above says where it failed.",
            )
    told.say("STOPPING=1")


def _of(problem: str) -> str:
    return f": {problem}" if problem else ""


def _end_within(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (WorkerGaveUpError.exit_status,))
    timer.daemon = True
    timer.start()


def health_of(states: Sequence[State]) -> dict[str, str]:
    """Write what an operator asks: each worker's condition, and its problem while it has one."""
    return {state.name: f"{state.condition}{_of(state.problem)}" for state in states}
