"""Numbers and PINs: one try at a time, pauses that grow and outlive a restart, failures told as events.

A try has a slot before anything is hashed, so a hundred tries at once are one try. Failures are counted for a
number *and* whoever calls: somebody who guesses closes their own lane, never that of a tablet on which the
inspector has signed in before. What strangers may try at one number together has an end of its own.
"""

import hashlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from renzheng.common.backoff import back_off
from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import WitnessId
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People
from renzheng.edge.errors import UnknownWitnessError

SHORTEST_PIN = 6
FREE_TRIES = 5
FIRST_PAUSE_MS = 60_000
LONGEST_PAUSE_MS = 15 * 60_000
FORGOTTEN_MS = 24 * 3_600_000
"""Failures that lie so far back, in time that the machine ran, count no more."""
CALLER_TRIES = 20
"""Failures of one caller at numbers of all kinds, before it must pause as well."""
STRANGERS_TRIES = 100
"""Failures at one number from callers that nobody has signed in from, in `FORGOTTEN_MS`."""
MOST_AT_ONCE = 2
"""PINs that are hashed at the same time, 50 ms and 16 MiB each; known and strange callers apart."""
WAIT_SECONDS = 5.0
EVENTS_AN_HOUR = 30
LANES_OF_ONE = 8
_ANY = ""
_HOUR_MS = 3_600_000

Tell = Callable[[WitnessId | None, int], None]


class PinError(InputError):
    """A PIN is too easily guessed."""


class TriedTooOftenError(UnknownWitnessError):
    """This lane is closed for a while, or another try is under way."""


def check_pin(pin: str) -> str:
    """Give a PIN back if it can stand between a stranger and a signature.

    Raises:
        PinError: it is shorter than `SHORTEST_PIN`, or among those that people try first.
    """
    if len(pin) < SHORTEST_PIN or _is_common(pin):
        raise PinError(
            f"A PIN has at least {SHORTEST_PIN} characters and is none that others try first.",
            why="Whoever knows it vouches for patients; it also locks the lists on an inspector's tablet.",
            do="Choose another: no row of keys, no repetition, no date; letters may be among it.",
        )
    return pin


_KEYPAD = (
    *("147258369", "369258147", "159357", "357159", "258046", "741852963", "963852741"),
    *(
        "123654789",
        "321456987",
        "147852369",
        "159753",
        "951357",
        "753951",
        "112358",
        "1q2w3e4r5t",
        "1qaz2wsx",
    ),
)
_WORDS = (
    *("password", "renzheng", "qwerty", "admin", "abc123", "a123456", "woaini", "5201314", "1314520"),
    *("iloveyou", "qwe123", "asd123", "a1b2c3", "asdfgh", "zxcvbn", "q1w2e3"),
)


def _is_common(pin: str) -> bool:
    text = pin.lower()
    if len(set(text)) < 3 or any(text in word or word in text for word in _WORDS):  # noqa: PLR2004
        return True
    if any(text in way or text[:SHORTEST_PIN] in way for way in _KEYPAD):
        return True
    if any(text == text[:n] * (len(text) // n) for n in range(1, len(text) // 2 + 1) if len(text) % n == 0):
        return True
    half = text[: (len(text) + 1) // 2]
    if text == text[::-1] and len({ord(b) - ord(a) for a, b in pairwise(half)}) == 1:  # 123321
        return True
    steps = {ord(b) - ord(a) for a, b in pairwise(text)}
    return len(steps) == 1 or _is_date(text) or _is_pairs(text)


def _is_pairs(text: str) -> bool:
    """Tell 112233 and 001122: each character twice, in a row."""
    pairs = [text[n : n + 2] for n in range(0, len(text), 2)]
    steps = {ord(b[0]) - ord(a[0]) for a, b in pairwise(pairs)}
    return all(len(set(pair)) == 1 for pair in pairs) and len(steps) == 1


def _is_date(text: str) -> bool:
    """Tell a birthday: YYMMDD, DDMMYY or YYYYMMDD."""
    if not text.isascii() or not text.isdigit():
        return False
    forms = {6: ("%y%m%d", "%d%m%y"), 8: ("%Y%m%d", "%d%m%Y")}.get(len(text), ())
    return any(_reads(text, form) for form in forms)


def _reads(text: str, form: str) -> bool:
    try:
        year = time.strptime(text, form).tm_year
    except ValueError:
        return False
    return 1900 <= year <= 2100  # noqa: PLR2004


class HourlyLimit:
    """Lets `EVENTS_AN_HOUR` events pass in any hour that the machine runs."""

    def __init__(self) -> None:
        self._told: deque[int] = deque(maxlen=EVENTS_AN_HOUR)

    def has_room(self, now_ms: int) -> bool:
        """Whether one more may pass; it is counted then."""
        if len(self._told) == EVENTS_AN_HOUR and now_ms - self._told[0] < _HOUR_MS:
            return False
        self._told.append(now_ms)
        return True


class PinChecker:
    """Checks PINs for a kiosk or an inspector's unit.

    Args:
        store: where failures and known tablets are kept.
        people: knows the PINs' hashes.
        running_ms: how long the machine has run (`RunningTime`): a pause outlives the process, and ends no
            earlier because somebody set a clock, nor later.
        tell: hears of each failure, with the number if there is such a witness; not more often than
            `EVENTS_AN_HOUR`.
    """

    def __init__(
        self, store: Store, people: People, *, running_ms: Callable[[], int], tell: Tell | None = None
    ) -> None:
        self._store = store
        self._people = people
        self._running_ms = running_ms
        self._tell = tell
        self._events = HourlyLimit()
        self._under_way: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._places = {known: threading.BoundedSemaphore(MOST_AT_ONCE) for known in (True, False)}

    def check(
        self,
        number: str,
        pin: str,
        *,
        caller: str,
        known: bool = False,
        also: Callable[[WitnessId], None] = lambda _known: None,
    ) -> WitnessId:
        """Check one PIN.

        Args:
            number: who is said to be asking.
            pin: what was entered.
            caller: where from: an address, or the lane of a tablet.
            known: this very number has signed in from there before.
            also: refuses a number whose PIN is right (no inspector) by `UnknownWitnessError`.

        Raises:
            UnknownWitnessError: number or PIN is not right.
            TriedTooOftenError: nothing was looked at.
        """
        lanes = [(number, caller), (_ANY, caller)] + ([] if known else [(number, _ANY)])
        with self._slot(number, caller, known=known):
            self._must_be_open(lanes)
            self._fail(lanes)  # before it is looked at: a power cut in between is no free try
            try:
                found = self._people.witness(number, pin)
                also(found)
            except UnknownWitnessError:
                self._say(number)
                raise
            self._forget(lanes)
            return found

    def lane_of(self, token: str | None, number: str) -> str | None:
        """Return the lane of a tablet that shows this token, if `number` has signed in there before."""
        if not token:
            return None
        lane = _lane(token)
        row = self._store.row("SELECT 1 AS one FROM pin_lanes WHERE lane = ? AND number = ?", lane, number)
        return None if row is None else lane

    def new_lane(self, number: str) -> str:
        """Give a tablet a lane of its own; returns the token that it keeps. The oldest of a number goes."""
        token = secrets.token_urlsafe(32)
        with self._store.writing() as database:
            database.execute(
                "INSERT INTO pin_lanes VALUES (?, ?, ?)", (_lane(token), number, self._running_ms())
            )
            database.execute(
                "DELETE FROM pin_lanes WHERE number = ? AND lane NOT IN"
                " (SELECT lane FROM pin_lanes WHERE number = ? ORDER BY rowid DESC LIMIT ?)",
                (number, number, LANES_OF_ONE),
            )
        return token

    @contextmanager
    def _slot(self, number: str, caller: str, *, known: bool) -> Iterator[None]:
        slot = (number, caller)
        with self._lock:
            if slot in self._under_way:
                raise _too_often("Another try is being looked at.", "Wait for its answer.")
            self._under_way.add(slot)
        try:
            if not self._places[known].acquire(timeout=WAIT_SECONDS):
                raise _too_often("Too many PINs are being looked at.", "Try again in a moment.")
            try:
                yield
            finally:
                self._places[known].release()
        finally:
            with self._lock:
                self._under_way.discard(slot)

    def _must_be_open(self, lanes: list[tuple[str, str]]) -> None:
        now = self._running_ms()
        for number, caller in lanes:
            row = self._row(number, caller)
            until = 0 if row is None else row["until_ms"]
            if now < until:
                raise _too_often("Too many wrong PINs.", f"Wait {(until - now) // 1000 + 1} s.")

    def _row(self, number: str, caller: str) -> dict[str, int] | None:
        return self._store.row("SELECT * FROM pin_tries WHERE number = ? AND caller = ?", number, caller)

    def _fail(self, lanes: list[tuple[str, str]]) -> None:
        now = self._running_ms()
        with self._store.writing() as database:
            database.execute("DELETE FROM pin_tries WHERE last_ms < ?", (now - FORGOTTEN_MS,))
            for number, caller in lanes:
                row = self._row(number, caller)
                failures = 1 if row is None else row["failures"] + 1
                database.execute(
                    "INSERT OR REPLACE INTO pin_tries VALUES (?, ?, ?, ?, ?)",
                    (number, caller, failures, now + _pause_ms(number, caller, failures), now),
                )

    def _forget(self, lanes: list[tuple[str, str]]) -> None:
        """A right PIN clears its own lanes; of what strangers share it takes its own try back."""
        with self._store.writing() as database:
            for number, caller in lanes:
                what = "UPDATE pin_tries SET failures = failures - 1, until_ms = 0"
                if caller != _ANY:
                    what = "DELETE FROM pin_tries"
                database.execute(f"{what} WHERE number = ? AND caller = ?", (number, caller))

    def _say(self, number: str) -> None:
        if self._tell is None or not self._events.has_room(self._running_ms()):
            return
        known = self._store.row("SELECT 1 AS one FROM witnesses WHERE witness_id = ?", number) is not None
        row = self._store.row(
            "SELECT sum(failures) AS n FROM pin_tries WHERE number = ? AND caller != ?", number, _ANY
        )
        self._tell(WitnessId(number) if known else None, int((row or {}).get("n") or 1))


def _pause_ms(number: str, caller: str, failures: int) -> int:
    """How long a lane is closed after so many failures."""
    if caller == _ANY:
        return FORGOTTEN_MS if failures >= STRANGERS_TRIES else 0
    free = CALLER_TRIES if number == _ANY else FREE_TRIES
    return int(back_off(failures - free + 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS))


def _lane(token: str) -> str:
    return "tablet " + hashlib.sha256(token.encode()).hexdigest()


def _too_often(what: str, do: str) -> TriedTooOftenError:
    return TriedTooOftenError(what, why="A PIN must not be found by trying.", do=do)
