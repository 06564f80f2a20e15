"""The console's page of inpatients: who lies where, a form for sites without ADT, outcomes of messages."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.adt import stay_journal
from renzheng.central.adt.messages import masked, surname_of
from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.adt.reading import count_outcomes, read_outcomes, read_stays
from renzheng.central.adt.roster import institution_zone
from renzheng.central.adt.stay_journal import Origin, ReportedEvent
from renzheng.central.claims.rejects import RowPlace
from renzheng.central.claims.stay_events import StayEvent, StayEventKind
from renzheng.central.claims.values import ValueProblem, read_id, read_text
from renzheng.central.errors import RosterFormError
from renzheng.central.settings import Settings
from renzheng.central.store import schema, viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.web.access import is_from_here
from renzheng.central.web.console.forms import read_fields
from renzheng.central.web.console.pages import Times, render
from renzheng.central.web.guard import needs
from renzheng.contracts.ids import is_bureau

FORM = "form"
KINDS = (
    "admit",
    "transfer",
    "discharge",
    "leave",
    "return",
    "cancel_leave",
    "cancel_discharge",
    "cancel_admit",
)
LEAVE_KINDS = ("leave", "examination", "transfer")
OUTCOMES_SHOWN = 30


def build_router(database: Database, settings: Settings, clock: Callable[[], datetime]) -> APIRouter:
    """Build the page over a store."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def show(request: Request, chosen: str, *, status: int = 200, **said: Any) -> Response:
        with database.reading() as connection:
            known = _institutions(connection)
            chosen = chosen if chosen in known else next(iter(known), "")
            zone = institution_zone(connection, chosen, settings.timezone)
            values: dict[str, Any] = {
                "stays": read_stays(connection, chosen, to_us(clock())),
                "outcomes": read_outcomes(connection, institution_id="", limit=OUTCOMES_SHOWN),
                "counts": count_outcomes(connection),
            }
        told = {"outcome": None, "problem": "", "form": {}, **said}
        return render(
            request,
            "inpatients.html",
            status=status,
            institutions=known,
            chosen=chosen,
            kinds=KINDS,
            leave_kinds=LEAVE_KINDS,
            when=Times(zone),
            **values,
            **told,
        )

    @router.get("/inpatients")
    @needs(Permission.STAYS)
    def show_inpatients(request: Request, institution: str = "", outcome: str = "") -> Response:
        known = {one.value: one for one in Outcome}
        return show(request, institution[:200], outcome=known.get(outcome))

    @router.post("/inpatients")
    @needs(Permission.STAYS_CHANGE)
    async def take_form(request: Request) -> Response:
        if not is_from_here(request):
            return show(request, "", status=403, problem="origin")
        form = await read_fields(request)
        return await run_in_threadpool(take, request, form)

    def take(request: Request, form: Mapping[str, str]) -> Response:
        institution = form.get("institution", "")[:200]
        try:
            with database.writing() as connection:
                zone = institution_zone(connection, institution, settings.timezone)
                ending = _take(connection, form, zone, clock())
        except RosterFormError as error:
            return show(request, institution, status=400, problem=error.attributes["field"], form=form)
        told = urlencode({"institution": institution, "outcome": ending.outcome.value})
        return RedirectResponse(f"/inpatients?{told}", status_code=303)  # a reload must not send it again

    return router


def _institutions(connection: sa.Connection) -> Mapping[str, str]:
    table = schema.institutions
    seen = viewer.may_see(table.c.institution_id)
    rows = connection.execute(sa.select(table).where(seen).order_by(table.c.institution_id))
    return {row.institution_id: row.name for row in rows if not is_bureau(row.institution_id)}


def _take(connection: sa.Connection, form: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Ending:
    event = read_form(form, zone, now)
    if not viewer.sees(event.institution_id):
        raise _wrong("institution")
    viewer.note_persons([event.person_id])
    told = ReportedEvent(event, FORM, surname_of(form.get("name", ""), ""), masked(event.person_id))
    ending = stay_journal.take(connection, told, now)
    stay_journal.note(connection, Origin(FORM, event.kind.value), ending, now, event)
    return ending


def read_form(form: Mapping[str, str], zone: ZoneInfo, now: datetime) -> StayEvent:
    """Read what somebody typed as an event; a time left empty is now.

    Raises:
        RosterFormError: a field is missing or cannot be read; `field` names it.
    """
    kind = form.get("kind", "")
    if kind not in KINDS:
        raise _wrong("kind")
    leave_kind = form.get("leave_kind") or "leave"
    if leave_kind not in LEAVE_KINDS:
        raise _wrong("leave_kind")
    return StayEvent(
        place=RowPlace(FORM, 0),
        kind=StayEventKind(kind),
        institution_id=_id(form, "institution"),
        visit_id=_id(form, "visit"),
        person_id=_id(form, "person"),
        at=_moment(form, "at", zone) or now,
        recorded_at=now,
        ward=_text(form, "ward"),
        bed=_text(form, "bed"),
        due_back_at=_moment(form, "due_back_at", zone) if kind == "leave" else None,
        leave_kind=leave_kind if kind == "leave" else None,
        approved_by=_needed(form, "approved_by") if kind == "leave" else None,
    )


def _wrong(field: str) -> RosterFormError:
    return RosterFormError(f"The field {field} cannot be read.", do="Fill it in and send again.", field=field)


def _id(form: Mapping[str, str], name: str) -> str:
    try:
        return read_id(form.get(name, ""))
    except ValueProblem:
        raise _wrong(name) from None


def _text(form: Mapping[str, str], name: str) -> str | None:
    try:
        return read_text(form[name]) if form.get(name, "").strip() else None
    except ValueProblem:
        raise _wrong(name) from None


def _needed(form: Mapping[str, str], name: str) -> str:
    found = _text(form, name)
    if found is None:
        raise _wrong(name)
    return found


def _moment(form: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong(name) from None
