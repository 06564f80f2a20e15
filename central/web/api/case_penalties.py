"""The enforcement track over the API."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from renzheng.central.access.roles import Permission
from renzheng.central.cases import penalty_keeping
from renzheng.central.cases.amounts import fen
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.penalties import Asked, Penalty
from renzheng.central.cases.penalty_keeping import Penalties
from renzheng.central.store.database import Database
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs
from renzheng.contracts.money import yuan

MOST_NAMED = 200


def add_to(router: APIRouter, database: Database, penalties: Penalties) -> None:
    """Add the routes to those of cases."""

    @router.get("/penalties")
    @needs(Permission.CASES)
    def read_penalties(request: Request) -> Response:
        """List enforcement files, what is due next first."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            found = penalty_keeping.listed(connection, actor)
        return case_routes.answered({"penalties": [shown(one) for one in found]})

    @router.post("/penalties")
    @needs(Permission.CASES_STEP)
    async def open_penalty(request: Request) -> Response:
        """Begin a file: `doubts`, `source`, `party`, `article`, `loss`."""
        body = case_routes.read_body(await request.body())
        actor = case_routes.actor_of(database, request)

        def do() -> Penalty:
            article = body.get("article")
            return penalties.open(
                actor, case_routes.texts_of(body, "doubts", MOST_NAMED), case_routes.text_of(body, "source"),
                case_routes.text_of(body, "party"),
                article if isinstance(article, int) else 0, fen(body.get("loss")),
            )  # fmt: skip

        return case_routes.answered(shown(await run_in_threadpool(do)), status=201)

    @router.get("/penalties/{penalty_id}")
    @needs(Permission.CASES)
    def read_penalty(request: Request, penalty_id: case_routes.Id) -> Response:
        """Read an enforcement file with its journal."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            found = penalty_keeping.read(connection, actor, penalty_id)
            kept = penalty_keeping.journal_of(connection, penalty_id)
        entries = [{"entry": one.entry.decode(), "hash": one.hash} for one in kept]
        return case_routes.answered({**shown(found), "journal": entries})

    @router.post("/penalties/{penalty_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def step(request: Request, penalty_id: case_routes.Id, act: case_routes.Id) -> Response:
        """Do a step on an enforcement file; answers the file after it."""
        asked, seen = _asked(case_routes.read_body(await request.body())), case_routes.seen_by(request)
        actor = case_routes.actor_of(database, request)
        after = await run_in_threadpool(penalties.act, actor, penalty_id, act, asked, seen)
        return case_routes.answered(shown(after))


def shown(one: Penalty) -> dict[str, Any]:
    """Return an enforcement file as the API shows it, amounts in yuan."""
    found = {name: getattr(one, name) for name in Penalty.__slots__}
    money = {name: found.pop(f"{name}_fen") for name in ("loss", "notified", "fine")}
    amounts = {name: None if value is None else yuan(value) for name, value in money.items()}
    return {**found, **amounts, "id": found.pop("penalty_id")}


def _asked(body: Mapping[str, Any]) -> Asked:
    officers = body.get("officers") or {}
    if not isinstance(officers, dict) or not all(isinstance(one, str) for one in officers.values()):
        raise BodyError("officers is an object of accounts and the numbers of their certificates.")
    for one in (*officers, *officers.values()):
        case_routes.must_fit("officers", one)
    texts = {name: case_routes.text_of(body, name) for name in ("reason", "text", "to", "degree")}
    return Asked(
        **texts,
        amount_fen=None if body.get("amount") is None else fen(body["amount"]),
        officers=officers,
        members=case_routes.texts_of(body, "members", MOST_NAMED),
        qualified=body.get("qualified") is True,
        consent=body.get("consent") is True,
        paid=body.get("paid") is True,
    )
