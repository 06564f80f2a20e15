"""Dialysis sessions: sign-ins and sign-outs put together, and what shows the stay."""

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from renzheng.central.audit.oracle.case import Case, verified
from renzheng.central.audit.oracle.values import NOTHING, Parameters, Row

LET_IN = ("match", "manual", "declined")
DOUBTS = ("manual_uncorroborated", "no_sign_out", "pad_not_shown", "clock_untrusted")
"""Why a session carries nothing, in order of precedence."""


def run_name(run: Row) -> str:
    """Return the name of a machine's run, which has no id of its own."""
    return f"{run['machine_id']}@{int(run['started_at'].timestamp())}"


def run_length(run: Row) -> dt.timedelta:
    """Return how long a machine ran."""
    length: dt.timedelta = run["ended_at"] - run["started_at"]
    return length


@dataclass
class Part:
    """One sign-in with its sign-out: a session, or what lies between two pauses of one."""

    sign_in: Row
    sign_out: Row | None
    until: dt.datetime
    """Up to when a second witness may be looked for."""
    run: Row | None = None
    presence: Row | None = None
    run_corroborates: bool = False
    """Whether a machine's log may speak for a manual sign-in here."""
    shown_longer: dt.timedelta = NOTHING
    """By a machine that began to run only after the sign-out."""
    mid_session: dt.timedelta = NOTHING
    limit: dt.datetime | None = None
    """Up to when its time counts, where a treatment was interrupted."""

    @property
    def start(self) -> dt.datetime:
        """Return the moment of the sign-in."""
        at: dt.datetime = self.sign_in["occurred_at"]
        return at

    @property
    def manual(self) -> bool:
        """Return whether a witness identified the person."""
        return self.sign_in["outcome"] in {"manual", "declined"}

    @property
    def verified(self) -> bool:
        """Return whether the sign-in is verified."""
        return verified(self.sign_in)

    @property
    def out_verified(self) -> bool:
        """Return whether there is a verified sign-out."""
        return self.sign_out is not None and verified(self.sign_out)

    @property
    def stays(self) -> list[tuple[dt.datetime, dt.datetime]]:
        """Return every stretch in which something shows the person there."""
        found = []
        if self.out_verified and self.sign_out is not None:
            found.append((self.start, self.sign_out["occurred_at"]))
        if self.run is not None:
            found.append((min(self.run["started_at"], self.start), self.run["ended_at"]))
        if self.presence is not None and self.presence["occurred_at"] - self.start >= self.mid_session:
            found.append((self.start, self.presence["occurred_at"]))
        return found

    @property
    def shown(self) -> dt.timedelta:
        """Return the longest of them."""
        return max((end - begin for begin, end in self.stays), default=NOTHING)

    @property
    def counted(self) -> dt.timedelta:
        """Return the time that it adds to a treatment."""
        return self.shown if self.limit is None else min(self.shown, self.limit - self.start)

    @property
    def carries_time(self) -> bool:
        """Return whether its time may be counted: a verified sign-in, or a manual one with a witness."""
        return self.verified or (self.manual and (self.run_corroborates or self.presence is not None))

    @property
    def ended_at(self) -> dt.datetime:
        """Return when it ended, as far as anything tells."""
        return self.until if self.sign_out is not None else self.last_sign

    @property
    def surely_until(self) -> dt.datetime:
        """Return the last moment for which something speaks."""
        if self.sign_out is not None and self.sign_out["clock_trusted"]:
            at: dt.datetime = self.sign_out["occurred_at"]
            return at
        return self.last_sign

    @property
    def last_sign(self) -> dt.datetime:
        """Return the last moment at which a witness shows the person, else the sign-in."""
        ends = [self.start]
        ends += [self.run["ended_at"]] if self.run is not None else []
        ends += [self.presence["occurred_at"]] if self.presence is not None else []
        return max(ends)

    @property
    def evidence(self) -> set[str]:
        """Return the ids of what makes it up."""
        events = (self.sign_in, self.sign_out, self.presence)
        found = {str(event["event_id"]) for event in events if event is not None}
        return found | ({run_name(self.run)} if self.run is not None else set())


@dataclass
class Session:
    """A dialysis session: one part, or several with short pauses between them."""

    parts: list[Part]
    needed: dt.timedelta
    """The least duration, by prescription."""

    @property
    def id(self) -> str:
        """Return the id of the first sign-in."""
        return str(self.parts[0].sign_in["event_id"])

    @property
    def place(self) -> tuple[str, str]:
        """Return institution and person."""
        sign_in = self.parts[0].sign_in
        return sign_in["institution_id"], sign_in["person_id"]

    @property
    def start(self) -> dt.datetime:
        """Return when it began."""
        return self.parts[0].start

    @property
    def ended_at(self) -> dt.datetime:
        """Return when it ended, as far as anything tells."""
        return max(part.ended_at for part in self.parts)

    @property
    def watched_until(self) -> dt.datetime:
        """Return up to when a second witness was looked for."""
        return max(part.until for part in self.parts)

    @property
    def surely_until(self) -> dt.datetime:
        """Return the last moment for which something speaks."""
        return max(part.surely_until for part in self.parts)

    @property
    def signed_in_verified(self) -> bool:
        """Return whether some sign-in of it is verified."""
        return any(part.verified for part in self.parts)

    @property
    def clock_trusted(self) -> bool:
        """Return whether some sign-in of it has a trusted clock."""
        return any(part.sign_in["clock_trusted"] for part in self.parts)

    @property
    def evidence(self) -> set[str]:
        """Return the ids of what makes it up."""
        return set().union(*(part.evidence for part in self.parts))

    @property
    def carries(self) -> str:
        """Return what a line of hours may be carried by, however short: empty when by nothing."""
        if self.standing in {"verified_session", "corroborated_manual"}:
            return self.standing
        return "verified_session" if any(part.verified and part.stays for part in self.parts) else ""

    @property
    def hours(self) -> dt.timedelta:
        """Return the time that the session gives to lines of hours."""
        return sum((part.counted for part in self.parts), NOTHING) if self.carries else NOTHING

    @property
    def wholly_verified(self) -> bool:
        """Return whether every part has a verified sign-in and a verified sign-out."""
        return all(part.verified and part.out_verified for part in self.parts)

    @property
    def standing(self) -> str:
        """Return what the session can do for a line."""
        if self._verified_long_enough():
            return "verified_session"
        if any(part.manual and part.carries_time for part in self.parts):
            return "corroborated_manual"
        shown_longer = max(part.shown_longer for part in self.parts)
        if self.wholly_verified and shown_longer < self.needed:
            return "too_short"
        doubts = {self._doubt(part) for part in self.parts if len(self.parts) == 1 or not self._short(part)}
        return next(doubt for doubt in DOUBTS if doubt in (doubts or {"no_sign_out"}))

    @property
    def supporting(self) -> bool:
        """Return whether it would support a line."""
        return self.standing in {"verified_session", "corroborated_manual"}

    def _verified_long_enough(self) -> bool:
        carrying = [part for part in self.parts if part.verified and part.stays]
        together = sum((part.counted for part in carrying), NOTHING)
        return any(part.shown >= self.needed for part in carrying) or (
            bool(carrying) and together >= self.needed
        )

    def _short(self, part: Part) -> bool:
        return part.verified and part.out_verified and part.shown_longer < self.needed

    def _doubt(self, part: Part) -> str:
        if part.manual:
            return "manual_uncorroborated"
        if part.sign_in["pad"] != "bona_fide":
            return "pad_not_shown"
        if not part.sign_in["clock_trusted"]:
            return "clock_untrusted"
        out = part.sign_out
        if out is not None and out["outcome"] == "match" and out["occurred_at"] - part.start >= self.needed:
            # it would have carried the line, had it been verified
            if out["pad"] != "bona_fide":
                return "pad_not_shown"
            if not out["clock_trusted"]:
                return "clock_untrusted"
        return "no_sign_out"


def prescribed_minutes(
    case: Case, parameters: Parameters, institution: str, person: str, day: dt.date
) -> int | None:
    """Return the minutes prescribed for a day, of several the fewest; None without a prescription."""
    minutes = [
        max(row["session_minutes"], parameters.min_prescribed_minutes)
        for row in case.of("prescriptions", institution, person)
        if row["modality"] != "peritoneal_dialysis" and row["valid_from"] <= day <= (row["valid_to"] or day)
    ]
    return min(minutes, default=None)


def least_duration(
    case: Case, parameters: Parameters, institution: str, person: str, day: dt.date
) -> dt.timedelta:
    """Return the least duration of a session on a day: a share of what is prescribed."""
    minutes = prescribed_minutes(case, parameters, institution, person, day)
    if minutes is None:
        return parameters.min_session
    return dt.timedelta(microseconds=int(minutes * 60_000_000 * parameters.min_duration_ratio))


class SessionBuilder:
    """Puts sessions together.

    Args:
        case: the tables.
        on: the parameters of a day.
    """

    def __init__(self, case: Case, on: Callable[[dt.date], Parameters]) -> None:
        self._case = case
        self._on = on

    def all(self) -> Iterator[Session]:
        """Return every session, person by person."""
        signs: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for event in self._case.rows("attendance"):
            is_sign = event["event_type"] in {"sign_in", "sign_out"} and event["outcome"] in LET_IN
            if event["purpose"] == "dialysis" and is_sign:
                signs[event["institution_id"], event["person_id"]].append(event)
        for place, events in signs.items():
            events.sort(key=lambda e: (e["occurred_at"], e["event_type"] == "sign_in", e["event_id"]))
            parts = sorted(self._parts(events), key=lambda p: (p.start, p.sign_in["event_id"]))
            for part, following in itertools.zip_longest(parts, parts[1:]):
                self._witness(place, part, following.start if following else None)
            for together in self._resumed(parts):
                if len(together) > 1:
                    _limit(together)
                day = self._case.day(place[0], together[0].start)
                needed = least_duration(self._case, self._on(day), *place, day)
                yield Session(together, needed)

    def _parameters(self, event: Row) -> Parameters:
        return self._on(self._case.day(event["institution_id"], event["occurred_at"]))

    def _parts(self, events: Sequence[Row]) -> Iterator[Part]:
        """Join the sign-ins and sign-outs of one person at one institution, which come in order of time."""
        ins = [event for event in events if event["event_type"] == "sign_in"]
        named = {event["session_id"] for event in ins} - {None}
        for members in self._groups(events, named).values():
            candidates = [event for event in members if event["event_type"] == "sign_in"]
            if candidates:
                sign_in = min(candidates, key=_rank)
                outs = [event for event in members if event["event_type"] == "sign_out"]
                yield Part(sign_in, self._sign_out(sign_in, outs, named), sign_in["occurred_at"])

    def _groups(self, events: Sequence[Row], named: set[str]) -> dict[str, list[Row]]:
        """Group events by the session they name, else by the visit they fall into."""
        groups: dict[str, list[Row]] = defaultdict(list)
        visit, key = 0, "no sign-in yet"
        before: Row | None = None
        for event in events:
            if event["event_type"] == "sign_in":
                visit += not (before is not None and self._repeats(before, event))
                key = f"session {event['session_id']}" if event["session_id"] else f"visit {visit}"
                groups[key].append(event)
            elif event["session_id"] in named:
                groups[f"session {event['session_id']}"].append(event)
            else:
                groups[key].append(event)
            before = event
        return groups

    def _repeats(self, before: Row, event: Row) -> bool:
        """Return whether a sign-in is but another try of the one before."""
        soon = event["occurred_at"] - before["occurred_at"] < self._parameters(event).min_session
        same = before["session_id"] == event["session_id"]
        return bool(before["event_type"] == "sign_in" and soon and same)

    def _sign_out(self, sign_in: Row, outs: Sequence[Row], named: set[str]) -> Row | None:
        """Return the sign-out of a sign-in: the last verified one, else the first."""
        latest = sign_in["occurred_at"] + self._parameters(sign_in).max_session
        possible = [
            event
            for event in outs
            if event["occurred_at"] >= sign_in["occurred_at"]
            and (event["session_id"] in named or event["occurred_at"] <= latest)
        ]
        sure = [event for event in possible if verified(event)]
        if sure:
            last = max(event["occurred_at"] for event in sure)
            return min((e for e in sure if e["occurred_at"] == last), key=lambda e: str(e["event_id"]))
        return min(possible, key=lambda e: (e["occurred_at"], e["event_id"]), default=None)

    def _witness(self, place: tuple[str, str], part: Part, following: dt.datetime | None) -> None:
        """Look for what shows the stay, up to the sign-out, or else to the next sign-in."""
        parameters, out = self._parameters(part.sign_in), part.sign_out
        longest = part.start + parameters.max_session
        part.mid_session = parameters.mid_session
        if out is None:
            part.until = min(longest, following or longest)
        else:
            part.until = out["occurred_at"] if out["clock_trusted"] else min(out["occurred_at"], longest)
        afterwards = part.until
        if part.verified and part.out_verified:
            afterwards = max(part.until, min(longest, following or longest))
        self._find_run(place, part, afterwards, parameters)
        self._find_presence(place, part, afterwards)

    def _find_run(
        self, place: tuple[str, str], part: Part, afterwards: dt.datetime, parameters: Parameters
    ) -> None:
        runs = [
            run
            for run in self._case.of("machine_sessions", *place)
            if run["started_at"] <= afterwards and run["ended_at"] >= part.start
        ]
        during = [run for run in runs if run["started_at"] <= part.until]

        def shown(run: Row) -> dt.timedelta:
            length: dt.timedelta = run["ended_at"] - min(run["started_at"], part.start)
            return length

        part.run = min(during, key=lambda run: (-shown(run), run_name(run)), default=None)
        part.run_corroborates = any(
            parameters.hospital_log_corroborates or run["source"] == "device" for run in during
        )
        # a run that began after the sign-out shows a stay from the sign-in on
        part.shown_longer = max(
            (shown(run) for run in runs if run["started_at"] > part.until), default=NOTHING
        )

    def _find_presence(self, place: tuple[str, str], part: Part, afterwards: dt.datetime) -> None:
        seen = [
            event
            for event in self._case.of("attendance", *place)
            if verified(event)
            and event["event_type"] == "presence"
            and part.start <= event["occurred_at"] <= afterwards
            and (event["occurred_at"] <= part.until or event["purpose"] == "dialysis")
        ]
        last = max((event["occurred_at"] for event in seen), default=None)
        part.presence = min(
            (e for e in seen if e["occurred_at"] == last), key=lambda e: str(e["event_id"]), default=None
        )

    def _resumed(self, parts: Sequence[Part]) -> Iterator[list[Part]]:
        """Put parts together where a sign-in follows shortly after the sign-out before it."""
        together: list[Part] = []
        for part in parts:
            out = together[-1].sign_out if together else None
            pause = part.start - out["occurred_at"] if out is not None else None
            if together and (pause is None or not NOTHING <= pause <= self._parameters(part.sign_in).resume):
                yield together
                together = []
            together.append(part)
        if together:
            yield together


def _limit(parts: Sequence[Part]) -> None:
    """Let the time of each part of a treatment end where the next begins, the last's where it ended."""
    for part, following in itertools.pairwise(parts):
        part.limit = following.start
    parts[-1].limit = max(parts[-1].ended_at, parts[-1].start)


def _rank(event: Row) -> tuple[Any, ...]:
    """Return how much a sign-in can carry: the best comes first, then the earliest."""
    if verified(event):
        strength = 0
    elif event["outcome"] in {"manual", "declined"}:
        strength = 1
    else:
        strength = 2 if event["pad"] == "bona_fide" else 3
    return strength, event["occurred_at"], event["event_id"]


def hours_asked(quantity: Decimal, ratio: Decimal) -> dt.timedelta:
    """Return the time that must be shown for so many hours billed."""
    return dt.timedelta(microseconds=int(quantity * 3_600_000_000 * ratio))
