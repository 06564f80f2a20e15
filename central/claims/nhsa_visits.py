"""NHSA registrations (2201), stays (2401-2405), settlements (2304, 4101) as stay events and visit facts."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

from renzheng.central.claims.nhsa_cancellations import is_refused
from renzheng.central.claims.nhsa_lines import INSTITUTION
from renzheng.central.claims.rejects import Place, Problem, Reason, Remark, shown
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.source import Item
from renzheng.central.claims.stay_events import StayEvent, StayEventKind, VisitFact
from renzheng.central.claims.values import ValueProblem, read_id, read_text, read_time

_STAY_KINDS: Mapping[str, StayEventKind] = {
    "2401": StayEventKind.ADMIT,
    "2402": StayEventKind.DISCHARGE,
    "2403": StayEventKind.AMEND,
}
_CANCELLATIONS: Mapping[str, StayEventKind] = {
    "2404": StayEventKind.CANCEL_ADMIT,
    "2405": StayEventKind.CANCEL_DISCHARGE,
}
_DAY = timedelta(days=1)


class _Fields:
    """The fields of one record, read one by one; what cannot be read is gathered in `problems`."""

    def __init__(self, fields: Mapping[str, object], institution: str | None, zone_of: ZoneOf) -> None:
        self._fields = fields
        self.problems: list[Problem] = []
        self.institution_id = self.id(INSTITUTION, default=institution)
        self._zone: tzinfo = zone_of(self.institution_id)

    def id(self, name: str, *, default: str | None = None) -> str:
        """Read an obligatory id; empty, with a problem noted, when it cannot be read."""
        raw = self._filled(name) or default
        try:
            return read_id("" if raw is None else raw)
        except ValueProblem as problem:
            self._note(name, problem.reason, raw)
            return ""

    def text(self, *names: str) -> str | None:
        """Read free text from the first of several fields that is filled."""
        raw = next((value for name in names if (value := self._filled(name)) is not None), None)
        try:
            return None if raw is None else read_text(raw)
        except ValueProblem as problem:
            self._note(names[0], problem.reason, raw)
            return None

    def time(self, name: str, *, needed: bool = False) -> datetime | None:
        """Read a time."""
        raw = self._filled(name)
        if raw is None:
            if needed:
                self._note(name, Reason.MISSING, raw)
            return None
        try:
            return read_time(str(raw), self._zone)
        except ValueProblem as problem:
            self._note(name, problem.reason, raw)
            return None

    def _filled(self, name: str) -> object | None:
        value = self._fields.get(name)
        return None if value is None or not str(value).strip() else value

    def _note(self, name: str, reason: Reason, raw: object) -> None:
        self.problems.append(Problem(name, reason, shown("" if raw is None else raw)))


def read_visit(
    transaction: str, fields: Mapping[str, object], place: Place, institution: str | None, zone_of: ZoneOf
) -> Iterator[Item]:
    """Read one record of a transaction that is not about lines; `fields` by lower-case NHSA names."""
    read = _Fields(fields, institution, zone_of)
    if transaction == "2201":
        items = _registration(read, place)
    elif transaction in _STAY_KINDS:
        items = _admission(_STAY_KINDS[transaction], read, place)
    elif transaction in _CANCELLATIONS:
        items = _cancellation(_CANCELLATIONS[transaction], read, place)
    else:
        items = _settlement(read, place)
    if transaction in _CANCELLATIONS and is_refused(fields):
        yield Remark(
            "stays", place, Problem("infcode", Reason.REFUSED_BY_BUREAU, shown(fields.get("infcode")))
        )
    elif read.problems:
        yield from (Remark("stays", place, problem) for problem in read.problems)
    else:
        yield from items


def _registration(read: _Fields, place: Place) -> list[Item]:
    visit_id = read.id("mdtrt_id")
    read.id("psn_no")
    read.time("begntime")
    fact = VisitFact(
        place,
        read.institution_id,
        visit_id,
        department=read.text("dept_name", "dept_code"),
        doctor_id=read.text("atddr_no"),
    )
    return [fact]


def _admission(kind: StayEventKind, read: _Fields, place: Place) -> list[Item]:
    """Read 2401, 2402 or 2403; a row that has both times tells of admission and discharge."""
    visit_id, person_id = read.id("mdtrt_id"), read.id("psn_no")
    admitted_at = read.time("begntime", needed=kind is StayEventKind.ADMIT)
    discharged_at = read.time("endtime", needed=kind is StayEventKind.DISCHARGE)
    recorded_at = read.time("inf_time")
    adm = (
        read.text("adm_dept_name", "adm_dept_codg"),
        read.text("wardarea_name", "wardarea_codg"),
        read.text("adm_bed"),
    )
    dscg = (read.text("dscg_dept_name", "dscg_dept_codg"), None, read.text("dscg_bed"))
    events: list[Item] = []

    def add(kind: StayEventKind, at: datetime, where: tuple[str | None, str | None, str | None]) -> None:
        department, ward, bed = where
        events.append(
            StayEvent(
                place,
                kind,
                read.institution_id,
                visit_id,
                person_id,
                at,
                recorded_at or at,
                admitted_at=admitted_at,
                discharged_at=discharged_at if kind is StayEventKind.AMEND else None,
                department=department,
                ward=ward,
                bed=bed,
            )
        )

    if kind is StayEventKind.AMEND:
        last = tuple(new or old for new, old in zip(dscg, adm, strict=True))
        moment = recorded_at or admitted_at or discharged_at or _NO_TIME
        add(kind, moment, (last[0], last[1], last[2]))
        return events
    if kind is StayEventKind.ADMIT and admitted_at is not None:
        add(StayEventKind.ADMIT, admitted_at, adm)
    if discharged_at is not None:
        add(StayEventKind.DISCHARGE, discharged_at, dscg)
    return events


def _cancellation(kind: StayEventKind, read: _Fields, place: Place) -> list[Item]:
    """Read 2404 or 2405, which say of whom and of which visit; when, only the envelope says."""
    visit_id, person_id = read.id("mdtrt_id"), read.id("psn_no")
    recorded_at = read.time("inf_time", needed=True)
    if recorded_at is None:
        return []
    return [StayEvent(place, kind, read.institution_id, visit_id, person_id, recorded_at, recorded_at)]


_NO_TIME = read_time("1900-01-01T00:00:00Z", None)


def _settlement(read: _Fields, place: Place) -> list[Item]:
    """Read 2304 or 4101: which settlement the lines of a visit are in, and when the stay was."""
    visit_id = read.id("mdtrt_id")
    settlement_id = read.id("setl_id")
    begins, ends = read.time("setl_begn_date"), read.time("setl_end_date")
    admitted_at, discharged_at = read.time("adm_time"), read.time("dscg_time")
    person_id = read.text("psn_no")
    items: list[Item] = [
        VisitFact(
            place,
            read.institution_id,
            visit_id,
            settlement_id=settlement_id,
            from_at=begins,
            to_at=None if ends is None else ends + _DAY,
        )
    ]
    if admitted_at is not None and person_id is not None:
        items.append(
            StayEvent(
                place,
                StayEventKind.SUMMARY,
                read.institution_id,
                visit_id,
                person_id,
                admitted_at,
                discharged_at or admitted_at,
                admitted_at=admitted_at,
                discharged_at=discharged_at,
                department=None,
            )
        )
    return items
