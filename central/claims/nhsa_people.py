"""Persons, diagnoses and operations out of NHSA messages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from renzheng.central.claims.nhsa_fields import Fields, filled
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.rows import Draft

_SEXES = {"1": "M", "2": "F"}
_DIED = "5"
"""`dscg_way`: the patient died."""
_LYING = timedelta(days=3)
"""The longest that the discharge of a dead patient is entered after the death."""
_FILLER = date(1900, 1, 1)
"""What systems put into an empty day of birth."""
_DIAGNOSES: Mapping[str, str] = {
    "institution_id": "fixmedins_code",
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "diagnosis_code": "diag_code",
    "diagnosis_name": "diag_name",
    "kind": "diag_type",
    "main": "maindiag_flag",
}
_OPERATIONS: Mapping[str, str] = {
    "institution_id": "fixmedins_code",
    "visit_id": "mdtrt_id",
    "settlement_id": "setl_id",
    "person_id": "psn_no",
    "operation_code": "oprn_oprt_code",
    "operation_name": "oprn_oprt_name",
    "operated_at": "oprn_oprt_begntime",
    "ended_at": "oprn_oprt_endtime",
    "main": "oprn_oprt_type",
    "doctor_id": "oper_dr_code",
}
_PERSONS: Mapping[str, str] = {
    "person_id": "psn_no",
    "birth_date": "brdy",
    "sex": "gend",
    "death_date": "die_date",
}


@dataclass(slots=True)
class _Person:
    place: RowPlace
    sex: str = "U"
    born: date | None = None


@dataclass(slots=True)
class People:
    """What the messages of an import say of persons, each named once at its end; the latest word counts."""

    known: dict[str, _Person] = field(default_factory=dict)
    deaths: dict[tuple[str, str], tuple[RowPlace, str, date]] = field(default_factory=dict)

    def see(self, read: Fields, fields: Mapping[str, object], place: RowPlace) -> None:
        """Take in `gend` and `brdy` (1101's `baseinfo`, a settlement's `setlinfo`)."""
        person_id = read.person(needed=False)
        if not person_id:
            return
        person = self.known.setdefault(person_id, _Person(place))
        person.sex = _SEXES.get(str(fields.get("gend") or "").strip(), person.sex)
        born = read.day("brdy")
        person.born = person.born if born in {None, _FILLER} else born

    def see_discharge(self, read: Fields, fields: Mapping[str, object], place: RowPlace) -> None:
        """Take in the death that a discharge (2402) tells of; a later discharge of the visit replaces it.

        Systems fill `die_date` for the living, too: it counts only with the way of leaving that says so, and
        only in the days before the patient left.
        """
        visit = (read.institution_id, read.code("mdtrt_id"))
        self.deaths.pop(visit, None)
        left, died = read.day("endtime"), read.day("die_date")
        if str(fields.get("dscg_way") or "").strip().lstrip("0") != _DIED or left is None:
            return
        if died is None or not left - _LYING <= died <= left:
            died = left
        if person_id := read.person(needed=False):
            self.deaths[visit] = (place, person_id, died)

    def forget_discharge(self, read: Fields) -> None:
        """Take back what a discharge said: it is cancelled (2405)."""
        self.deaths.pop((read.institution_id, read.code("mdtrt_id")), None)

    def drafts(self) -> Iterator[Draft]:
        """Yield a draft a person."""
        died = {person_id: (place, day) for place, person_id, day in self.deaths.values()}
        for person_id, person in self.known.items():
            _, day = died.pop(person_id, (None, None))
            yield _person(person.place, person_id, person.sex, person.born, day)
        for person_id, (place, day) in died.items():
            yield _person(place, person_id, "U", None, day)


def _person(place: RowPlace, person_id: str, sex: str, born: date | None, died: date | None) -> Draft:
    values = {"person_id": person_id, "sex": sex, "birth_date": born, "death_date": died}
    return Draft("persons", place, values, _PERSONS)


def diagnoses(
    fields: Mapping[str, object], records: Sequence[Mapping[str, object]], place: RowPlace
) -> Iterator[Draft]:
    """Yield the diagnoses of a visit, those marked as no longer valid left out."""
    for record in records:
        if filled(record, "diag_code") is not None and str(record.get("vali_flag") or "1").strip() != "0":
            flag = str(record.get("maindiag_flag") or "").strip()
            own = {"main": {"1": True, "0": False}.get(flag), **_common(fields, record)}
            named = {name: record.get(source) for name, source in _DIAGNOSES.items() if name not in own}
            yield Draft("diagnoses", place, named | own, _DIAGNOSES)


def operations(
    fields: Mapping[str, object], records: Sequence[Mapping[str, object]], place: RowPlace
) -> Iterator[Draft]:
    """Yield the operations of a visit."""
    for record in records:
        if filled(record, "oprn_oprt_code") is not None:
            main = str(filled(record, "main_oprn_flag", "oprn_oprt_type") or "").strip()
            own = {
                "main": main == "1" if main else None,
                "operated_at": filled(record, "oprn_oprt_begntime", "oprn_oprt_date"),
                **_common(fields, record),
            }
            named = {name: record.get(source) for name, source in _OPERATIONS.items() if name not in own}
            yield Draft("operations", place, named | own, _OPERATIONS)


def _common(fields: Mapping[str, object], record: Mapping[str, object]) -> dict[str, object]:
    names = {
        "institution_id": "fixmedins_code",
        "visit_id": "mdtrt_id",
        "person_id": "psn_no",
        "settlement_id": "setl_id",
    }
    return {name: filled(record, source) or filled(fields, source) for name, source in names.items()}
