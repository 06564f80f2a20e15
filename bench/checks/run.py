"""Lays a region's history and knowledge, asks for checks over HTTP, and asks the rival the same."""

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from renzheng.bench.checks import world
from renzheng.bench.checks.load import Callers, body, spread
from renzheng.bench.checks.rival import Rival
from renzheng.bench.checks.serving import Serving
from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.checks.asked import as_read, read_asked
from renzheng.central.checks.evaluator import Evaluator
from renzheng.central.checks.history import History
from renzheng.central.main import make_signing_key
from renzheng.central.settings import Settings, make_settings
from renzheng.central.store.database import Database
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now
from renzheng.rules.knowledge.evaluating import Knowledge

ZONE = ZoneInfo("Asia/Shanghai")
_WARM_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Args:
        persons, lines: of the history.
        history_mb: of its file.
        fill_seconds: to write it.
        start_seconds: from starting the process to its first whole check.
        checks: answered with `ok`.
        other_answers: with another code.
        a_second: checks in a second.
        p50_ms, p95_ms, p99_ms: of an answer over HTTP.
        processor_ms: of the serving process for a check.
        memory_mb: most that the process held.
        empty_a_second, empty_p99_ms: of an ordinary route of the same server (`/health`).
        advices: shown.
        evaluator_ms, evaluator_p99_ms: of the evaluator and its history, without HTTP and keeping.
        rival_ms, rival_p99_ms: of the same kinds as SQL at each call.
        same: share of checks of which both name the same points.
    """

    persons: int
    lines: int
    history_mb: float
    fill_seconds: float
    start_seconds: float
    checks: int
    other_answers: int
    a_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    processor_ms: float
    memory_mb: float
    empty_a_second: float
    empty_p99_ms: float
    advices: int
    evaluator_ms: float
    evaluator_p99_ms: float
    rival_ms: float
    rival_p99_ms: float
    same: float


def run(size: world.Size, callers: int, seconds: float, tell: Callable[[str], None]) -> Measured:
    """Measure; with a new folder each time."""
    with tempfile.TemporaryDirectory() as made:
        settings = make_settings({"data_dir": made, "port": 0})
        token = _lay_store(settings)
        world.lay_knowledge(settings.knowledge_dir, keys.load_private_key(settings.key_file.read_bytes()))
        path = settings.checks_dir / "history.sqlite"
        begin = time.monotonic()
        world.lay_history(path, size, utc_now().astimezone(ZONE).date())
        filled = time.monotonic() - begin
        tell(f"{size.persons * size.lines_each:,} lines in {filled:.1f} s")
        begin = time.monotonic()
        serving = Serving(Path(made))
        serving_after = time.monotonic() - begin
        asking = Callers(serving.url, token, size.persons, callers)
        begin = time.monotonic()
        asking.ask(1, 0.001)
        started = serving_after + time.monotonic() - begin
        asking.ask(callers, _WARM_SECONDS)
        before = serving.used()
        told = asking.ask(callers, seconds)
        used = serving.used()
        empty = asking.ask_for_nothing(callers, min(seconds, _WARM_SECONDS))
        serving.end()
        every = len(told.milliseconds)
        evaluator, rival, same = against_the_rival(path, size, max(200, min(3_000, told.checks)))
        return Measured(
            persons=size.persons,
            lines=size.persons * size.lines_each,
            history_mb=path.stat().st_size / 1e6,
            fill_seconds=filled,
            start_seconds=started,
            checks=told.checks,
            other_answers=every - told.checks,
            a_second=told.a_second,
            p50_ms=told.quantile(0.5),
            p95_ms=told.quantile(0.95),
            p99_ms=told.quantile(0.99),
            processor_ms=(used.processor_seconds - before.processor_seconds) * 1000 / max(1, every),
            memory_mb=used.memory_mb,
            empty_a_second=empty.a_second,
            empty_p99_ms=empty.quantile(0.99),
            advices=told.advices,
            evaluator_ms=evaluator[0],
            evaluator_p99_ms=evaluator[2],
            rival_ms=rival[0],
            rival_p99_ms=rival[2],
            same=same,
        )


def _lay_store(settings: Settings) -> str:
    make_signing_key(settings.key_file)
    database = Database(settings.database)
    database.migrate()
    places = frozenset(world.institution(number) for number in range(world.INSTITUTIONS))
    with database.writing() as connection:
        new = New("his", frozenset({Role.HOSPITAL_OFFICE}), places, kind="program")
        accounts.add(connection, new, "bench", utc_now())
        token = accounts.give_token(connection, "his", utc_now())
    database.close()
    return token


Spread = tuple[float, float, float]


def against_the_rival(path: Path, size: world.Size, times: int) -> tuple[Spread, Spread, float]:
    """Time the evaluator and the rival in turn, on the same checks."""
    points = world.points()
    evaluator, rival = Evaluator(History(path)), Rival(path, points)
    knowledge, chance, now = Knowledge(points), random.Random(7), utc_now()  # noqa: S311 - the same each time
    ours: list[float] = []
    theirs: list[float] = []
    same = 0
    for number in range(times):
        asked = read_asked(body(chance, size.persons, number, now))
        read = as_read(asked, {}, ZONE, None, now.astimezone(ZONE).date())
        begin = time.perf_counter()
        completed, _ = evaluator.completed(read)
        found = {hit.point.id for hit in evaluator.evaluated(knowledge, completed, "during").hits}
        middle = time.perf_counter()
        other = rival.check(read.patient.person_id, read.lines)
        theirs.append((time.perf_counter() - middle) * 1000)
        ours.append((middle - begin) * 1000)
        same += found == other
    rival.close()
    return spread(ours), spread(theirs), same / times
