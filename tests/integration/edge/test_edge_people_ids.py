"""One person is one person at the kiosk, however a reader or a keyboard writes the number."""

import pytest
from parts.edge import DAY, StandInEngine, make_settings, stepped_clock

from renzheng.edge.errors import UnknownPersonError
from renzheng.edge.kiosk.main import build_agent


@pytest.fixture
def people(tmp_path):
    agent = build_agent(make_settings(tmp_path), clock=stepped_clock(), engine=StandInEngine())
    yield agent.people
    agent.store.close()


@pytest.mark.parametrize(
    "written", ["11010519491231002x", " 11010519491231002X", "１１０１０５１９４９１２３１００２ｘ"]
)
def test_a_number_is_entered_and_found_in_one_spelling(people, written):
    entered = people.put_patient(written, surname="王", card_number="C 1001\u200b")
    people.put_on_roster(DAY, [written])
    assert entered.person_id == "11010519491231002X"
    assert people.by_id(written) == people.by_id("11010519491231002X") == people.by_card("c1001")
    assert [one.person_id for one in people.roster(DAY)] == ["11010519491231002X"]


def test_who_was_entered_by_an_earlier_version_is_still_found(people):
    with people.store.writing() as database:
        database.execute("INSERT INTO patients VALUES ('p-7', '李', '**-7', NULL)")
    assert people.by_id("p-7").person_id == "p-7"
    people.put_patient("p-7", surname="李", card_number=None)
    assert people.store.row("SELECT count(*) AS n FROM patients")["n"] == 1
    with pytest.raises(UnknownPersonError):
        people.by_id("p-8")
