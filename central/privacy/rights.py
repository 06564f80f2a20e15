"""A person's rights: a copy in plain words, deletion of what may go, an explanation of each verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from renzheng.central.access import access_log, spelling
from renzheng.central.access.access_log import Wanted
from renzheng.central.cases import patient_questions
from renzheng.central.checks.keeping import Keeper
from renzheng.central.privacy import withdrawals
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.privacy.holds import UNDECIDED
from renzheng.central.privacy.retention import erase_names
from renzheng.central.settings import Settings
from renzheng.central.store import reading, schema
from renzheng.central.store.audits import speaks
from renzheng.central.store.times import from_us
from renzheng.central.texts import Texts, texts
from renzheng.contracts.ids import normalised_id
from renzheng.contracts.money import yuan
from renzheng.rules.pack import Pack

MOST_ROWS = 5_000
Row = Mapping[str, Any]
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays although its deletion was asked for.

    Args:
        what: its name in the catalogue.
        rows: how many.
        until: the day on which the last of it is due; None while that depends on a decision.
    """

    what: str
    rows: int
    until: date | None


def copy_of(connection: sa.Connection, person_id: str, pack: Pack, settings: Settings, now: datetime) -> str:
    """Write everything that central holds of a person as one HTML page in Chinese, in words.

    Args:
        connection: a reading transaction.
        person_id: whose.
        pack: for the titles of rules.
        settings: the site's days.
        now: as of when.
    """
    zone = ZoneInfo(settings.timezone)
    t = texts("zh")

    def moment(us: int | None) -> str:
        return "" if us is None else f"{from_us(us).astimezone(zone):%Y年%-m月%-d日 %H:%M}"

    ids = spelling.of(connection, person_id)
    total, looked = access_log.read(connection, Wanted(person_id=person_id, also=ids, limit=MOST_ROWS))
    return _environment.get_template("person_copy.html").render(
        person=person_id,
        now=f"{now.astimezone(zone):%Y年%-m月%-d日}",
        moment=moment,
        yuan=yuan,
        t=t,
        institution=reading.institution_names(connection),
        others=[{"id": one[0], "institution_id": one[1]} for one in spelling.aliases(connection, person_id)],
        consents=_of(connection, schema.consents, ids, "said_at"),
        withdrawals=_of(connection, schema.withdrawals, ids, "withdrawn_at"),
        attendance=_of(connection, schema.attendance, ids, "occurred_at"),
        purchases=_purchases(connection, ids),
        runs=_of(connection, schema.machine_runs, ids, "started_at"),
        checks=_of(connection, schema.spot_checks, ids, "drawn_at"),
        stays=_of(connection, schema.stays, ids, "admitted_at"),
        asked=_asked(settings, ids),
        verdicts=[_explained(row, pack) for row in _verdicts(connection, ids)],
        doubts=_of(connection, schema.doubts, ids, "month"),
        questions=_questions(connection, ids, t),
        requests=_of(connection, schema.privacy_requests, ids, "asked_at"),
        crops=_of(connection, schema.crop_requests, ids, "asked_at"),
        looked=looked,
        looked_total=total,
        kept=kept_by_law(connection, person_id, settings),
    )


def _questions(connection: sa.Connection, ids: Sequence[str], t: Texts) -> list[Row]:
    """Read what the person was asked about days of treatment, and what they said."""
    query = sa.select(schema.doubts.c.doubt_id).where(schema.doubts.c.person_id.in_(ids))
    doubt_ids = list(connection.execute(query).scalars())
    found = patient_questions.read(connection, doubt_ids) if doubt_ids else {}
    return [
        {"put_at": one.put_at, "said": t(f"patient_said.{one.outcome}") if one.outcome else ""}
        for one in sorted(found.values(), key=lambda one: one.put_at)
    ]


def explanation_of(
    connection: sa.Connection, line_id: str, institution_id: str, pack: Pack
) -> tuple[str, Row]:
    """Explain the verdict of a line in Chinese; return the page and the verdict's row.

    Raises:
        RequestRefusedError: there is no verdict of this line, or several institutions have one.
    """
    several = reading.institutions_of_line(connection, line_id)
    row = reading.verdict(connection, line_id, institution_id)
    if row is None or (not institution_id and len(several) > 1):
        raise RequestRefusedError(
            f"There is no one verdict of line {line_id}.",
            why="No run has judged it, or several institutions use the same number.",
            do="Give the institution with --institution, or see whether the day has been audited.",
        )
    page = _environment.get_template("explanation.html").render(
        one=_explained(row, pack), t=texts("zh"), yuan=yuan, institution=reading.institution_names(connection)
    )
    return page, row


def kept_by_law(connection: sa.Connection, person_id: str, settings: Settings) -> Sequence[Kept]:
    """Say what of a person's data is not deleted at their request, how much, and until when."""
    verdicts, doubts, attendance = schema.verdicts, schema.doubts, schema.attendance
    years, ids = settings.retention.accounts_years, spelling.of(connection, person_id)
    found = []
    count, last = connection.execute(
        sa.select(sa.func.count(sa.distinct(verdicts.c.line_id)), sa.func.max(verdicts.c.service_day)).where(
            verdicts.c.person_id.in_(ids)
        )
    ).one()
    if count:
        found.append(Kept("claims", count, _years_on(date.fromisoformat(last), years)))
    count, at = connection.execute(
        sa.select(sa.func.count(), sa.func.max(attendance.c.occurred_at)).where(
            attendance.c.person_id.in_(ids)
        )
    ).one()
    if count:
        found.append(Kept("attendance", count, _years_on(from_us(at).date(), years)))
    count = connection.execute(
        sa.select(sa.func.count()).select_from(doubts).where(doubts.c.person_id.in_(ids), UNDECIDED)
    ).scalar_one()
    if count:
        found.append(Kept("cases", count, None))
    return found


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a request for deletion has done.

    Args:
        withdrawal_id: the withdrawal that destroys the face on all devices.
        names: stays whose name and number were erased.
        kept: what stays, and until when.
    """

    withdrawal_id: str
    names: int
    kept: Sequence[Kept]


def delete(
    connection: sa.Connection, settings: Settings, person_id: str, by: tuple[withdrawals.Origin, str],
    now: datetime,
) -> Deleted:  # fmt: skip
    """Delete what may go of a person: the face everywhere, and names of stays that ended.

    What must be kept by law is not deleted and is named; an undecided doubt keeps the names too.
    """
    withdrawal = withdrawals.asked_here(connection, person_id, *by, now)
    withdrawals.begin(connection, withdrawal, now)
    kept = kept_by_law(connection, withdrawal.person_id, settings)
    names = 0
    if not any(one.what == "cases" for one in kept):
        stays = schema.stays
        ids = spelling.of(connection, withdrawal.person_id)
        ended = stays.c.person_id.in_(ids) & stays.c.discharged_at.is_not(None)
        visits = connection.execute(sa.select(stays.c.institution_id, stays.c.visit_id).where(ended)).all()
        erase_names(connection, visits)
        names = len(visits)
    return Deleted(withdrawal.withdrawal_id, names, kept)


def _years_on(day: date, years: int) -> date:
    """Return the last day of the year in which a term that begins after the day's own year ends."""
    return date(day.year + years, 12, 31)


def _asked(settings: Settings, ids: Sequence[str]) -> list[Row]:
    """Read what was asked about a person before and during treatment."""
    path = settings.checks_dir / "checks.sqlite"
    if not path.exists():
        return []
    kept = Keeper(path)
    try:
        return [*kept.of_person(normalised_id(ids[0]), MOST_ROWS)]
    finally:
        kept.close()


def _of(connection: sa.Connection, table: sa.Table, ids: Sequence[str], order: str) -> list[Row]:
    query = sa.select(table).where(table.c.person_id.in_(ids)).order_by(table.c[order].desc())
    return [dict(row) for row in connection.execute(query.limit(MOST_ROWS)).mappings()]


def _purchases(connection: sa.Connection, ids: Sequence[str]) -> list[Row]:
    """Read purchases at counters in which the person is patient, holder or buyer."""
    table = schema.counter_identifications
    roles = {"patient": table.c.person_id, "holder": table.c.holder_id, "buyer": table.c.buyer_id}
    query = sa.select(table).where(sa.or_(*(column.in_(ids) for column in roles.values())))
    rows = connection.execute(query.order_by(table.c.occurred_at.desc()).limit(MOST_ROWS)).mappings()
    return [
        {**row, "roles": [name for name, column in roles.items() if row[column.name] in ids]} for row in rows
    ]


def _verdicts(connection: sa.Connection, ids: Sequence[str]) -> list[Row]:
    table = schema.verdicts
    spoken = table.join(schema.audit_days, speaks(table))
    query = sa.select(table).select_from(spoken).where(table.c.person_id.in_(ids))
    order = query.order_by(table.c.service_day.desc(), table.c.line_id)
    return [dict(row) for row in connection.execute(order.limit(MOST_ROWS)).mappings()]


def _explained(row: Row, pack: Pack) -> Row:
    rule = pack.rules.get(row["rule_id"])
    title = rule.header.title.zh if rule else ""
    return {**row, "rule": title, "seen": len(orjson.loads(row["evidence"]))}
