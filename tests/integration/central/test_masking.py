"""Persons' numbers are masked for roles that need not know them; one is seen by an act that is kept."""

import asyncio
import csv
import datetime as dt
import hashlib
import io
import json
import re
import zipfile
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.walked import DAY, PERSONS, A, Site, line_of

from renzheng.central.access.roles import MATRIX, Permission, Role
from renzheng.central.lists.asked import Asked
from renzheng.central.lists.lists import Lists
from renzheng.central.store import schema, viewer
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
    return json.loads(program.get(f"/api/v1/lines/{line_of(PERSON)}").text)["person_id"]


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
        assert len(one.handle(person)) == len(one.handle(NUMBER)) - 4 * (len(person) < 8), "no length is told"
        assert one.person(one.handle(person)) == person
    assert label(handle) == "…8515"
    assert label("P~1") == "P~1", "a site's own number is no handle"
    assert label(one.handle("77")) != label(one.handle("7")), "short ones are told apart, and tell nothing"
    assert "7" not in ending("77")


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


def test_a_number_cannot_be_tried_out(site, auditor, program):
    period, other = f"from={DAY}&to={DAY}", f"Q{PERSON[1:]}"

    def same(where, person, *, of=auditor):
        """What a filter answers, without what was asked."""
        answer = of.get(where.format(quote(person)))
        text = re.sub(r"entry-\d+", "", answer.text)
        return answer.status, text.replace(quote(person), "").replace(person, "")

    of_lists = [
        f"/{kind}?{period}&{asked}"
        for kind in ("lines", "findings", "lines.csv")
        for asked in ("person={}", "text={}", "group=person&person={}")
    ]
    of_one = [
        "/persons/{}",
        "/doubts?person={}",
        f"/lines/{line_of(PERSON)}?institution={A}&list=person%3D{{}}",
    ]
    for where in (*of_lists, *of_one):
        before = site.head()
        assert same(where, PERSON) == same(where, other), where
        told = {one for entry in site.entries(before) for one in entry["persons"]}
        assert (PERSON in told) == where.startswith("/lines/"), "who asks by number reads of nobody"
    for where in ("/api/v1/verdicts?text={}", "/api/v1/doubts?person_id={}"):
        assert same(where, PERSON, of=program) == same(where, other, of=program), where
    assert same(f"/lines?{period}&person={{}}", PERSON) != same(
        f"/lines?{period}&person={{}}", handle_in(program)
    )


def test_no_order_and_no_place_in_a_list_tells_of_numbers(site, auditor):
    """Groups and rows stand as their handles' secret has it, and the next page's address holds no number."""
    people = sorted(one for of in PERSONS.values() for one in of)
    look = viewer.Viewer(masks=site.app.state.masks)
    lists, asked = Lists(site.settings.months_dir), {"first": DAY.isoformat(), "last": DAY.isoformat()}

    def read(**more):
        viewer.look_as(look)
        found, cursor = [], None
        with site.database.reading() as connection:
            while True:
                page = lists.page(connection, Asked("lines", **asked, cursor=cursor, **more), rows=1)
                found += [
                    viewer.meant(row.get("grouped", "")) if more.get("group") else row["person_id"]
                    for row in page.rows
                ]
                if page.after is None:
                    return found
                cursor = page.after
                assert not any(one in str(cursor) for one in people)

    orders = [read(sort="person"), read(group="person", sort="group"), read(group="person")]
    assert all(sorted(one) == people for one in orders)
    assert orders[0] == orders[1], "the same every time"
    secret = sorted(people, key=lambda one: hashlib.sha256((look.masks.salt + one).encode()).hexdigest())
    assert orders[0] == secret
    assert orders[2] == secret[::-1], "equal money is in no order of numbers"
    page = auditor.get(f"/lines?from={DAY}&to={DAY}&group=person&lang=en").text
    assert page.count('class="open"') == len(people)
    assert "<<<" not in page


def test_no_file_of_a_day_holds_numbers(site, auditor):
    answer = auditor.get(f"/days/{DAY}/verdicts.xlsx")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as sheet:
        text = "".join(sheet.read(name).decode() for name in sheet.namelist())
    assert line_of(PERSON) in text
    assert PERSON not in text


def test_whoever_a_findings_parameters_name_is_covered_and_noted(site):
    look = viewer.Viewer(masks=site.app.state.masks)
    viewer.look_as(look)
    row = {
        "person_id": None,
        "explanation_en": "Numbers SITE-0007 are one",
        "parameters": '{"numbers": "SITE-0007"}',
    }
    told = viewer.covered(row, ())
    viewer.look_as(None)
    assert told["explanation_en"] == "Numbers …0007 are one"
    assert "SITE" not in told["parameters"]
    assert look.persons == {"SITE-0007"}


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


def test_who_was_named_in_a_letter_is_found_with_a_reason(site, auditor, program):
    before = site.head()
    answer = auditor.post("/find-person", {"number": f" {PERSON.lower()}", "reason": "letter of 3 March"})
    assert (answer.status, answer.headers["location"]) == (303, f"/persons/{quote(handle_in(program))}")
    (entry,) = [one for one in site.entries(before) if one["act"] == "unmask"]
    assert (entry["persons"], "(letter of 3 March)" in entry["what"]) == ([PERSON], True)
    assert auditor.post("/find-person", {"number": PERSON, "reason": " x "}).status == 400
    told = json.dumps({"number": "PERSON-X9", "reason": "letter of 3 March"}).encode()
    nobody = program_post(program, told, "find")
    assert nobody.status == 200, "whether there is one, the lists say"
    assert auditor.get(f"/persons/{quote(json.loads(nobody.text)['person_id'])}").status == 404
    assert program_post(program, told.replace(b"PERSON-X9", b" "), "find").status == 404
    assert "/find-person" in auditor.get("/lines").text
    other = Asking(site.app, site.account("outside", Role.THIRD_PARTY, institution={A}))
    assert (other.get("/find-person").status, "/find-person" in other.get("/lines").text) == (403, False)


def program_post(program, body, act="unmask"):
    path = f"/api/v1/persons/{act}"
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
