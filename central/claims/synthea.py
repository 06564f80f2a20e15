"""Synthea's CSV export: patients, organizations, encounters, and charges or, without these, procedures.

A file is known by its columns. Encounters are read first, so that a charge's visit type is that of its
encounter; they are remembered in a file of their own beside the output, not in memory.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from renzheng.central.claims.delimited import BadLine, Record, open_table
from renzheng.central.claims.nhsa_lines import join_id
from renzheng.central.claims.rejects import RowProblem
from renzheng.central.claims.rows import Draft, ZoneOf
from renzheng.central.claims.source import Advance, ColumnsError, Ignored, InputFile, Item, Options

Kind = Literal["patients", "organizations", "encounters", "charges", "procedures"]
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    "patients": ("Id", "BIRTHDATE", "DEATHDATE", "GENDER"),
    "organizations": ("Id", "NAME", "STATE", "ZIP"),
    "encounters": ("Id", "START", "STOP", "PATIENT", "ORGANIZATION", "ENCOUNTERCLASS"),
    "charges": (
        *("ID", "CLAIMID", "PATIENTID", "TYPE", "AMOUNT", "FROMDATE"),
        *("PLACEOFSERVICE", "PROCEDURECODE", "UNITS", "APPOINTMENTID"),
    ),
    "procedures": ("START", "STOP", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION", "BASE_COST"),
}
_TABLES: Mapping[Kind, str] = {
    "patients": "persons",
    "organizations": "institutions",
    "encounters": "stays",
    "charges": "claim_lines",
    "procedures": "claim_lines",
}
_ORDER: Sequence[Kind] = ("encounters", "patients", "organizations", "charges", "procedures")
_SEXES = {"M": "M", "F": "F"}


@dataclass(frozen=True, slots=True)
class _Encounter:
    institution_id: str
    visit_type: str


class SyntheaSource:
    """A folder of Synthea's CSV files."""

    tables: Sequence[str] = ("institutions", "persons", "stays", "claim_lines")
    sources: Mapping[str, str] = {}

    def __init__(self, options: Options) -> None:
        self._options = options
        self._kinds: dict[str, Kind] = {}
        self._encounters = _Encounters()

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Find out what each file is; encounters come before what refers to them."""
        for file in files:
            if file.path.suffix.lower() != ".csv":
                continue
            columns = set(open_table(file.path, encoding=self._options.encoding).columns)
            kind = next((kind for kind, needed in COLUMNS.items() if columns.issuperset(needed)), None)
            if kind is not None:
                self._kinds[file.name] = kind
        if not self._kinds:
            raise ColumnsError(
                "None of the files is one of Synthea's that are read.",
                why="A file is known by its columns.",
                do="; ".join(f"{kind}: {', '.join(needed)}" for kind, needed in COLUMNS.items()),
            )
        return sorted(files, key=lambda file: _ORDER.index(self._kinds.get(file.name, "procedures")))

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file."""
        del zone_of
        kind = self._kinds.get(file.name)
        if kind is None or (kind == "procedures" and "charges" in self._kinds.values()):
            yield Ignored(f"file {file.name}")
            return
        table = open_table(file.path, encoding=self._options.encoding, advance=advance, name=file.name)
        for row in table.rows:
            if isinstance(row, BadLine):
                yield RowProblem(_TABLES[kind], row.place, row.problem)
            else:
                yield self._item(kind, row)

    def _item(self, kind: Kind, row: Record) -> Item:
        fields = row.fields
        if kind == "patients":
            return Draft("persons", row.place, _person(fields), _PERSON)
        if kind == "organizations":
            return Draft("institutions", row.place, _institution(fields), _INSTITUTION)
        if kind == "encounters":
            return self._encounter(row)
        return self._charge(row) if kind == "charges" else self._procedure(row)

    def _encounter(self, row: Record) -> Item:
        fields = row.fields
        inpatient = fields["ENCOUNTERCLASS"].strip().lower() == "inpatient"
        self._encounters.put(
            fields["Id"], _Encounter(fields["ORGANIZATION"], "inpatient" if inpatient else "outpatient")
        )
        if not inpatient:
            return Ignored(f"encounter {fields['ENCOUNTERCLASS'].strip()}")
        return Draft("stays", row.place, {name: fields[source] for name, source in _STAY.items()}, _STAY)

    def _charge(self, row: Record) -> Item:
        fields = row.fields
        if fields["TYPE"].strip().upper() != "CHARGE":
            return Ignored(f"transaction {fields['TYPE'].strip()}")
        encounter = self._encounters.get(fields["APPOINTMENTID"])
        institution = fields["PLACEOFSERVICE"].strip() or (encounter.institution_id if encounter else "")
        values = {
            "line_id": join_id(institution, fields["ID"].strip())
            if institution and fields["ID"].strip()
            else None,
            "institution_id": institution,
            "visit_id": fields["APPOINTMENTID"].strip() or fields["CLAIMID"],
            "settlement_id": fields["CLAIMID"],
            "person_id": fields["PATIENTID"],
            "visit_type": encounter.visit_type if encounter else "outpatient",
            "item_code": fields["PROCEDURECODE"],
            "item_name": fields.get("NOTES", "").strip() or fields["PROCEDURECODE"],
            "service_time": fields["FROMDATE"],
            "quantity": fields["UNITS"].strip() or "1",
            "amount": fields["AMOUNT"],
            "doctor_id": fields.get("PROVIDERID"),
        }
        return Draft("claim_lines", row.place, values, _CHARGE)

    def _procedure(self, row: Record) -> Item:
        """Take a procedure as a billed line; its line in the file stands for the id that it lacks."""
        fields = row.fields
        encounter = self._encounters.get(fields["ENCOUNTER"])
        institution = encounter.institution_id if encounter else self._options.institution
        values = {
            "line_id": join_id(institution, fields["ENCOUNTER"], str(row.place.line))
            if institution
            else None,
            "institution_id": institution,
            "visit_id": fields["ENCOUNTER"],
            "person_id": fields["PATIENT"],
            "visit_type": encounter.visit_type if encounter else "outpatient",
            "item_code": fields["CODE"],
            "item_name": fields["DESCRIPTION"],
            "service_time": fields["START"],
            "quantity": "1",
            "amount": fields["BASE_COST"],
        }
        return Draft("claim_lines", row.place, values, _PROCEDURE)


_PERSON = {"person_id": "Id", "sex": "GENDER", "birth_date": "BIRTHDATE", "death_date": "DEATHDATE"}
_INSTITUTION = {"institution_id": "Id", "name": "NAME", "region_code": "ZIP"}
_STAY = {
    "visit_id": "Id",
    "institution_id": "ORGANIZATION",
    "person_id": "PATIENT",
    "admitted_at": "START",
    "discharged_at": "STOP",
}
_CHARGE = {
    "line_id": "ID",
    "institution_id": "PLACEOFSERVICE",
    "visit_id": "APPOINTMENTID",
    "settlement_id": "CLAIMID",
    "person_id": "PATIENTID",
    "item_code": "PROCEDURECODE",
    "item_name": "NOTES",
    "service_time": "FROMDATE",
    "quantity": "UNITS",
    "amount": "AMOUNT",
    "doctor_id": "PROVIDERID",
}
_PROCEDURE = {
    "line_id": "ENCOUNTER",
    "institution_id": "ENCOUNTER",
    "visit_id": "ENCOUNTER",
    "person_id": "PATIENT",
    "item_code": "CODE",
    "item_name": "DESCRIPTION",
    "service_time": "START",
    "amount": "BASE_COST",
}


def _person(fields: Mapping[str, str]) -> dict[str, object]:
    return {
        "person_id": fields["Id"],
        "sex": _SEXES.get(fields["GENDER"].strip().upper(), "U"),
        "birth_date": fields["BIRTHDATE"],
        "death_date": fields["DEATHDATE"],
    }


def _institution(fields: Mapping[str, str]) -> dict[str, object]:
    return {
        "institution_id": fields["Id"],
        "name": fields["NAME"],
        "region_code": fields["ZIP"].strip() or fields["STATE"],
    }


class _Encounters:
    """Encounters by id, on disk."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a file of SQLite's own, gone when closed
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE encounter (id TEXT PRIMARY KEY, place TEXT, kind TEXT) WITHOUT ROWID"
        )

    def put(self, encounter_id: str, encounter: _Encounter) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO encounter VALUES (?, ?, ?)",
            (encounter_id.strip(), encounter.institution_id.strip(), encounter.visit_type),
        )

    def get(self, encounter_id: str) -> _Encounter | None:
        with closing(
            self._database.execute("SELECT place, kind FROM encounter WHERE id = ?", (encounter_id.strip(),))
        ) as found:
            row = found.fetchone()
        return None if row is None else _Encounter(*row)
