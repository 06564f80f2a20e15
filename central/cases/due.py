"""Due dates in working days, each with the words that say how it was counted.

Holidays and shifted working days are those of the State Council's yearly notices (`chinese_calendar`), under
what a region's file says of single days. For a year without a notice yet, weekends alone are days off, and
the explanation says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Which days are worked.

    Args:
        region: days that the region has set itself; True for a working day.
    """

    region: Mapping[date, bool] = field(default_factory=dict)

    def is_worked(self, day: date) -> bool:
        """Say whether a day is a working day."""
        if day in self.region:
            return self.region[day]
        try:
            return bool(chinese_calendar.is_workday(day))
        except NotImplementedError:  # no notice for that year yet
            return day.weekday() < SATURDAY

    def is_known(self, day: date) -> bool:
        """Say whether there is a notice, or a word of the region's, for a day."""
        try:
            chinese_calendar.is_workday(day)
        except NotImplementedError:
            return day in self.region
        return True


@dataclass(frozen=True, slots=True)
class Due:
    """Until when something may be done.

    Args:
        at: the end of the last day, aware.
        explained: how it was counted, in Chinese.
    """

    at: datetime
    explained: str


def named(day: date) -> str:
    """Write a day in Chinese."""
    return f"{day.year}年{day.month}月{day.day}日"


def due_in(moment: datetime, days: int, zone: ZoneInfo) -> Due:
    """Count days of the calendar from the day after a moment; the last one is good to its end."""
    first = moment.astimezone(zone).date()
    last = first + timedelta(days=days)
    at = datetime.combine(last + timedelta(days=1), time(), zone)
    return Due(at, f"自{named(first)}次日起计{days}日，至{named(last)}24时止。")


def due_after(moment: datetime, days: int, zone: ZoneInfo, worked: WorkingDays) -> Due:
    """Count working days from the day after a moment; the last one is good to its end.

    Args:
        moment: when the clock starts, aware.
        days: how many working days, at least one.
        zone: whose days they are.
        worked: which days are working days.
    """
    first = day = moment.astimezone(zone).date()
    off: list[date] = []
    left, provisional = days, False
    while left > 0:
        day += timedelta(days=1)
        provisional = provisional or not worked.is_known(day)
        if worked.is_worked(day):
            left -= 1
        else:
            off.append(day)
    at = datetime.combine(day + timedelta(days=1), time(), zone)
    said = f"自{named(first)}次日起计{days}个工作日，至{named(day)}24时止"
    if off:
        said += f"；其间不计的休息日{len(off)}天：{'、'.join(f'{one.month}月{one.day}日' for one in off)}"
    if provisional:
        said += "；其中尚无放假通知的年份按周末计，通知公布后以通知为准"
    return Due(at, said + "。")
