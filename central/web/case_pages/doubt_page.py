"""One doubt: what is billed, what contradicts or would clear it, what was said, and what can be done."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from renzheng.central.access.roles import Permission
from renzheng.central.cases import attachments, comments, lists, patient_questions, reading
from renzheng.central.cases.acts import ACTS, REFERRED_TO
from renzheng.central.cases.doubts import DECISIONS, POSITIONS, Doubt
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.seen_journal import WITHHELD
from renzheng.central.cases.terms import term_of
from renzheng.central.nightly import evidence
from renzheng.central.settings import AuditSettings
from renzheng.central.store import reading as store_reading
from renzheng.central.store import schema, viewer
from renzheng.central.texts import Texts
from renzheng.central.web.case_pages import asked as asking
from renzheng.central.web.case_pages.listing import doctors_of, list_of
from renzheng.central.web.case_pages.parts import (
    NOTHING_SENT,
    Office,
    Outcome,
    Sent,
    page,
    read_sent,
    refused,
    refused_page,
    words,
)
from renzheng.central.web.console.rule_facts import facts_of, pack_in_force
from renzheng.central.web.console.timeline import lay_out
from renzheng.central.web.guard import needs
from renzheng.central.web.scoped import seen_of

MOST_LINES = 200
MOST_QUERY = 2000
SLOT = "file_"
NOT_YET = frozenset({"state", "not_due", "document_owed"})
"""Guards that refuse what simply is not to be done now: nobody is told of it who has not asked."""
NOT_TOLD = WITHHELD | {"draft", "confirm", "flag"}
"""Steps that are the bureau's own, which an institution's page does not list."""
VERDICTS = schema.verdicts


def build_router(office: Office) -> APIRouter:
    """Build the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/doubts/{doubt_id}")
    @needs(Permission.CASES)
    def show_doubt(request: Request, doubt_id: str, part: bool = False) -> Response:
        return _show(request, office, doubt_id, part=part)

    @router.post("/doubts/{doubt_id}/comments")
    @needs(Permission.CASES_STEP)
    async def comment(request: Request, doubt_id: str) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_comment, request, office, doubt_id, sent)

    @router.post("/doubts/{doubt_id}/{act}")
    @needs(Permission.CASES_STEP)
    async def take(request: Request, doubt_id: str, act: str) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_take, request, office, doubt_id, act, sent)

    return router


def _take(request: Request, office: Office, doubt_id: str, act: str, sent: Sent) -> Response:
    """Do a step; go on to the next doubt of the list from which this one was opened."""
    actor, query = office.actor(request), sent.text("list")[:MOST_QUERY]
    try:
        around = _around(office, actor, query, doubt_id)
        kept, said = _hand_in(office, actor, doubt_id, sent, words(request)) if act in ACTS else ([], "")
        text = "\n".join(part for part in (sent.text("text"), said) if part)
        office.cases.act(actor, doubt_id, act, sent.body(kept, text), sent.seen())
    except CaseError as error:
        return _show(request, office, doubt_id, outcome=refused(request, error, sent, act))
    then = around[1] or doubt_id
    more = f"&list={quote(query)}" if query else ""
    of = f"&of={doubt_id}" if then != doubt_id else ""
    return RedirectResponse(f"/doubts/{then}?did={act}{of}{more}", status_code=303)


def _comment(request: Request, office: Office, doubt_id: str, sent: Sent) -> Response:
    query = sent.text("list")[:MOST_QUERY]
    try:
        office.cases.comment(office.actor(request), doubt_id, sent.short("text"))
    except CaseError as error:
        return _show(request, office, doubt_id, outcome=refused(request, error, sent, comments.ACT))
    more = f"?list={quote(query)}" if query else ""
    return RedirectResponse(f"/doubts/{doubt_id}{more}#comments", status_code=303)


def _hand_in(office: Office, actor: Actor, doubt_id: str, sent: Sent, t: Texts) -> tuple[list[str], str]:
    """Keep the files of a statement; return their ids, and the words that say what each is.

    Raises:
        BodyError: one of them cannot be taken.
    """
    for _, content in sent.files:
        attachments.kind_of(content)
        office.scan(content)
    if not sent.files:
        return [], ""
    ids, said = [], []
    with office.database.writing() as connection:
        place = reading.doubt_of(connection, actor, doubt_id).institution_id
        for name, content in sent.files:
            kept = attachments.keep(connection, actor, content, office.clock(), place)
            slot = sent.text(name.replace(SLOT, "slot_", 1)) or t("doubt.other_file")
            ids.append(kept.attachment_id)
            said.append(f"{t('doubt.attached', slot=slot)} {kept.sha256[:16]}")
    return ids, "\n".join(said)


def _around(office: Office, actor: Actor, query: str, doubt_id: str) -> tuple[str | None, str | None]:
    """Find what stands before and after a doubt in the list from which it was opened."""
    if not query:
        return None, None
    with office.database.reading() as connection:
        held = list_of(connection, office, actor, asking.read(parse_qsl(query)))
        before, after = (held.beyond(doubt_id, 1, before=way) or () for way in (True, False))
    return next(iter(before), None), next(iter(after), None)


def _show(
    request: Request,
    office: Office,
    doubt_id: str,
    *,
    part: bool = False,
    outcome: Outcome = NOTHING_SENT,
) -> Response:
    actor, t = office.actor(request), words(request)
    asked_from = outcome.sent.text("list") if outcome.refusal else request.query_params.get("list", "")
    query = asked_from[:MOST_QUERY]
    try:
        with office.database.reading() as connection:
            doubt = reading.doubt_of(connection, actor, doubt_id)
            case = reading.case_record(connection, doubt.case_id)
            if reading.is_of_a_hospital(actor) and case.received_at is None:
                return RedirectResponse(f"/cases/{case.case_id}", status_code=303)
            name, zone = reading.institution_of(connection, case, office.zone)
            values = _known(connection, doubt, zone, office.audit, t)
            hidden = NOT_TOLD if reading.is_of_a_hospital(actor) else frozenset()
            values["history"] = [one for one in _history(connection, doubt) if one["act"] not in hidden]
            # what a patient says is for the bureau: an institution could find out who spoke
            asked = patient_questions.read(connection, [doubt_id]).get(doubt_id)
            values["question"] = None if reading.is_of_a_hospital(actor) else asked
            values["may_put"] = asked is None and bool(patient_questions.PUTS & actor.roles)
            values["comments"] = comments.seen(connection, actor, doubt)
            values["doctors"] = doctors_of(connection, actor.institutions)
        ahead = office.cases.ahead(actor, doubt_id)
        before, after = _around(office, actor, query, doubt_id)
    except CaseError as error:
        return refused_page(request, error)
    viewer.note_persons([doubt.person_id])
    return page(
        request,
        office,
        "doubt_part.html" if part else "doubt.html",
        outcome=outcome,
        doubt=doubt,
        case=case,
        institution=name,
        term=term_of(doubt, case),
        clears=lists.clears(doubt.reason, t),
        possible=[one for one, why in ahead.items() if why is None],
        barred=[
            (one, t(f"guard.{why[0]}"), t(f"guard_do.{why[0]}"))
            for one, why in ahead.items()
            if why and why[0] not in NOT_YET
        ],
        query=query,
        before=_address(before, query),
        after=_address(after, query),
        did=request.query_params.get("did", "") if request.query_params.get("did") in ACTS else "",
        of=request.query_params.get("of", "")[:100],
        decisions=DECISIONS,
        positions=POSITIONS,
        referred_to=REFERRED_TO,
        at_hospital=reading.is_of_a_hospital(actor),
        zone=str(zone),
        now=office.clock(),
        **values,
    )


def _address(doubt_id: str | None, query: str) -> str:
    return f"/doubts/{doubt_id}?list={quote(query)}" if doubt_id else ""


def _known(
    connection: sa.Connection, doubt: Doubt, zone: ZoneInfo, audit: AuditSettings, t: Texts
) -> dict[str, Any]:
    """Read the lines of a doubt, what was seen around the first, its rule, and how that has fared."""
    ids = [line.line_id for line in doubt.lines[:MOST_LINES]]
    of_lines = VERDICTS.c.institution_id == doubt.institution_id
    query = sa.select(VERDICTS).where(
        VERDICTS.c.run_id == doubt.run_id, of_lines, VERDICTS.c.line_id.in_(ids)
    )
    drafted = {row["line_id"]: row for row in connection.execute(query).mappings()}
    first = drafted.get(ids[0])
    newest = store_reading.verdict(connection, ids[0], doubt.institution_id)
    run = store_reading.run(connection, doubt.run_id)
    found = None
    if run and not doubt.finding_id:
        found = seen_of(evidence.read_line(Path(run["folder"]), doubt.institution_id, ids[0], zone))
    cited = orjson.loads(first["evidence"]) if first else []
    fared = lists.overturns_of(connection)
    classes = [found.item_class] if found else []
    return {
        "lines": [(line, drafted.get(line.line_id)) for line in doubt.lines[:MOST_LINES]],
        "newest": newest,
        "found": found,
        "timeline": lay_out(found, cited, zone, t) if found else None,
        "rule": facts_of(pack_in_force(audit.rules_dir), audit.region, (doubt.rule_id, {}), classes, t),
        "fared": next(
            (one for one in fared if (one.rule_id, one.reason) == (doubt.rule_id, doubt.reason)), None
        ),
    }


def _history(connection: sa.Connection, doubt: Doubt) -> Iterator[Mapping[str, Any]]:
    """Read from the journal what was done on a doubt, and on its case; a panel's votes stand as seals."""
    for kept in reading.read_journal(connection, doubt.case_id):
        entry = orjson.loads(kept.entry)
        if entry["doubt"] in {doubt.doubt_id, ""}:
            yield entry
