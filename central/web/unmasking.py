"""Seeing a person's whole number, or finding somebody by it: acts with a reason, and written down.

Where numbers are masked, lists take handles only (`viewer.meant`): who was named in a letter is found here.
"""

from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from renzheng.central.access.roles import Permission
from renzheng.central.store import viewer
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import needs
from renzheng.contracts.ids import normalised_id

SHORTEST, LONGEST = 4, 300


class UnmaskAsked(BaseModel):
    """Whose number is wanted, by the handle that the API gave, and why."""

    model_config = ConfigDict(extra="forbid")

    person_id: str = Field(min_length=1, max_length=400)
    reason: str = Field(min_length=SHORTEST, max_length=LONGEST)


class FindAsked(BaseModel):
    """Whose handle is wanted, by the whole number, and why."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=SHORTEST, max_length=LONGEST)


class Found(BaseModel):
    """A person's handle; whether anything is known of that person, their lists say."""

    person_id: str


class Unmasked(BaseModel):
    """A person's whole number."""

    person_id: str


def _unmask(handle: str, reason: str) -> str | None:
    """Return whom a handle stands for, and keep that it was asked and why; None when it is none."""
    masks = viewer.masks()
    number = masks.person(handle) if masks else None
    return number if number is not None and _keep(number, reason) else None


def _find(typed: str, reason: str) -> str | None:
    """Return the handle of a number, and keep who was looked for and why."""
    number = normalised_id(typed)
    return viewer.shown(number) if number and _keep(number, reason) else None


def _keep(number: str, reason: str) -> bool:
    """Keep of whom something is asked and why; say whether the reason will do."""
    reason = " ".join(reason.split())
    if not SHORTEST <= len(reason) <= LONGEST:
        return False
    viewer.note_persons([number])
    viewer.remark(f"({reason})")
    return True


def build_router() -> APIRouter:
    """Build the page and the route of the API."""
    router = APIRouter()

    @router.post("/unmask", include_in_schema=False, response_class=HTMLResponse)
    @needs(Permission.UNMASK)
    async def show_number(request: Request) -> Response:
        form, back = await read_form(request), request.query_params.get("back", "")
        reason = form.get("reason", "")
        number = await run_in_threadpool(_unmask, form.get("person", ""), reason)
        return render(
            request,
            "unmask.html",
            status=200 if number else 400,
            number=number,
            reason=reason,
            back=back if back.startswith("/persons/") else "",
        )

    @router.post("/api/v1/persons/unmask", tags=["persons"])
    @needs(Permission.UNMASK)
    def read_number(asked: UnmaskAsked) -> Unmasked:
        """Read a person's whole number; the reason is kept in the access log."""
        number = _unmask(asked.person_id, asked.reason)
        if number is None:
            raise HTTPException(404, "No person has this handle, or the reason is too short.")
        return Unmasked(person_id=number)

    _add_finding(router)

    return router


def _add_finding(router: APIRouter) -> None:
    @router.get("/find-person", include_in_schema=False, response_class=HTMLResponse)
    @needs(Permission.UNMASK)
    def ask_number(request: Request) -> Response:
        return render(request, "find_person.html", refused=False, reason="")

    @router.post("/find-person", include_in_schema=False, response_class=HTMLResponse)
    @needs(Permission.UNMASK)
    async def find_number(request: Request) -> Response:
        form = await read_form(request)
        reason = form.get("reason", "")
        handle = await run_in_threadpool(_find, form.get("number", "")[:200], reason)
        if handle is None:
            return render(request, "find_person.html", status=400, refused=True, reason=reason)
        return RedirectResponse(f"/persons/{quote(handle)}", status_code=303)

    @router.post("/api/v1/persons/find", tags=["persons"])
    @needs(Permission.UNMASK)
    def read_handle(asked: FindAsked) -> Found:
        """Read a person's handle by the whole number; the reason is kept in the access log."""
        handle = _find(asked.number, asked.reason)
        if handle is None:
            raise HTTPException(404, "There is no number, or the reason is too short.")
        return Found(person_id=handle)
