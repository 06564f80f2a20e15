"""HL7 v2 orders and results (ORM, ORU) as runs of machines, where they tell begin and end.

OBR-7 and OBR-8 are begin and end of the observation, OBR-3 (else OBR-2) its request (HL7 v2.5.1, 4.5.3).
Which machine it was stands in OBX-18 (7.4.2), or where the settings say; without one no run is told.
"""

from collections.abc import Iterator

from renzheng.central.claims.hl7_fields import FieldProblem, Reader, known_of
from renzheng.central.claims.hl7_message import Message
from renzheng.central.claims.mapping_file import Hl7Settings
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Ignored, Item

KINDS = frozenset({"ORU", "ORM"})
TABLE = "machine_sessions"
SOURCES = {
    "machine_id": "OBX-18",
    "person_id": "PID-3",
    "started_at": "OBR-7",
    "ended_at": "OBR-8",
    "accession_number": "OBR-3",
}


class Runs:
    """Reads the observations of messages; one that was told before is one.

    Args:
        settings: where things stand.
        institution: for messages that do not name theirs.
    """

    def __init__(self, settings: Hl7Settings, institution: str | None) -> None:
        self._settings = settings
        self._institution = institution
        self._told: set[tuple[object, ...]] = set()

    def of(self, message: Message, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        """Yield a run for each observation that has begin, end and machine."""
        for part in message.groups("OBR"):
            kind = message.get("MSH-9.1")
            machine = part.get(self._settings.machine_id)
            if not (part.get("OBR-7") and part.get("OBR-8") and machine):
                yield Ignored(f"{kind} without begin, end or machine")
                continue
            try:
                reader = Reader(part, self._settings, self._institution, zone_of)
                yield from self._run(reader, machine, place)
            except FieldProblem as problem:
                known = known_of(part, self._settings, self._institution, TABLE)
                yield RowProblem(TABLE, place, problem.problem, known)

    def _run(self, reader: Reader, machine: str, place: RowPlace) -> Iterator[Item]:
        begin, end = reader.time("OBR-7"), reader.time("OBR-8")
        if end < begin:
            raise FieldProblem(Problem("OBR-8", Reason.END_BEFORE_START, reader.get("OBR-8")))
        values: dict[str, object] = {
            "institution_id": reader.institution_id,
            "machine_id": machine,
            "person_id": reader.person(),
            "started_at": begin,
            "ended_at": end,
            "source": "hospital",
            "accession_number": reader.get("OBR-3.1") or reader.get("OBR-2.1") or None,
        }
        key = tuple(values.values())
        if key in self._told:  # a preliminary result, then the final one
            yield Ignored("observation told again")
            return
        self._told.add(key)
        yield Draft(TABLE, place, values, SOURCES)
