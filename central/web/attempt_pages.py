"""The console's page of sign-ins by face, counted by people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.attempts.figures import FEWEST_PEOPLE, UNKNOWN, By, Comparison, Figures, Finding, Group
from renzheng.central.attempts.publishing import DAYS_BACK, Publisher
from renzheng.central.attempts.service import Asked, Published, publish
from renzheng.central.settings import Settings
from renzheng.central.store import schema, viewer
from renzheng.central.store.database import Database
from renzheng.central.texts import Texts, texts
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.web.console.pages import Text, choose_language, render
from renzheng.central.web.guard import needs
from renzheng.models.evaluation.metrics import Rate

MOST_DAYS = 366
BAR_PX = 110
_SCALES = (0.05, 0.1, 0.25, 0.5, 1.0)
_SECONDS = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0)
_SMALL_SHARE, _LARGE = 0.1, 10.0
_EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure and its interval on a line `width` pixels wide."""

    at: float
    low: float
    high: float
    width: int = BAR_PX


@dataclass(frozen=True, slots=True)
class Scale:
    """What the bars of a column reach up to."""

    most: float

    def bar(self, rate: Rate) -> Bar:
        """Lay out one figure; what lies beyond the scale ends at its end."""
        at, low, high = (
            round(min(max(one, 0.0) / self.most, 1.0) * BAR_PX, 1)
            for one in (rate.value, rate.low, rate.high)
        )
        return Bar(at, low, high)


def scale_of(rates: Sequence[Rate | None], steps: Sequence[float]) -> Scale:
    """Choose the smallest of some scales that holds all figures' intervals, else the largest."""
    highest = max((one.high for one in rates if one is not None), default=0.0)
    return Scale(next((step for step in steps if step >= highest), steps[-1]))


def build_router(
    database: Database, settings: Settings, clock: Callable[[], datetime], standing: ServiceStatus
) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    usual = Publisher(database, settings, clock)

    def find(asked: Asked) -> Published:
        kept = standing.sign_ins.latest if standing.sign_ins else None
        is_usual = kept is not None and asked == usual.usual() and kept.asked.last == asked.last
        if kept is not None and is_usual and viewer.sees_all():
            return kept
        with database.reading() as connection:
            return publish(connection, settings.lake_dir, asked)

    @router.get("/attempts")
    @needs(Permission.ATTEMPTS)
    def show_attempts(
        request: Request, first: date | None = None, last: date | None = None, institution: Text = ""
    ) -> Response:
        asked = replace(_bounded(usual.usual(), first, last), institution_id=institution or None)
        published = find(asked)
        with database.reading() as connection:
            table = schema.institutions
            named = sa.select(table.c.institution_id, table.c.name).where(
                viewer.may_see(table.c.institution_id)
            )
            rows = connection.execute(named.order_by(table.c.name))
            institutions = {row.institution_id: row.name for row in rows}
        t = texts(choose_language(request))
        everything = _groups(published)
        return render(
            request,
            "attempts.html",
            asked=asked,
            published=published,
            whole=published.whole,
            institutions=institutions,
            sentences=[(one, sentence(one, t)) for one in published.whole.comparisons if _is_told(one)],
            unknown_age=_of_unknown_age(published.whole),
            named=lambda by, group: name_of(by, group, t),
            fewest=FEWEST_PEOPLE,
            By=By,
            shares=scale_of([one.again for one in everything], _SCALES),
            times=scale_of([one.seconds for one in everything], _SECONDS),
            share=share,
            number=number,
        )

    return router


def _bounded(usual: Asked, first: date | None, last: date | None) -> Asked:
    """Keep the days asked for within the calendar and within a year; backwards, the last day alone."""
    latest = min(max(last or usual.last, _EARLIEST), usual.last)
    earliest = max(first or latest - timedelta(days=DAYS_BACK), latest - timedelta(days=MOST_DAYS))
    return replace(usual, first=min(earliest, latest), last=latest)


def _groups(published: Published) -> Sequence[Group]:
    inside = [group for groups in published.whole.groups.values() for group in groups]
    return [published.whole.whole, *inside, *(one.whole for one in published.institutions.values())]


def _of_unknown_age(found: Figures) -> int:
    return sum(group.people for group in found.groups[By.AGE] if group.name == UNKNOWN)


def name_of(by: By, group: Group, t: Texts) -> str:
    """Say which people a group is of."""
    if by is By.AGE and group.name != UNKNOWN:
        return t("attempts.age", band=group.name.replace("-", "–"))
    return t.catalogue.get(f"attempts.{by.value}.{group.name}", group.name)


def _is_told(one: Comparison) -> bool:
    """Who is failed is always told, even that nothing can be said; who must try again, where it differs."""
    return one.measure == "failed" or one.finding in (Finding.MORE, Finding.LESS)


def sentence(one: Comparison, t: Texts) -> str:
    """Say what a comparison shows, in words; of too few people, that it cannot be said."""
    if one.shares is None or one.difference is None:
        return t(f"attempts.{one.of}.too_few", people=one.first.people, others=one.second.people)
    interval = {name: points(getattr(one.difference, name)) for name in ("value", "low", "high")}
    first, second = (share(each.value) for each in one.shares)
    by = t("attempts.difference", first=first, second=second, **interval)
    return t(f"attempts.{one.of}.{one.measure}.{one.finding.value}", by=by)


def share(value: float) -> str:
    """Write a share of 1 in per cent, with a decimal where it is small."""
    return f"{value * 100:.1f}%" if value < _SMALL_SHARE else f"{value * 100:.0f}%"


def points(value: float) -> str:
    """Write a difference of shares in percentage points."""
    return f"{value * 100:+.1f}".replace("-", "−")


def number(value: float) -> str:
    """Write a mean or a time with as many decimals as matter."""
    return f"{value:.1f}" if value >= _LARGE else f"{value:.2f}"
