"""What became of advices: a page, and the same over the API."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from renzheng.central.access.roles import Permission
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.reminders import REASONS, By, Figures, group
from renzheng.central.store import viewer
from renzheng.central.store.times import to_us
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import needs

DAYS_BACK, MOST_ROWS = 30, 500
Chosen = Annotated[By, Query()]


def build_router(keeper: Keeper, zone: ZoneInfo, clock: Callable[[], datetime]) -> APIRouter:
    """Build page and route over what was advised and answered."""
    router = APIRouter()

    def find(first: date | None, last: date | None, by: By) -> tuple[date, date, Sequence[Mapping[str, Any]]]:
        today = clock().astimezone(zone).date()
        last = min(last or today, date.max - timedelta(days=1))
        first = min(first or last - timedelta(days=min(DAYS_BACK, last.toordinal() - 1)), last)
        begin, end = (datetime.combine(day, time(), zone) for day in (first, last + timedelta(days=1)))
        seen = viewer.institutions()
        advised = (
            one
            for _, one in keeper.advised_between(to_us(begin), to_us(end))
            if seen is None or one.institution_id in seen
        )
        asked = keeper.asked_between(to_us(begin), to_us(end)) if by == "institution" else {}
        rows = [_row(by, key, one, asked) for key, one in group(advised, by).items()]
        known = {row["institution_id"] for row in rows} if by == "institution" else set()
        rows += [
            _row(by, (name,), Figures(), asked)
            for name in asked
            if name not in known and (seen is None or name in seen)
        ]
        return first, last, sorted(rows, key=lambda row: (-row["advised"], list(map(str, row.values()))))

    @router.get("/api/v1/reminders", tags=["checks"])
    @needs(Permission.STATISTICS)
    def read(
        first: date | None = None, last: date | None = None, by: Chosen = "institution"
    ) -> dict[str, Any]:
        """Count what became of advices, by institution, department or rule."""
        begin, end, rows = find(first, last, by)
        return {"first": begin.isoformat(), "last": end.isoformat(), "by": by, "rows": rows}

    @router.get("/reminders", include_in_schema=False)
    @needs(Permission.STATISTICS)
    def show(
        request: Request, first: date | None = None, last: date | None = None, by: Chosen = "institution"
    ) -> Response:
        begin, end, rows = find(first, last, by)
        shown = rows[:MOST_ROWS]
        return render(
            request, "reminders.html",
            rows=shown, left_out=len(rows) - len(shown), first=begin, last=end, by=by, reasons=REASONS,
        )  # fmt: skip

    return router


_KEYS: Mapping[str, Sequence[str]] = {
    "institution": ("institution_id",),
    "department": ("institution_id", "department"),
    "rule": ("point", "version", "kind"),
}


def _row(by: By, key: tuple[str, ...], one: Figures, asked: Mapping[str, int]) -> dict[str, Any]:
    return {
        **dict(zip(_KEYS[by], key, strict=True)),
        **({"asked": asked.get(key[0], 0)} if by == "institution" else {}),
        "advised": one.advised,
        "followed": one.followed,
        "overridden": one.overridden,
        "unanswered": one.unanswered,
        "followed_share": one.followed_share,
        "by_reason": {name: one.by_reason[name] for name in REASONS if one.by_reason[name]},
        "median_seconds": one.median_seconds,
    }
