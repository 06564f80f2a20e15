"""Asks for checks as a region's hospitals and pharmacies do, over HTTP, and times each answer."""

import datetime as dt
import http.client
import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping
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
        return self.checks / self.seconds


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
    """

    def __init__(self, url: str, token: str, persons: int) -> None:
        self._address, self._token, self._persons = urlsplit(url).netloc, token, persons
        self._lock = threading.Lock()

    def ask(self, callers: int, seconds: float) -> Asked:
        """Ask for some seconds, and return what came."""
        self._times: list[float] = []
        self._codes: Counter[str] = Counter()
        self._advices = 0
        begin = time.monotonic()
        threads = [
            threading.Thread(target=self._one, args=(number, begin + seconds)) for number in range(callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begin
        return Asked(self._codes["ok"], took, sorted(self._times), dict(self._codes), self._advices)

    def _one(self, caller: int, until: float) -> None:
        chance, number = random.Random(f"{caller}-{until}"), caller * 10_000_000  # noqa: S311
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        now = dt.datetime.now(dt.UTC)
        while time.monotonic() < until:
            number += 1
            content = json.dumps(body(chance, self._persons, number, now)).encode()
            begin = time.perf_counter()
            connection.request("POST", "/api/v1/checks", content, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            took = (time.perf_counter() - begin) * 1000
            with self._lock:
                self._times.append(took)
                self._codes[told.get("code", str(answer.status))] += 1
                self._advices += len(told.get("advices", ()))
        connection.close()


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return median, 95 % and 99 % of some times."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.95 * len(ordered))], ordered[int(0.99 * len(ordered))]
