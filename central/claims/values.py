"""Text to typed values, strictly: a value that cannot be read raises, it is never guessed or rounded."""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache

from renzheng.central.claims.rejects import Reason
from renzheng.contracts.ids import is_citizen_number, normalised_id, tidy_id

MAX_TEXT = 500
_FIRST_YEAR, _LAST_YEAR = 1900, 2199

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_OFFSET = r"(Z|z|[+-]\d{2}(?::?\d{2})?)?"
_SEPARATED = re.compile(
    rf"(\d{{4}})[-/.年](\d{{1,2}})[-/.月](\d{{1,2}})日?(?:(?:\s*[Tt]\s*|\s+){_CLOCK}\s*{_OFFSET})?", re.ASCII
)
_COMPACT = re.compile(
    rf"(\d{{4}})(\d{{2}})(\d{{2}})(?:[Tt ]?(\d{{2}})(\d{{2}})(?:(\d{{2}})(?:\.?(\d{{1,9}}))?)?{_OFFSET})?",
    re.ASCII,
)
_DECIMAL = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d*))?|[+-]?\.(\d+)", re.ASCII)
_SPREADSHEET = re.compile(r"\d(?:\.\d+)?[Ee]\+\d+", re.ASCII)
_SPREADSHEET_ERROR = re.compile(r"#(?:N/A|REF!|VALUE!|DIV/0!|NUM!|NAME\?|NULL!|#+)")


class ValueProblem(Exception):  # noqa: N818 - not an error of the program: a finding about one value
    """A value cannot be taken; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def read_id(value: object) -> str:
    """Read an identifier whose case may matter, tidied (contracts/ids.py), without control characters.

    Raises:
        ValueProblem: it is empty, too long, damaged by a spreadsheet, or has control or replacement
            characters.
    """
    return _id(value) if isinstance(value, str) else _id(_text(value))


def read_code(value: object) -> str:
    """Read the id of an institution, visit or doctor, or a code, in its one spelling.

    Raises:
        ValueProblem: as `read_id`.
    """
    return normalised_id(read_id(value))


def read_person(value: object) -> str:
    """Read a person's id in its one spelling.

    Raises:
        ValueProblem: as `read_id`; also for a citizen number of which a spreadsheet kept 15 digits.
    """
    text = read_code(value)
    if _is_damaged_citizen_number(text):
        raise ValueProblem(Reason.SPREADSHEET_NUMBER)
    return text


@lru_cache(maxsize=16384)
def _id(value: str) -> str:
    text = _text(value)
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueProblem(Reason.CONTROL_CHARACTER)
    if _SPREADSHEET.fullmatch(text):
        raise ValueProblem(Reason.SPREADSHEET_NUMBER)
    if _SPREADSHEET_ERROR.fullmatch(text):
        raise ValueProblem(Reason.SPREADSHEET_ERROR)
    text = tidy_id(text)
    if not text:
        raise ValueProblem(Reason.MISSING)
    return text


def _is_damaged_citizen_number(text: str) -> bool:
    """Return whether a citizen number lost its last three digits: a spreadsheet keeps 15 and writes zeros."""
    if len(text) != 18 or not text.endswith("000") or not (text.isascii() and text.isdigit()):  # noqa: PLR2004
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return _FIRST_YEAR <= born.year <= _LAST_YEAR and not is_citizen_number(text)


def read_text(value: object) -> str:
    """Read free text: trimmed, not empty; line breaks and tabs become single spaces.

    Raises:
        ValueProblem: it is empty, too long, or holds a replacement character.
    """
    text = _text(value)
    return text if text.isprintable() else " ".join(text.split())


def _text(value: object) -> str:
    if isinstance(value, bool | float | Decimal | list | dict):
        raise ValueProblem(Reason.NOT_PARSABLE)
    text = str(value).strip()
    if not text:
        raise ValueProblem(Reason.MISSING)
    if len(text) > MAX_TEXT:
        raise ValueProblem(Reason.TOO_LONG)
    if "\ufffd" in text:
        raise ValueProblem(Reason.REPLACEMENT_CHARACTER)
    return text


@lru_cache(maxsize=16384)
def read_time(text: str, zone: tzinfo | None) -> datetime:
    """Read a time as aware UTC.

    Takes ``2026-03-01 08:00:00``, with ``/``, ``.`` or ``年月日``, with ``T``, without seconds, with a
    fraction, compact (``20260301080000``), or a day alone (its midnight); an offset, where there is one, is
    kept.

    Args:
        text: the time as it stands in the file.
        zone: the zone of a local time; None when a time must bring its own offset.

    Raises:
        ValueProblem: unreadable, no such moment, out of range, or local where an offset is needed.
    """
    match = _SEPARATED.fullmatch(text.strip()) or _COMPACT.fullmatch(text.strip())
    if match is None:
        raise ValueProblem(Reason.BAD_TIME)
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    own_zone = _offset(offset) if offset else zone
    if own_zone is None:
        raise ValueProblem(Reason.TIME_WITHOUT_OFFSET)
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        raise ValueProblem(Reason.TIME_OUT_OF_RANGE)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            microsecond,
            own_zone,
        ).astimezone(UTC)
    except ValueError:
        raise ValueProblem(Reason.BAD_TIME) from None


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 15 or minutes > 59:  # noqa: PLR2004 - no zone is further off; an hour has 60 minutes
        raise ValueProblem(Reason.BAD_TIME)
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)


def read_date(text: str) -> date:
    """Read a day; a time of day behind it is dropped.

    Raises:
        ValueProblem: unreadable, no such day, or out of range.
    """
    try:
        return read_time(text, UTC).date()
    except ValueProblem as problem:
        raise ValueProblem(Reason.BAD_DATE if problem.reason is Reason.BAD_TIME else problem.reason) from None


def plain_decimal(text: str) -> str:
    """Return a number's text trimmed, narrow, and without the yuan's mark."""
    stripped = text.strip()
    if stripped.isascii():
        return stripped
    return unicodedata.normalize("NFKC", stripped).replace("\u2212", "-").strip("¥元 ")


@lru_cache(maxsize=16384)
def read_decimal(text: str, precision: int, scale: int) -> Decimal:
    """Read a decimal number exactly; it is never rounded.

    Args:
        text: digits with an optional sign, point, and commas between thousands; they may be of full width
            and have the yuan's mark.
        precision: digits in all.
        scale: digits after the point.

    Raises:
        ValueProblem: no decimal, more decimal places than `scale`, or too large.
    """
    plain = plain_decimal(text)
    match = _DECIMAL.fullmatch(plain)
    if match is None:
        raise ValueProblem(Reason.BAD_DECIMAL)
    fraction = (match.group(1) or match.group(2) or "").rstrip("0")
    if len(fraction) > scale:
        raise ValueProblem(Reason.TOO_MANY_DECIMALS)
    number = Decimal(plain.replace(",", ""))
    if abs(number) >= Decimal(10) ** (precision - scale):
        raise ValueProblem(Reason.OUT_OF_RANGE)
    return number.quantize(Decimal(1).scaleb(-scale))
