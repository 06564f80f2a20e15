"""Cases and doubts over the API: thin, over `cases.keeping` and `cases.reading`.

A refused step is a problem document (RFC 9457) with the guard's name; the version of a doubt or case is its
ETag, and a step may name the version that its caller has seen (`If-Match`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response
from joserfc.jwk import OKPKey
from starlette.concurrency import run_in_threadpool

from renzheng.central.access import accounts
from renzheng.central.access.roles import Permission, Role
from renzheng.central.cases import (
    attachments,
    bundle,
    comments,
    frozen_log,
    later,
    letters,
    lists,
    reading,
    seen_journal,
)
from renzheng.central.cases.amounts import fen
from renzheng.central.cases.doubts import Case, Doubt
from renzheng.central.cases.errors import (
    BodyError,
    CaseError,
    MayNotError,
    NotFoundError,
    StaleError,
    StepRefusedError,
)
from renzheng.central.cases.guards import Actor, Body
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.money import Ledger, Overturn
from renzheng.central.cases.terms import term_of
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.web.guard import needs, note_whole_numbers, visitor_of
from renzheng.contracts.money import yuan
from renzheng.contracts.once import loads_once

PROBLEM = "application/problem+json"
MOST_BODY_BYTES = 200_000
MOST_TEXT = 20_000
MOST_NAME = 200
"""Of what names something; such texts stand in indexes, in PostgreSQL of 2,700 bytes at most."""
WRITTEN = frozenset({"reason", "text"})
"""Texts that people write; all others name something."""
MOST_ATTACHMENTS = 50
MOST_DIGITS = 9
MOST_DOUBTS = 1000
"""Of one step on many."""
STATUSES: Mapping[type[CaseError], int] = {
    StepRefusedError: 409,
    StaleError: 412,
    NotFoundError: 404,
    MayNotError: 403,
    BodyError: 422,
}
Id = Annotated[str, Path(min_length=1, max_length=100)]
Text = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
_TEXTS = ("reason", "text", "decision", "position", "doctor", "to", "period")


def build_router(  # noqa: PLR0917 - what every route may need
    database: Database,
    cases: Cases,
    clock: Callable[[], datetime],
    signed_by: Callable[[], Sequence[OKPKey]],
    zone: ZoneInfo,
    scan: Callable[[bytes], None],
) -> APIRouter:
    """Build the routes over a store.

    Args:
        database: the store.
        cases: does the steps.
        clock: when it is.
        signed_by: central's keys, those with which it signed before among them.
        zone: the site's, in which days begin, and for letters to institutions without one of their own.
        scan: looks at a file that is handed in, and raises when it is not to be taken.
    """
    router = APIRouter(tags=["cases"])
    _add_lists(router, database, zone)
    _add_reading(router, database)
    _add_proofs(router, database, signed_by, zone)
    _add_comments(router, database, cases)
    _add_steps(router, database, cases)
    _add_many(router, database, cases)
    _add_attachments(router, database, clock, scan)
    return router


def actor_of(database: Database, request: Request) -> Actor:
    """Return who asks, as the accounts have them; whoever has no account has no role in a case."""
    visitor = visitor_of(request)
    if visitor is None:
        return Actor("-", frozenset())
    with database.reading() as connection:
        account = accounts.read(connection, visitor.account_id)
    if account is None:
        return Actor(visitor.account_id, frozenset())
    return Actor(account.account_id, account.roles, account.institutions, account.ties)


def problem(error: CaseError) -> Response:
    """Answer with a problem document."""
    document = problem_document(error)
    return Response(orjson.dumps(document), status_code=document["status"], media_type=PROBLEM)


def problem_document(error: CaseError) -> dict[str, Any]:
    """Write down why a step is refused, as RFC 9457 has it; with the guard's name where one has."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.what,
        "status": STATUSES.get(type(error), 400),
        "detail": " ".join(part for part in (error.why, error.do) if part) or error.what,
    }
    if isinstance(error, StepRefusedError):
        document["guard"] = error.guard
    if isinstance(error, StaleError):
        document["guard"] = "stale"
    return document


def answered(value: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer with JSON; what has a version has it as its ETag too."""
    headers = {"ETag": f'"{value["version"]}"'} if "version" in value else {}
    return Response(orjson.dumps(value), status_code=status, media_type="application/json", headers=headers)


def shown_doubt(
    doubt: Doubt, case: Case, overturned: float | None, newest: later.Newest | None = None
) -> dict[str, Any]:
    """Return a doubt as the API shows it, with what the newest audit says of it where that is known."""
    viewer.note_persons([doubt.person_id])
    of_the_bureau = (
        viewer.sees_all()
    )  # who of the bureau did what, and referrals, are not told an institution
    return {
        "id": doubt.doubt_id,
        "case": doubt.case_id,
        "institution_id": doubt.institution_id,
        "month": doubt.month,
        "person_id": viewer.shown(doubt.person_id),
        "line_ids": [line.line_id for line in doubt.lines],
        "finding_id": doubt.finding_id,
        "rule_id": doubt.rule_id,
        "rule_version": doubt.rule_version,
        "verdict": doubt.verdict,
        "reason": doubt.reason,
        "newest_audit": newest
        and {"verdict": newest.verdict, "lines": newest.lines, "clears": newest.clears},
        "amount_at_stake": yuan(doubt.at_stake_fen),
        "amount": yuan(doubt.amount_fen),
        "state": doubt.state,
        "version": doubt.version,
        "confirmed": doubt.confirmed,
        **shown_term(doubt, case),
        "evidence_sha256": doubt.evidence_sha256,
        "also_flagged_by": [
            {"rule_id": one.rule_id, "rule_version": one.rule_version, "reason": one.reason,
             "amount": yuan(one.amount_fen)}
            for one in doubt.also_flagged_by
        ],
        "clears_it": lists.clears(doubt.reason),
        "overturn_rate": overturned,
        "doctor": doubt.doctor,
        "answer": doubt.answer,
        "position": doubt.position,
        "accepted": yuan(doubt.accepted_fen),
        "statement": doubt.statement,
        "attachments": doubt.attachments,
        "late": doubt.late,
        "medical": doubt.medical,
        "opinions": [
            {"stage": one.stage, "account": one.account if of_the_bureau else None, "decision": one.decision,
             "amount": yuan(one.amount_fen), "reason": one.reason}
            for one in doubt.opinions
        ],
        "members": doubt.members if of_the_bureau else (),
        "voted": doubt.voted if of_the_bureau else (),
        "ended_reason": doubt.ended_reason,
        "decided_at": doubt.decided_at,
        "deducted": yuan(doubt.deducted_fen),
        "period": doubt.period,
        "returned": yuan(doubt.returned_fen),
        "referrals": [
            {"to": one.to, "reason": one.reason, "account": one.account, "at": one.at, "receipt": one.receipt,
             "received_at": one.received_at, "answer": one.answer, "answered_at": one.answered_at}
            for one in (doubt.referrals if of_the_bureau else ())
        ],
    }  # fmt: skip


def shown_comment(one: comments.Comment) -> dict[str, Any]:
    """Return a comment as the API shows it."""
    return {
        "id": one.comment_id,
        "account": one.account,
        "at": one.at,
        "text": one.text,
        "sha256": one.sha256,
    }


def shown_term(doubt: Doubt, case: Case) -> dict[str, Any]:
    """Return until when the next step is to be done, which, and how that was counted."""
    term = term_of(doubt, case)
    due = term.due if term else None
    return {
        "due_at": due and due.at,
        "due_explained": due and due.explained,
        "due_stage": term and term.stage,
        "owed": doubt.owed if doubt.owed_since else None,
        "owed_since": doubt.owed_since,
    }


def shown_case(case: Case, counted: lists.Counted | None = None) -> dict[str, Any]:
    """Return a case as the API shows it."""
    counted = counted or lists.Counted()
    return {
        "id": case.case_id,
        "institution_id": case.institution_id,
        "month": case.month,
        "state": case.state,
        "version": case.version,
        "issued_at": case.issued_at,
        "received_at": case.received_at,
        "received_by": case.received_by,
        "due_at": case.due_at,
        "due_explained": case.due_explained,
        "members": case.members if viewer.sees_all() else (),
        "conflicts": case.conflicts if viewer.sees_all() else {},
        "closed_at": case.closed_at,
        "doubts": counted.doubts,
        "amount_at_stake": yuan(counted.at_stake_fen),
    }


def shown_ledger(ledger: Ledger) -> dict[str, Any]:
    """Return a ledger in yuan."""
    return {
        name: None if (value := getattr(ledger, name)) is None else yuan(value) for name in Ledger.__slots__
    }


def shown_overturn(one: Overturn) -> dict[str, Any]:
    """Return how a rule has fared."""
    found = {name: getattr(one, name) for name in Overturn.__slots__}
    return {**found, "rate": one.rate}


def _add_lists(router: APIRouter, database: Database, zone: ZoneInfo) -> None:
    @router.get("/cases")
    @needs(Permission.CASES)
    def read_cases(  # noqa: PLR0917 - each is a query parameter
        request: Request,
        institution_id: Text = "",
        month: Text = "",
        state: Text = "",
        due_before: Text = "",
        sort: Text = "-month",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Response:
        """List cases; `state` is a case's, or a doubt's for the cases that hold one in it."""
        actor = actor_of(database, request)
        due = lists.moment_of(due_before, zone)
        chosen = lists.CaseChoice(institution_id, month, state, due, sort, limit, offset)
        with database.reading() as connection:
            total, found = lists.cases(connection, actor, chosen)
        return answered({"total": total, "cases": [shown_case(case, counted) for case, counted in found]})

    @router.get("/doubts")
    @needs(Permission.CASES)
    def read_doubts(  # noqa: PLR0917 - each is a query parameter
        request: Request,
        case: Text = "",
        institution_id: Text = "",
        month: Text = "",
        state: Text = "",
        rule_id: Text = "",
        person_id: Text = "",
        due_before: Text = "",
        sort: Text = "-amount",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Response:
        """List doubts, the largest first."""
        actor = actor_of(database, request)
        chosen = lists.DoubtChoice(
            case, institution_id, month, state, rule_id, viewer.meant(person_id),
            due_before=lists.moment_of(due_before, zone), sort=sort, limit=limit, offset=offset,
        )  # fmt: skip
        with database.reading() as connection:
            total, found = lists.doubts(connection, actor, chosen)
            shown = _shown_doubts(connection, found)
        return answered({"total": total, "doubts": shown})

    @router.get("/statistics/overturns")
    @needs(Permission.CASES)
    def read_overturns(month: Text = "") -> Response:
        """Read how often each rule was overturned, with Wilson's 95 % interval; of a month, or of all."""
        with database.reading() as connection:
            found = lists.overturns_of(connection, month)
        return answered({"overturns": [shown_overturn(one) for one in found]})

    @router.get("/ledger")
    @needs(Permission.CASES)
    def read_ledger(  # noqa: PLR0917 - each is a query parameter
        request: Request,
        institution_id: Text = "",
        month: Text = "",
        sort: Text = "institution_id",
        limit: Limit = 1000,
        offset: Offset = 0,
    ) -> Response:
        """Read what doubts have come to in money, per institution and month, and their sum."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            found = lists.ledgers(connection, actor, institution_id, month)
        rows = [
            {"institution_id": of[0], "month": of[1], **shown_ledger(ledger)}
            for of, ledger in found.page(sort, limit, offset)
        ]
        return answered({"total": len(found.rows), "ledger": rows, "sum": shown_ledger(found.sum)})


def _add_reading(router: APIRouter, database: Database) -> None:
    @router.get("/cases/{case_id}")
    @needs(Permission.CASES)
    def read_case(request: Request, case_id: Id) -> Response:
        """Read a case with its doubts."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            return answered(_whole_case(connection, actor, reading.case_of(connection, actor, case_id)))

    @router.get("/doubts/{doubt_id}")
    @needs(Permission.CASES)
    def read_doubt(request: Request, doubt_id: Id) -> Response:
        """Read a doubt."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            return answered(_whole_doubt(connection, reading.doubt_of(connection, actor, doubt_id)))

    @router.get("/doubts/{doubt_id}/evidence")
    @needs(Permission.CASES_FILES)
    def read_evidence(request: Request, doubt_id: Id) -> Response:
        """Read the frozen evidence of a doubt: byte for byte as it was hashed, or its institution's form."""
        note_whole_numbers(request)
        actor = actor_of(database, request)
        with database.reading() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            frozen = reading.evidence_for(connection, actor, doubt)
        viewer.note_persons([doubt.person_id])
        if frozen is None:
            raise NotFoundError("The evidence is frozen when the doubt is confirmed.")
        return Response(frozen, media_type="application/json")


def _add_proofs(
    router: APIRouter, database: Database, signed_by: Callable[[], Sequence[OKPKey]], usual: ZoneInfo
) -> None:
    @router.get("/cases/{case_id}/journal")
    @needs(Permission.CASES_FILES)
    def read_journal(request: Request, case_id: Id) -> Response:
        """Read the case's journal: each entry as it was hashed, its hash and central's signature.

        The institution has it in its own form (docs/case-bundle.md).
        """
        note_whole_numbers(request)
        actor = actor_of(database, request)
        with database.reading() as connection:
            case = reading.whole_case_of(connection, actor, case_id)
            kept = reading.read_journal(connection, case_id)
            viewer.note_persons(one.person_id for one in reading.doubts_of(connection, case_id))
        if reading.is_of_a_hospital(actor):
            seen, _ = seen_journal.journal_for_institution(case_id, case.institution_id, kept)
            return answered({"case": case_id, "entries": [one.plain() for one in seen]})
        entries = [
            {"entry": one.entry.decode(), "hash": one.hash, "signature": one.signature.decode()}
            for one in kept
        ]
        return answered({"case": case_id, "entries": entries})

    @router.get("/cases/{case_id}/letters")
    @needs(Permission.CASES)
    def read_letters(request: Request, case_id: Id) -> Response:
        """Read the letters that the case has come to: kind, title, hash and the page itself."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            _, written = letters_of(connection, actor, case_id, usual)
        told = [
            {"kind": one.kind, "title": one.title, "sha256": one.sha256, "html": one.html.decode()}
            for one in written
        ]
        return answered({"case": case_id, "letters": told})

    @router.get("/cases/{case_id}/bundle")
    @needs(Permission.CASES_FILES)
    def read_bundle(request: Request, case_id: Id) -> Response:
        """Take the case away as one file, which `renzheng case verify` checks without this service."""
        note_whole_numbers(request)
        actor = actor_of(database, request)
        with database.reading() as connection:
            reading.whole_case_of(connection, actor, case_id)
            case, doubts, kept, evidence = reading.whole(connection, case_id)
            reader = case.institution_id if reading.is_of_a_hospital(actor) else None
            proofs = reading.proofs_of(connection, evidence, reader)
            elsewhere = reading.names_elsewhere(connection, case.institution_id)
        viewer.note_persons(one.person_id for one in doubts)
        viewer.note_persons(frozen_log.persons_in(proofs.batches.values()))
        if reader is None:
            made = bundle.write(case, doubts, kept, evidence, signed_by(), proofs)
        else:
            made = bundle.write_for_institution(case, kept, evidence, signed_by(), proofs, elsewhere)
        headers = {"Content-Disposition": f'attachment; filename="case-{case.month}-{case_id}.zip"'}
        return Response(made, media_type="application/zip", headers=headers)


def letters_of(
    connection: sa.Connection, actor: Actor, case_id: str, usual: ZoneInfo
) -> tuple[Case, Sequence[letters.Letter]]:
    """Read a case that an actor sees, and the letters that it has come to.

    Raises:
        NotFoundError: there is none, or it is not theirs.
    """
    case = reading.case_of(connection, actor, case_id)
    doubts = lists.doubts_seen(connection, actor, case_id)
    name, zone = reading.institution_of(connection, case, usual)
    viewer.note_persons(one.person_id for one in doubts)
    return case, letters.letters_of(case, doubts, name, zone, lists.overturns_of(connection))


def _shown_doubts(connection: sa.Connection, found: Sequence[tuple[Doubt, Case]]) -> list[dict[str, Any]]:
    """Show doubts with what the newest audit says of them and how often their rules were overturned."""
    rates = lists.overturn_rates(connection)
    newest = later.newest_audit(connection, [one for one, _ in found])
    return [
        shown_doubt(one, of, rates.get((one.rule_id, one.reason)), newest.get(one.doubt_id))
        for one, of in found
    ]


def _whole_cases(connection: sa.Connection, actor: Actor, cases: Sequence[Case]) -> list[dict[str, Any]]:
    by_case = [(case, lists.doubts_seen(connection, actor, case.case_id)) for case in cases]
    shown = iter(_shown_doubts(connection, [(one, case) for case, found in by_case for one in found]))
    return [
        {
            **shown_case(case, lists.Counted(len(found), sum(one.at_stake_fen for one in found))),
            "doubts": list(islice(shown, len(found))),
        }
        for case, found in by_case
    ]


def _whole_case(connection: sa.Connection, actor: Actor, case: Case) -> dict[str, Any]:
    return _whole_cases(connection, actor, [case])[0]


def _whole_doubt(connection: sa.Connection, doubt: Doubt) -> dict[str, Any]:
    case = reading.case_record(connection, doubt.case_id)
    return _shown_doubts(connection, [(doubt, case)])[0]


def _add_comments(router: APIRouter, database: Database, cases: Cases) -> None:
    @router.get("/doubts/{doubt_id}/comments")
    @needs(Permission.CASES)
    def read_comments(request: Request, doubt_id: Id) -> Response:
        """Read the comments of one's own side: the bureau's, or the institution's."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            found = comments.seen(connection, actor, doubt)
        viewer.note_persons([doubt.person_id])
        return answered({"comments": [shown_comment(one) for one in found]})

    @router.post("/doubts/{doubt_id}/comments")
    @needs(Permission.CASES_STEP)
    async def comment(request: Request, doubt_id: Id) -> Response:
        """Write a comment (`text`) for one's own side; nothing of the doubt changes."""

        def do(body: Mapping[str, Any]) -> dict[str, Any]:
            actor = actor_of(database, request)
            return shown_comment(cases.comment(actor, doubt_id, text_of(body, "text")))

        return await _done(request, do)


def _add_steps(router: APIRouter, database: Database, cases: Cases) -> None:
    @router.post("/cases/draft")
    @needs(Permission.CASES_DRAFT)
    async def draft(request: Request) -> Response:
        """Draft what the current verdicts and findings of a month hold; repeats add nothing."""
        return await _done(request, lambda body: _draft(request, body))

    def _draft(request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
        actor = actor_of(database, request)
        drafted = cases.draft(actor, text_of(body, "month"), text_of(body, "institution_id"))
        with database.reading() as connection:
            shown = _whole_cases(connection, actor, drafted.cases)
        left = [
            {
                "line_id": one.line_id,
                "rule_id": one.candidate.rule_id,
                "guard": one.guard,
                "doubt": one.doubt_id,
            }
            for one in drafted.left
        ]
        return {"cases": shown, "added": drafted.added, "left": left}

    @router.post("/doubts/{doubt_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def step(request: Request, doubt_id: Id, act: Id) -> Response:
        """Do a step on a doubt; answers the doubt after it."""

        def do(body: Mapping[str, Any]) -> dict[str, Any]:
            actor = actor_of(database, request)
            cases.may_ask(actor, doubt_id, act)
            after = cases.act(actor, doubt_id, act, _body(body), seen_by(request))
            with database.reading() as connection:
                return _whole_doubt(connection, after)

        return await _done(request, do)

    @router.post("/cases/{case_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def step_on_case(request: Request, case_id: Id, act: Id) -> Response:
        """Issue, receive or close a case, or set its panel; answers the case after it."""

        def do(body: Mapping[str, Any]) -> dict[str, Any]:
            actor, seen = actor_of(database, request), seen_by(request)
            if act == "panel":
                after = cases.panel(
                    actor, case_id, _body(body), lambda one: is_tied(database, case_id, one), seen
                )
            elif act in {"issue", "receive", "close"}:
                after = getattr(cases, act)(actor, case_id, seen)
            else:
                raise NotFoundError(f"There is no step {act!r} on a case.")
            with database.reading() as connection:
                return _whole_case(connection, actor, after)

        return await _done(request, do)


def _add_many(router: APIRouter, database: Database, cases: Cases) -> None:
    @router.post("/doubts/{act}")
    @needs(Permission.CASES_STEP)
    async def step_on_many(request: Request, act: Id) -> Response:
        """Do the same step on many doubts; answers what was done, and what was refused with its guard."""

        def do(body: Mapping[str, Any]) -> dict[str, Any]:
            wanted = _wanted(body.get("doubts"))
            many = cases.act_on_many(actor_of(database, request), wanted, act, _body(body))
            viewer.note_persons(one.person_id for one in many.done)
            done = [{"id": one.doubt_id, "state": one.state, "version": one.version} for one in many.done]
            refused = [{"id": doubt_id, **problem_document(error)} for doubt_id, error in many.refused]
            return {"done": done, "refused": refused}

        return await _done(request, do)


def _add_attachments(
    router: APIRouter, database: Database, clock: Callable[[], datetime], scan: Callable[[bytes], None]
) -> None:
    @router.post("/attachments")
    @needs(Permission.CASES_STEP)
    async def add_attachment(request: Request) -> Response:
        """Take a file, as the body or as the part `file` of a form; answers its id, kind and hash."""
        content = await _content(request)
        await run_in_threadpool(scan, content)
        return await run_in_threadpool(keep, request, content)

    def keep(request: Request, content: bytes) -> Response:
        actor = actor_of(database, request)
        with database.writing() as connection:
            kept = attachments.keep(connection, actor, content, clock())
        told = {
            "id": kept.attachment_id,
            "kind": kept.kind,
            "sha256": kept.sha256,
            "bytes": kept.size,
        }
        return answered(told, status=201)

    @router.get("/attachments/{attachment_id}")
    @needs(Permission.CASES)
    def read_attachment(request: Request, attachment_id: Id) -> Response:
        """Read a file that was handed in, for whoever sees its institution's cases."""
        actor = actor_of(database, request)
        with database.reading() as connection:
            kind, content = attachments.read(connection, actor, attachment_id)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=kind, headers=headers)


def is_tied(database: Database, case_id: str, account_id: str) -> bool:
    """Say whether a panel's member is registered with a case's institution, or has declared a tie to it.

    Raises:
        BodyError: the account has not the role.
    """
    with database.reading() as connection:
        case, account = reading.case_record(connection, case_id), accounts.read(connection, account_id)
    if account is None or account.disabled or Role.PANEL not in account.roles:
        raise BodyError(f"{account_id!r} is no account with the role panel.")
    return case.institution_id in account.institutions | account.ties


async def _content(request: Request) -> bytes:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1) as form:
            part = form.get("file")
            return b"" if part is None or isinstance(part, str) else await part.read()
    return await request.body()


async def _done(request: Request, do: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Response:
    """Read the body, do the step off the event loop, and answer."""
    body = read_body(await request.body())
    return answered(await run_in_threadpool(do, body))


def read_body(content: bytes) -> Mapping[str, Any]:
    """Read what was sent with a step.

    Raises:
        BodyError: it is no object in JSON.
    """
    if not content.strip():
        return {}
    try:
        found = loads_once(content)
    except ValueError as error:
        raise BodyError("What was sent is no JSON, or says something twice.") from error
    if not isinstance(found, dict):
        raise BodyError("What is sent with a step is an object.", do='Such as {"reason": "..."}.')
    return found


def text_of(body: Mapping[str, Any], name: str) -> str:
    """Read a text of a body; empty when it is left out.

    Raises:
        BodyError: it is none, or too long.
    """
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BodyError(f"{name} is a text.")
    must_fit(name, value)
    return value


def must_fit(name: str, text: str) -> None:
    """Refuse a text that is too long for what it is.

    Raises:
        BodyError: it is, or holds the character NUL.
    """
    most = MOST_TEXT if name in WRITTEN else MOST_NAME
    if len(text) > most:
        raise BodyError(f"{name} is a text of at most {most} characters.")
    if "\0" in text:
        raise BodyError(f"{name} holds the character NUL.")


def texts_of(body: Mapping[str, Any], name: str, most: int) -> tuple[str, ...]:
    """Read a list of texts of a body; empty when it is left out.

    Raises:
        BodyError: it is none, or too long.
    """
    value = body.get(name) or []
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise BodyError(f"{name} is a list of at most {most} texts.")
    for one in value:
        must_fit(name, one)
    return tuple(value)


def _wanted(value: object) -> Mapping[str, int | None]:
    """Read doubts: a list of ids, or an object of ids and the versions that the caller has seen."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = dict.fromkeys(value)
    fits = isinstance(value, dict) and 0 < len(value) <= MOST_DOUBTS
    if not fits or not all(one is None or type(one) is int for one in value.values()):  # type: ignore[attr-defined]
        raise BodyError(
            f"doubts is a list of ids, or an object of ids and versions, at most {MOST_DOUBTS}.",
            do="Send those of one list after those of another.",
        )
    return cast("Mapping[str, int | None]", value)


def _conflicts(value: object) -> Mapping[str, str]:
    """Read declared conflicts: accounts, or accounts with what each has declared."""
    if isinstance(value, list) and all(isinstance(one, dict) and "account" in one for one in value):
        value = {str(one["account"]): one.get("reason", "") for one in value}
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = dict.fromkeys(value, "")
    if value and not isinstance(value, dict):
        raise BodyError(
            "conflicts is a list of accounts, or an object of accounts and what each has declared."
        )
    found = {account: str(said) for account, said in (value or {}).items()}  # type: ignore[attr-defined]
    for account, said in found.items():
        must_fit("conflicts", account)
        must_fit("reason", said)
    return found


def _body(body: Mapping[str, Any]) -> Body:
    medical = body.get("medical", False)
    if not isinstance(medical, bool):
        raise BodyError("medical is true or false.")
    texts: dict[str, Any] = {name: text_of(body, name) for name in _TEXTS}
    for name in ("decision", "position"):
        texts[name] = texts[name] or None
    return Body(
        **texts,
        amount_fen=None if body.get("amount") is None else fen(body["amount"]),
        attachments=texts_of(body, "attachments", MOST_ATTACHMENTS),
        medical=medical,
        members=texts_of(body, "members", MOST_ATTACHMENTS),
        conflicts=_conflicts(body.get("conflicts")),
    )


def seen_by(request: Request) -> int | None:
    """Read the version that the caller has seen.

    Raises:
        StaleError: it names one that cannot be.
    """
    shown = request.headers.get("if-match")
    if shown is None or shown.strip() == "*":
        return None
    text = shown.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise StaleError(f"{shown[:40]!r} is no version of it.", do="Send the ETag that came with it.")
    return int(text)
