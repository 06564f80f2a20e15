"""HL7's times (chapter 2A, DTM): from the day to fractions of a second, with and without an offset."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from renzheng.central.claims.hl7_message import Message
from renzheng.central.claims.values import read_time

_HOUR_ALONE = re.compile(r"(\d{10})([+-]\d{4})?", re.ASCII)
_DAY_ALONE = re.compile(r"\d{8}|\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?", re.ASCII)
_PARTIAL = re.compile(r"\d{4}|\d{6}|\d{4}-\d{2}", re.ASCII)
_DAY_WITH_OFFSET = re.compile(r"(\d{8})([+-]\d{4})", re.ASCII)
_LAST = time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, aware UTC; of one told by its day alone, the day's beginning."""

    at: datetime
    is_day: bool = False

    def finer(self, zone: tzinfo, *others: "Moment | None") -> "Moment":
        """Return another's time of day where this is a day alone and the other fell on it."""
        day = self.at.astimezone(zone).date()
        same = (one for one in others if one and not one.is_day and one.at.astimezone(zone).date() == day)
        return next(same, self) if self.is_day else self

    def end(self, zone: tzinfo) -> datetime:
        """Return the last moment that it can mean."""
        if not self.is_day:
            return self.at
        return datetime.combine(self.at.astimezone(zone).date(), _LAST, zone).astimezone(UTC)


def read_moment(raw: str, zone: tzinfo) -> Moment:
    """Read a time of at least a day's precision.

    Raises:
        ValueProblem: unreadable, no such moment, a month or a year alone.
    """
    text = raw.strip()
    text = _HOUR_ALONE.sub(r"\g<1>00\g<2>", text) if _HOUR_ALONE.fullmatch(text) else text
    day = _DAY_WITH_OFFSET.fullmatch(text)
    text = day.group(1) if day else text
    return Moment(read_time(text, zone), is_day=bool(_DAY_ALONE.fullmatch(text)))


def is_partial(raw: str) -> bool:
    """Whether a time is a year or a month alone."""
    return bool(_PARTIAL.fullmatch(raw.strip()))


def zone_of_message(message: Message, usual: tzinfo) -> tzinfo:
    """Return the zone of a message's local times: MSH-7's offset holds for all of it (chapter 2.15.9.7)."""
    found = re.search(r"[+-]\d{4}$", message.get("MSH-7"), re.ASCII)
    try:
        return datetime.strptime(found.group(), "%z").tzinfo or usual if found else usual
    except ValueError:
        return usual
