"""What would change a line's verdict: it is judged again with one record added, corrected or taken away.

Nothing here knows a rule. Each change is made to the tables, and the oracle answers; what is shown is what it
answered. The changes are the kinds of records that people can still bring: an institution that states its
case, a device whose log arrives late, an office that corrects a date.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renzheng.central.audit.oracle import Answer, Oracle, Parameters, Shared
from renzheng.central.nightly.line_case import LineCase, Row
from renzheng.contracts.tables import INPUT_TABLES

Tables = Mapping[str, Sequence[Row]]
HOUR = dt.timedelta(hours=1)
LET_IN = frozenset({"match", "manual", "declined"})
OF_OTHER_INSTITUTIONS = frozenset({"event_elsewhere", "sent_out", "inpatient_ended"})
"""Changes that tell of records of other institutions."""
RUN_NAME = "{}@{}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the records, and what it would make of the line.

    Args:
        kind: what is changed; a key of the catalogues.
        verdict: the verdict then.
        reason: its reason.
        decides: whether the verdict would be another one.
    """

    kind: str
    verdict: str
    reason: str
    decides: bool


def what_would_change(
    case: LineCase, verdict: str, reason: str, on: Callable[[dt.date], Parameters]
) -> Sequence[Change] | None:
    """Judge a line again under each change that its records allow.

    Args:
        case: what bears on the line.
        verdict: the verdict that the run gave.
        reason: its reason.
        on: the parameters of a day.

    Returns:
        Every change that would give the line another verdict or reason, those with another verdict first;
        None when judging the line by these records alone does not give the run's verdict again, so that
        nothing can be said.
    """
    judge = _Judge(case, on)
    before = judge.answer(case.tables, case.shared)
    if before is None or (before.verdict, before.reason) != (verdict, reason):
        return None
    found: dict[str, Change] = {}
    for kind, tables in _Changes(case, before).all():
        shared = case.shared.without_coverage() if tables.get("coverage") is not None else case.shared
        after = judge.answer({**case.tables, **tables}, shared)
        if after is not None and (after.verdict, after.reason) != (verdict, reason):
            found.setdefault(kind, Change(kind, after.verdict, after.reason, after.verdict != verdict))
    return sorted(found.values(), key=lambda change: not change.decides)


class _Judge:
    def __init__(self, case: LineCase, on: Callable[[dt.date], Parameters]) -> None:
        self._key = case.line["institution_id"], case.line["line_id"]
        self._day = case.day
        self._on = on

    def answer(self, tables: Tables, shared: Shared) -> Answer | None:
        """Return the line's answer; None when it is not judged any more."""
        return Oracle(tables, self._day, self._day, self._on, shared).answers().get(self._key)


class _Changes:
    """The changes that make sense for a line."""

    def __init__(self, case: LineCase, before: Answer) -> None:
        self._case = case
        self._before = before
        self._cited = set(before.evidence)
        self._here: str = case.line["institution_id"]
        self._start = dt.datetime.combine(case.day, dt.time(), case.zone)
        service = case.line["service_time"]
        begin = min(max(service - 2 * HOUR, self._start + 6 * HOUR), self._start + 18 * HOUR)
        self._begin = self._signed_in() or begin

    def all(self) -> Iterator[tuple[str, Tables]]:
        """Yield the name of each change with the tables that it replaces."""
        if self._case.item_class == "bed_day":
            yield from self._of_beds()
        else:
            yield from self._of_dialysis()
        yield from self._of_both()

    # -- changes of dialysis lines

    def _of_dialysis(self) -> Iterator[tuple[str, Tables]]:
        begin, end = self._begin, self._begin + 4 * HOUR
        events = self._event("sign_in", begin), self._event("sign_out", end)
        if self._signed_in():
            yield "sign_out", self._with("attendance", events[1])
            yield "sign_in", self._with("attendance", events[0])
            yield "presence", self._with("attendance", self._event("presence", begin + 2 * HOUR))
        else:
            yield "session", self._with("attendance", *events)
        for source in ("device", "hospital"):
            yield f"machine_run_{source}", self._with("machine_sessions", self._run(begin, end, source))
        yield "inpatient", self._with("stays", self._stay())
        if self._before.reason == "too_short":
            yield "prescription", self._with("prescriptions", self._prescription())
        if self._before.verdict == "contradicted":
            yield "coverage_down", {"coverage": []}
        elif self._before.reason == "coverage_gap":
            yield "coverage_up", self._with("coverage", self._coverage())

    # -- changes of bed lines

    def _of_beds(self) -> Iterator[tuple[str, Tables]]:
        days = self._days()
        evenings = [dt.datetime.combine(day, dt.time(21), self._case.zone) for day in days]
        yield "presence", self._with("attendance", *(self._event("presence", at) for at in evenings))
        yield "check_present", self._with("spot_checks", *(self._check(at) for at in evenings))
        first, last = evenings[0] - 21 * HOUR, evenings[-1] + 3 * HOUR
        yield "leave", self._with("leaves", self._leave("leave", first, last, self._here))
        moments = [*self._moments(), *evenings[:1]]
        yield (
            "examination",
            self._with(
                "leaves", *(self._leave("examination", at - HOUR, at + HOUR, self._here) for at in moments)
            ),
        )
        yield "transfer", self._with("leaves", self._leave("transfer", first, last, self._here))
        yield "stay", self._with("stays", self._stay())
        yield "inpatient_ended", self._shorter_stay()
        cited = self._cited | {str(row["check_id"]) for row in self._rows("spot_checks") if self._missed(row)}
        yield "check_withdrawn", self._without("spot_checks", "check_id", cited)

    # -- changes of both

    def _of_both(self) -> Iterator[tuple[str, Tables]]:
        if any(row["death_date"] for row in self._rows("persons")):
            yield "death_date", {"persons": [{**row, "death_date": None} for row in self._rows("persons")]}
        yield "sent_out", self._sent_out()
        for kind, column, value in (("clock", "clock_trusted", True), ("liveness", "pad", "bona_fide")):
            if any(self._is_mine(row) and row[column] != value for row in self._rows("attendance")):
                yield kind, self._corrected(column, value)
        if self._before.verdict != "supported":
            yield "other_line", self._without_other_lines()
        if self._rows("rejects"):
            yield "row_read", {"rejects": []}
        for row in self._rows("attendance"):
            if row["event_id"] in self._cited:
                elsewhere = row["institution_id"] != self._here
                kind = "event_elsewhere" if elsewhere else f"without_{row['event_type']}"
                yield kind, self._without("attendance", "event_id", {row["event_id"]})
        if self._cited & {_run_name(row) for row in self._rows("machine_sessions")}:
            kept = [row for row in self._rows("machine_sessions") if _run_name(row) not in self._cited]
            yield "without_machine_run", {"machine_sessions": kept}
        seen = {str(row["check_id"]) for row in self._rows("spot_checks") if row["result"] == "present"}
        if seen & self._cited:
            yield "without_check", self._without("spot_checks", "check_id", seen)

    def _corrected(self, column: str, value: Any) -> Tables:
        """Let the institution's events of the day have another value."""
        events = self._rows("attendance")
        return {"attendance": [{**row, column: value} if self._is_mine(row) else row for row in events]}

    def _sent_out(self) -> Tables:
        """Let other institutions at which the person was seen have sent the person out."""
        places = {
            row["institution_id"]
            for row in self._rows("attendance")
            if row["event_id"] in self._cited and row["institution_id"] != self._here
        }
        first, last = self._start - 24 * HOUR, self._start + 48 * HOUR
        return self._with(
            "leaves", *(self._leave("transfer", first, last, place) for place in sorted(places))
        )

    def _without_other_lines(self) -> Tables:
        """Take back every other line of the person that day, or that the verdict names."""
        return {
            "claim_lines": [
                row
                for row in self._rows("claim_lines")
                if (row["institution_id"], row["line_id"]) == (self._here, self._case.line["line_id"])
                or row["reverses_line_id"] is not None
                or (row["line_id"] not in self._cited and not self._is_that_day(row["service_time"]))
            ]
        }

    def _shorter_stay(self) -> Tables:
        """Let the person's other stays have ended the day before."""
        return {
            "stays": [
                row
                if row["institution_id"] == self._here or row["admitted_at"] >= self._start
                else {**row, "discharged_at": self._start - HOUR}
                for row in self._rows("stays")
            ]
        }

    # -- what there is

    def _rows(self, table: str) -> Sequence[Row]:
        return self._case.tables.get(table, ())

    def _is_that_day(self, at: dt.datetime | None) -> bool:
        return at is not None and at.astimezone(self._case.zone).date() == self._case.day

    def _is_mine(self, row: Row) -> bool:
        """Return whether an event is of the institution, and of the day or cited."""
        near = self._is_that_day(row["occurred_at"]) or row["event_id"] in self._cited
        return row["institution_id"] == self._here and near

    def _signed_in(self) -> dt.datetime | None:
        """Return when the session near the line began, if there is one."""
        begun = [
            row["occurred_at"]
            for row in self._rows("attendance")
            if row["event_type"] == "sign_in" and row["outcome"] in LET_IN and self._is_mine(row)
        ]
        return min(begun, default=None)

    def _session(self) -> str | None:
        for row in self._rows("attendance"):
            if row["event_type"] == "sign_in" and row["occurred_at"] == self._begin and self._is_mine(row):
                session: str | None = row["session_id"]
                return session
        return None

    def _days(self) -> list[dt.date]:
        """Return the days that a bed line may bill."""
        number = min(max(int(self._case.line["quantity"]), 1), 31)
        return [self._case.day - dt.timedelta(days=back) for back in reversed(range(number))]

    def _missed(self, row: Row) -> bool:
        return bool(row["result"] != "present" and row["institution_id"] == self._here)

    def _moments(self) -> list[dt.datetime]:
        """Return when the person was looked for, or seen elsewhere, about the line's days."""
        checks = [
            row["answered_at"] or row["drawn_at"] for row in self._rows("spot_checks") if self._missed(row)
        ]
        return checks + [
            row["occurred_at"] for row in self._rows("attendance") if row["institution_id"] != self._here
        ]

    # -- what is added

    def _with(self, table: str, *rows: Row) -> Tables:
        blank = dict.fromkeys(INPUT_TABLES[table].by_name)
        return {table: [*self._rows(table), *({**blank, **row} for row in rows)]}

    def _without(self, table: str, key: str, ids: set[Any]) -> Tables:
        return {table: [row for row in self._rows(table) if row[key] not in ids]}

    def _who(self) -> Row:
        return {"institution_id": self._here, "person_id": self._case.line["person_id"]}

    def _event(self, event_type: str, at: dt.datetime) -> Row:
        ward = self._case.item_class == "bed_day"
        return {
            **self._who(),
            "event_id": f"+{event_type}{at:%Y%m%d%H%M}",
            "device_id": "+",
            "event_type": event_type,
            "purpose": "inpatient" if ward else "dialysis",
            "occurred_at": at,
            "received_at": at,
            "outcome": "match",
            "pad": "bona_fide",
            "session_id": None if ward else self._session(),
            "clock_trusted": True,
        }

    def _run(self, begin: dt.datetime, end: dt.datetime, source: str) -> Row:
        return {**self._who(), "machine_id": "+", "started_at": begin, "ended_at": end, "source": source}

    def _stay(self) -> Row:
        days = self._days()
        first = dt.datetime.combine(days[0], dt.time(), self._case.zone)
        own = {**self._who(), "visit_id": self._case.line["visit_id"] or "+"}
        return {**own, "admitted_at": first - HOUR, "discharged_at": self._start + 25 * HOUR}

    def _prescription(self) -> Row:
        return {
            **self._who(),
            "valid_from": self._case.day,
            "valid_to": self._case.day,
            "modality": self._case.item_class,
            "sessions_per_week": 3,
            "session_minutes": 60,
        }

    def _coverage(self) -> Row:
        purpose = "inpatient" if self._case.item_class == "bed_day" else "dialysis"
        first, last = self._start - 32 * 24 * HOUR, self._start + 30 * HOUR
        own = {"institution_id": self._here, "device_id": "+", "purpose": purpose}
        return {**own, "from_at": first, "to_at": last, "state": "up"}

    def _leave(self, kind: str, left: dt.datetime, back: dt.datetime, institution_id: str) -> Row:
        return {
            **self._who(),
            "institution_id": institution_id,
            "visit_id": self._case.line["visit_id"],
            "kind": kind,
            "left_at": left,
            "due_back_at": back,
            "returned_at": back,
            "approved_by": "+",
            "recorded_at": left,
        }

    def _check(self, at: dt.datetime) -> Row:
        return {
            **self._who(),
            "check_id": f"+{at:%Y%m%d}",
            "round_id": "+",
            "visit_id": self._case.line["visit_id"],
            "drawn_at": at,
            "due_at": at + HOUR,
            "answered_at": at,
            "result": "present",
        }


def _run_name(row: Row) -> str:
    return RUN_NAME.format(row["machine_id"], int(row["started_at"].timestamp()))
