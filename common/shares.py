"""How sure a share is that was counted: Wilson's interval."""

import math

_Z95 = 1.959963984540054
"""Of a two-sided 95 % interval: the standard normal distribution's 97.5th percentile."""


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, Journal of the American Statistical Association 22, 1927).

    It always holds the share itself. Of no trials nothing is known: it is 0 to 1.

    Args:
        hits: how many of them counted.
        trials: how many there were; of clustered ones the effective number, which need not be whole.
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = hits / trials, _Z95**2
    middle = share + z2 / (2 * trials)
    half = _Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    # At either end rounding must not push the interval past the share itself.
    return min(share, max(0.0, (middle - half) / scale)), max(share, min(1.0, (middle + half) / scale))
