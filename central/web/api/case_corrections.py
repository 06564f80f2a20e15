"""What institutions have found and returned themselves, over the API."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from renzheng.central.access.roles import Permission
from renzheng.central.cases import corrections
from renzheng.central.cases.amounts import fen
from renzheng.central.cases.corrections import Corrections
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs
from renzheng.contracts.money import yuan


def add_to(router: APIRouter, database: Database, steps: Corrections) -> None:
    """Add the routes to those of cases."""

    @router.get("/self-corrections")
    @needs(Permission.CASES)
    def read_corrections(limit: case_routes.Limit = 100, offset: case_routes.Offset = 0) -> Response:
        """List what institutions have declared, each with the proof of its return, or none."""
        with database.reading() as connection:
            total, rows = corrections.listed(connection, limit, offset)
        return case_routes.answered({"total": total, "self_corrections": [_shown(row) for row in rows]})

    @router.post("/self-corrections")
    @needs(Permission.CASES_STEP)
    async def declare(request: Request) -> Response:
        """Declare lines of one's own institution as wrongly billed: `line_ids` and `text`."""
        body = case_routes.read_body(await request.body())
        lines = case_routes.texts_of(body, "line_ids", corrections.MOST_LINES)
        actor = case_routes.actor_of(database, request)
        ids = await run_in_threadpool(steps.declare, actor, lines, case_routes.text_of(body, "text"))
        return case_routes.answered({"correction_ids": ids}, status=201)

    @router.post("/self-corrections/look")
    @needs(Permission.CASES_STEP)
    def look() -> Response:
        """Look for reversals of declared lines in the claims."""
        return case_routes.answered({"proven": steps.look_for_reversals()})

    @router.post("/self-corrections/{correction_id}/receipt")
    @needs(Permission.CASES_STEP)
    async def record(request: Request, correction_id: case_routes.Id) -> Response:
        """Record the receipt of the money of a declared line: `reference` and `amount`."""
        body = case_routes.read_body(await request.body())
        reference, amount = case_routes.text_of(body, "reference"), fen(case_routes.text_of(body, "amount"))
        actor = case_routes.actor_of(database, request)
        await run_in_threadpool(steps.record_receipt, actor, correction_id, reference, amount)
        return case_routes.answered({"correction_id": correction_id, "proof": corrections.RECEIPT})


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = (
        "correction_id",
        "institution_id",
        "line_id",
        "declared_by",
        "text",
        "proof",
        "reference",
        "proven_by",
    )
    proven = row["proven_at"]
    return {
        **{name: row[name] for name in kept},
        "amount": yuan(row["amount_fen"]),
        "declared_at": from_us(row["declared_at"]).isoformat(),
        "proven_at": from_us(proven).isoformat() if proven is not None else None,
    }
