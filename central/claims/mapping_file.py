"""Settings of the fixed formats from a mapping file: a TOML table named as the format.

::

    [nhsa.med_type]                   # the region's own med_type codes
    "14" = "outpatient"
    "21" = "inpatient"

    [platform.med_type]               # likewise, of the platform's tables
    "9901" = "pharmacy"

    [hl7]
    visit_id = "PV1-50.1"             # where the bureau's mdtrt_id stands; PV1-19.1 by default
    person_id = "PID-3.1"
    person_id_type = "NI"             # take the repetition whose CX.5 or CX.4 is this (or a list)
    institution_id = "MSH-4.1"

    machine_id = "OBX-18.1"           # of orders and results: which machine it was

    [hl7.institutions]                # the hospital's own name for itself, to the bureau's code
    "HIS1" = "H37112100001"

    [hl7.leave_kinds]                 # EVN-4 to kind; everything else is a leave
    "EXAM" = "examination"

    [dicom]
    patient_id = "citizen"            # PatientID is taken where it is a citizen number; "insured": always
    [dicom.machines]                  # the station's name, to the machine's in service_points
    "CT01" = "M-CT-1"

    [fhir]
    person_systems = ["urn:oid:2.16.156.10011.1.3"]   # whose identifier is the person's number
    institution_systems = ["http://example.org/fixmedins"]
    item_systems = ["http://example.org/med-list"]    # whose code is the item's
    currencies = ["CNY"]              # amounts in any other are refused
    replacing = ["replaces"]          # relations of a claim to the one whose place it takes

    [fhir.institutions]               # an institution's own number, to the bureau's code
    "Org1" = "H37112100001"

    [fhir.units]                      # what a quantity of 1 of an item is, where the catalogue does not say
    "310701003" = "hour"

    [hl7.patient_classes]             # PV1-2 to inpatient, registered (not admitted yet) or other
    "住院" = "inpatient"
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renzheng.contracts.errors import InputError

VisitType = Literal["outpatient", "inpatient", "pharmacy"]
LeaveKind = Literal["leave", "examination", "transfer"]
ItemUnit = Literal["session", "hour", "day"]
PatientClass = Literal["inpatient", "registered", "other"]
Model = TypeVar("Model", bound=BaseModel)
_FIELD = r"^[A-Z][A-Z0-9]{2}-[0-9]+(\.[0-9]+){0,2}$"


class MappingError(InputError):
    """A mapping file cannot be used."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NhsaSettings(_Strict):
    """Settings of `--format nhsa`."""

    med_type: Mapping[str, VisitType] = Field(default_factory=dict)


class PlatformSettings(_Strict):
    """Settings of `--format platform`."""

    med_type: Mapping[str, VisitType] = Field(default_factory=dict)


class Hl7Settings(_Strict):
    """Settings of `--format hl7`; fields as SEGMENT-FIELD.COMPONENT."""

    visit_id: str = Field("PV1-19.1", pattern=_FIELD)
    person_id: str = Field("PID-3.1", pattern=_FIELD)
    person_id_type: str | Sequence[str] | None = None
    institution_id: str = Field("MSH-4.1", pattern=_FIELD)
    machine_id: str = Field("OBX-18.1", pattern=_FIELD)
    institutions: Mapping[str, str] = Field(default_factory=dict)
    leave_kinds: Mapping[str, LeaveKind] = Field(default_factory=dict)
    patient_classes: Mapping[str, PatientClass] = Field(default_factory=dict)

    @property
    def person_id_types(self) -> Sequence[str]:
        """The kinds of a person's number, the one that is wanted most first; none: the first number."""
        told = self.person_id_type
        return () if told is None else (told,) if isinstance(told, str) else told


class DicomSettings(_Strict):
    """Settings of `--format dicom`."""

    patient_id: Literal["citizen", "insured"] = "citizen"
    machines: Mapping[str, str] = Field(default_factory=dict)


class FhirSettings(_Strict):
    """Settings of `--format fhir`: whose numbers are taken, of several, the one that is named first."""

    person_systems: Sequence[str] = ()
    institution_systems: Sequence[str] = ()
    item_systems: Sequence[str] = ()
    institutions: Mapping[str, str] = Field(default_factory=dict)
    units: Mapping[str, ItemUnit] = Field(default_factory=dict)
    currencies: Sequence[str] = ("CNY", "RMB")
    replacing: Sequence[str] = ("replaces", "replacement", "corrects")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        MappingError: it is not there or not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise refused(path, error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise refused(path, str(error)) from error


def validated(model: type[Model], content: Mapping[str, Any], path: Path) -> Model:
    """Hold a mapping file's content against its model.

    Raises:
        MappingError: naming every place that is wrong.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}".lstrip(": ")
            for one in error.errors()
        ]
        raise refused(path, "; ".join(problems)) from error


def refused(path: Path, problem: str) -> MappingError:
    """Make the error that says why a mapping file cannot be used."""
    return MappingError(
        f"The mapping file {path} cannot be used: {problem}.", do="Mend it and import again.", path=str(path)
    )


def read_settings(path: Path | None, name: str, model: type[Model]) -> Model:
    """Read one format's settings; the defaults where there is no file.

    Raises:
        MappingError: the file cannot be used, or holds settings of no format.
    """
    if path is None:
        return model()
    content = read_toml(path)
    unknown = sorted(set(content) - {"nhsa", "platform", "hl7", "fhir", "dicom"})
    if unknown:
        raise refused(path, f"{', '.join(unknown)} belongs to no format that has settings")
    return validated(model, content.get(name, {}), path)
