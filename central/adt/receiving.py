"""Takes messages off the wire and rows out of files, and says what became of each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from renzheng.central.adt import stay_journal
from renzheng.central.adt.callers import ANYBODY, Caller
from renzheng.central.adt.messages import acknowledge, masked, read_text, surname_of
from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.adt.stay_journal import Origin, ReportedEvent
from renzheng.central.claims.encoding import detect_encoding
from renzheng.central.claims.formats import Format
from renzheng.central.claims.hl7_adt import Hl7Source, read_names
from renzheng.central.claims.hl7_files import read_messages
from renzheng.central.claims.importer import open_source
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem
from renzheng.central.claims.rows import Draft
from renzheng.central.claims.source import Ignored, InputFile, Item, Options
from renzheng.central.claims.stay_events import Rename, StayEvent
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.refusals import raise_alarm
from renzheng.central.store.times import to_us
from renzheng.contracts.errors import UsageError
from renzheng.contracts.ids import new_id

FORMATS = (Format.HL7, Format.NHSA, Format.FHIR)
"""Formats in which files tell of stays."""
MLLP, FILE = "mllp", "file"
_LOST = 200
ITEMS_AT_ONCE = 500
_Names = Sequence[tuple[str, str]]
_One = tuple[Sequence[Item], Origin, _Names]
_TAKEN: Mapping[Format, Sequence[str]] = {
    Format.NHSA: ("mapping", "institution", "transaction", "encoding"),
    Format.FHIR: ("mapping", "institution", "encoding"),
}


class Receiver:
    """Receives over one store.

    Args:
        database: the store.
        options: how messages name institutions and people, and the zone of their local times.
        clock: tells when something was received.
    """

    def __init__(self, database: Database, options: Options, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._options = options
        self._clock = clock
        self._hl7 = Hl7Source(_only(options, ("mapping", "institution", "encoding")))

    def receive(self, payload: bytes, caller: Caller = ANYBODY) -> bytes:
        """Take one message and write its acknowledgement; it is committed before.

        A caller that may speak for nobody is told so, and counted in an alarm; of what it says nothing is
        kept, so that it cannot fill the store.
        """
        now = self._clock()
        text = read_text(payload)
        header = text[0] if isinstance(text, tuple) else text.header
        origin = Origin(MLLP, header.trigger, header.message_id, payload)
        with self._database.writing() as connection:
            if caller.institutions == frozenset():
                ending = _foreign(connection, caller, "its certificate may speak for no institution", now)
            elif isinstance(text, tuple):
                ending = text[1]
                stay_journal.note(connection, origin, ending, now)
            else:
                ending = self._take_message(connection, text.segments, caller, origin, now)
        return acknowledge(header, ending, new_id(), now)

    def note_broken(self, content: bytes, why: str, caller: Caller = ANYBODY) -> None:
        """Keep what came in a broken frame."""
        with self._database.writing() as connection:
            if caller.institutions == frozenset():
                _foreign(connection, caller, "its certificate may speak for no institution", self._clock())
                return
            ending = Ending(Outcome.FRAMING, why[:_LOST])
            stay_journal.note(connection, Origin(MLLP, payload=content), ending, self._clock())

    def read_file(self, path: Path, file_format: Format) -> Mapping[Outcome, int]:
        """Take every message or row about stays in a file; return how many came to what.

        Raises:
            UsageError: the format tells of no stays.
            InputError: the file's encoding or columns are not read.
        """
        if file_format not in FORMATS:
            raise UsageError(
                f"Files of format {file_format.value} tell of no stays.",
                do=f"Use one of: {', '.join(one.value for one in FORMATS)}.",
            )
        file = InputFile(path, path.name)
        counts: Counter[Outcome] = Counter()
        part: list[_One] = []
        with self._database.reading() as connection:
            zones = self._zones(connection)
        reader = (
            self._of_hl7(file, zones) if file_format is Format.HL7 else self._of(file_format, file, zones)
        )
        for one in reader:
            part.append(one)
            if len(part) == ITEMS_AT_ONCE:
                counts += self._take_part(part)
                part = []
        return counts + self._take_part(part)

    def _take_part(self, part: Sequence[_One]) -> Counter[Outcome]:
        now, counts = self._clock(), Counter[Outcome]()
        with self._database.writing() as connection:
            for items, origin, names in part:
                counts[_take_items(connection, items, origin, names, now).outcome] += 1
        return counts

    def _of_hl7(self, file: InputFile, zones: Callable[[str], tzinfo]) -> Iterator[_One]:
        encoding = detect_encoding(file.path, self._options.encoding)
        for line, segments in read_messages(file, encoding, lambda _: None):
            place = RowPlace(file.name, line)
            if isinstance(segments, Reason):
                yield [_unread(segments)], Origin(FILE, "", f"{file.name}:{line}"), ()
            else:
                items = self._hl7.read_message(segments, place, zones)
                payload = "\r".join(segments).encode()
                yield items, Origin(FILE, "", f"{file.name}:{line}", payload), read_names(segments)

    def _of(self, file_format: Format, file: InputFile, zones: Callable[[str], tzinfo]) -> Iterator[_One]:
        source = open_source(file_format, _only(self._options, _TAKEN[file_format]))
        for found in source.check([file]):
            for item in source.read(found, zones, lambda _: None):
                about_stays = isinstance(item, StayEvent) or (
                    isinstance(item, RowProblem) and item.table == "stays"
                )
                if about_stays:
                    place = item.place  # type: ignore[union-attr]  # both have one
                    yield [item], Origin(FILE, "", f"{place.file}:{place.line}"), ()

    def _take_message(
        self,
        connection: sa.Connection,
        segments: Sequence[str],
        caller: Caller,
        origin: Origin,
        now: datetime,
    ) -> Ending:
        items = self._hl7.read_message(segments, RowPlace(MLLP, 1), self._zones(connection))
        spoken_for = {item.institution_id for item in items if isinstance(item, StayEvent | Rename)}
        if not all(map(caller.may_speak_for, spoken_for)):
            ending = _foreign(connection, caller, "it spoke for another's institution", now)
            stay_journal.note(connection, origin, ending, now)
            return ending
        return _take_items(connection, items, origin, read_names(segments), now)

    def _zones(self, connection: sa.Connection) -> Callable[[str], tzinfo]:
        table = schema.institutions
        rows = connection.execute(sa.select(table.c.institution_id, table.c.timezone))
        zones = {row.institution_id: ZoneInfo(row.timezone) for row in rows}
        usual = ZoneInfo(self._options.zone)
        return lambda institution_id: zones.get(institution_id, usual)


def _foreign(connection: sa.Connection, caller: Caller, why: str, now: datetime) -> Ending:
    """Refuse what a caller may not say, and raise its alarm."""
    raise_alarm(connection, caller.name, Outcome.FOREIGN_CALLER.value, f"ADT: {why}.", to_us(now))
    return Ending(Outcome.FOREIGN_CALLER, why)


def _only(options: Options, names: Sequence[str]) -> Options:
    return Options(**{name: getattr(options, name) for name in names}, zone=options.zone)


def _unread(reason: Reason) -> RowProblem:
    return RowProblem("stays", RowPlace("", 0), Problem("", reason))


def _take_items(
    connection: sa.Connection, items: Sequence[Item], origin: Origin, names: _Names, now: datetime
) -> Ending:
    """Take everything that one message brings; it has one outcome.

    What was not taken comes first; else what became of its last part, which sees the whole of it: of two who
    exchange their beds the first moves to a bed that is still taken.
    """
    event: StayEvent | None = None
    endings = []
    for number, item in enumerate(items):
        if isinstance(item, StayEvent):
            name = names[number if len(names) == len(items) else 0] if names else ("", "")
            told = ReportedEvent(item, origin.source, surname_of(*name), masked(item.person_id))
            endings.append(stay_journal.take(connection, told, now))
            event = item
        elif (ending := _take_other(connection, item, now)) is not None:
            endings.append(ending)
    ending = next((one for one in endings if not one.outcome.kept), endings[-1] if endings else _NOTHING)
    if event is not None:
        message_id = event.message_id or origin.message_id
        origin = Origin(origin.source, origin.trigger or event.kind.value, message_id, origin.payload)
    stay_journal.note(connection, origin, ending, now, event)
    return ending


_NOTHING = Ending(Outcome.IGNORED, "nothing in it is about a stay")


def _take_other(connection: sa.Connection, item: Item, now: datetime) -> Ending | None:
    """Take what is no event of a stay; None for what only the audit's tables hold."""
    if isinstance(item, Rename):
        return stay_journal.rename(connection, item, now)
    if isinstance(item, RowProblem):
        problem = item.problem
        refused = Ending(Outcome.REJECTED, f"{problem.field} {problem.reason.value}".strip())
        return None if problem.reason.is_warning else refused
    if isinstance(item, Draft):
        return None
    return Ending(Outcome.IGNORED, item.kind if isinstance(item, Ignored) else type(item).__name__)
