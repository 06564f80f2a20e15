"""How long to wait after failures in a row: doubled each time up to a limit, at will with jitter."""

_MOST_DOUBLINGS = 30


def back_off(failures: int, first: float, longest: float) -> float:
    """Return the wait after so many failures in a row, in the unit of `first` and `longest`.

    Args:
        failures: how many have come; without any there is no wait.
        first: the wait after the first; doubled after each further one.
        longest: no wait is longer.
    """
    if failures < 1:
        return 0.0
    return min(longest, first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def jittered(wait: float, chance: float, least: float = 0.1) -> float:
    """Return a wait between `least` of it and all of it, so that a thousand devices do not come back at once.

    Args:
        wait: the longest that it may be.
        chance: from the caller's randomness, in [0, 1).
        least: the smallest part of it.
    """
    return wait * (least + (1 - least) * chance)
