"""The parameters of the line verdicts, resolved for each local day, in the units that the steps use."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal

import pyarrow as pa

from renzheng.central.audit.request import day_number

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
MARGIN_DAYS = 7
"""Days on both sides of the period of which events are looked at, for sessions around midnight."""

HISTORY_DAYS = 28
"""Days before a line of which the sign-ins show when patients arrive."""
EARLIER_DAYS = 5
"""Days before these of which sessions may reach into them, and lines may take sessions."""

Resolve = Callable[[dt.date], Mapping[str, Decimal]]


def day_settings(from_day: dt.date, to_day: dt.date, resolve: Resolve) -> tuple[pa.Table, pa.Table]:
    """Lay out the parameters day by day.

    Returns:
        `days` (day, the parameters of the dialysis steps) and `windows` (day, purpose, from_us, to_us after
        local midnight), each from MARGIN_DAYS before `early_day` to MARGIN_DAYS after the period.
    """
    days, windows = [], []
    first = early_day(from_day, to_day, resolve) - dt.timedelta(days=MARGIN_DAYS)
    for offset in range((to_day - first).days + MARGIN_DAYS + 1):
        date = first + dt.timedelta(days=offset)
        day, values = day_number(date), resolve(date)
        days.append(
            {
                "day": day,
                "match_window_us": int(values["match_window_hours"] * HOUR_US),
                "max_session_us": int(values["max_session_hours"] * HOUR_US),
                "mid_session_us": int(values["mid_session_minutes"] * MINUTE_US),
                "near_us": int(values["mid_session_minutes"] * MINUTE_US),
                "point_repeat_us": int(values["point_repeat_minutes"] * MINUTE_US),
                "min_session_us": int(values["min_session_minutes"] * MINUTE_US),
                "min_duration_ppm": int(values["min_duration_ratio"] * 1_000_000),
                "hour_ppm": int(values["min_duration_ratio"] * 1_000_000),
                "elsewhere_margin_us": int(values["elsewhere_margin_minutes"] * MINUTE_US),
                "coverage_needed_ppm": int(values["coverage_needed"] * 1_000_000),
                "bill_on_leave": int(values["bill_on_leave"]),
                "late_billing_days": int(values["late_billing_days"]),
                "late_entry_days": int(values["late_entry_days"]),
                "late_billing_us": int(values["late_billing_days"] * 24 * HOUR_US),
                "posting_grace_us": int(values["posting_grace_hours"] * HOUR_US),
                "night_posting_us": int(values["night_posting_hours"] * HOUR_US),
                "resume_us": int(values["resume_minutes"] * MINUTE_US),
                "min_prescribed_minutes": int(values["min_prescribed_minutes"]),
                "inpatients_sign_in": int(values["inpatients_sign_in"]),
                "shield_attempts": int(values["shield_attempts"]),
                "staff_must_be_shown": int(values["staff_must_be_shown"]),
                "hospital_log_corroborates": int(values["hospital_log_corroborates"]),
            }
        )
        for purpose, name in (("dialysis", "coverage"), ("inpatient", "bed_day")):
            windows.append(
                {
                    "day": day,
                    "purpose": purpose,
                    "from_us": int(values[f"{name}_from_hour"] * HOUR_US),
                    "to_us": int(values[f"{name}_to_hour"] * HOUR_US),
                }
            )
    return pa.Table.from_pylist(days), pa.Table.from_pylist(windows)


def early_day(from_day: dt.date, to_day: dt.date, resolve: Resolve) -> dt.date:
    """Return the first day of which lines and events matter: fees may be late, arrivals have a history."""
    days = (from_day + dt.timedelta(days=offset) for offset in range((to_day - from_day).days + 1))
    late = max(int(resolve(day)["late_billing_days"]) for day in days)
    return from_day - dt.timedelta(days=max(late, HISTORY_DAYS) + EARLIER_DAYS)


def calendar(from_day: dt.date, to_day: dt.date) -> pa.Table:
    """Give every day of the weeks and months that the period touches its week and month, as whole numbers.

    Weeks begin on Monday; week 0 is that of 1970-01-01. A month is yyyymm.
    """
    first = min(from_day.replace(day=1), from_day - dt.timedelta(days=from_day.weekday()))
    last = max(
        (to_day.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1),
        to_day + dt.timedelta(days=6 - to_day.weekday()),
    )
    days = [first + dt.timedelta(days=offset) for offset in range((last - first).days + 1)]
    return pa.table(
        {
            "day": [day_number(day) for day in days],
            "week": [(day_number(day) + 3) // 7 for day in days],
            "month": [day.year * 100 + day.month for day in days],
        }
    )
