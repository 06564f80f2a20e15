"""What a check is asked, as it comes in: read strictly, or answered with a code."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from renzheng.central.checks.history import level_of
from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.rules.knowledge.facts import EPOCH, Encounter, Line, Patient

MOST_ITEMS = 2_000
"""More than any order or settlement has; a check of more is not made."""
EARLIEST, AHEAD = dt.date(2000, 1, 1), dt.timedelta(days=400)
"""Service days outside these come from a clock that is wrong."""
LONGEST_NAME, LONGEST_CODE = 500, 50
Id = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=500)]
Amount = Annotated[Decimal, Field(ge=-(10**12), le=10**12)]
INSURANCES: Mapping[str, str] = {
    "310": "employee", "320": "employee", "340": "employee", "390": "resident", "380": "resident",
    "410": "work_injury", "510": "maternity",
    "employee": "employee", "resident": "resident", "work_injury": "work_injury", "maternity": "maternity",
    "职工": "employee", "居民": "resident", "工伤": "work_injury", "生育": "maternity",
}  # fmt: skip
"""Kinds of insurance by the platform's code (insutype) or name."""
SEXES: Mapping[str, str] = {"M": "M", "F": "F", "1": "M", "2": "F", "男": "M", "女": "F"}


class NotReadableError(ValueError):
    """What was asked cannot be read; its text is a code."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class PatientAsked(_Model):
    """Whom the check is about."""

    person_id: Text | None = None
    sex: Text | None = None
    birth_date: dt.date | None = None

    @field_validator("birth_date", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return value or None


class EncounterAsked(_Model):
    """In which visit."""

    visit_id: Id
    visit_type: Text | None = None
    insurance: Text | None = None
    diagnoses: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    institution_level: Text | None = None

    @field_validator("diagnoses", mode="before")
    @classmethod
    def _codes_only(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value or ()
        told = [one.get("code", "") if isinstance(one, dict) else one for one in value]
        return diagnoses(told) if all(isinstance(one, str) for one in told) else told


class ItemAsked(_Model):
    """One item that is ordered or billed."""

    id: Id
    code: Id
    name: Text | None = None
    quantity: Amount = Decimal(1)
    amount: Amount = Decimal(0)
    at: dt.datetime
    doctor_id: Text | None = None
    department: Text | None = None
    visit_id: Text | None = None
    institution_id: Text | None = None


class CheckAsked(_Model):
    """A check; `earlier` are items that the caller knows of before, beside what history has."""

    stage: Literal["before", "during"]
    institution_id: Id
    patient: PatientAsked
    encounter: EncounterAsked
    items: tuple[ItemAsked, ...]
    earlier: tuple[ItemAsked, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What was asked, as the evaluator takes it.

    Args:
        lines: at hand.
        earlier: of before, as the caller tells them.
        not_checked: items that are left out, each with a code.
    """

    patient: Patient
    encounter: Encounter
    lines: tuple[Line, ...]
    earlier: tuple[Line, ...]
    not_checked: tuple[tuple[str, str], ...]


def diagnoses(told: Iterable[str]) -> list[str]:
    """Return the codes of diagnoses, each once; several may stand in one text.

    None where one of them can be no code: what is not known is held against nobody.
    """
    codes = list(dict.fromkeys(code for one in told for code in _APART.split(one) if code))
    return codes if all(len(code) <= LONGEST_CODE for code in codes) else []


_APART = re.compile(r"[\s,;|，；、]+")


def read_asked(value: Any) -> CheckAsked:
    """Read the JSON of a check.

    Raises:
        NotReadableError: `too_many_items` or `not_valid`.
    """
    if isinstance(value, dict):
        for name in ("items", "earlier"):
            if isinstance(value.get(name), list) and len(value[name]) > MOST_ITEMS:
                raise NotReadableError("too_many_items")
    try:
        return CheckAsked.model_validate(value)
    except (ValidationError, RecursionError) as error:
        raise NotReadableError("not_valid") from error


def as_read(
    asked: CheckAsked, national: Mapping[str, str], zone: ZoneInfo, level: int | None, today: dt.date
) -> Read:
    """Turn what was asked into values.

    Args:
        asked: the check.
        national: own item codes, each with the national one.
        zone: of the institution; a time without an offset is its wall clock.
        level: of the institution.
        today: its day.
    """
    institution, visit = normalised_id(asked.institution_id), normalised_id(asked.encounter.visit_id)
    left_out = [(item.id, "id_repeated") for item in _repeated(asked.items)]

    def lines(items: Iterable[ItemAsked], *, at_hand: bool) -> Iterator[Line]:
        for item in items:
            local = _local(item.at, zone)
            if local is None or not EARLIEST <= local.date() <= today + AHEAD:
                left_out.append((item.id, "time_implausible"))
                continue
            code = normalised_id(item.code)
            yield Line(
                id=tidy_id(item.id) or item.id,
                code=national.get(code, code),
                quantity_e4=int(item.quantity * 10_000),
                amount_fen=int(item.amount * 100),
                at_us=_microseconds(local),
                institution_id=normalised_id(item.institution_id) if item.institution_id else institution,
                visit_id=normalised_id(item.visit_id) if item.visit_id else visit,
                at_hand=at_hand,
                name=item.name or "",
            )

    told = asked.encounter
    encounter = Encounter(
        institution,
        visit,
        told.visit_type if told.visit_type in _VISIT_TYPES else None,
        INSURANCES.get(told.insurance or ""),
        tuple(one for one in told.diagnoses if one),
        level_of(told.institution_level) or level,
    )
    at_hand, earlier = tuple(lines(asked.items, at_hand=True)), tuple(lines(asked.earlier, at_hand=False))
    return Read(_patient(asked.patient), encounter, at_hand, earlier, tuple(left_out))


def _repeated(items: Iterable[ItemAsked]) -> Iterator[ItemAsked]:
    """Yield items that another one takes the place of, as it has their id and says something else."""
    last = {item.id: item for item in items}
    return (item for item in items if item != last[item.id])


_VISIT_TYPES = frozenset({"outpatient", "inpatient", "pharmacy"})


def _patient(asked: PatientAsked) -> Patient:
    born = asked.birth_date
    return Patient(
        normalised_id(asked.person_id or ""),
        SEXES.get((asked.sex or "").upper()),
        (born - EPOCH).days if born else None,
    )


def _local(at: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    try:
        return at if at.tzinfo is None else at.astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return None


def _microseconds(local: dt.datetime) -> int:
    return (local - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)  # noqa: DTZ001 - a wall clock
