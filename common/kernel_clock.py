"""Whether the kernel holds the machine's clock for synchronised."""

import ctypes
from collections.abc import Callable

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def is_synchronised() -> bool:
    """Ask the kernel (adjtimex); False also where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    adjtimex: Callable[[ctypes.Array[ctypes.c_char]], int] | None = getattr(libc, "adjtimex", None)
    if adjtimex is None:
        return False
    return 0 <= adjtimex(ctypes.create_string_buffer(512)) < _TIME_ERROR  # zeros mean: only read
