"""The fields of one ADT message as typed values: who, where, when, which visit."""

from datetime import datetime

from renzheng.central.claims.hl7_message import Message, Path, Segment, read_path
from renzheng.central.claims.hl7_times import Moment, read_moment, zone_of_message
from renzheng.central.claims.mapping_file import Hl7Settings
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, shown
from renzheng.central.claims.rows import TIMES, ZoneOf
from renzheng.central.claims.stay_events import StayEvent, StayEventKind
from renzheng.central.claims.values import ValueProblem, read_id, read_text
from renzheng.contracts.ids import normalised_id

UNSTATED = "unstated"
"""Who approved a leave whose message names neither an operator nor an attending doctor."""
_CLASSES = {"": "inpatient", "I": "inpatient", "E": "registered", "P": "registered"}
"""PV1-2 (table 0004); E emergency and P preadmit are there, or expected, and not admitted yet."""


class FieldProblem(Exception):  # noqa: N818 - a finding about one field of one message
    """A field that is needed cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.field)
        self.problem = problem


class Reader:
    """Reads one message's fields; raises `FieldProblem` at the first that is needed and cannot be read."""

    def __init__(
        self, message: Message, settings: Hl7Settings, institution: str | None, zone_of: ZoneOf
    ) -> None:
        self._message = message
        self._recorded: Moment | None = None
        self.left_out: list[Problem] = []
        """What describes and could not be read."""
        self._settings = settings
        named = message.get(settings.institution_id)
        known = settings.institutions.get(named, named) or institution or ""
        self.institution_id = self._id(settings.institution_id, known)
        self.zone = zone_of_message(message, zone_of(self.institution_id))
        self.visit_path = settings.visit_id
        self.visit_field = settings.visit_id.partition(".")[0]
        self.person_field = settings.person_id.partition(".")[0]

    def get(self, path: str) -> str:
        """Return a value as text; empty where there is none."""
        return self._message.get(path)

    @property
    def patient_class(self) -> str:
        """Whether PV1-2 means an inpatient, somebody registered, or anybody else."""
        told = self.get("PV1-2.1")
        return self._settings.patient_classes.get(told) or _CLASSES.get(told.upper(), "other")

    @property
    def is_elsewhere(self) -> bool:
        """Whether PV1-11 names a temporary place that is not the assigned one."""
        temporary, assigned = ([self.get(f"{field}.{n}") for n in (1, 2, 3)] for field in ("PV1-11", "PV1-3"))
        return any(temporary) and temporary != assigned

    def event(self, kind: StayEventKind, place: RowPlace, *, visit_id: str = "") -> StayEvent:
        """Return the stay event that the message tells of."""
        recorded, admitted = self.recorded(), self._time("PV1-44")
        happened = self._time("EVN-6")
        discharged = self._time("PV1-45")
        return StayEvent(
            place=place,
            kind=kind,
            institution_id=self.institution_id,
            visit_id=visit_id or self._id(self.visit_path, self.get(self.visit_path)),
            person_id=self.person(),
            at=self._happened_at(kind, admitted, discharged),
            recorded_at=recorded.at,
            message_id=self.get("MSH-10.1") or None,
            admitted_at=admitted.finer(self.zone, happened).at if admitted else None,
            discharged_at=discharged.end(self.zone) if discharged and kind is StayEventKind.UPDATE else None,
            department=self._text("PV1-10.1"),
            ward=self._text("PV1-3.1"),
            bed=self._text("PV1-3.3"),
            due_back_at=self._due_back(kind),
            leave_kind=self._leave_kind(kind),
            approved_by=self._text("EVN-5.1") or self._text("PV1-7.1") or UNSTATED,
        )

    def _happened_at(
        self, kind: StayEventKind, admitted: Moment | None, discharged: Moment | None
    ) -> datetime:
        """Return when it happened: the field meant for it, else EVN-6, else when it was recorded.

        Of a day alone, the time of another field of the same day is taken; a discharge else lasts to the
        day's end.
        """
        happened, recorded = self._time("EVN-6"), self.recorded()
        own = {StayEventKind.ADMIT: admitted, StayEventKind.DISCHARGE: discharged}.get(kind)
        if own is None:
            return (happened.finer(self.zone, recorded) if happened else recorded).at
        moment = own.finer(self.zone, happened, recorded)
        return moment.end(self.zone) if kind is StayEventKind.DISCHARGE else moment.at

    def _leave_kind(self, kind: StayEventKind) -> str | None:
        usual = "examination" if kind is StayEventKind.DEPART else "leave"
        return self._settings.leave_kinds.get(self.get("EVN-4.1"), usual)

    def _due_back(self, kind: StayEventKind) -> datetime | None:
        """Return the expected return (PV2-47); one that cannot be read is none: nobody is accused by it."""
        if kind not in {StayEventKind.LEAVE, StayEventKind.DEPART}:
            return None
        try:
            due = self._time("PV2-47")
        except FieldProblem as problem:
            self._leave_out("PV2-47", problem.problem.value)
            return None
        return due.end(self.zone) if due else None

    def recorded(self) -> Moment:
        """Return when the hospital recorded the event: EVN-2, or MSH-7 where that is finer or alone."""
        if self._recorded is None:
            self._recorded = self._read_recorded()
        return self._recorded

    def _read_recorded(self) -> Moment:
        recorded, sent = self._time("EVN-2"), self._time("MSH-7")
        if recorded is None and sent is None:
            raise FieldProblem(Problem("EVN-2", Reason.MISSING))
        return recorded.finer(self.zone, sent) if recorded else sent  # type: ignore[return-value]  # one is told

    def told_at(self) -> datetime:
        """Return when it happened, as the event segment tells it."""
        happened = self._time("EVN-6")
        return happened.at if happened else self.recorded().at

    def person(self) -> str:
        """Return the person's number: of several, the one that the settings name."""
        return self._person(self._settings.person_id)

    def prior_person(self, prior: str) -> str:
        """Return the number that the person had, from the MRG segment."""
        component = self._settings.person_id.partition(".")[2]
        return self._person(f"{prior}.{component}" if component else prior)

    def _person(self, path: str) -> str:
        wanted, where = self._settings.person_id_types, read_path(path)
        segment = self._message.segment(where.segment)
        repetitions = segment.repetitions(where.number) if segment else ()
        if not wanted:
            return self._id(path, self.get(path))
        for name in wanted:
            for one in repetitions:
                if segment and name in _kinds(segment, one, where):
                    return self._id(path, segment.part(one, where))
        raise FieldProblem(Problem(path, Reason.MISSING, ", ".join(wanted)))

    def optional_id(self, path: str) -> str:
        """Return a number in its one spelling; empty where there is none."""
        raw = self.get(path)
        return self._id(path, raw) if raw else ""

    def _id(self, path: str, raw: str) -> str:
        try:
            return normalised_id(read_id(raw))
        except ValueProblem as problem:
            raise FieldProblem(Problem(path, problem.reason, shown(raw))) from None

    def _text(self, path: str) -> str | None:
        """Read a text that describes; one that cannot be read is left out and named."""
        raw = self.get(path)
        try:
            return read_text(raw) if raw else None
        except ValueProblem:
            self._leave_out(path, shown(raw))
            return None

    def _leave_out(self, path: str, value: str) -> None:
        self.left_out.append(Problem(path, Reason.DESCRIPTION_NOT_READ, value))

    def time(self, path: str) -> datetime:
        """Return a moment that must be there."""
        found = self._time(path)
        if found is None:
            raise FieldProblem(Problem(path, Reason.MISSING))
        return found.at

    def _time(self, path: str) -> Moment | None:
        raw = self.get(path)
        if not raw:
            return None
        try:
            return read_moment(raw, self.zone)
        except ValueProblem as problem:
            raise FieldProblem(Problem(path, problem.reason, shown(raw))) from None


def known_of(
    message: Message, settings: Hl7Settings, institution: str | None, table: str
) -> dict[str, object]:
    """Return what can be read of a message that is not taken, as it stands, by canonical column."""
    named = message.get(settings.institution_id)
    told = {
        "institution_id": settings.institutions.get(named, named) or institution,
        "person_id": message.get(settings.person_id),
        "visit_id": message.get(settings.visit_id),
        TIMES.get(table, ""): message.get("EVN-6") or message.get("EVN-2") or message.get("MSH-7"),
    }
    return {name: value for name, value in told.items() if name and value}


def _kinds(segment: Segment, repetition: str, where: Path) -> set[str]:
    """Return the names of a number's kind: its type (CX.5) and who assigned it (CX.4: name and id)."""
    parts = (where._replace(component=component, subcomponent=part) for component, part in _KIND_PARTS)
    return {segment.part(repetition, part) for part in parts} - {""}


_KIND_PARTS = ((5, 1), (4, 1), (4, 2))
