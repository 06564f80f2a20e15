"""Persons' numbers are masked for roles that need not know them; one is seen by an act that is kept."""

import asyncio
import csv
import datetime as dt
import io
import json
import re
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.walked import DAY, PERSONS, A, Site, line_of

from renzheng.central.access.roles import MATRIX, Permission, Role
from renzheng.central.store import schema
from renzheng.central.store.masking import Masks, ending, label

PERSON = PERSONS[A][0]
NUMBER = "110101199003078515"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("masked"))
    with made.database.writing() as connection:
        told = f"{PERSON} and {NUMBER} were in two places"
        own = schema.findings.c.finding_id == f"FINDING-{A}"
        values = {"explanation_zh": told, "explanation_en": told, "parameters": json.dumps({"who": PERSON})}
        connection.execute(sa.update(schema.findings).where(own).values(values))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def auditor(site):
    return site.person("wu", Role.AUDITOR)


@pytest.fixture(scope="module")
def program(site):
    return Asking(site.app, site.account("program", Role.AUDITOR))


def handle_in(program):
    return json.loads(program.get(f"/api/v1/verdicts?{urlencode({'text': PERSON})}").text)["verdicts"][0][
        "person_id"
    ]


def test_a_handle_is_the_same_every_time_and_only_its_own_central_reads_it():
    one, other = Masks(b"a" * 32), Masks(b"b" * 32)
    handle = one.handle(NUMBER)
    assert handle == one.handle(NUMBER)
    assert one.person(handle) == NUMBER
    assert handle.startswith("…8515~")
    assert NUMBER[:14] not in handle
    for wrong in ("", "…8515", "…8515~", "…8515~AAAA", handle[:-1], NUMBER, "…~é", handle[:-4] + "AAAA"):
        assert one.person(wrong) is None, wrong
        assert other.person(handle) is None
    for person in ("", "7", "77", "P-1", "PERSON-A1", NUMBER):
        assert len(ending(person)) <= 1 + len(person) // 2
        assert one.person(one.handle(person)) == person
    assert label(handle) == "…8515"
    assert label("P~1") == "P~1", "a site's own number is no handle"


def test_who_knows_numbers_never_has_to_unmask_and_who_may_unmask_does_not_know_them():
    for role in Role:
        assert not MATRIX[role] >= {Permission.IDENTITIES, Permission.UNMASK}, role
    may = {role for role in Role if Permission.UNMASK in MATRIX[role]}
    assert may == {Role.AUDITOR, Role.REVIEWER, Role.PANEL, Role.APPROVER, Role.INTERNAL_CONTROL}


def test_lists_groups_filters_and_exports_go_on_with_the_handle(site, auditor, program):
    handle = handle_in(program)
    first, last = DAY.isoformat(), DAY.isoformat()
    period = f"from={first}&to={last}"
    for path in (
        f"/lines?{period}",
        f"/lines?{period}&group=person",
        f"/lines?{period}&{urlencode({'person': handle})}",
        f"/findings?{period}",
        f"/findings/FINDING-{A}",
        f"/lines/{line_of(PERSON)}?institution={A}",
        f"/persons/{quote(handle)}?month={first[:7]}",
        f"/lines.csv?{period}",
        f"/lines.csv?{period}&group=person",
        f"/findings.csv?{period}",
        "/doubts",
    ):
        before = site.head()
        answer = auditor.get(path)
        assert answer.status == 200, (path, answer.text[:300])
        assert PERSON not in answer.text, path
        assert NUMBER not in answer.text, path
        if path != "/doubts":
            assert PERSON in {one for entry in site.entries(before) for one in entry["persons"]}, path
    rows = list(csv.reader(io.StringIO(auditor.get(f"/lines.csv?{period}").text.lstrip("\ufeff"))))
    assert sum(handle in row for row in rows) == 1
    text = auditor.get(f"/lines?{period}&{urlencode({'person': handle})}").text
    assert line_of(PERSON) in text
    assert line_of(PERSONS[A][1]) not in text
    told = program.get(f"/api/v1/findings/FINDING-{A}").text
    assert PERSON not in told
    assert json.loads(told)["explanation_en"] == f"{ending(PERSON)} and …8515 were in two places"


def test_one_number_is_shown_with_a_reason_and_written_down(site, auditor, program):
    handle = handle_in(program)
    page = auditor.get(f"/persons/{quote(handle)}").text
    (action,) = re.findall(r'action="(/unmask[^"]*)"', page)
    before = site.head()
    answer = auditor.post(action, {"person": handle, "reason": "hospital asks  which patient"})
    assert answer.status == 200
    assert PERSON in answer.text
    (entry,) = site.entries(before)
    assert (entry["act"], entry["persons"], entry["purpose"]) == ("unmask", [PERSON], "unmasking")
    assert "(hospital asks which patient)" in entry["what"]
    for form in ({"person": handle, "reason": "  "}, {"person": "…~x", "reason": "because"}, {}):
        answer = auditor.post(action, form)
        assert (answer.status, PERSON in answer.text) == (400, False), form
    told = json.dumps({"person_id": handle, "reason": "hospital asks"}).encode()
    answer = program_post(program, told)
    assert json.loads(answer.text) == {"person_id": PERSON}
    assert program_post(program, told.replace(b"hospital asks", b"   x   ")).status == 404


def program_post(program, body):
    path = "/api/v1/persons/unmask"
    return asyncio.run(program.ask("POST", path, body, {"content-type": "application/json"}))


def test_unmasking_asks_again_who_it_is_and_others_may_not(site, auditor):
    other = Asking(site.app, site.account("other", Role.THIRD_PARTY, institution={A}))
    assert other.post("/unmask", {"person": "x", "reason": "because"}).status == 403
    page = other.get(f"/persons/{PERSON}").text
    assert "/unmask" not in page
    assert PERSON not in page.replace(f"/persons/{PERSON}", "")
    office = site.person("office", Role.HOSPITAL_OFFICE, institution={A})
    assert PERSON in office.get(f"/lines?from={DAY}&to={DAY}").text
    site.now += dt.timedelta(minutes=10)
    answer = auditor.post("/unmask?back=/persons/x", {"person": "x", "reason": "because"})
    assert answer.status == 303
    assert answer.headers["location"].startswith("/confirm")
