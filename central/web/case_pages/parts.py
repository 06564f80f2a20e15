"""What the pages of cases share: who asks, what stands behind them, what was sent, and why it was refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from renzheng.central.access.roles import Permission
from renzheng.central.cases.amounts import fen
from renzheng.central.cases.corrections import Corrections
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
from renzheng.central.cases.patient_questions import PatientQuestions
from renzheng.central.cases.penalty_keeping import Penalties
from renzheng.central.cases.summons_keeping import FigureOf, Summonses
from renzheng.central.settings import AuditSettings
from renzheng.central.store.database import Database
from renzheng.central.texts import Texts, texts
from renzheng.central.web.api.cases import STATUSES, actor_of, must_fit
from renzheng.central.web.console.pages import Times, choose_language, error_page, render
from renzheng.central.web.console.rule_facts import pack_in_force
from renzheng.central.web.guard import visitor_of
from renzheng.common.words import message

Count = Annotated[int, Query(ge=0, le=10_000_000)]
MOST_FILES = 20
MOST_FIELDS = 3000
_WITHOUT_A_GUARD: Mapping[type[CaseError], str] = {
    StaleError: "stale",
    MayNotError: "may_not",
    NotFoundError: "not_found",
    BodyError: "body",
}


@dataclass(frozen=True, slots=True)
class Office:
    """What every page of cases works with.

    Args:
        database: the store.
        cases: does the steps.
        clock: when it is.
        zone: the site's.
        audit: where the rules are, for their names.
        scan: looks at a file that is handed in, and raises when it is not to be taken.
        penalties: does the steps on enforcement files.
        corrections: takes what institutions have found themselves.
        questions: puts questions to patients.
        summonses: does the steps on summonses.
        figure_of: tells whether an institution's rate calls for one.
    """

    database: Database
    cases: Cases
    clock: Callable[[], datetime]
    zone: ZoneInfo
    audit: AuditSettings
    scan: Callable[[bytes], None]
    penalties: Penalties
    corrections: Corrections
    questions: PatientQuestions
    summonses: Summonses
    figure_of: FigureOf

    def named(self, reason: str, t: Texts) -> str:
        """Return the words for a doubt's reason; a finding's is its rule, which has a title."""
        known = t.catalogue.get(f"reason.{reason}")
        if known is None:
            rule = pack_in_force(self.audit.rules_dir).for_region(self.audit.region).rules.get(reason)
            if rule is not None:
                known = rule.header.title.zh if t.language == "zh" else rule.header.title.en
        return known or reason

    def actor(self, request: Request) -> Actor:
        """Return who asks, as the accounts have them."""
        return actor_of(self.database, request)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step was not done, for whoever asked for it.

    Args:
        guard: its name in the catalogue.
        what: what it says, in their language.
        do: what to do next.
        detail: what it says of this one; empty when that is no more.
    """

    guard: str
    what: str
    do: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that was sent: its fields, and its files with the name of their field."""

    fields: Mapping[str, Sequence[str]]
    files: Sequence[tuple[str, bytes]] = ()

    def text(self, name: str) -> str:
        """Return the first value of a field; empty when it was not sent."""
        held = self.fields.get(name, ())
        return held[0].strip() if held else ""

    def seen(self) -> int | None:
        """Return the version that the form was filled in against."""
        text = self.text("version")
        return int(text) if text.isascii() and text.isdigit() else None

    def short(self, name: str) -> str:
        """Return a field's first value.

        Raises:
            BodyError: it is too long for what it is.
        """
        text = self.text(name)
        must_fit(name, text)
        return text

    def names(self, name: str) -> tuple[str, ...]:
        """Return every value of a field that names something, each once.

        Raises:
            BodyError: one is too long for a name.
        """
        found = tuple(dict.fromkeys(one.strip() for one in self.fields.get(name, ())))
        for one in found:
            must_fit(name, one)
        return found

    def yuan(self, name: str) -> str:
        """Return an amount as it was typed, without thousands marks and sign of the currency."""
        return self.text(name).replace(",", "").removeprefix("¥")

    def amount(self, name: str) -> int | None:
        """Return an amount in fen; None when none was sent.

        Raises:
            BodyError: it is no amount.
        """
        text = self.yuan(name)
        return fen(text) if text else None

    def body(self, attachments: Sequence[str] = (), text: str | None = None) -> Body:
        """Return what is sent with a step.

        Raises:
            BodyError: an amount or a text cannot be taken.
        """
        sent = self if text is None else replace(self, fields={**self.fields, "text": [text]})
        named = ("reason", "doctor", "to", "period", "text", "decision", "position")
        texts_sent: dict[str, Any] = {name: sent.short(name) for name in named}
        for name in ("decision", "position"):
            texts_sent[name] = texts_sent[name] or None
        return Body(
            **texts_sent,
            amount_fen=self.amount("amount"),
            medical=self.text("medical") == "1",
            attachments=tuple(attachments),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a form, for the page that is shown after it.

    Args:
        status: of the page.
        refusal: why the step was not done; None where no form was sent.
        sent: the form, to be filled in again.
        act: the step, on pages that have several.
    """

    status: int = 200
    refusal: Refusal | None = None
    sent: Sent = field(default_factory=lambda: Sent({}))
    act: str = ""


NOTHING_SENT = Outcome()


def refused(request: Request, error: CaseError, sent: Sent, act: str = "") -> Outcome:
    """Return what a page shows of a form whose step was refused."""
    return Outcome(STATUSES[type(error)], refusal_of(error, words(request)), sent, act)


async def read_sent(request: Request) -> Sent:
    """Read a form of ours, with its files; how much of it is read, the limits of requests say."""
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
        return await _sent(form)


async def _sent(form: FormData) -> Sent:
    fields: dict[str, list[str]] = {}
    files: list[tuple[str, bytes]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read()
            if content:
                files.append((name, content))
        else:
            fields.setdefault(name, []).append(value)
    return Sent(fields, files)


def refusal_of(error: CaseError, t: Texts) -> Refusal:
    """Say why a step was refused, and what to do next, in the reader's language."""
    if isinstance(error, StepRefusedError):
        guard = error.guard
    else:
        guard = next((name for kind, name in _WITHOUT_A_GUARD.items() if isinstance(error, kind)), "body")
    said = " ".join(message(part, t.language) for part in (error.what, error.why, error.do) if part)
    return Refusal(guard, t(f"guard.{guard}"), t(f"guard_do.{guard}"), said)


def page(
    request: Request,
    office: Office,
    template: str,
    *,
    status: int = 200,
    outcome: Outcome = NOTHING_SENT,
    **values: Any,
) -> Response:
    """Fill a template with what every page of cases has, and what became of a form."""
    visitor = visitor_of(request)
    here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    t = words(request)
    may = visitor.permissions if visitor else frozenset[Permission]()
    return render(
        request,
        template,
        status=status if outcome.refusal is None else outcome.status,
        when=Times(office.zone),
        confirmed=visitor is not None and visitor.confirmed,
        confirm_address=f"/confirm?next={quote(here)}",
        named=lambda reason: office.named(reason, t),
        last_day=lambda at: _last_day(at, office.zone),
        back=urlencode({"back": here}),
        may_export=Permission.EXPORTS in may,
        may_step=Permission.CASES_STEP in may,
        may_draft=Permission.CASES_DRAFT in may,
        **{
            "at_hospital": visitor is not None and visitor.institutions is not None,
            "refusal": outcome.refusal,
            "sent": outcome.sent,
            "act": outcome.act,
            **values,
        },
    )


def _last_day(at: datetime | None, zone: ZoneInfo) -> str:
    """Name the last day of a term whose end is the midnight after it."""
    return "—" if at is None else (at.astimezone(zone) - timedelta(microseconds=1)).date().isoformat()


def refused_page(request: Request, error: CaseError) -> Response:
    """Answer a page with why it is not shown."""
    return error_page(request, STATUSES.get(type(error), 400))


def words(request: Request) -> Texts:
    """Return the texts of the reader's language."""
    return texts(choose_language(request))
