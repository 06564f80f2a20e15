"""DICOM headers to runs of imaging stations: when which station took pictures for which request.

A run is one study at one station: from the first acquisition to the end of the last, or what a performed
procedure step tells of itself. Pixels are never read; of the header only the elements of `TAGS` are. Values
and keywords are those of PS3.6 and PS3.3 (General Equipment, General Series, General Acquisition).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renzheng.central.claims.mapping_file import DicomSettings, read_settings
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.rows import Draft, LocalTime, ZoneOf
from renzheng.central.claims.source import Advance, InputFile, Item, Options
from renzheng.contracts.ids import is_citizen_number, normalised_id

if TYPE_CHECKING:
    from pydicom import Dataset

TABLE = "machine_sessions"
TAGS = (
    *("StationName", "DeviceSerialNumber", "PatientID", "AccessionNumber", "StudyInstanceUID"),
    *("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "AcquisitionDuration"),
    *("SeriesDate", "SeriesTime", "StudyDate", "StudyTime", "TimezoneOffsetFromUTC"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    *("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "SpecificCharacterSet"),
)
BEGINS = (("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime"))
"""Where the moment of a picture stands, the most exact first."""
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_DEFLATED = 1 << 20
"""Of a deflated file everything is unpacked at once; a larger one is refused."""
LARGEST_VALUE = 4096
LONGEST_ACQUISITION = timedelta(days=1)
_TIME = re.compile(r"(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6}))?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


@dataclass(frozen=True, slots=True)
class _Study:
    """What the pictures of one study at one station tell together."""

    place: RowPlace
    machine: str
    person: str | None
    serial: str | None
    accession: str | None
    begin: datetime
    end: datetime


class DicomSource:
    """Files of DICOM, whatever they are called."""

    tables: Sequence[str] = (TABLE,)
    sources: Mapping[str, str] = {
        "machine_id": "StationName",
        "person_id": "PatientID",
        "started_at": "AcquisitionDateTime",
        "accession_number": "AccessionNumber",
    }

    def __init__(self, options: Options) -> None:
        self._settings = read_settings(options.mapping, "dicom", DicomSettings)
        self._institution = options.institution
        self._studies: dict[tuple[str, str, str], _Study] = {}

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Take all files; each says for itself whether it can be read."""
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one header; what it tells comes out with the others of its study, by `rest`."""
        place = RowPlace(file.name, 1)
        zone = zone_of(self._institution or "")
        try:
            header = _header(file.path)
            study = self._study(header, place, zone)
        except _UnusableError as unusable:
            yield RowProblem(TABLE, place, unusable.problem, {"institution_id": self._institution})
        else:
            name = _text(header, "StudyInstanceUID") or file.name
            self._gather((name, study.machine, study.accession or ""), study)
        advance(file.path.stat().st_size)

    def rest(self, _: ZoneOf) -> Iterator[Item]:
        """Yield a run for each study."""
        for study in self._studies.values():
            values = {
                "institution_id": self._institution,
                "machine_id": study.machine,
                "person_id": study.person,
                "started_at": study.begin,
                "ended_at": study.end,
                "source": "hospital",
                "serial_number": study.serial,
                "accession_number": study.accession,
            }
            yield Draft(TABLE, study.place, values, self.sources, zone=LocalTime.INSTITUTION)
        self._studies.clear()

    def _gather(self, key: tuple[str, str, str], one: _Study) -> None:
        known = self._studies.get(key)
        if known is not None:
            one = replace(known, begin=min(known.begin, one.begin), end=max(known.end, one.end))
        self._studies[key] = one

    def _study(self, header: "Dataset", place: RowPlace, zone: tzinfo) -> _Study:
        station, serial = _text(header, "StationName"), _text(header, "DeviceSerialNumber")
        name = station or serial
        if name is None:
            raise _UnusableError("StationName", Reason.MISSING)
        begin, end = _moments(header, _zone(header, zone))
        return _Study(
            place,
            self._settings.machines.get(name, name),
            self._person(_text(header, "PatientID")),
            serial,
            _text(header, "AccessionNumber"),
            begin,
            end,
        )

    def _person(self, number: str | None) -> str | None:
        """Return the patient where the number is known to be one; a hospital's own number names nobody."""
        if number is None or self._settings.patient_id == "insured":
            return number
        written = normalised_id(number)
        return written if is_citizen_number(written) else None


class _UnusableError(Exception):
    """A header that tells of no run."""

    def __init__(self, field: str, reason: Reason, value: object = "") -> None:
        super().__init__(reason.value)
        self.problem = Problem(field, reason, shown(value))


def _header(path: Path) -> "Dataset":
    """Read the wanted elements of a header, and no pixel."""
    import pydicom  # noqa: PLC0415 - takes a second, and other formats need none of it
    from pydicom.filereader import read_file_meta_info  # noqa: PLC0415

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # it would log values: of persons
    try:
        meta = read_file_meta_info(path)
        deflated = meta.get("TransferSyntaxUID") == DEFLATED
        if not deflated or path.stat().st_size <= LARGEST_DEFLATED:
            return pydicom.dcmread(
                path, stop_before_pixels=True, defer_size=LARGEST_VALUE, specific_tags=list(TAGS)
            )
    except Exception as error:  # noqa: BLE001 - the library raises whatever a damaged file leads it to
        raise _UnusableError("", Reason.NOT_PARSABLE, type(error).__name__) from None
    raise _UnusableError("", Reason.TOO_LONG, path.stat().st_size)


def _text(header: "Dataset", keyword: str) -> str | None:
    try:
        value: Any = header.get(keyword)
        text = "" if value is None else str(value).strip().strip("\0").strip()
    except Exception:  # noqa: BLE001 - a value is read when it is asked for
        raise _UnusableError(keyword, Reason.NOT_PARSABLE) from None
    if len(text) > LARGEST_VALUE:
        raise _UnusableError(keyword, Reason.TOO_LONG)
    return text or None


def _zone(header: "Dataset", zone: tzinfo) -> tzinfo:
    found = _OFFSET.fullmatch(_text(header, "TimezoneOffsetFromUTC") or "")
    if found is None:
        return zone
    return _offset(found)


def _offset(found: re.Match[str]) -> tzinfo:
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > 14 * 60:
        raise _UnusableError("TimezoneOffsetFromUTC", Reason.BAD_TIME, found[0])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _moments(header: "Dataset", zone: tzinfo) -> tuple[datetime, datetime]:
    """Return begin and end of what one file tells."""
    step = "PerformedProcedureStep"
    begin = _at(header, f"{step}StartDate", f"{step}StartTime", zone)
    end = _at(header, f"{step}EndDate", f"{step}EndTime", zone)
    if begin is not None and end is not None:
        if end < begin:
            raise _UnusableError(f"{step}EndTime", Reason.END_BEFORE_START)
        return begin, end
    taken = _whole(header, zone) or next((at for pair in BEGINS if (at := _at(header, *pair, zone))), None)
    if taken is None:
        raise _UnusableError("AcquisitionDateTime", Reason.MISSING)
    return taken, taken + _duration(header)


def _whole(header: "Dataset", zone: tzinfo) -> datetime | None:
    """Read AcquisitionDateTime (DT), which may bring its own offset."""
    text = _text(header, "AcquisitionDateTime")
    if text is None:
        return None
    own = _OFFSET.search(text)
    digits = text[: own.start()] if own else text
    return _moment("AcquisitionDateTime", digits[:8], digits[8:], _offset(own) if own else zone)


def _at(header: "Dataset", day: str, clock: str, zone: tzinfo) -> datetime | None:
    date, time = _text(header, day), _text(header, clock)
    return None if date is None or time is None else _moment(clock, date, time, zone)


def _moment(field: str, day: str, clock: str, zone: tzinfo) -> datetime:
    """Read DA and TM: YYYYMMDD (or the older YYYY.MM.DD), HH, HHMM, HHMMSS with a fraction."""
    found = _TIME.fullmatch(clock.replace(":", ""))
    if found is None:
        raise _UnusableError(field, Reason.BAD_TIME, f"{day} {clock}")
    try:
        date = datetime.strptime(day.replace(".", ""), "%Y%m%d")  # noqa: DTZ007 - the zone follows
        moment = date.replace(
            hour=int(found[1]),
            minute=int(found[2] or 0),
            second=min(int(found[3] or 0), 59),  # 60 is a leap second
            microsecond=int((found[4] or "0").ljust(6, "0")),
            tzinfo=zone,
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _UnusableError(field, Reason.BAD_TIME, f"{day} {clock}") from None


def _duration(header: "Dataset") -> timedelta:
    text = _text(header, "AcquisitionDuration")
    try:
        seconds = timedelta(seconds=float(text or 0))
    except (ValueError, OverflowError):
        return timedelta(0)
    return seconds if timedelta(0) <= seconds <= LONGEST_ACQUISITION else timedelta(0)
