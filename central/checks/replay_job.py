"""Each day the checks of the day before go through the audit; what differs is written down and counted."""

import datetime as dt
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
from joserfc.jwk import OKPKey

from renzheng.central.checks.evaluator import Evaluator
from renzheng.central.checks.history import History
from renzheng.central.checks.in_force import InForce
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.replaying import Replayed, World, replay
from renzheng.central.settings import Settings
from renzheng.central.site.succession import verifying_keys
from renzheng.central.store.times import to_us
from renzheng.common.files import write_whole
from renzheng.rules.pack import load_pack

logger = logging.getLogger(__name__)
MOST_CHECKS = 20_000
"""Checks of a day that are replayed; of more, as many spread over the day."""
REPLAY_SECONDS = 3600.0


def report_of(settings: Settings, day: dt.date) -> Path:
    """Return where the report of a day lies."""
    return settings.checks_dir / "replays" / f"{day.isoformat()}.json"


def replay_day(settings: Settings, day: dt.date, today: dt.date) -> Replayed:
    """Put a day's checks through the audit, and write the report."""
    zone = ZoneInfo(settings.timezone)
    begin, end = (
        to_us(dt.datetime.combine(one, dt.time(), zone)) for one in (day, day + dt.timedelta(days=1))
    )

    def known() -> Sequence[OKPKey]:
        return verifying_keys(settings.key_file)

    region = settings.audit.region
    knowledge = InForce(settings.knowledge_dir, known, region).now().knowledge
    pack = load_pack(settings.audit.rules_dir).for_region(region)
    keeper = Keeper(settings.checks_dir / "checks.sqlite")
    try:
        kept = keeper.kept_between(begin, end, MOST_CHECKS)
    finally:
        keeper.close()
    evaluator = Evaluator(History(settings.checks_dir / "history.sqlite"))
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=settings.checks_dir) as folder:
        found = replay(kept, World(evaluator, knowledge, pack, zone, today), Path(folder))
    report = report_of(settings, day)
    report.parent.mkdir(exist_ok=True, mode=0o700)
    told = {"day": day.isoformat(), "checks": found.checks, "differences": list(found.differences)}
    write_whole(report, orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return found


def replay_yesterday(settings: Settings, now: dt.datetime, tell: Callable[[str, float], None]) -> None:
    """Replay the day before, unless that was done; tell a gauge how many differences there were."""
    today = now.astimezone(ZoneInfo(settings.timezone)).date()
    day = today - dt.timedelta(days=1)
    if report_of(settings, day).exists() or not (settings.checks_dir / "checks.sqlite").exists():
        return
    found = replay_day(settings, day, today)
    tell("renzheng_check_replay_differences", float(len(found.differences)))
    for one in found.differences:
        logger.error(
            "check %s and the audit differ about point %s (%s): %s",
            one.check_id,
            one.point,
            one.version,
            one.cause,
        )
