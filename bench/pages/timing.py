"""Times pages of our own server, one after the other, as one visitor sees them."""

import math
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HEADS = ("first ms", "p50 ms", "p95 ms", "processor p50", "processor p95", "first byte p95", "kB")
"""Of a table of timings, after the page's name."""


@dataclass(frozen=True)
class Timing:
    """One page: milliseconds from asked to answered, and of processor time of this process.

    Args:
        page: which.
        first_ms: from asked to read, of the first asking, when nothing of it is kept yet.
        p50_ms: median of the later ones.
        p95_ms: 95th percentile of the same.
        processor_p50_ms: median processor time of this process, asking included, all threads together.
        processor_p95_ms: 95th percentile of the same.
        first_byte_p95_ms: 95th percentile from asked to the answer's first byte.
        kilobytes: what was sent.
    """

    page: str
    first_ms: float
    p50_ms: float
    p95_ms: float
    processor_p50_ms: float
    processor_p95_ms: float
    first_byte_p95_ms: float
    kilobytes: float


def time_page(name: str, address: str, times: int, token: str = "") -> Timing:
    """Ask for a page several times, after once that is told apart.

    Args:
        name: what the page is called.
        address: with the server's.
        times: how often.
        token: of the account that asks; empty where none is needed.
    """
    begin = time.perf_counter()
    size = len(get(address, token))
    first = (time.perf_counter() - begin) * 1000
    walls, processors, firsts = [], [], []
    for _ in range(times):
        wall, processor = time.perf_counter(), time.process_time()
        with _asked(address, token) as answer:
            answer.read(1)
            firsts.append((time.perf_counter() - wall) * 1000)
            answer.read()
        walls.append((time.perf_counter() - wall) * 1000)
        processors.append((time.process_time() - processor) * 1000)
    return Timing(
        name,
        first_ms=round(first, 1),
        p50_ms=_p(walls, 50),
        p95_ms=_p(walls, 95),
        processor_p50_ms=_p(processors, 50),
        processor_p95_ms=_p(processors, 95),
        first_byte_p95_ms=_p(firsts, 95),
        kilobytes=round(size / 1000, 1),
    )


def _p(values: Sequence[float], percent: int) -> float:
    """Take the smallest value that at least so many per cent do not exceed."""
    return round(sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1], 1)


def get(address: str, token: str = "") -> str:
    """Return a page of our own server."""
    with _asked(address, token) as answer:
        return str(answer.read().decode())


def _asked(address: str, token: str) -> Any:
    asked = urllib.request.Request(address)  # noqa: S310 - our own server
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    return urllib.request.urlopen(asked)  # noqa: S310 - our own server
