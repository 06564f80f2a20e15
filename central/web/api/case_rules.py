"""What cases teach and whom they tell, over the API: powers of rules, doubts alike, notices."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from renzheng.central.access.roles import Permission
from renzheng.central.cases import lists, notices, powers, reading
from renzheng.central.cases.keeping import Cases
from renzheng.central.store.database import Database
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs


def add_to(router: APIRouter, database: Database, cases: Cases) -> None:
    """Add the routes to those of cases."""

    @router.get("/rules/powers")
    @needs(Permission.CASES)
    def read_powers() -> Response:
        """List the rules that have lost power or got it back: since when, by whom and why."""
        with database.reading() as connection:
            found = powers.powers(connection)
        return case_routes.answered({"rules": [shown_power(one) for _, one in sorted(found.items())]})

    @router.post("/rules/{rule_id}/restore")
    @needs(Permission.CASES_STEP)
    async def restore(request: Request, rule_id: case_routes.Id) -> Response:
        """Give a rule its full power again: `version` and `reason`."""
        body = case_routes.read_body(await request.body())
        version, reason = (case_routes.text_of(body, name) for name in ("version", "reason"))
        actor = case_routes.actor_of(database, request)
        after = await run_in_threadpool(cases.restore_rule, actor, rule_id, version, reason)
        return case_routes.answered(shown_power(after))

    @router.get("/notices")
    @needs(Permission.CASES)
    def read_notices(request: Request, limit: case_routes.Limit = 100) -> Response:
        """List the newest notices of cases for whoever asks, with what became of sending them."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            found = notices.listed(connection, actor, limit)
        return case_routes.answered({"notices": found})

    @router.get("/doubts/{doubt_id}/alike")
    @needs(Permission.CASES)
    def read_alike(request: Request, doubt_id: case_routes.Id) -> Response:
        """List the open doubts of the shape of one, for another look when it was cleared."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            alike = lists.doubts_alike(connection, actor, doubt)
            rates = lists.overturn_rates(connection)
            shown = [
                case_routes.shown_doubt(
                    one, reading.case_record(connection, one.case_id), rates.get((one.rule_id, one.reason))
                )
                for one in alike
            ]
        return case_routes.answered({"total": len(shown), "doubts": shown})


def shown_power(one: powers.Power) -> Mapping[str, Any]:
    """Return how far a rule may go, as the API shows it."""
    return {name: getattr(one, name) for name in powers.Power.__slots__}
