"""Asks for checks as a region's hospitals and pharmacies do, over HTTP, and times each answer.

What is sent is made before anything is timed, and what comes is read after it, so that it is the server that
is measured: a caller holds one connection and does nothing but write, wait and read.
"""

import datetime as dt
import json
import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from renzheng.bench.checks import world

KINDS: Mapping[str, tuple[float, int, str]] = {
    "order": (0.6, 3, "before"),
    "charge": (0.3, 8, "during"),
    "settlement": (0.1, 30, "during"),
}
"""How often each is asked, the items it has at most, and its stage."""
MADE = 4_000
"""Checks that one caller has ready; then it asks them again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What callers saw.

    Args:
        checks: answers with code `ok`.
        seconds: from the first to the last.
        milliseconds: of each answer, in order of size.
        codes: how many answers of each code.
        advices: how many there were.
    """

    checks: int
    seconds: float
    milliseconds: list[float]
    codes: Mapping[str, int]
    advices: int

    def quantile(self, share: float) -> float:
        """Return the time within which a share of the answers came."""
        return self.milliseconds[min(len(self.milliseconds) - 1, int(share * len(self.milliseconds)))]

    @property
    def a_second(self) -> float:
        """Return how many were answered in a second."""
        return len(self.milliseconds) / self.seconds


def body(chance: random.Random, persons: int, number: int, now: dt.datetime) -> dict[str, Any]:
    """Return one check."""
    kind = chance.choices(list(KINDS), weights=[one[0] for one in KINDS.values()])[0]
    _, most, stage = KINDS[kind]
    who = chance.randrange(persons)
    items = [
        {
            "id": f"{number}-{at}", "code": world.code(chance), "quantity": 1, "amount": 100 + at,
            "at": now.isoformat(), "doctor_id": f"D{chance.randrange(500)}",
        }
        for at in range(chance.randint(1, most))
    ]  # fmt: skip
    return {
        "stage": stage,
        "institution_id": world.institution(who),
        "patient": {"person_id": world.person(who)},
        "encounter": {"visit_id": f"B{number}", "visit_type": "outpatient", "insurance": "310"},
        "items": items,
    }


class Callers:
    """Several callers, each of which asks again as soon as it is answered.

    Args:
        url: of central.
        token: of a program.
        persons: of how many persons.
        callers: how many.
    """

    def __init__(self, url: str, token: str, persons: int, callers: int) -> None:
        place = urlsplit(url)
        self._host, self._port = str(place.hostname), int(place.port or 80)
        head = f"Host: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
        now = dt.datetime.now(dt.UTC)
        self._empty = [f"GET /health HTTP/1.1\r\n{head}\r\n".encode()]
        self._ready = [
            [_request(head, body(chance, persons, caller * 10_000_000 + at, now)) for at in range(MADE)]
            for caller, chance in ((one, random.Random(f"{one}-{now}")) for one in range(callers))  # noqa: S311
        ]
        self._asked = 0

    def ask(self, callers: int, seconds: float) -> Asked:
        """Ask for checks for some seconds, and return what came."""
        self._asked += 1
        turned = [_from(self._ready[caller], self._asked) for caller in range(callers)]
        return self._all(turned, seconds)

    def ask_for_nothing(self, callers: int, seconds: float) -> Asked:
        """Ask the same server as often as it answers for something that it has in memory."""
        return self._all([self._empty] * callers, seconds)

    def _all(self, requests: Sequence[Sequence[bytes]], seconds: float) -> Asked:
        came: list[tuple[float, bytes]] = []
        begin = time.monotonic()
        threads = [threading.Thread(target=self._one, args=(own, begin + seconds, came)) for own in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begin
        told = [json.loads(content) for _, content in came]
        codes = Counter(str(one.get("code", "-")) for one in told)
        advices = sum(len(one.get("advices", ())) for one in told)
        return Asked(codes["ok"], took, sorted(milliseconds for milliseconds, _ in came), codes, advices)

    def _one(self, requests: Sequence[bytes], until: float, came: list[tuple[float, bytes]]) -> None:
        with socket.create_connection((self._host, self._port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = 0
            while time.monotonic() < until:
                begin = time.perf_counter()
                connection.sendall(requests[number % len(requests)])
                content = _answer(connection)
                came.append(((time.perf_counter() - begin) * 1000, content))
                number += 1


def _from(requests: Sequence[bytes], turn: int) -> Sequence[bytes]:
    """Begin elsewhere at each turn, so that nothing is asked a second time before it must be."""
    first = turn * MADE // 4 % MADE
    return [*requests[first:], *requests[:first]]


def _request(head: str, asked: dict[str, Any]) -> bytes:
    content = json.dumps(asked, separators=(",", ":")).encode()
    told = f"POST /api/v1/checks HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: "
    return told.encode() + str(len(content)).encode() + b"\r\n\r\n" + content


def _answer(connection: socket.socket) -> bytes:
    """Read one answer and return its body."""
    held = b""
    while (end := held.find(b"\r\n\r\n")) < 0:
        held += _more(connection)
    named = held[:end].lower().partition(b"content-length:")[2]
    length = int(named.split(b"\r\n", 1)[0])
    while len(held) < end + 4 + length:
        held += _more(connection)
    return held[end + 4 :]


def _more(connection: socket.socket) -> bytes:
    came = connection.recv(65_536)
    if not came:
        raise ConnectionResetError
    return came


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return median, 95 % and 99 % of some times."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.95 * len(ordered))], ordered[int(0.99 * len(ordered))]
