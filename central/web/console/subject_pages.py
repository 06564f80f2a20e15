"""The console's pages of one person, institution or device, each with a month of its lines and findings."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from renzheng.central.access.roles import Permission
from renzheng.central.lists.asked import month_bounds
from renzheng.central.lists.lists import Lists
from renzheng.central.nightly import month_facts
from renzheng.central.nightly.month_facts import Frame
from renzheng.central.pictures import drawing
from renzheng.central.settings import Settings
from renzheng.central.store import reading, viewer
from renzheng.central.store.database import Database
from renzheng.central.texts import texts
from renzheng.central.web.console.pages import Times, choose_language, render, rule_names
from renzheng.central.web.console.summaries import Subject, by_day, month_of, strip_of
from renzheng.central.web.guard import may_unmask, needs
from renzheng.contracts.money import in_wan

MOST_ON_A_STRIP = 500


def build_router(database: Database, settings: Settings, lists: Lists) -> APIRouter:
    """Build the pages over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    def show(request: Request, subject: Subject, own_id: str) -> Response:
        with database.reading() as connection:
            values = month_of(connection, lists, subject, own_id, request)
            named = {row["institution_id"]: row for row in reading.institutions(connection)}
            t, month, lines = texts(choose_language(request)), values["month"], values["lines"]
            if subject == "person" and month:
                rows = lists.page(connection, lines, MOST_ON_A_STRIP).rows
                figures = [strip_of(connection, own_id, month, rows, t, zone)]
            else:
                figures = (
                    [
                        drawing.month(
                            t,
                            month,
                            by_day(lists.sums(connection, lines, "day")),
                            lambda fen: in_wan(fen, t.language),
                        )
                    ]
                    if month
                    else []
                )
        if not values["known"] and own_id not in named:
            raise HTTPException(404)
        viewer.note_persons([own_id] if subject == "person" else [])
        return render(
            request,
            "subject.html",
            subject=subject,
            figures=figures,
            own_id=own_id,
            may_unmask=subject == "person" and may_unmask(request),
            about=named.get(own_id) if subject == "institution" else None,
            when=Times(zone),
            rule_names=rule_names(settings.audit, request),
            **values,
        )

    @router.get("/persons/{person_id:path}")
    @needs(Permission.VERDICTS)
    def show_person(request: Request, person_id: str) -> Response:
        return show(request, "person", viewer.meant(person_id))

    @router.get("/institutions/{institution_id:path}")
    @needs(Permission.VERDICTS)
    def show_institution(request: Request, institution_id: str) -> Response:
        return show(request, "institution", institution_id)

    _add_pictures(router, database, zone)
    return router


def _add_pictures(router: APIRouter, database: Database, zone: ZoneInfo) -> None:
    @router.get("/pictures")
    @needs(Permission.VERDICTS)
    def show_pictures(
        request: Request,
        institution: Annotated[str, Query(max_length=200)],
        month: Annotated[str, Query(pattern=r"^\d{4}-\d{2}$")],
        part: bool = False,
    ) -> Response:
        """Show an institution's machines, coverage and witnesses: as a page, or the part of one."""
        try:
            first, last = month_bounds(month)
        except ValueError:
            raise HTTPException(404) from None
        with database.reading() as connection:
            named = {row["institution_id"]: row for row in reading.institutions(connection)}
            folders = reading.folders_of_days(connection, first, last)
        if institution not in named or not viewer.sees(institution):
            raise HTTPException(404)
        own_zone = ZoneInfo(named[institution]["timezone"]) if named[institution]["timezone"] else zone
        frames = [Frame(Path(folder) / "tables", days) for folder, days in folders.items()]
        with month_facts.opened(frames, own_zone) as reader:
            facts = reader.facts(institution)
        viewer.note_persons(person for _, person in facts.vouched)
        masked = {(own, viewer.told_apart(one)): times for (own, one), times in facts.vouched.items()}
        facts = replace(facts, vouched=masked)
        figures = month_facts.figures(texts(choose_language(request)), month, facts)
        template = "pictures_part.html" if part else "pictures.html"
        return render(request, template, about=named[institution], month=month, figures=figures)
