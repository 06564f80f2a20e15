"""How long to wait on a machine that has other things to do, and how to say that it has.

Waits of the play grow with the machine's load, so that a busy one accuses nobody: a patient who was not seen
in time is no attacker, and a screen that came late came all the same.
"""

import os

MOST = 10.0
"""Times as long as on a machine that has time; beyond it something is broken, and not slow."""
TRIES = 4
BUSY = 1.5
"""Runnable processes a processor, from which on the play may go wrong for want of time."""


def pressure() -> float:
    """Return how many processes of the last minute shared a processor; 0.0 where the system does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def tries() -> int:
    """Return how often a patient looks who was not seen: once; on a busy machine again, as a person does."""
    return TRIES if pressure() >= BUSY else 1


def scaled(seconds: float) -> float:
    """Return a wait that is meant for a machine that has time, as long as this one needs."""
    return seconds * min(max(1.0, pressure()), MOST)


def excuse() -> str:
    """Say that this machine is too busy, with its load; nothing when it is not."""
    if pressure() < BUSY:
        return ""
    return f"This machine is too busy (load {os.getloadavg()[0]:.0f} on {os.cpu_count() or 1} processors)."
