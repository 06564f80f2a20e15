"""What somebody is told of cases: in the console, and by the site's own mail and web-hook, with a record.

A notice names a kind and a case, never a person: neither in a subject line nor in a body. Notices are made
from what is there (cases issued and received, time limits that run, rules that have lost power), each once.
Each is sent over every channel that the site has, again after failures at growing intervals, until it is
taken or given up; both are kept.
"""

import hashlib
import hmac
import smtplib
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import httpx2
import orjson
import sqlalchemy as sa

from renzheng.central.cases import records
from renzheng.central.cases.doubts import OPEN, Case, CaseState, Doubt
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import CASES, DOUBTS, is_of_a_hospital
from renzheng.central.cases.terms import Clock, term_of
from renzheng.central.settings import CaseSettings, MailSettings, WebHookSettings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us, to_us
from renzheng.central.texts import texts
from renzheng.common.backoff import back_off
from renzheng.common.supervised import Worker
from renzheng.contracts.ids import new_id

NOTICES, SENDS, POWERS = schema.notices, schema.notice_sends, schema.rule_powers
BUREAU = "(bureau)"
"""The audience that is no institution."""
FIRST_WAIT, LONGEST_WAIT = 60.0, 6 * 3600.0
MOST_TRIES = 12
"""Somewhat more than a day of tries."""
SECONDS = 20.0
EVERY_SECONDS = 300.0
AHEAD = timedelta(days=60)
"""Of time limits further away nobody is reminded yet."""
Send = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told.

    Args:
        kind: issued, received, reminder_50, reminder_80, overdue or rule_power.
        audience: an institution's id, or `BUREAU`.
        subject: the case, or the number of a change of a rule's power.
        stage: of a reminder, what is to be done.
    """

    kind: str
    audience: str
    subject: str
    stage: str = ""


def due_notices(connection: sa.Connection, clock: Clock, now: datetime) -> Iterator[Notice]:
    """Derive every notice that is due now from what the store holds."""
    cases: dict[str, Case] = {}
    for record in connection.execute(
        sa.select(CASES.c.record).where(CASES.c.state == CaseState.ISSUED)
    ).scalars():
        case = records.read(Case, record)
        cases[case.case_id] = case
        yield Notice("issued", case.institution_id, case.case_id)
        if case.received_at is not None:
            yield Notice("received", BUREAU, case.case_id)
    soon = DOUBTS.c.due_at < to_us(now + AHEAD)
    query = sa.select(DOUBTS.c.record).where(soon, DOUBTS.c.state.in_(sorted(OPEN)))
    for record in connection.execute(query).scalars():
        doubt = records.read(Doubt, record)
        term = term_of(doubt, cases[doubt.case_id]) if doubt.case_id in cases else None
        reached = clock.reminder(term, now)
        if term is None or not reached:
            continue
        kind = "overdue" if reached == 100 else f"reminder_{reached}"  # noqa: PLR2004 - per cent
        audience = doubt.institution_id if term.stage == "statement" else BUREAU
        yield Notice(kind, audience, doubt.case_id, term.stage)
    for number in connection.execute(sa.select(POWERS.c.number)).scalars():
        yield Notice("rule_power", BUREAU, str(number))


def new_among(connection: sa.Connection, found: Iterable[Notice]) -> set[Notice]:
    """Return the notices that are not kept yet."""
    columns = (NOTICES.c.kind, NOTICES.c.audience, NOTICES.c.subject, NOTICES.c.stage)
    return set(found) - {Notice(*row) for row in connection.execute(sa.select(*columns))}


def keep(connection: sa.Connection, found: Iterable[Notice], channels: Sequence[str], now: datetime) -> int:
    """Keep the notices that are new, each to be sent over every channel; return how many are."""
    new = sorted(
        new_among(connection, found), key=lambda one: (one.subject, one.kind, one.audience, one.stage)
    )
    for one in new:
        notice_id = new_id()
        values = {"kind": one.kind, "audience": one.audience, "subject": one.subject, "stage": one.stage}
        connection.execute(sa.insert(NOTICES).values(notice_id=notice_id, at=to_us(now), **values))
        for channel in channels:
            waiting = {"notice_id": notice_id, "channel": channel, "tries": 0, "next_at": to_us(now)}
            connection.execute(sa.insert(SENDS).values(waiting))
    return len(new)


def listed(connection: sa.Connection, actor: Actor, limit: int) -> list[dict[str, Any]]:
    """Read the newest notices for whoever asks, with what became of sending them."""
    query = sa.select(NOTICES).order_by(NOTICES.c.at.desc(), NOTICES.c.notice_id).limit(limit)
    mine = sorted(actor.institutions) if is_of_a_hospital(actor) else [BUREAU]
    rows = connection.execute(query.where(NOTICES.c.audience.in_(mine))).all()
    sends: dict[str, list[dict[str, Any]]] = {}
    ids = [row.notice_id for row in rows]
    for send in connection.execute(sa.select(SENDS).where(SENDS.c.notice_id.in_(ids))):
        sent = from_us(send.sent_at) if send.sent_at else None
        told = {"channel": send.channel, "tries": send.tries, "sent_at": sent, "problem": send.problem}
        sends.setdefault(send.notice_id, []).append(told)
    return [
        {
            "id": row.notice_id, "at": from_us(row.at), "kind": row.kind, "subject": row.subject,
            "stage": row.stage, "sends": sends.get(row.notice_id, []),
        }
        for row in rows
    ]  # fmt: skip


def message(notice: Mapping[str, Any], mail: MailSettings) -> EmailMessage | None:
    """Write the mail of a notice; None when nobody's address is known."""
    told = mail.institutions.get(notice["audience"], ()) if notice["audience"] != BUREAU else mail.bureau
    if not told:
        return None
    kind = texts("zh")(f"notice.{notice['kind']}")
    made = EmailMessage()
    made["From"], made["To"] = mail.sender, ", ".join(told)
    made["Subject"] = f"认证平台通知：{kind}"
    made["Message-ID"] = f"<{notice['notice_id']}@{mail.sender.rpartition('@')[2]}>"
    made.set_content(f"{kind}\n编号：{notice['subject']}\n\n请登录系统查看。本邮件不含个人信息，请勿回复。\n")
    return made


def by_mail(mail: MailSettings) -> Send:
    """Return what sends a notice over the site's own SMTP server."""

    def send(notice: Mapping[str, Any]) -> None:
        made = message(notice, mail)
        if made is None:
            return
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(mail.host, mail.port, timeout=SECONDS, context=context)
            if mail.security == "tls"
            else smtplib.SMTP(mail.host, mail.port, timeout=SECONDS)
        ) as server:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.username and mail.password_file:
                server.login(mail.username, mail.password_file.read_text(encoding="utf-8").strip())
            server.send_message(made)

    return send


def by_web_hook(hook: WebHookSettings) -> Send:
    """Return what posts a notice's kind and ids, signed, to the site's own address."""

    def send(notice: Mapping[str, Any]) -> None:
        body = orjson.dumps(
            {name: notice[name] for name in ("notice_id", "kind", "audience", "subject", "stage")},
            option=orjson.OPT_SORT_KEYS,
        )
        headers = {"Content-Type": "application/json"}
        if hook.secret_file is not None:
            secret = hook.secret_file.read_bytes().strip()
            headers["X-Renzheng-Signature"] = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        answer = httpx2.post(hook.url, content=body, headers=headers, timeout=SECONDS, follow_redirects=False)
        answer.raise_for_status()

    return send


def channels_of(settings: CaseSettings) -> dict[str, Send]:
    """Return the channels that a site has, by name."""
    found: dict[str, Send] = {}
    if settings.mail is not None:
        found["mail"] = by_mail(settings.mail)
    if settings.web_hook is not None:
        found["web_hook"] = by_web_hook(settings.web_hook)
    return found


class Notifier:
    """Makes notices and sends them.

    Args:
        database: the store.
        channels: by name, what sends a notice or raises.
        terms: counts time limits.
        now: when it is.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Send],
        terms: Callable[[], Clock],
        now: Callable[[], datetime],
    ) -> None:
        self._database, self._channels, self._terms, self._now = database, channels, terms, now
        self.worker = Worker("notices", self.turn, every_seconds=EVERY_SECONDS)

    def turn(self) -> None:
        """Make the notices that are due, and send what waits."""
        now = self._now()
        with self._database.reading() as connection:  # of every open doubt: nobody who writes waits for it
            new = new_among(connection, due_notices(connection, self._terms(), now))
        if new:
            with self._database.writing() as connection:
                keep(connection, new, sorted(self._channels), now)
        with self._database.reading() as connection:
            joined = SENDS.join(NOTICES, NOTICES.c.notice_id == SENDS.c.notice_id)
            query = sa.select(NOTICES, SENDS.c.channel, SENDS.c.tries).select_from(joined)
            waiting = connection.execute(query.where(SENDS.c.next_at <= to_us(now))).mappings().all()
        for row in waiting:
            self._send(dict(row), now)

    def _send(self, row: Mapping[str, Any], now: datetime) -> None:
        send, tries = self._channels.get(row["channel"]), row["tries"] + 1
        problem: str | None = None
        if send is None:
            problem = "the site has no such channel any more"
        else:
            try:
                send(row)
            except (OSError, smtplib.SMTPException, httpx2.HTTPError, ValueError) as error:
                problem = type(error).__name__ + (f": {error}"[:200] if str(error) else "")
        values: dict[str, Any] = {"tries": tries, "problem": problem, "next_at": None}
        if problem is None:
            values["sent_at"] = to_us(now)
        elif tries < MOST_TRIES and send is not None:
            wait = timedelta(seconds=back_off(tries, FIRST_WAIT, LONGEST_WAIT))
            values["next_at"] = to_us(now + wait)
        own = (SENDS.c.notice_id == row["notice_id"]) & (SENDS.c.channel == row["channel"])
        with self._database.writing() as connection:
            connection.execute(sa.update(SENDS).where(own).values(values))
