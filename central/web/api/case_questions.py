"""Questions to patients over the API; for the bureau only."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from renzheng.central.access.roles import Permission
from renzheng.central.cases import patient_questions
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.patient_questions import PatientQuestions, Question
from renzheng.central.cases.reading import must_be_of_the_bureau
from renzheng.central.store.database import Database
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs


def add_to(router: APIRouter, database: Database, questions: PatientQuestions) -> None:
    """Add the routes to those of cases."""

    @router.get("/patient-questions")
    @needs(Permission.CASES)
    def read_questions(request: Request) -> Response:
        """List what patients were asked, by doubt, and what came of it."""
        must_be_of_the_bureau(case_routes.actor_of(database, request))
        with database.reading() as connection:
            found = patient_questions.read(connection)
        return case_routes.answered({"questions": [shown(one) for one in found.values()]})

    @router.post("/patient-questions/{doubt_id}")
    @needs(Permission.CASES_STEP)
    async def put(request: Request, doubt_id: case_routes.Id) -> Response:
        """Put the question about the line of a doubt: `reason`."""
        reason = case_routes.text_of(case_routes.read_body(await request.body()), "reason")
        actor = case_routes.actor_of(database, request)
        found = await run_in_threadpool(questions.put, actor, doubt_id, reason)
        return case_routes.answered(shown(found), status=201)

    @router.post("/patient-questions/{doubt_id}/calls")
    @needs(Permission.CASES_STEP)
    async def record(request: Request, doubt_id: case_routes.Id) -> Response:
        """Record what came of a call: `outcome`, and `alone`."""
        body = case_routes.read_body(await request.body())
        outcome, alone = case_routes.text_of(body, "outcome"), body.get("alone", False)
        if not isinstance(alone, bool):
            raise BodyError("alone is true or false.")
        actor = case_routes.actor_of(database, request)
        found = await run_in_threadpool(questions.record, actor, doubt_id, outcome, alone=alone)
        return case_routes.answered(shown(found))


def shown(one: Question) -> dict[str, Any]:
    """Return a question as the API shows it."""
    return {name: getattr(one, name) for name in Question.__slots__}
