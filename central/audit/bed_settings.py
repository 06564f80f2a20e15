"""The parameters of the bed days, resolved for each local day that a bed line may reach."""

import datetime as dt

import pyarrow as pa

from renzheng.central.audit.request import day_number
from renzheng.central.audit.settings import HOUR_US, Resolve

DAY_HOURS = 24
LOOKED_BACK_DAYS = 800
"""A line of the longest quantity, of one that is as long ago as bed lines are looked for."""
AFTER_DAYS = 7


def bed_calendar(from_day: dt.date, to_day: dt.date, resolve: Resolve) -> pa.Table:
    """Lay out, day by day, the month (yyyymm) and the parameters of the bed rule in microseconds."""
    days = (to_day - from_day).days + LOOKED_BACK_DAYS + AFTER_DAYS + 1
    first = from_day - dt.timedelta(days=LOOKED_BACK_DAYS)
    return pa.Table.from_pylist([_day(first + dt.timedelta(days=number), resolve) for number in range(days)])


def bed_numbers(calendar: pa.Table) -> pa.Table:
    """Count from 0 to the most days that one line is spread over."""
    longest = max(calendar["longest_line_days"].to_pylist())
    return pa.table({"number": pa.array(range(longest), pa.int64())})


def _day(date: dt.date, resolve: Resolve) -> dict[str, int]:
    values = resolve(date)
    return {
        "day": day_number(date),
        "month": date.year * 100 + date.month,
        "from_us": int(values["bed_day_from_hour"] * HOUR_US),
        "to_us": int(values["bed_day_to_hour"] * HOUR_US),
        "bill_on_leave": int(values["bill_on_leave"]),
        "longest_examination_us": int(values["longest_examination_hours"] * HOUR_US),
        "errand_pause_us": int(values["errand_pause_hours"] * HOUR_US),
        "posting_grace_us": int(values["posting_grace_hours"] * HOUR_US),
        "night_posting_us": int(values["night_posting_hours"] * HOUR_US),
        "late_us": int(values["late_bed_days"] * DAY_HOURS * HOUR_US),
        "longest_line_days": max(1, int(values["longest_line_days"])),
    }
