"""What doubts have come to in money, by institution and month, and how often each rule was overturned."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response

from renzheng.central.access.roles import Permission
from renzheng.central.cases import lists, reading
from renzheng.central.cases.money import Ledger
from renzheng.central.pictures.bars import bars
from renzheng.central.pictures.drawing import Figure
from renzheng.central.store.reading import institution_names
from renzheng.central.texts import Texts
from renzheng.central.web.case_pages.overview import months_of
from renzheng.central.web.case_pages.parts import Office, page, words
from renzheng.central.web.console.pages import Text, money
from renzheng.central.web.guard import needs

BOXES = ("at_stake", "drafted", "dropped", "issued", "accepted", "contested", "deducted", "returned",
         "cleared", "withdrawn", "undecided", "fund")  # fmt: skip
"""Columns, as a ledger has them."""
PARTS: Mapping[str, str] = {
    "deducted": "ledger.deducted", "cleared": "ledger.cleared", "undecided": "ledger.undecided",
    "withdrawn": "ledger.withdrawn", "drafted": "ledger.drafted", "dropped": "ledger.dropped",
}  # fmt: skip
"""The boxes into which all that is at stake falls, each once, with their names in the catalogue."""


def build_router(office: Office) -> APIRouter:
    """Build the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ledger")
    @needs(Permission.CASES)
    def show_ledger(request: Request, month: Text = "", institution: Text = "") -> Response:
        actor, t = office.actor(request), words(request)
        with office.database.reading() as connection:
            found = lists.ledgers(connection, actor, institution, month)
            names = institution_names(connection)
            months = months_of(connection, actor)
            own = lists.overturns_of(connection, month, actor)
            everywhere = {(one.rule_id, one.reason): one for one in lists.overturns_of(connection)}
        at_hospital = reading.is_of_a_hospital(actor)
        by = 1 if at_hospital or institution else 0
        named = {} if by else names
        title = t("ledger.by_month") if by else t("ledger.by_institution")
        return page(
            request,
            office,
            "case_ledger.html",
            rows=found.rows,
            sum=found.sum,
            boxes=[box for box in BOXES if not at_hospital or box not in {"drafted", "dropped"}],
            names=names,
            months=months,
            month=month,
            institution=institution,
            figure=_figure(t, title, found.rows, by, named),
            own=own,
            everywhere=everywhere,
            at_hospital=at_hospital,
        )

    return router


def _figure(
    t: Texts,
    title: str,
    rows: Sequence[tuple[tuple[str, str], Ledger]],
    by: int,
    names: Mapping[str, str],
) -> Figure | None:
    held: dict[str, dict[str, int]] = {}
    for place, ledger in rows:
        own = held.setdefault(names.get(place[by]) or place[by], {})
        for box, part in PARTS.items():
            own[part] = own.get(part, 0) + getattr(ledger, box)
    return bars(t, title, list(PARTS.values()), list(held.items()), money) if held else None
