"""A doctor sees the lines under their own number at their own institution, and nobody else's."""

import json

import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.walked import PERSONS, A, B, Site, line_of

from renzheng.central.access.roles import Role
from renzheng.central.store import schema


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("own"))
    table = schema.verdicts
    of = {PERSONS[A][0]: "D100", PERSONS[A][1]: "D200", PERSONS[B][0]: "D100"}
    with made.database.writing() as connection:
        for person, doctor in of.items():
            same = table.c.line_id == line_of(person)
            connection.execute(sa.update(table).where(same).values(doctor_id=doctor))
    yield made
    made.database.close()


@pytest.mark.parametrize(
    ("name", "own"), [("d100", [PERSONS[A][0]]), ("D200", [PERSONS[A][1]]), ("D300", [])]
)
def test_a_doctor_sees_their_own_lines_at_their_own_institution(site, name, own):
    caller = Asking(site.app, site.account(name, Role.DOCTOR, institution={A}))
    for path in ("/own/lines", "/own/lines?month=2026-03", "/api/v1/own/lines"):
        before = site.head()
        text = caller.get(path).text
        for person in (one for persons in PERSONS.values() for one in persons):
            assert (line_of(person) in text) == (person in own), (path, person)
        (entry,) = site.entries(before)
        assert entry["persons"] == own
    assert json.loads(caller.get("/api/v1/own/lines?month=2026-04").text) == {"total": 0, "lines": []}
    for month in ("2026-__", "%25", "x"):
        assert caller.get(f"/api/v1/own/lines?month={month}").status == 422
    for path in (f"/lines/{line_of(PERSONS[A][0])}", "/lines", f"/persons/{PERSONS[A][0]}", "/lines.csv"):
        assert caller.get(path).status == 403


def test_nobody_else_has_own_lines(site):
    for role in (Role.AUDITOR, Role.HOSPITAL_OFFICE, Role.ADMINISTRATOR):
        institution = {A} if role is Role.HOSPITAL_OFFICE else ()
        caller = Asking(site.app, site.account(f"own-{role}", role, institution=institution))
        assert caller.get("/own/lines").status == 403
