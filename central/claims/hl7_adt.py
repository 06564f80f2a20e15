"""HL7 v2 ADT messages as stay events, merged numbers and persons; orders and results in `hl7_observations`.

What each trigger event means is in `hl7_triggers`; how a file is cut into messages, in `hl7_files`. The live
receiver (`central.adt`) reads its messages with the same `Hl7Source.read_message`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from renzheng.central.claims.encoding import detect_encoding
from renzheng.central.claims.hl7_fields import FieldProblem, Reader, known_of
from renzheng.central.claims.hl7_files import read_messages
from renzheng.central.claims.hl7_message import Message, MessageError, parse
from renzheng.central.claims.hl7_observations import KINDS, Runs
from renzheng.central.claims.hl7_persons import SOURCES, People, describe
from renzheng.central.claims.hl7_triggers import (
    PERSON_MERGES,
    PERSON_ONLY,
    PRIOR_PERSON,
    PRIOR_VISIT,
    REGISTERING,
    STAYS,
    VISIT_MERGES,
    VISIT_MOVES,
    WHATEVER_CLASS,
    table_of,
)
from renzheng.central.claims.mapping_file import Hl7Settings, read_settings
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Options
from renzheng.central.claims.stay_events import Rename, StayEventKind


class Hl7Source:
    """ADT messages."""

    tables: Sequence[str] = ("stays", "leaves", "persons", "person_aliases", "machine_sessions")
    sources: Mapping[str, str] = {"person_id": "MRG-1"}
    fills: Sequence[str] = ("persons",)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._settings = read_settings(options.mapping, "hl7", Hl7Settings)
        self._people = People(SOURCES)
        self._runs = Runs(self._settings, options.institution)
        self._merged: set[tuple[str, str]] = set()

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Find each file's encoding; a message's fields are looked at as it is read."""
        for file in files:
            detect_encoding(file.path, self._options.encoding)
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file."""
        encoding = detect_encoding(file.path, self._options.encoding)
        for line, segments in read_messages(file, encoding, advance):
            place = RowPlace(file.name, line)
            if isinstance(segments, Reason):
                yield RowProblem("stays", place, Problem("", segments))
                continue
            for item in self._of_message(segments, place, zone_of, notes_people=True):
                if not (isinstance(item, Draft) and self._is_repeated(item)):
                    yield item

    def rest(self, zone_of: ZoneOf) -> Iterator[Item]:
        """Yield the persons: the latest word on each."""
        del zone_of
        yield from self._people.drafts()

    def read_message(self, segments: Sequence[str], place: RowPlace, zone_of: ZoneOf) -> Sequence[Item]:
        """Read one message, given as its segments; `place` is where it stood, for remarks."""
        return self._of_message(segments, place, zone_of, notes_people=False)

    def _of_message(
        self, segments: Sequence[str], place: RowPlace, zone_of: ZoneOf, *, notes_people: bool
    ) -> Sequence[Item]:
        message = _parsed(segments)
        if message is None:
            return [RowProblem("stays", place, Problem("MSH", Reason.NOT_PARSABLE, shown(segments[0])))]
        kind, trigger = message.get("MSH-9.1"), trigger_of(message)
        if kind in KINDS and notes_people:  # the live receiver takes stays alone
            runs = list(self._runs.of(message, place, zone_of))
            return runs or [Ignored(f"{kind}^{trigger or '?'}")]
        if kind != "ADT":
            return [Ignored(f"{kind or '?'}^{trigger or '?'}")]
        found: list[Item] = []
        for part in _parts(message, trigger):
            found += self._of_part(part, trigger, place, zone_of)
            if notes_people:
                found += self._note_person(part, place, zone_of)
        return found

    def _of_part(self, message: Message, trigger: str, place: RowPlace, zone_of: ZoneOf) -> list[Item]:
        """Read the part of a message about one patient; nothing of it is taken if a field is wrong."""
        try:
            reader = Reader(message, self._settings, self._options.institution, zone_of)
            found = list(_Meaning(reader, trigger, place).items())
        except FieldProblem as problem:
            if trigger not in _KNOWN:
                return [Ignored(f"ADT^{trigger or '?'}")]
            table = table_of(trigger)
            known = known_of(message, self._settings, self._options.institution, table)
            return [RowProblem(table, place, problem.problem, known)]
        return [*found, *(RowProblem("stays", place, problem) for problem in reader.left_out)]

    def _note_person(self, message: Message, place: RowPlace, zone_of: ZoneOf) -> list[Item]:
        """Keep what a message tells of a person; what cannot be read is left out and named."""
        try:
            reader = Reader(message, self._settings, self._options.institution, zone_of)
            described = describe(message, reader.zone)
            self._people.note(reader.person(), described, reader.recorded().at, place)
        except FieldProblem:
            return []  # said of the message already
        return [RowProblem("persons", place, problem) for problem in described.problems]

    def _is_repeated(self, draft: Draft) -> bool:
        """Whether the same merge was told before: it is one, whatever its time."""
        if draft.table != "person_aliases":
            return False
        key = (str(draft.values["person_id"]), str(draft.values["alias_of"]))
        repeated = key in self._merged
        self._merged.add(key)
        return repeated


def _parsed(segments: Sequence[str]) -> Message | None:
    try:
        return parse(segments)
    except MessageError:
        return None


def _parts(message: Message, trigger: str) -> Sequence[Message]:
    """Return the parts of a message that each speak of one patient, or of one pair of numbers."""
    if trigger != "A17" and message.segment("MRG") is None:
        return [message]
    patients = list(message.groups("PID")) or [message]
    return [part for patient in patients for part in (list(patient.groups("MRG")) or [patient])]


_KNOWN = STAYS.keys() | PERSON_MERGES | VISIT_MERGES | VISIT_MOVES | PERSON_ONLY


def read_names(segments: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return family and given name (PID-5.1, PID-5.2) of each patient in a message; empty where not told."""
    message = _parsed(segments)
    groups = message.groups("PID") if message else ()
    return [(group.get("PID-5.1"), group.get("PID-5.2")) for group in groups]


def trigger_of(message: Message) -> str:
    """Return a message's trigger event."""
    return message.get("MSH-9.2") or message.get("EVN-1")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What one message means for one patient."""

    reader: Reader
    trigger: str
    place: RowPlace

    def items(self) -> Iterator[Item]:
        """Yield all of it, or that it has no meaning here."""
        trigger = self.trigger
        if trigger in STAYS or trigger in REGISTERING:
            yield self._of_stay()
            return
        if trigger in PERSON_ONLY:
            self.reader.person()
            self.reader.recorded()
            return
        found = [*self._person_merge(), *self._visit_merge(), *self._visit_move()]
        yield from found or [Ignored(f"ADT^{trigger or '?'}")]

    def _of_stay(self) -> Item:
        kind, place = STAYS.get(self.trigger), self.reader.patient_class
        if kind is not None and (place == "inpatient" or self.trigger in WHATEVER_CLASS):
            if kind is StayEventKind.ARRIVE and self.reader.is_elsewhere:
                kind = StayEventKind.DEPART  # 3.3.10: PV1-11 names a temporary place; not back in bed yet
            return self.reader.event(kind, self.place)
        if place == "registered" and self.trigger in REGISTERING:
            return self.reader.event(StayEventKind.REGISTER, self.place)
        told = self.reader.get("PV1-2.1")
        return Ignored(f"ADT^{self.trigger} of class {told}" if kind else f"ADT^{self.trigger}")

    def _person_merge(self) -> Iterator[Item]:
        if self.trigger not in PERSON_MERGES:
            return
        prior = PRIOR_PERSON.get(self.reader.person_field, "")
        if not self.reader.get(prior or "MRG-1"):
            if self.trigger in {"A39", "A46", "A48"} or not prior:
                return  # of a number that is not the one taken here
            raise FieldProblem(Problem(prior, Reason.MISSING))
        yield from self._same_person(self.reader.prior_person(prior), self.reader.person())

    def _same_person(self, before: str, now: str) -> Iterator[Item]:
        if before == now:
            yield Ignored(f"ADT^{self.trigger} of a number with itself")
            return
        at = self.reader.told_at()
        values = {"person_id": before, "alias_of": now, "since": at}
        sources = {"person_id": "MRG-1", "alias_of": "PID-3", "since": "EVN-2"}
        yield Draft("person_aliases", self.place, values, sources)
        yield self._rename("person", before, now, at)

    def _rename(self, of: str, before: str, now: str, at: datetime) -> Rename:
        return Rename(self.place, of, self.reader.institution_id, before, now, at)

    def _visit_merge(self) -> Iterator[Item]:
        """Yield that one visit's number gave way to another's, where the message tells of visits."""
        before, now = self._visits()
        if self.trigger in VISIT_MERGES and before and now and before != now:
            yield self._rename("visit", before, now, self.reader.told_at())

    def _visit_move(self) -> Iterator[Item]:
        """Yield that a visit belongs to the person of PID; without a prior visit, A45 merges two persons."""
        if self.trigger not in VISIT_MOVES:
            return
        before, now = self._visits()
        if now or before:
            if before and now and before != now:
                yield self._rename("visit", before, now, self.reader.told_at())
            yield self.reader.event(StayEventKind.MOVE, self.place, visit_id=now or before)
        if self.trigger == "A45" and not before and self.reader.get("MRG-1"):
            yield from self._same_person(self.reader.prior_person("MRG-1"), self.reader.person())

    def _visits(self) -> tuple[str, str]:
        """Return the prior number of the visit and the present one; empty where they are not told."""
        prior = PRIOR_VISIT.get(self.reader.visit_field, "")
        return self.reader.optional_id(f"{prior}.1") if prior else "", self.reader.optional_id(
            self.reader.visit_path
        )
