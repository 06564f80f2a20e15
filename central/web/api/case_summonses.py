"""Summonses over the API."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from renzheng.central.access.roles import Permission
from renzheng.central.cases import records, summons_keeping
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.reading import is_of_a_hospital
from renzheng.central.cases.summons_keeping import FigureOf, Summonses
from renzheng.central.cases.summonses import Figure, Summons
from renzheng.central.draw.answers import RateCategory
from renzheng.central.rate.core import Call
from renzheng.central.rate.service import Asked, rates
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs


def add_to(router: APIRouter, database: Database, summonses: Summonses, figure_of: FigureOf) -> None:
    """Add the routes to those of cases."""

    @router.get("/summonses")
    @needs(Permission.CASES)
    def read_summonses(request: Request, limit: case_routes.Limit = 100) -> Response:
        """List summonses, the newest first."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            found = summons_keeping.listed(connection, actor, limit)
        return case_routes.answered({"summonses": [shown(one) for one in found]})

    @router.post("/summonses")
    @needs(Permission.CASES_STEP)
    async def issue(request: Request) -> Response:
        """Summon an institution: `institution_id`, `first` and `last` day of the checks."""
        body = case_routes.read_body(await request.body())
        named = case_routes.text_of(body, "institution_id")
        first, last = days_of(*(case_routes.text_of(body, name) for name in ("first", "last")))
        actor = case_routes.actor_of(database, request)
        made = await run_in_threadpool(summonses.issue, actor, named, first, last, figure_of)
        return case_routes.answered(shown(made), status=201)

    @router.get("/summonses/{summons_id}")
    @needs(Permission.CASES)
    def read_summons(request: Request, summons_id: case_routes.Id) -> Response:
        """Read a summons, for the bureau with its journal."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            found = summons_keeping.read(connection, actor, summons_id)
            kept = [] if is_of_a_hospital(actor) else summons_keeping.journal_of(connection, summons_id)
        entries = [
            {"entry": one.entry.decode(), "hash": one.hash, "signature": one.signature.decode()}
            for one in kept
        ]
        return case_routes.answered({**shown(found), **({"journal": entries} if entries else {})})

    @router.post("/summonses/{summons_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def step(request: Request, summons_id: case_routes.Id, act: case_routes.Id) -> Response:
        """Receive, answer (`text`), release, uphold or withdraw (`reason`) a summons."""
        body = case_routes.read_body(await request.body())
        text, reason = (case_routes.text_of(body, name) for name in ("text", "reason"))
        actor, seen = case_routes.actor_of(database, request), case_routes.seen_by(request)
        after = await run_in_threadpool(summonses.act, actor, summons_id, act, text, reason, seen)
        return case_routes.answered(shown(after))


def shown(one: Summons) -> dict[str, Any]:
    """Return a summons as the API shows it; who of the bureau did what is for the bureau."""
    found: Mapping[str, Any] = records.plain(one)
    hidden = {} if viewer.sees_all() else {"issued_by": None, "decided_by": None}
    return {**found, **hidden, "id": found["summons_id"]}


def days_of(first: str, last: str) -> tuple[date, date]:
    """Read two days.

    Raises:
        BodyError: one is none, or they are the wrong way round.
    """
    try:
        found = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise BodyError("A summons names the first and the last day.", do="Such as 2026-04-21.") from error
    if found[0] > found[1]:
        raise BodyError("The first day comes after the last.")
    return found


def figures(settings: Settings, now_us: Callable[[], int]) -> FigureOf:
    """Return what tells whether an institution's rate calls for a summons, by the site's rules and region."""
    zone = ZoneInfo(settings.timezone)

    def figure_of(connection: sa.Connection, institution_id: str, first: date, last: date) -> Figure | None:
        asked = Asked(first, last, settings.audit.region, settings.audit.rules_dir, zone)
        for one in rates(connection, asked, now_us()):
            if one.institution_id == institution_id and one.rate.call is Call.SUMMON:
                share = one.rate.share
                present = one.rate.counts.get(RateCategory.PRESENT, 0)
                return Figure(
                    present, one.rate.answered, share.value, share.low, share.high, one.rate.threshold
                )
        return None

    return figure_of
