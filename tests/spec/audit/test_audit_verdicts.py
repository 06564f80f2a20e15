"""What each verdict means, as small tables: a case, its neighbours, and what the audit says of each line.

Rows leave out what a case is not about (`renzheng.rules.examples.USUAL`): person P1 at institution H1, a
verified event, no prescription. Times are local. All cases run in one audit; a prefix keeps their ids apart.
"""

import datetime as dt

import pytest

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import write_tables
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES
from renzheng.rules.examples import CATALOGUE, SEPARATOR, Case, _prefixed, expand

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 10)


def at(clock, day=4):
    return f"2026-03-{day:02} {clock}"


def hd(line="L1", clock="10:00", day=4, **more):
    return {"line_id": line, "item_code": "HD", "service_time": at(clock, day), **more}


def bed(line="L1", day=4, clock="08:00", **more):
    return {"line_id": line, "item_code": "BED", "visit_id": "V1", "service_time": at(clock, day), **more}


def sign_in(clock="08:00", event="E1", day=4, **more):
    return {"event_id": event, "occurred_at": at(clock, day), **more}


def sign_out(clock="12:00", event="E2", day=4, **more):
    return {"event_id": event, "event_type": "sign_out", "occurred_at": at(clock, day), **more}


def presence(clock, event="E3", day=4, **more):
    return {"event_id": event, "event_type": "presence", "occurred_at": at(clock, day), **more}


def machine(begin="08:15", end="12:00", day=4, **more):
    return {"person_id": "P1", "started_at": at(begin, day), "ended_at": at(end, day), **more}


def stay(begin=1, end=8, clock="09:00", until="10:00", **more):
    return {"visit_id": "V1", "admitted_at": at(clock, begin), "discharged_at": at(until, end), **more}


def leave(begin="08:00", end="18:00", kind="leave", day=4, last=None, **more):
    return {
        "visit_id": "V1",
        "kind": kind,
        "left_at": at(begin, day),
        "returned_at": at(end, last or day),
        **more,
    }


def check(result, clock="10:00", day=4, **more):
    return {"check_id": "C1", "visit_id": "V1", "drawn_at": at(clock, day), "result": result, **more}


UP = [{"from_at": at("00:00"), "to_at": at("00:00", 5)}]
MANUAL = {"outcome": "manual", "pad": "not_shown", "witness_id": "W1"}
NO_PAD = {"pad": "not_shown"}
NO_CLOCK = {"clock_trusted": False}
OTHER = {"institution_id": "H2"}
GONE = [{"person_id": "P1", "death_date": dt.date(2026, 3, 3)}]
PRESCRIBED = [{"session_minutes": 240}]

# name: (tables, verdicts expected)
CASES = {
    # supported / verified_session
    "a sign-in and a sign-out by face": (
        {"claim_lines": [hd()], "attendance": [sign_in(), sign_out()]},
        {"L1": "supported/verified_session"},
    ),
    "a machine session stands in for the sign-out": (
        {"claim_lines": [hd()], "attendance": [sign_in()], "machine_sessions": [machine()]},
        {"L1": "supported/verified_session"},
    ),
    "a machine session of nobody in particular does not": (
        {"claim_lines": [hd()], "attendance": [sign_in()], "machine_sessions": [machine(person_id=None)]},
        {"L1": "insufficient/no_sign_out"},
    ),
    "a presence long after the sign-in stands in too": (
        {"claim_lines": [hd()], "attendance": [sign_in(), presence("10:00")]},
        {"L1": "supported/verified_session"},
    ),
    "a presence soon after the sign-in does not": (
        {"claim_lines": [hd()], "attendance": [sign_in(), presence("08:50")]},
        {"L1": "insufficient/no_sign_out"},
    ),
    "exactly half of the prescribed time": (
        {
            "claim_lines": [hd()],
            "prescriptions": PRESCRIBED,
            "attendance": [sign_in(), sign_out("10:00")],
        },
        {"L1": "supported/verified_session"},
    ),
    "short daily dialysis as prescribed": (
        {
            "claim_lines": [hd()],
            "prescriptions": [{"session_minutes": 120}],
            "attendance": [sign_in(), sign_out("09:05")],
        },
        {"L1": "supported/verified_session"},
    ),
    "a prescription that has ended asks nothing": (
        {
            "claim_lines": [hd()],
            "prescriptions": [{"session_minutes": 240, "valid_to": dt.date(2026, 3, 3)}],
            "attendance": [sign_in(), sign_out("09:30")],
        },
        {"L1": "supported/verified_session"},
    ),
    "overnight, billed on the day it ended": (
        {
            "claim_lines": [hd(clock="20:00", day=5)],
            "attendance": [sign_in("22:00"), sign_out("06:00", day=5)],
        },
        {"L1": "supported/verified_session"},
    ),
    "billed at midnight before": (
        {"claim_lines": [hd(clock="00:00")], "attendance": [sign_in("16:00"), sign_out("20:00")]},
        {"L1": "supported/verified_session"},
    ),
    "billed the next noon is late": (
        {
            "claim_lines": [hd(clock="12:30", day=5)],
            "attendance": [sign_in("18:00"), sign_out("22:00")],
            "coverage": [{"from_at": at("00:00", 5), "to_at": at("00:00", 6)}],
        },
        {"L1": "supported/billed_late"},
    ),
    "several modalities share a session": (
        {
            "claim_lines": [
                hd(),
                hd("L2", item_code="HP"),
                hd("L3", item_code="HDF"),
                hd("L4", item_code="HF"),
            ],
            "attendance": [sign_in(), sign_out()],
        },
        dict.fromkeys(["L1", "L2", "L3", "L4"], "supported/verified_session"),
    ),
    "inpatient dialysis in the same institution": (
        {
            "claim_lines": [hd()],
            "stays": [stay()],
            "attendance": [sign_in(), sign_out(), presence("15:00", purpose="inpatient")],
        },
        {"L1": "supported/verified_session"},
    ),
    "a repeated sign-in is one session, and the best of them counts": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(**MANUAL), sign_in("08:04", "E3"), sign_out()],
        },
        {"L1": "supported/verified_session"},
    ),
    "joined by session id, however late the sign-out": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in("07:00", session_id="S1"), sign_out("20:00", session_id="S1")],
        },
        {"L1": "supported/verified_session"},
    ),
    "a sign-out thirteen hours later belongs to nothing": (
        {"claim_lines": [hd()], "attendance": [sign_in("07:00"), sign_out("20:00")]},
        {"L1": "insufficient/no_sign_out"},
    ),
    "events that arrive late and in disorder": (
        {
            "claim_lines": [hd()],
            "attendance": [
                sign_out(received_at=at("09:00", 6)),
                sign_in(received_at=at("10:00", 6)),
            ],
        },
        {"L1": "supported/verified_session"},
    ),
    # supported / corroborated_manual
    "a witnessed sign-in and the machine's log": (
        {"claim_lines": [hd()], "attendance": [sign_in(**MANUAL)], "machine_sessions": [machine()]},
        {"L1": "supported/corroborated_manual"},
    ),
    "declined the camera, and seen by the ward's": (
        {
            "claim_lines": [hd()],
            "attendance": [
                sign_in(outcome="declined", pad="not_shown"),
                presence("08:30"),
                sign_out(**MANUAL),
            ],
        },
        {"L1": "supported/corroborated_manual"},
    ),
    "a witnessed sign-in alone": (
        {"claim_lines": [hd()], "attendance": [sign_in(**MANUAL), sign_out(**MANUAL)], "coverage": UP},
        {"L1": "insufficient/manual_uncorroborated"},
    ),
    # contradicted / elsewhere
    "verified elsewhere within the hour": (
        {"claim_lines": [hd()], "attendance": [presence("10:55", **OTHER)]},
        {"L1": "contradicted/elsewhere"},
    ),
    "verified elsewhere two hours later": (
        {"claim_lines": [hd()], "attendance": [presence("12:00", **OTHER)]},
        {"L1": "insufficient/coverage_gap"},
    ),
    "a session elsewhere over the service time": (
        {"claim_lines": [hd()], "attendance": [sign_in("06:00", **OTHER), sign_out("13:00", **OTHER)]},
        {"L1": "contradicted/elsewhere"},
    ),
    "elsewhere, but with a verified sign-in here that day": (
        {
            "claim_lines": [hd()],
            "attendance": [presence("10:55", **OTHER), sign_in("07:00"), sign_out("09:00", "E5")],
        },
        {"L1": "supported/verified_session"},
    ),
    "elsewhere by a witness's word only": (
        {"claim_lines": [hd()], "attendance": [sign_in("10:00", **OTHER, **MANUAL)]},
        {"L1": "insufficient/coverage_gap"},
    ),
    "elsewhere by an untrusted clock": (
        {"claim_lines": [hd()], "attendance": [sign_in("10:00", **OTHER, **NO_CLOCK)]},
        {"L1": "insufficient/coverage_gap"},
    ),
    "sent out by the other institution, which recorded the leave": (
        {
            "claim_lines": [hd()],
            "attendance": [presence("10:55", **OTHER, purpose="inpatient")],
            "leaves": [leave("09:00", "15:00", "transfer", **OTHER)],
        },
        {"L1": "insufficient/coverage_gap"},
    ),
    # contradicted / after_death
    "the day after death": (
        {"claim_lines": [hd()], "persons": GONE, "attendance": [sign_in(), sign_out()]},
        {"L1": "contradicted/after_death"},
    ),
    "the day of death": (
        {"claim_lines": [hd(day=3)], "persons": GONE, "attendance": [sign_in(day=3), sign_out(day=3)]},
        {"L1": "supported/verified_session"},
    ),
    # contradicted / too_short
    "signed out after twenty minutes": (
        {"claim_lines": [hd()], "attendance": [sign_in(), sign_out("08:20")]},
        {"L1": "contradicted/too_short"},
    ),
    "signed out after twenty minutes, the machine ran for hours": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in("11:40"), sign_out("12:05")],
            "machine_sessions": [machine("08:00", "12:00")],
        },
        {"L1": "supported/verified_session"},
    ),
    "signed out after twenty minutes, by a witness": (
        {"claim_lines": [hd()], "attendance": [sign_in(), sign_out("08:20", **MANUAL)]},
        {"L1": "insufficient/no_sign_out"},
    ),
    # contradicted / identity_mismatch
    "only failed attempts": (
        {
            "claim_lines": [hd()],
            "attendance": [
                sign_in(outcome="non_match"),
                sign_in("08:01", "E2", outcome="attack_suspected", pad="attack"),
            ],
        },
        {"L1": "contradicted/identity_mismatch"},
    ),
    "a failed attempt, then a witness": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(outcome="non_match"), sign_in("08:02", "E2", **MANUAL)],
        },
        {"L1": "insufficient/manual_uncorroborated"},
    ),
    "a failed attempt and one the camera could not take": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(outcome="non_match"), sign_in("08:02", "E2", outcome="not_acquired")],
            "coverage": UP,
        },
        {"L1": "insufficient/coverage_gap"},
    ),
    "a failed attempt and the machine's log": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(outcome="non_match")],
            "machine_sessions": [machine()],
            "coverage": UP,
        },
        {"L1": "insufficient/coverage_gap"},
    ),
    # contradicted / no_session and more_lines_than_sessions
    "nobody came": ({"claim_lines": [hd()], "coverage": UP}, {"L1": "contradicted/no_session"}),
    "nobody came, two kiosks covering for each other": (
        {
            "claim_lines": [hd()],
            "coverage": [
                {"device_id": "K1", "from_at": at("04:00"), "to_at": at("13:00")},
                {"device_id": "K2", "from_at": at("12:00"), "to_at": at("00:00", 5)},
            ],
        },
        {"L1": "contradicted/no_session"},
    ),
    "a degraded camera does not cover": (
        {"claim_lines": [hd()], "coverage": [{**UP[0], "state": "degraded"}]},
        {"L1": "insufficient/coverage_gap"},
    ),
    "a ward camera does not cover the dialysis door": (
        {"claim_lines": [hd()], "coverage": [{**UP[0], "purpose": "inpatient"}]},
        {"L1": "insufficient/coverage_gap"},
    ),
    "an outage of an hour and a half": (
        {
            "claim_lines": [hd()],
            "coverage": [
                {"from_at": at("00:00"), "to_at": at("09:00")},
                {"from_at": at("10:30"), "to_at": at("00:00", 5)},
            ],
        },
        {"L1": "insufficient/coverage_gap"},
    ),
    "nobody reported coverage": ({"claim_lines": [hd()]}, {"L1": "insufficient/coverage_gap"}),
    "nobody signed in, but the machine's log names the person": (
        {"claim_lines": [hd()], "machine_sessions": [machine()], "coverage": UP},
        {"L1": "insufficient/coverage_gap"},
    ),
    "two lines for one session: the nearer one has it": (
        {
            "claim_lines": [hd("L1", "20:00"), hd("L2", "12:10")],
            "attendance": [sign_in(), sign_out()],
            "coverage": UP,
        },
        {"L1": "contradicted/more_lines_than_sessions", "L2": "supported/verified_session"},
    ),
    "two lines for one session, devices down": (
        {"claim_lines": [hd("L1", "20:00"), hd("L2", "12:10")], "attendance": [sign_in(), sign_out()]},
        {"L1": "insufficient/coverage_gap", "L2": "supported/verified_session"},
    ),
    "a second line, and a machine run that is nobody else's": (
        {
            "claim_lines": [hd("L1", "10:00"), hd("L2", "19:00")],
            "attendance": [sign_in(), sign_out()],
            "machine_sessions": [machine("17:00", "20:00")],
            "coverage": UP,
        },
        {"L1": "supported/verified_session", "L2": "insufficient/coverage_gap"},
    ),
    "quantity two needs two sessions": (
        {"claim_lines": [hd(quantity=2)], "attendance": [sign_in(), sign_out()], "coverage": UP},
        {"L1": "contradicted/more_lines_than_sessions"},
    ),
    "quantity two with two sessions": (
        {
            "claim_lines": [hd(quantity=2)],
            "attendance": [
                sign_in("06:00"),
                sign_out("09:00"),
                sign_in("14:00", "E3"),
                sign_out("18:00", "E4"),
            ],
        },
        {"L1": "supported/verified_session"},
    ),
    "a line that needs two does not take the session of one that needs one": (
        {
            "claim_lines": [hd("L1", "09:00", quantity=2), hd("L2", "20:00")],
            "attendance": [sign_in(), sign_out()],
            "coverage": UP,
        },
        {"L1": "contradicted/more_lines_than_sessions", "L2": "supported/verified_session"},
    ),
    "a supported line for each, where nearest-first would waste one": (
        # L1 is nearer to the evening session, which is the only one L2 can have
        {
            "claim_lines": [hd("L1", "15:00"), hd("L2", "04:00", day=5)],
            "attendance": [
                sign_in("06:00"),
                sign_out("10:00"),
                sign_in("16:00", "E3"),
                sign_out("20:00", "E4"),
            ],
        },
        {"L1": "supported/verified_session", "L2": "supported/verified_session"},
    ),
    # reversals
    "wholly taken back": (
        {
            "claim_lines": [hd(), hd("R1", day=6, quantity=-1, amount=-400, reverses_line_id="L1")],
            "coverage": UP,
        },
        {},
    ),
    "taken back and billed anew": (
        {
            "claim_lines": [hd(), hd("R1", quantity=-1, amount=-400, reverses_line_id="L1"), hd("L2")],
            "attendance": [sign_in(), sign_out()],
        },
        {"L2": "supported/verified_session"},
    ),
    "one of two taken back": (
        {
            "claim_lines": [hd(quantity=2), hd("R1", quantity=-1, amount=-200, reverses_line_id="L1")],
            "attendance": [sign_in(), sign_out()],
        },
        {"L1": "supported/verified_session"},
    ),
    "a reversal that was itself reversed": (
        {
            "claim_lines": [
                hd(),
                hd("R1", quantity=-1, amount=-400, reverses_line_id="L1"),
                hd("R2", quantity=1, amount=400, reverses_line_id="R1"),
            ],
            "attendance": [sign_in(), sign_out()],
        },
        {"L1": "supported/verified_session"},
    ),
    # insufficient
    "signed in and never seen again": (
        {"claim_lines": [hd()], "attendance": [sign_in()], "coverage": UP},
        {"L1": "insufficient/no_sign_out"},
    ),
    "liveness not shown": (
        {"claim_lines": [hd()], "attendance": [sign_in(**NO_PAD), sign_out()], "coverage": UP},
        {"L1": "insufficient/pad_not_shown"},
    ),
    "the sign-in's clock is not trusted": (
        {"claim_lines": [hd()], "attendance": [sign_in(**NO_CLOCK), sign_out()], "coverage": UP},
        {"L1": "insufficient/clock_untrusted"},
    ),
    "the sign-out's clock is not trusted": (
        {"claim_lines": [hd()], "attendance": [sign_in(), sign_out(**NO_CLOCK)], "coverage": UP},
        {"L1": "insufficient/clock_untrusted"},
    ),
    # scope
    "peritoneal dialysis is never in scope": (
        {"claim_lines": [hd(item_code="PD"), hd("L2", item_code="DRUG")], "coverage": UP},
        {},
    ),
    # what else the wording asks for
    "an identity check is no presence": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(), presence("10:00", event_type="identity_check")],
            "coverage": UP,
        },
        {"L1": "insufficient/no_sign_out"},
    ),
    "seen among the machines after an early sign-out": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(), sign_out("08:20"), presence("11:00")],
        },
        {"L1": "supported/verified_session"},
    ),
    "seen in the ward after an early sign-out": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(), sign_out("08:20"), presence("11:00", purpose="inpatient")],
        },
        {"L1": "contradicted/too_short"},
    ),
    "a machine that ran after an early sign-out shows longer": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(), sign_out("08:20")],
            "machine_sessions": [machine("08:30", "12:00")],
        },
        {"L1": "insufficient/no_sign_out"},
    ),
    "a machine that ran for minutes after an early sign-out does not": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(), sign_out("08:20")],
            "machine_sessions": [machine("08:30", "08:50")],
        },
        {"L1": "contradicted/too_short"},
    ),
    "a presence after a manual session does not corroborate it": (
        {
            "claim_lines": [hd()],
            "attendance": [sign_in(**MANUAL), sign_out("10:00", **MANUAL), presence("11:00")],
            "coverage": UP,
        },
        {"L1": "insufficient/manual_uncorroborated"},
    ),
    "somebody else comes the morning after a session": (
        {
            "claim_lines": [hd("L1", "20:00", day=3), hd("L2", "08:00")],
            "attendance": [
                sign_in("18:00", day=3),
                sign_out("22:00", day=3),
                sign_in("07:30", "E5", outcome="non_match"),
            ],
        },
        {"L1": "supported/verified_session", "L2": "contradicted/identity_mismatch"},
    ),
    "somebody else comes on the day of a session": (
        {
            "claim_lines": [hd("L1", "10:00"), hd("L2", "16:00")],
            "attendance": [sign_in(), sign_out(), sign_in("15:30", "E5", outcome="non_match")],
        },
        {"L1": "supported/verified_session", "L2": "insufficient/coverage_gap"},
    ),
    "a match whose liveness failed neither carries nor refutes": (
        {"claim_lines": [hd()], "attendance": [sign_in(pad="attack"), sign_out()], "coverage": UP},
        {"L1": "insufficient/pad_not_shown"},
    ),
    "a prescription of peritoneal dialysis says nothing of the machine": (
        {
            "claim_lines": [hd()],
            "prescriptions": [{"session_minutes": 30, "modality": "peritoneal_dialysis"}],
            "attendance": [sign_in(), sign_out("09:00")],
        },
        {"L1": "contradicted/too_short"},
    ),
    # bed days
    "a bed after death": (
        {"claim_lines": [bed()], "persons": GONE, "stays": [stay()]},
        {"L1": "contradicted/after_death"},
    ),
    "a bed after discharge": (
        {"claim_lines": [bed()], "stays": [stay(end=3)]},
        {"L1": "contradicted/outside_stay"},
    ),
    "the days of admission and discharge": (
        {
            "claim_lines": [bed("L1", 2), bed("L2", 4)],
            "stays": [stay(begin=2, end=4, clock="22:00", until="00:30")],
        },
        {"L1": "insufficient/not_seen", "L2": "insufficient/not_seen"},
    ),
    "the stay of another visit": (
        {"claim_lines": [bed()], "stays": [stay(visit_id="V2")]},
        {"L1": "insufficient/not_seen"},
    ),
    "absent at a spot check": (
        {"claim_lines": [bed()], "stays": [stay()], "spot_checks": [check("absent")]},
        {"L1": "contradicted/absent_at_check"},
    ),
    "somebody else in the bed": (
        {"claim_lines": [bed()], "stays": [stay()], "spot_checks": [check("identity_mismatch")]},
        {"L1": "contradicted/absent_at_check"},
    ),
    "absent, though seen later that day": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "spot_checks": [check("absent")],
            "attendance": [presence("18:00", purpose="inpatient")],
        },
        {"L1": "contradicted/absent_at_check"},
    ),
    "absent after discharge": (
        {"claim_lines": [bed()], "stays": [stay(end=4, until="09:30")], "spot_checks": [check("absent")]},
        {"L1": "insufficient/not_seen"},
    ),
    "refused or unanswered checks say nothing": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "spot_checks": [check("refused"), check("unanswered", "11:00", check_id="C2", answered_at=None)],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "absent on plain leave, which covers the moment": (
        {"claim_lines": [bed()], "stays": [stay()], "spot_checks": [check("absent")], "leaves": [leave()]},
        {"L1": "insufficient/not_seen"},
    ),
    "absent before the leave began": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "spot_checks": [check("absent")],
            "leaves": [leave("11:00")],
        },
        {"L1": "contradicted/absent_at_check"},
    ),
    "absent at an examination": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "spot_checks": [check("absent")],
            "leaves": [leave(kind="examination")],
        },
        {"L1": "supported/approved_leave"},
    ),
    "seen by the ward's camera": (
        {"claim_lines": [bed()], "stays": [stay()], "attendance": [presence("15:00", purpose="inpatient")]},
        {"L1": "supported/seen"},
    ),
    "seen the day before": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "attendance": [presence("23:59", day=3, purpose="inpatient")],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "found at a spot check": (
        {"claim_lines": [bed()], "stays": [stay()], "spot_checks": [check("present")]},
        {"L1": "supported/seen"},
    ),
    "on leave the whole day": (
        {"claim_lines": [bed()], "stays": [stay()], "leaves": [leave("18:00", "09:00", day=3, last=5)]},
        {"L1": "insufficient/on_leave"},
    ),
    "a bed billed while verified elsewhere": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "attendance": [presence("15:00", **OTHER, purpose="outpatient")],
        },
        {"L1": "contradicted/elsewhere"},
    ),
    "elsewhere, but seen here too": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "attendance": [presence("15:00", **OTHER), presence("09:00", "E4", purpose="inpatient")],
        },
        {"L1": "supported/seen"},
    ),
    "elsewhere on the day of admission": (
        {"claim_lines": [bed()], "stays": [stay(begin=4)], "attendance": [presence("07:00", **OTHER)]},
        {"L1": "insufficient/not_seen"},
    ),
    "elsewhere on plain leave": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "leaves": [leave()],
            "attendance": [presence("15:00", **OTHER)],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "elsewhere on a transfer": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "leaves": [leave(kind="transfer")],
            "attendance": [presence("15:00", **OTHER)],
        },
        {"L1": "supported/approved_leave"},
    ),
    "a camera that did not see a patient proves nothing": (
        {"claim_lines": [bed()], "stays": [stay()], "coverage": [{**UP[0], "purpose": "inpatient"}]},
        {"L1": "insufficient/not_seen"},
    ),
    "a sign-out shows when somebody left, not that the bed was used": (
        {"claim_lines": [bed()], "stays": [stay()], "attendance": [sign_out("15:00", purpose="inpatient")]},
        {"L1": "insufficient/not_seen"},
    ),
    "a sign-out here forbids to conclude from a sighting elsewhere": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "attendance": [sign_out("15:00", purpose="inpatient"), presence("18:00", **OTHER)],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "so does an identity check, which is no presence either": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "attendance": [
                presence("15:00", "E2", event_type="identity_check"),
                presence("18:00", **OTHER),
            ],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "elsewhere on a leave that the other institution recorded": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "leaves": [leave(**OTHER)],
            "attendance": [presence("15:00", **OTHER)],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "elsewhere before midnight there, after midnight here": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "institutions": [{"institution_id": "H2", "timezone": "Asia/Urumqi"}],
            "attendance": [presence("00:30", day=5, **OTHER)],
        },
        {"L1": "insufficient/not_seen"},
    ),
    "elsewhere on the same day by both clocks": (
        {
            "claim_lines": [bed()],
            "stays": [stay()],
            "institutions": [{"institution_id": "H2", "timezone": "Asia/Urumqi"}],
            "attendance": [presence("15:00", **OTHER)],
        },
        {"L1": "contradicted/elsewhere"},
    ),
}


def laid_out():
    cases = []
    for number, (name, (tables, expected)) in enumerate(CASES.items()):
        prefix = f"c{number}"
        catalogue = [{"item_code": code, "item_class": kind} for code, kind in CATALOGUE.items()]
        rows = {
            table: [
                _prefixed(INPUT_TABLES[table], row, prefix + SEPARATOR, ()) for row in expand(table, found)
            ]
            for table, found in {"item_catalogue": catalogue, **tables}.items()
        }
        cases.append(Case(prefix, "", name, rows, (), expected))
    return cases


def answers(folder, engine):
    write_tables(folder / "tables", laid_out())
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", engine=engine))
    found = {name: {} for name in CASES}
    names = list(CASES)
    for one in read_verdicts(folder / "out"):
        prefix, line = one.line_id.split(SEPARATOR)
        found[names[int(prefix.removeprefix("c"))]][line] = f"{one.verdict}/{one.reason}"
    return found


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory):
    return answers(tmp_path_factory.mktemp("verdicts"), "duckdb")


@pytest.mark.parametrize("name", CASES)
def test_verdict(on_duckdb, name):
    assert on_duckdb[name] == CASES[name][1]


@pytest.mark.parametrize("case", laid_out(), ids=list(CASES))
def test_the_oracle_agrees(case):
    rows = {
        name: [{column.name: row.get(column.name) for column in INPUT_TABLES[name].columns} for row in found]
        for name, found in case.rows.items()
    }
    # in one run all cases share the fact that stays are known at all
    rows["stays"] = [*rows.get("stays", ()), *_a_stay_elsewhere()]
    told = {
        line.split(SEPARATOR)[1]: f"{answer.verdict}/{answer.reason}"
        for (_, line), answer in Oracle(rows, FIRST, LAST).answers().items()
    }
    assert told == case.verdicts


def _a_stay_elsewhere():
    return expand("stays", ({"visit_id": "V9", "institution_id": "H9", "admitted_at": at("00:00", 1)},))
