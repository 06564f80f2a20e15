"""Puts the pages of cases together."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from renzheng.central.web.case_pages import (
    case_page,
    correction_pages,
    doubt_page,
    ledger_page,
    listing,
    overview,
    penalty_pages,
    power_pages,
    question_pages,
    summons_pages,
)
from renzheng.central.web.case_pages.parts import Office


def build_router(office: Office) -> APIRouter:
    """Build the pages; fixed addresses come before those with an id in them."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    beside = (penalty_pages, correction_pages, power_pages, question_pages, summons_pages)
    for part in (overview, listing, ledger_page, *beside, case_page, doubt_page):
        router.include_router(part.build_router(office))
    return router
