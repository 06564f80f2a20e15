"""Slows down whoever guesses the access token: the more wrong ones, the longer each answer takes.

Whoever shows the right token is let in at once, whatever others did before, from the same address too: nobody
can keep its holder out. A wrong one is answered late, by what its caller and all callers together have failed
before, and only so many at a time; the others are turned away without a wait. The waits of one caller are
short, for a program with last year's token must not take a slow answer for a dead server: a token of 16
characters is beyond four guesses a second. After a thousand by all callers together, which no mistake
explains, they are long.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from renzheng.common.backoff import back_off

logger = logging.getLogger(__name__)
FREE_FAILURES = 5
"""Of one caller: somebody who types, or a program with the token of last year."""
FREE_FAILURES_OF_ALL = 1_000
FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 0.25
LONGEST_WAIT_OF_ALL_SECONDS = 8.0
"""Below the ten seconds after which many programs give up."""
FORGOTTEN_SECONDS = 900.0
"""A caller that has not failed for so long begins anew."""
MOST_HELD = 16
"""Wrong answers that are held back at a time; few beside the places of a listener (`serving.Places`)."""
MOST_HELD_OF_ONE = 4
MOST_CALLERS = 4_096
_TELL_EVERY_SECONDS = 60.0

Wait = Callable[[float], Awaitable[object]]


class Guesses:
    """Wrong tokens, by caller and in all.

    Args:
        wait: lets time pass.
        clock: seconds of a clock that never jumps.
        count: hears of each wrong token.
    """

    def __init__(
        self,
        *,
        wait: Wait = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        count: Callable[[], None] = lambda: None,
    ) -> None:
        self._wait, self._clock, self._count = wait, clock, count
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._all = (0, clock())
        self._held: dict[str, int] = {}
        self._told_at = float("-inf")

    async def fail(self, caller: str, account: str = "") -> bool:
        """Count a wrong token and hold its answer back; False: too many are held, turn it away now.

        Args:
            caller: its address.
            account: whose password was guessed, from whatever addresses.
        """
        seconds = self._fail(caller)
        if account:
            seconds = max(seconds, self._wait_of(_lane(account)))
        if seconds <= 0:
            return True
        if sum(self._held.values()) >= MOST_HELD or self._held.get(caller, 0) >= MOST_HELD_OF_ONE:
            return False
        self._held[caller] = self._held.get(caller, 0) + 1
        try:
            await self._wait(seconds)
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
        return True

    def forget(self, caller: str, account: str = "") -> None:
        """Forget the failures of a caller that has shown the right token, and of the account it is for."""
        self._failures.pop(caller, None)
        self._failures.pop(_lane(account), None)

    def _fail(self, caller: str) -> float:
        """Count a wrong token; return for how many seconds its answer is held back."""
        self._count()
        now = self._clock()
        self._all = _one_more(self._all, now)
        seconds = max(
            self._wait_of(caller),
            back_off(self._all[0] - FREE_FAILURES_OF_ALL, FIRST_WAIT_SECONDS, LONGEST_WAIT_OF_ALL_SECONDS),
        )
        of_one = self._failures[caller]
        if seconds and now - self._told_at >= _TELL_EVERY_SECONDS:
            self._told_at = now
            logger.warning("access: %d wrong tokens in all, %d of %s", self._all[0], of_one[0], caller)
        return seconds

    def _wait_of(self, lane: str) -> float:
        """Count one more failure of a caller or account; return how long it waits for that."""
        now = self._clock()
        of_one = _one_more(self._failures.pop(lane, (0, now)), now)
        self._failures[lane] = of_one
        while len(self._failures) > MOST_CALLERS:
            self._failures.popitem(last=False)
        return back_off(of_one[0] - FREE_FAILURES, FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)


def _lane(account: str) -> str:
    return f"account {account}"


def _one_more(before: tuple[int, float], now: float) -> tuple[int, float]:
    count, last = before
    return (count + 1 if now - last < FORGOTTEN_SECONDS else 1), now
