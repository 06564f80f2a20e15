"""What would change a verdict is asked of the oracle, and never said where it answers otherwise."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from renzheng.central.audit.oracle import Oracle, Parameters, Shared
from renzheng.central.nightly.line_case import LineCase
from renzheng.central.nightly.what_if import what_would_change
from renzheng.central.texts import LANGUAGES, texts
from renzheng.contracts.tables import INPUT_TABLES

ZONE = ZoneInfo("Asia/Shanghai")
DAY = dt.date(2026, 3, 4)


def at(clock, day=4):
    hour, minute = map(int, clock.split(":"))
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=ZONE)


def whole(table, **values):
    return {**dict.fromkeys(INPUT_TABLES[table].by_name), **values}


def line():
    return whole(
        "claim_lines", line_id="L1", institution_id="H1", visit_id="V1", person_id="P1", item_code="X",
        visit_type="inpatient", item_name="x", service_time=at("10:00"), quantity=Decimal(1),
        amount=Decimal(400),
    )  # fmt: skip


def up(purpose="dialysis"):
    own = {"institution_id": "H1", "device_id": "K1", "purpose": purpose, "state": "up"}
    return whole("coverage", from_at=at("00:00", 1), to_at=at("00:00", 6), **own)


def event(event_type, clock, **more):
    usual = {
        "event_id": f"E-{event_type}", "institution_id": "H1", "device_id": "K1", "person_id": "P1",
        "event_type": event_type, "purpose": "dialysis", "occurred_at": at(clock), "received_at": at(clock),
        "outcome": "match", "pad": "bona_fide", "clock_trusted": True,
    }  # fmt: skip
    return whole("attendance", **{**usual, **more})


def asked(item_class="haemodialysis", **tables):
    """Give a line's case with the answer that the oracle gives, and what would change it."""
    rows = {
        "claim_lines": [line()],
        "institutions": [whole("institutions", institution_id="H1", name="县医院", region_code="371121")],
        "item_catalogue": [whole("item_catalogue", item_code="X", item_class=item_class)],
        **tables,
    }
    case = LineCase(line(), item_class, DAY, ZONE, rows, Shared({"H1": []}))
    answer = Oracle(rows, DAY, DAY, Parameters(), Shared({"H1": []})).answers()["H1", "L1"]
    changes = what_would_change(case, answer.verdict, answer.reason, lambda _: Parameters())
    assert changes is not None
    return (answer.verdict, answer.reason), {one.kind: (one.verdict, one.reason) for one in changes}


def test_a_phantom_line_is_cleared_by_what_the_audit_would_take():
    answer, changes = asked(coverage=[up()])
    assert answer == ("contradicted", "no_session")
    assert changes["session"] == ("supported", "verified_session")
    assert changes["machine_run_hospital"][0] == "insufficient"
    assert changes["coverage_down"] == ("insufficient", "coverage_gap")
    assert changes["inpatient"] == ("insufficient", "bedside_possible")
    assert "presence" not in changes, "it would be an empty word: nobody signed in"


def test_what_a_witnessed_sign_in_lacks():
    signed_in = event("sign_in", "08:00", outcome="manual", witness_id="N1")
    answer, changes = asked(attendance=[signed_in], coverage=[up()])
    assert answer == ("insufficient", "manual_uncorroborated")
    assert changes["machine_run_device"] == ("supported", "corroborated_manual")
    assert changes["presence"] == ("supported", "corroborated_manual")
    assert changes["without_sign_in"] == ("contradicted", "no_session")


def test_a_support_names_what_it_hangs_on():
    events = [event("sign_in", "08:00"), event("sign_out", "12:00")]
    answer, changes = asked(attendance=events, coverage=[up()])
    assert answer == ("supported", "verified_session")
    assert changes["without_sign_out"] == ("insufficient", "no_sign_out")
    assert changes["without_sign_in"][0] != "supported"


def test_a_bed_is_shown_by_a_leave_or_a_sighting():
    check = whole(
        "spot_checks", check_id="C1", round_id="R1", institution_id="H1", visit_id="V1", person_id="P1",
        drawn_at=at("09:00"), due_at=at("10:00"), answered_at=at("09:30"), result="absent",
    )  # fmt: skip
    stay = whole("stays", visit_id="V1", institution_id="H1", person_id="P1", admitted_at=at("08:00", 2))
    answer, changes = asked("bed_day", spot_checks=[check], stays=[stay])
    assert answer == ("contradicted", "absent_at_check")
    assert changes["examination"] == ("supported", "approved_leave")
    assert changes["check_withdrawn"] == ("insufficient", "not_seen")
    assert "presence" not in changes, "a check that found nobody outranks a sighting"


def test_nothing_is_said_of_a_verdict_that_the_records_do_not_give_again():
    rows = {"claim_lines": [line()], "coverage": [up()]}
    case = LineCase(line(), "haemodialysis", DAY, ZONE, rows, Shared({}))
    assert what_would_change(case, "supported", "verified_session", lambda _: Parameters()) is None


KINDS = """
sign_out sign_in session presence machine_run_device machine_run_hospital inpatient prescription coverage_down
coverage_up check_present leave examination transfer stay inpatient_ended check_withdrawn death_date sent_out
clock liveness other_line row_read event_elsewhere without_sign_in without_sign_out without_presence
without_identity_check without_machine_run without_check
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_change_has_its_words(language):
    named = {key.removeprefix("change.") for key in texts(language).catalogue if key.startswith("change.")}
    assert named == set(KINDS.split())
