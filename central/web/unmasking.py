"""Seeing a person's whole number: an act with a reason, after showing who one is, and written down."""

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from renzheng.central.access.roles import Permission
from renzheng.central.store import viewer
from renzheng.central.web.access import read_form
from renzheng.central.web.console.pages import render
from renzheng.central.web.guard import needs

SHORTEST, LONGEST = 4, 300


class UnmaskAsked(BaseModel):
    """Whose number is wanted, by the handle that the API gave, and why."""

    model_config = ConfigDict(extra="forbid")

    person_id: str = Field(min_length=1, max_length=400)
    reason: str = Field(min_length=SHORTEST, max_length=LONGEST)


class Unmasked(BaseModel):
    """A person's whole number."""

    person_id: str


def _unmask(handle: str, reason: str) -> str | None:
    """Return whom a handle stands for, and keep that it was asked and why; None when it is none."""
    masks, reason = viewer.masks(), " ".join(reason.split())
    number = masks.person(handle) if masks else None
    if number is None or not SHORTEST <= len(reason) <= LONGEST:
        return None
    viewer.note_persons([number])
    viewer.remark(f"({reason})")
    return number


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

    return router
