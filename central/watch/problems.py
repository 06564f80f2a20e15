"""What is wrong, told from what is known; pure. Silence counts only where we could have heard.

Moments are microseconds since 1970 in UTC, as in the store.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from renzheng.central.ingest.consumer import Connected
from renzheng.common.supervised import State

Row = Mapping[str, Any]
Severity = Literal["critical", "warning"]
SITE = "central"
"""The subject of what concerns no one device."""

KINDS: Mapping[str, Severity] = {
    "store_refuses": "critical",
    "worker_stuck": "critical",
    "worker_failing": "warning",
    "broker_unreachable": "critical",
    "second_consumer": "critical",
    "no_consumer": "critical",
    "device_silent": "warning",
    "device_halted": "critical",
    "clock_jumped": "warning",
    "no_night": "critical",
    "days_not_audited": "warning",
    "no_bill": "warning",
    "broker_outgrown": "warning",
    "withdrawal_unanswered": "warning",
    "many_faces": "warning",
    "certificate_ends": "warning",
    "certificate_expired": "critical",
}
"""What the watch looks for; each has its words in the console's catalogue and its rule in `deploy/`."""

SILENT_TIMES = 3
STATUS_SECONDS = 30.0
"""The interval of devices that do not tell theirs (the default of `link.status_seconds`)."""
HEARD_SLACK_SECONDS = 5.0
NEVER_SEEN = timedelta(days=1)
CERTIFICATE_DAYS = 30
NIGHT_HOURS = 26
BILL_DAYS = 7
FAILING_SECONDS = 60.0
UNANSWERED = timedelta(days=1)
"""A device that has not certified a withdrawal for so long is told of."""
MANY_FACES = 80_000
"""People with a stored face: at 100,000 filing is due (order 19 of CAC and MPS, art. 15)."""
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        kind: one of `KINDS`.
        subject: the device, `shard 0`, a file, a worker, or `SITE`.
        since_us: from when on.
        detail: what is known, without anybody's name or number.
        elsewhere: another process of this site told of it.
    """

    kind: str
    subject: str
    since_us: int
    detail: str
    elsewhere: bool = False

    @property
    def severity(self) -> Severity:
        """How bad."""
        return KINDS[self.kind]


def of_workers(states: Sequence[State], now_us: int) -> list[Problem]:
    """Name the threads that hang, or that have failed for a while."""
    found = []
    for state in states:
        if not state.moves:
            since = now_us - round(state.idle_seconds * _SECOND)
            found.append(Problem("worker_stuck", state.name, since, state.condition))
        elif state.failing_seconds >= FAILING_SECONDS:
            since = now_us - round(state.failing_seconds * _SECOND)
            found.append(Problem("worker_failing", state.name, since, state.problem))
    return found


def of_brokers(standings: Sequence[Connected], now_us: int) -> list[Problem]:
    """Name the shards that hear nothing, and those that somebody else consumes too."""
    found = []
    for one in standings:
        subject, since = f"shard {one.shard}", now_us - round(one.seconds * _SECOND)
        if not one.up and one.trouble:
            found.append(Problem("broker_unreachable", subject, since, f"broker unreachable: {one.trouble}"))
        if one.contested:
            found.append(Problem("second_consumer", subject, now_us, one.contested))
    return found


OF_SHARD = re.compile(r"(?:ingest|broker|watch)-(.+)")
"""The threads of a shard's process."""
WATCHED_SECONDS = 60.0
"""A shard's process says every ten seconds that it is there."""


def shard_of(kind: str, subject: str, of_devices: Mapping[str, str]) -> str | None:
    """Tell which shard a problem belongs to; None for what is the whole site's.

    Args:
        kind: one of `KINDS`.
        subject: the problem's.
        of_devices: the shard of each device.
    """
    if kind in ("worker_stuck", "worker_failing"):
        found = OF_SHARD.fullmatch(subject)
        return found[1] if found else None
    if kind in ("broker_unreachable", "second_consumer"):
        return subject.removeprefix("shard ")
    return None if kind == "no_consumer" else of_devices.get(subject)


def of_shards(
    rows: Iterable[Row], own: Collection[str], seen_us: Mapping[str, int], now_us: int
) -> list[Problem]:
    """Name the shards that have devices and that no process consumes.

    Args:
        rows: the devices.
        own: shards that this process consumes.
        seen_us: when each other shard's process last said that it is there.
        now_us: when it is.
    """
    since: dict[str, int] = {}
    for row in rows:
        if row["revoked_at"] is None and row["shard"] not in own:
            since[row["shard"]] = min(since.get(row["shard"], now_us), row["registered_at"])
    since = {shard: seen_us.get(shard, at) for shard, at in since.items()}
    late = now_us - WATCHED_SECONDS * _SECOND
    return [Problem("no_consumer", f"shard {shard}", at, "") for shard, at in since.items() if at < late]


def of_refusals(refused: Mapping[str, str], now_us: int) -> list[Problem]:
    """Name the devices of which the store refuses something while it takes others."""
    return [Problem("store_refuses", device_id, now_us, why) for device_id, why in refused.items()]


def of_broker_size(rows: Collection[Row], sized_for: int | None, now_us: int) -> list[Problem]:
    """Name a broker whose limits were made for fewer devices than are registered now.

    Args:
        rows: the devices.
        sized_for: for how many the broker's files were made; None when that is not known.
        now_us: when it is.
    """
    in_use = sum(1 for row in rows if row["revoked_at"] is None)
    if sized_for is None or in_use <= sized_for:
        return []
    return [Problem("broker_outgrown", SITE, now_us, f"{in_use} devices, sized for {sized_for}")]


def of_devices(rows: Iterable[Row], standings: Sequence[Connected], now_us: int) -> list[Problem]:
    """Name the devices that are silent or halted, and whose certificate ends.

    A device is silent after three of its intervals without a word, and only while we were listening.
    """
    listening = {one.shard: one.seconds if one.up else 0.0 for one in standings}
    found = []
    for row in rows:
        if row["revoked_at"] is not None:
            continue
        found += _silent(row, listening.get(row["shard"], 0.0), now_us)
        if row["halted"]:
            at = row["status_received_at"] or now_us
            found.append(Problem("device_halted", row["device_id"], at, row["halted"]))
        if row["certificate_until"] is not None:
            found += of_certificate(row["device_id"], row["certificate_until"], now_us)
    return found


def _silent(row: Row, listening_seconds: float, now_us: int) -> list[Problem]:
    heard = [at for at in (row["status_received_at"], row["head_received_at"]) if at is not None]
    if heard:
        last, seconds = max(heard), SILENT_TIMES * (row["status_seconds"] or STATUS_SECONDS)
    else:
        last, seconds = row["registered_at"], NEVER_SEEN.total_seconds()
    seconds += HEARD_SLACK_SECONDS
    if now_us - last <= seconds * _SECOND or (heard and listening_seconds <= seconds):
        return []
    return [Problem("device_silent", row["device_id"], last, "" if heard else "never seen")]


def of_clocks(rows: Iterable[Row]) -> list[Problem]:
    """Name the devices whose clock jumped, by the entries that say so."""
    found: dict[str, Problem] = {}
    for row in rows:
        by = "" if row["offset_ms"] is None else f"by {row['offset_ms'] / 1000:+.0f} s"
        found[row["device_id"]] = Problem("clock_jumped", row["device_id"], row["received_at"], by)
    return list(found.values())


def of_certificate(subject: str, until_us: int, now_us: int) -> list[Problem]:
    """Say that a certificate ends soon, or has ended."""
    left = (until_us - now_us) / _DAY
    if left > CERTIFICATE_DAYS:
        return []
    if left <= 0:
        return [Problem("certificate_expired", subject, until_us, "")]
    begins = until_us - CERTIFICATE_DAYS * _DAY
    return [Problem("certificate_ends", subject, begins, f"{left:.0f} days left")]


@dataclass(frozen=True, slots=True)
class Audited:
    """How far the audit is.

    Args:
        in_use: from when on this site has had devices; None while it has none.
        last_night: when a run last ended well.
        last_billed: the latest day of which a bill is there.
        owed: billed days up to yesterday that no run has answered, earliest first.
    """

    in_use: int | None
    last_night: int | None
    last_billed: date | None
    owed: Sequence[date]


def of_audit(known: Audited, now: datetime, now_us: int) -> list[Problem]:
    """Say that no night has run, that days are owed, or that no bill has come."""
    if known.last_billed is None and known.last_night is None:
        return []  # a site that audits nothing (yet) owes nothing
    found = []
    began = known.last_night or known.in_use or now_us
    if now_us - began > NIGHT_HOURS * 3600 * _SECOND:
        found.append(Problem("no_night", SITE, began, ""))
    if known.owed:
        days = f"{len(known.owed)}: {known.owed[0]} to {known.owed[-1]}"
        found.append(Problem("days_not_audited", SITE, now_us, days))
    if known.last_billed is not None and (now.date() - known.last_billed).days > BILL_DAYS:
        since = now_us - (now.date() - known.last_billed).days * _DAY
        found.append(Problem("no_bill", SITE, since, f"last billed day {known.last_billed}"))
    return found


def since_first(problems: Iterable[Problem], before: Mapping[tuple[str, str], int]) -> list[Problem]:
    """Let each problem begin where it began when it was first seen."""
    return [
        replace(one, since_us=min(one.since_us, before.get((one.subject, one.kind), one.since_us)))
        for one in problems
    ]


def of_persons(waiting: Sequence[tuple[str, int]], faces: int, now_us: int) -> list[Problem]:
    """Name devices that have not certified a withdrawal, and the site whose faces come near to filing.

    Args:
        waiting: devices, each with when its oldest unanswered order about a person was issued.
        faces: people with a stored face, each counted once.
        now_us: when it is.
    """
    found = [
        Problem("withdrawal_unanswered", device_id, since, "")
        for device_id, since in waiting
        if now_us - since > UNANSWERED.total_seconds() * _SECOND
    ]
    if faces >= MANY_FACES:
        found.append(Problem("many_faces", SITE, now_us, f"{faces:,}"))
    return found
