"""A site with one audited day of two hospitals, and every route of it."""

import datetime as dt
import json
import re

import sqlalchemy as sa
from parts import stores
from parts.asking import Asking

from renzheng.central.access import access_log, accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import audits, devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Institution
from renzheng.central.store.times import to_us
from renzheng.central.web.app import build_app
from renzheng.central.web.guard import MARK, OPEN, _flat

NOW = dt.datetime(2026, 3, 4, 9, tzinfo=dt.UTC)
DAY = dt.date(2026, 3, 2)
PASSWORD = "five green lamps by the river"
A, B = "HOSP-ALPHA", "HOSP-BETA"
NAMES = {A: "Alpha clinic", B: "Beta clinic"}
PERSONS = {A: ("PERSON-A1", "PERSON-A2"), B: ("PERSON-B1", "PERSON-B2")}
OF = {person: institution for institution, persons in PERSONS.items() for person in persons}
TELLING = {B: (B, NAMES[B], *PERSONS[B], "LINE-B")}
"""What would tell the other hospital that this one exists."""


def line_of(person):
    return person.replace("PERSON", "LINE")


def fill(database, run, institutions=(A, B)):
    """Lay down one audited day of two hospitals, with a finding and a report of both, and a stay in each."""
    run.mkdir()
    told = [(one, NAMES[one], PERSONS[one]) for one in institutions]
    (run / "report.html").write_text(str(told), encoding="utf-8")
    with database.writing() as connection:
        for institution in institutions:
            name = NAMES[institution]
            devices.put_institution(connection, Institution(institution, name, "371122"))
        audits.begin(connection, "RUN-1", DAY, DAY, folder=str(run), now_us=0)
        for person in (one for institution in institutions for one in PERSONS[institution]):
            institution = OF[person]
            row = {
                "run_id": "RUN-1", "line_id": line_of(person), "service_day": DAY.isoformat(),
                "institution_id": institution, "person_id": person, "item_code": "HD", "item_name": "x",
                "service_at": to_us(NOW), "quantity": "1", "amount_fen": 100, "at_stake_fen": 100,
                "verdict": "contradicted", "reason": "no_session", "evidence": "[]", "rule_id": "line",
                "rule_version": "1",
            }  # fmt: skip
            connection.execute(sa.insert(schema.verdicts).values(known(schema.verdicts, row)))
            stay = {
                "institution_id": institution, "visit_id": f"VISIT-{person[-2:]}", "person_id": person,
                "admitted_at": 1, "surname": "X", "masked_number": f"…{person[-2:]}",
            }  # fmt: skip
            connection.execute(sa.insert(schema.stays).values(stay))
        for institution in institutions:
            person = PERSONS[institution][0]
            both = f"{person} at {A} and {B}, {NAMES[A]} and {NAMES[B]}"
            row = {
                "finding_id": f"FINDING-{institution}", "run_id": "RUN-1", "service_day": DAY.isoformat(),
                "rule_id": "two-places", "rule_version": "1", "severity": "high", "verdict": "contradicted",
                "institution_id": institution, "person_id": person, "line_ids": json.dumps([line_of(person)]),
                "amount_fen": 100, "evidence": '["EVENT-1"]', "explanation_zh": both, "explanation_en": both,
                "parameters": json.dumps({"other": NAMES[B], "and": A}),
            }  # fmt: skip
            connection.execute(sa.insert(schema.findings).values(known(schema.findings, row)))
        audits.publish(connection, "RUN-1", DAY, DAY, summary={}, now_us=0)


def known(table, row):
    """Fill a row up to what its table asks for."""
    return {
        column.name: row.get(
            column.name, None if column.nullable else "" if "TEXT" in str(column.type) else 0
        )
        for column in table.c
    }


class Site:
    def __init__(self, folder, institutions=(A, B)):
        self.settings = make_settings({"data_dir": str(folder)})
        make_signing_key(self.settings.key_file)
        self.database = Database(stores.lay(self.settings.database))
        self.now = NOW
        fill(self.database, folder / "run", institutions)
        self.app = build_app(self.database, self.settings, lambda: self.now, Metrics())

    def account(self, name, *roles, institution=()):
        with self.database.writing() as connection:
            ends = NOW + dt.timedelta(days=90) if Role.THIRD_PARTY in roles else None
            new = New(name, frozenset(roles), frozenset(institution), valid_until=ends)
            accounts.add(connection, new, "test", self.now)
            return accounts.give_token(connection, name, self.now)

    def person(self, name, *roles, institution=()):
        """Make an account and sign in with it, as a browser would."""
        self.account(name, *roles, institution=institution)
        with self.database.writing() as connection:
            code = accounts.give_code(connection, name, self.now)
        browser = Asking(self.app)
        answer = browser.post("/first", {"code": code, "password": PASSWORD, "again": PASSWORD})
        assert answer.status == 303, answer.text
        return browser

    def head(self):
        with self.database.reading() as connection:
            return access_log.head(connection).sequence

    def entries(self, after=0):
        table = schema.access_log
        query = sa.select(table.c.entry).where(table.c.number > after).order_by(table.c.number)
        with self.database.reading() as connection:
            return [json.loads(entry) for entry in connection.execute(query).scalars()]


VALUES = {
    "day": DAY.isoformat(), "line_id": "{line}", "finding_id": "FINDING-{institution}",
    "institution_id": "{institution}", "run_id": "RUN-1", "person_id": "{person}",
}  # fmt: skip


def routes(app):
    """Every route with its method and permission, and an address of it in either hospital."""
    for path, route in _flat(app.routes, ""):
        mark = getattr(getattr(route, "endpoint", None), MARK, None)
        if mark not in (None, OPEN):
            for method in sorted(route.methods - {"HEAD"}):
                yield method, path, mark


def address(path, institution):
    """Fill the places of a path with what belongs to a hospital."""
    return re.sub(
        r"\{(\w+)(:path)?\}",
        lambda place: VALUES.get(place[1], "no-such").format(
            institution=institution, person=PERSONS[institution][0], line=line_of(PERSONS[institution][0])
        ),
        path,
    )
