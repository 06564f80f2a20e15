"""When the kiosk sleeps: after nobody stirred for a while, on the idle screen only; pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class SleepTimer:
    """Sleeping and waking.

    Args:
        sleep_ms: how long nobody may stir; 0 never sleeps.
        stirred_ms: when somebody did last.
        asleep: the screen is dark.
    """

    sleep_ms: int
    stirred_ms: int
    asleep: bool = False

    def stir(self, now_ms: int) -> bool:
        """Somebody is here; True when that woke the kiosk."""
        woke, self.asleep, self.stirred_ms = self.asleep, False, now_ms
        return woke

    def settle(self, now_ms: int) -> bool:
        """Nobody's visit is under way; True when the kiosk fell asleep just now."""
        falls = bool(self.sleep_ms) and not self.asleep and now_ms - self.stirred_ms >= self.sleep_ms
        self.asleep = self.asleep or falls
        return falls
