"""Whether a camera's own clock went on evenly between two pictures; a restarted camera's begins anew. Pure.

Only differences are looked at: what a camera believes the time to be is never taken for the time.
"""

from dataclasses import dataclass

TICKS_PER_SECOND = 90_000
_MODULUS = 2**32
_MOST_ASTRAY_S = 10.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One picture by the camera's clock (`timestamp`, 90 kHz modulo 2^32) and by ours, in seconds."""

    source: int
    timestamp: int
    at_s: float


def restarted(before: Mark | None, now: Mark) -> bool:
    """Whether the camera began anew: another source, or its clock jumped against ours by ten seconds."""
    if before is None:
        return False
    if before.source != now.source:
        return True
    ticks = (now.timestamp - before.timestamp) % _MODULUS
    if ticks > _MODULUS // 2:
        ticks -= _MODULUS
    return abs(ticks / TICKS_PER_SECOND - (now.at_s - before.at_s)) > _MOST_ASTRAY_S
