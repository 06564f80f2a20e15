"""Lines of service points as small tables, each case at an institution of its own: engine and oracle agree.

Two published cases in small (a stimulation room that most of the charged never entered, biofeedback charged
far more often than its machine ran), and beside each the innocent whom it resembles.
"""

import datetime as dt
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.rules.examples import CATALOGUE, expand

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
CODES = {
    **CATALOGUE,
    "TMS": "stimulation",
    "BFB": "stimulation",
    "OT": "rehabilitation",
    "PT": "rehabilitation",
    "MASSAGE": "rehabilitation",
    "CT": "imaging",
    "PILL": "other",
}
UNITS = {"PT": "hour", "MASSAGE": "part"}
ROOM = {"item_codes": "TMS", "device_ids": "K1", "machine_ids": "M1", "minimum_minutes": 20}
LOG_ONLY = {"item_codes": "BFB", "machine_ids": "M1", "log_source": "LOG1", "minimum_minutes": 20}
REHABILITATION = {
    "kind": "rehabilitation",
    "item_classes": "rehabilitation",
    "device_ids": "K1",
    "minimum_minutes": 30,
}
DOOR = {
    "device_id": "K1",
    "purpose": "stimulation",
    "from_at": "2026-01-01 00:00",
    "to_at": "2026-04-10 00:00",
}
LOG = {**DOOR, "device_id": "LOG1"}


def line(name="L1", day=4, code="TMS", hour=17, **more):
    return {"line_id": name, "item_code": code, "service_time": f"2026-03-{day:02} {hour:02}:00", **more}


def came(name, day, begin, end=None, purpose="stimulation", **more):
    event = {"purpose": purpose, **more}
    yield {"event_id": f"{name}i", "occurred_at": f"2026-03-{day:02} {begin}", **event}
    if end:
        yield {
            "event_id": f"{name}o",
            "event_type": "sign_out",
            "occurred_at": f"2026-03-{day:02} {end}",
            **event,
        }


def ran(day, begin, end, **more):
    return {"started_at": f"2026-03-{day:02} {begin}", "ended_at": f"2026-03-{day:02} {end}", **more}


def case(verdicts, *, points=(ROOM,), coverage=(DOOR,), lines=None, attendance=(), **tables):
    found = {
        "service_points": points,
        "coverage": coverage,
        "claim_lines": lines or [line()],
        "attendance": list(attendance),
        **tables,
    }
    return found, verdicts if isinstance(verdicts, dict) else {"L1": verdicts}


PHARMACY = {"kind": "pharmacy", "item_codes": "PILL", "device_ids": "C1"}


def bought(hour=17, **more):
    moment = f"2026-03-04 {hour:02}:00"
    yield {"event_id": f"B{hour}", "occurred_at": moment, **more}


def sale(verdict, bought=(), **tables):
    """A pharmacy whose counter, as counters do, never says that it could have seen somebody."""
    return case(
        verdict,
        points=(PHARMACY,),
        coverage=(),
        lines=[line(code="PILL")],
        counter_identifications=list(bought),
        **tables,
    )


STAFFED = {**ROOM, "staff_needed": "technician"}
AT_WORK = {"role": "technician", "staff_id": "T1", "from_at": "2026-03-04 08:00", "to_at": "2026-03-04 17:00"}
GAP = "insufficient/coverage_gap"
CASES = {
    # a pharmacy's counter: a relative buys, in whatever way she is identified, and nobody is accused
    "a daughter with the papers of both": sale("supported/verified_session", bought()),
    "a daughter by her face": sale(
        "supported/verified_session",
        bought(outcome="match", pad="bona_fide", method="face", source="counter"),
    ),
    "the insurer's terminal": sale(
        "supported/verified_session",
        bought(method="face", source="nhsa_terminal", terminal_reference="T1"),
    ),
    "the patient alone, by a document": sale(
        "supported/verified_session",
        bought(relation="self", basis="self", both_papers=False, buyer_id="P1"),
    ),
    "a stranger without papers": sale(GAP, bought(relation="other", basis="not_shown", both_papers=False)),
    "a daughter without her mother's papers": sale(GAP, bought(both_papers=False)),
    "a face that showed nothing living": sale(GAP, bought(outcome="match", pad="not_shown", method="face")),
    "nothing could be told": sale(GAP, bought(outcome="not_acquired", method="none", buyer_id=None)),
    "a counter whose clock was wrong": sale("insufficient/clock_untrusted", bought(clock_trusted=False)),
    "nobody was named at the counter": sale(GAP),
    "a purchase while the patient is on dialysis elsewhere": sale(
        "supported/verified_session",
        bought(),
        attendance=came("E", 4, "16:50", "20:00", purpose="dialysis", institution_id="-FAR"),
    ),
    "nobody named, and the patient on dialysis elsewhere": sale(
        GAP, attendance=came("E", 4, "16:50", "20:00", purpose="dialysis", institution_id="-FAR")
    ),
    "a daughter at the pharmacy is no sign against her mother's session": case(
        "supported/corroborated_manual",
        points=(ROOM, {**PHARMACY, "point_id": "S9", "institution_id": "-FAR"}),
        attendance=came("E", 4, "09:00", outcome="manual", witness_id="N1"),
        machine_sessions=[ran(4, "09:05", "09:35", person_id="P1")],
        counter_identifications=list(bought(9, institution_id="-FAR", occurred_at="2026-03-04 09:10")),
    ),
    # the room that nobody entered, and who is like it
    "never entered the room": case("contradicted/no_session"),
    "half an hour in the room": case("supported/verified_session", attendance=came("E", 4, "09:00", "09:30")),
    "ten minutes in the room": case("contradicted/too_short", attendance=came("E", 4, "09:00", "09:10")),
    "no sign-out, but the machine ran for the patient": case(
        "supported/verified_session",
        attendance=came("E", 4, "09:00"),
        machine_sessions=[ran(4, "09:05", "09:35", person_id="P1")],
    ),
    "no sign-in, but the machine ran for the patient": case(
        GAP, machine_sessions=[ran(4, "09:05", "09:35", person_id="P1")]
    ),
    "the machine ran for somebody else": case(
        "contradicted/no_session", machine_sessions=[ran(4, "09:05", "09:35", person_id="P2")]
    ),
    "two lines for one session": case(
        {"L1": "supported/verified_session", "L2": "contradicted/more_lines_than_sessions"},
        lines=[line("L1", hour=9), line("L2", hour=15)],
        attendance=came("E", 4, "09:00", "09:30"),
    ),
    "a witness and the machine's log": case(
        "supported/corroborated_manual",
        attendance=came("E", 4, "09:00", outcome="manual", witness_id="N1"),
        machine_sessions=[ran(4, "09:05", "09:35", person_id="P1")],
    ),
    "an inpatient whom the ward's camera saw": case(
        "contradicted/no_session",
        stays=[{"visit_id": "V1", "admitted_at": "2026-03-01 08:00"}],
        attendance=[
            {
                "event_id": "W",
                "event_type": "presence",
                "purpose": "inpatient",
                "occurred_at": "2026-03-04 09:00",
            }
        ],
    ),
    "an inpatient treated at the bed": case(
        "insufficient/bedside_possible",
        points=({**ROOM, "room": ""},),
        stays=[{"visit_id": "V1", "admitted_at": "2026-03-01 08:00"}],
    ),
    "an outage in the morning": case(
        GAP, coverage=({**DOOR, "to_at": "2026-03-04 07:00"}, {**DOOR, "from_at": "2026-03-04 12:00"})
    ),
    "an outage the day before, the fee a day late": case(
        GAP,
        coverage=({**DOOR, "to_at": "2026-03-03 07:00"}, {**DOOR, "from_at": "2026-03-04 00:00"}),
    ),
    "a fee two days late": case(
        "supported/billed_late", lines=[line(day=6)], attendance=came("E", 4, "09:00", "09:30")
    ),
    "a room without a device": case(GAP, points=({**ROOM, "device_ids": None},), coverage=()),
    "a second room of the kind without a device": case(
        GAP, points=(ROOM, {**ROOM, "point_id": "S2", "room": "2", "device_ids": None})
    ),
    "a second room, its device down": case(
        GAP,
        points=(ROOM, {**ROOM, "point_id": "S2", "room": "2", "device_ids": "K2"}),
        coverage=(DOOR, {**DOOR, "device_id": "K2", "to_at": "2026-03-04 06:00"}),
    ),
    "a second room, both watched": case(
        "contradicted/no_session",
        points=(ROOM, {**ROOM, "point_id": "S2", "room": "2", "device_ids": "K2"}),
        coverage=(DOOR, {**DOOR, "device_id": "K2"}),
    ),
    "a second room that closed long ago": case(
        "contradicted/no_session",
        points=(
            ROOM,
            {**ROOM, "point_id": "S2", "room": "2", "device_ids": None, "valid_to": dt.date(2026, 1, 31)},
        ),
    ),
    "billed before the device came": case(
        GAP, lines=[line(day=4)], coverage=({**DOOR, "from_at": "2026-03-10 00:00"},)
    ),
    "billed the day after the device came, treated before": case(
        GAP, lines=[line(day=11)], coverage=({**DOOR, "from_at": "2026-03-11 00:00"},)
    ),
    "billed before the point was there": case({}, points=({**ROOM, "valid_from": dt.date(2026, 3, 10)},)),
    "signed in at another room's kiosk": case(
        GAP,
        points=(ROOM, {**REHABILITATION, "point_id": "S2"}),
        attendance=came("E", 4, "09:00", purpose="rehabilitation"),
    ),
    "signed in for dialysis only": case(GAP, attendance=came("E", 4, "09:00", "13:00", purpose="dialysis")),
    "a clock that was not trusted": case(
        "insufficient/clock_untrusted", attendance=came("E", 4, "09:00", "09:30", clock_trusted=False)
    ),
    "liveness not shown": case(
        "insufficient/pad_not_shown", attendance=came("E", 4, "09:00", "09:30", pad="not_shown")
    ),
    "somebody else's face": case(
        "contradicted/identity_mismatch", attendance=came("E", 4, "09:00", outcome="non_match")
    ),
    "seen at another institution": case(
        "contradicted/elsewhere",
        lines=[line(hour=10)],
        coverage=(),
        attendance=[
            {
                "event_id": "X",
                "purpose": "outpatient",
                "occurred_at": "2026-03-04 10:20",
                "institution_id": "-far",
            }
        ],
    ),
    "dialysed at another institution": case(
        "contradicted/elsewhere",
        lines=[line(hour=10)],
        coverage=(),
        attendance=[
            {**event, "institution_id": "-far"}
            for event in came("X", 4, "07:30", "11:45", purpose="dialysis")
        ],
    ),
    "seen at another institution, and here": case(
        "supported/verified_session",
        lines=[line(hour=10)],
        attendance=[
            *came("E", 4, "14:00", "14:30"),
            {
                "event_id": "X",
                "purpose": "outpatient",
                "occurred_at": "2026-03-04 10:20",
                "institution_id": "-far",
            },
        ],
    ),
    "after death": case(
        "contradicted/after_death",
        lines=[line(day=20)],
        persons=[{"death_date": dt.date(2026, 3, 10)}],
    ),
    "treated before death, billed after": case(
        "supported/billed_late",
        lines=[line(day=20)],
        attendance=came("E", 4, "09:00", "09:30"),
        persons=[{"death_date": dt.date(2026, 3, 10)}],
    ),
    "wholly taken back": case(
        {},
        lines=[line(), line("R1", reverses_line_id="L1", quantity=-1, amount=-400)],
    ),
    "one of three taken back": case(
        "supported/verified_session",
        lines=[
            line(quantity=3, amount=1200),
            line("R1", day=5, reverses_line_id="L1", quantity=-2, amount=-800),
        ],
        attendance=came("E", 4, "09:00", "09:30"),
    ),
    "a broken row that may have been the sign-in": case(
        "insufficient/broken_row",
        attendance=[
            {
                "event_id": "B",
                "purpose": "stimulation",
                "outcome": "nonsense",
                "occurred_at": "2026-03-04 09:00",
            }
        ],
    ),
    # the machine that ran three times
    "charged, and the machine never ran": case(
        "contradicted/no_session", points=(LOG_ONLY,), coverage=(LOG,), lines=[line(code="BFB")]
    ),
    "the machine's log was not read": case(GAP, points=(LOG_ONLY,), coverage=(), lines=[line(code="BFB")]),
    "a machine without a log": case(
        GAP, points=({**LOG_ONLY, "log_source": None},), coverage=(), lines=[line(code="BFB")]
    ),
    "the log names the patient": case(
        GAP,
        points=(LOG_ONLY,),
        coverage=(LOG,),
        lines=[line(code="BFB")],
        machine_sessions=[ran(4, "09:00", "09:25", person_id="P1")],
    ),
    "the log names nobody that day": case(
        GAP,
        points=(LOG_ONLY,),
        coverage=(LOG,),
        lines=[line(code="BFB")],
        machine_sessions=[ran(4, "09:00", "09:25")],
    ),
    "a test run of a minute names nobody": case(
        "contradicted/no_session",
        points=(LOG_ONLY,),
        coverage=(LOG,),
        lines=[line(code="BFB")],
        machine_sessions=[ran(4, "09:00", "09:01")],
    ),
    "the log of a room with a door was not read": case(
        GAP, points=({**ROOM, "log_source": "LOG1"},), lines=[line()]
    ),
    "a machine that two rooms share": case(
        {"L1": GAP, "L2": GAP},
        points=(
            {**LOG_ONLY, "item_codes": "TMS"},
            {
                **LOG_ONLY,
                "point_id": "S2",
                "kind": "rehabilitation",
                "item_codes": "OT",
                "log_source": "LOG2",
            },
        ),
        coverage=(LOG, {**LOG, "device_id": "LOG2", "purpose": "rehabilitation"}),
        lines=[line(), line("L2", code="OT")],
        machine_sessions=[ran(4, "09:00", "09:25", person_id="P1")],
    ),
    # several treatments of one visit
    "five treatments of one visit": case(
        dict.fromkeys(("L1", "L2"), "supported/verified_session"),
        points=(REHABILITATION,),
        coverage=({**DOOR, "purpose": "rehabilitation"},),
        lines=[line(code="OT"), line("L2", code="MASSAGE", quantity=3)],
        attendance=came("E", 4, "09:00", "09:40", purpose="rehabilitation"),
    ),
    "of which one was entered later": case(
        {"L1": "supported/verified_session", "L2": "supported/billed_late"},
        points=(REHABILITATION,),
        coverage=({**DOOR, "purpose": "rehabilitation"},),
        lines=[line(code="OT"), line("L2", day=6, code="MASSAGE")],
        attendance=came("E", 4, "09:00", "09:40", purpose="rehabilitation"),
    ),
    "two hours billed, half of one shown": case(
        "contradicted/too_short",
        points=(REHABILITATION,),
        coverage=({**DOOR, "purpose": "rehabilitation"},),
        lines=[line(code="PT", quantity=2)],
        attendance=came("E", 4, "09:00", "09:35", purpose="rehabilitation"),
    ),
    # a visit without an end
    "a picture taken": case(
        "supported/verified_session",
        points=({"kind": "imaging", "item_codes": "CT", "device_ids": "K1"},),
        coverage=({**DOOR, "purpose": "imaging"},),
        lines=[line(code="CT")],
        attendance=came("E", 4, "09:00", purpose="imaging"),
    ),
    "a picture of nobody": case(
        "contradicted/no_session",
        points=({"kind": "imaging", "item_codes": "CT", "device_ids": "K1"},),
        coverage=({**DOOR, "purpose": "imaging"},),
        lines=[line(code="CT")],
    ),
    "vouched for at the counter": case(
        "insufficient/manual_uncorroborated",
        points=({"kind": "outpatient", "item_codes": "PILL", "device_ids": "K1"},),
        coverage=({**DOOR, "purpose": "outpatient"},),
        lines=[line(code="PILL")],
        attendance=came("E", 4, "09:00", purpose="outpatient", outcome="manual", witness_id="N1"),
    ),
    # staff
    "no technician was shown": case(
        "insufficient/staff_not_shown", points=(STAFFED,), attendance=came("E", 4, "09:00", "09:30")
    ),
    "a technician was at work": case(
        "supported/verified_session",
        points=(STAFFED,),
        attendance=came("E", 4, "09:00", "09:30"),
        staff_presence=[{**AT_WORK, "presence_id": "A"}],
    ),
    "a technician of another room": case(
        "insufficient/staff_not_shown",
        points=(STAFFED, {**REHABILITATION, "point_id": "S2"}),
        attendance=came("E", 4, "09:00", "09:30"),
        staff_presence=[{**AT_WORK, "presence_id": "A", "point_id": "S2"}],
    ),
    "a technician whom a colleague wrote down": case(
        "insufficient/staff_not_shown",
        points=(STAFFED,),
        attendance=came("E", 4, "09:00", "09:30"),
        staff_presence=[{**AT_WORK, "presence_id": "A", "shown_by": "manual"}],
    ),
    "no technician for who never came": case("contradicted/no_session", points=(STAFFED,)),
    # what a service point has no say in
    "a code that no point covers": case({}, lines=[line(code="OT")]),
    "dialysis stays dialysis": case(
        "contradicted/no_session",
        points=({**ROOM, "item_codes": "TMS;HD"},),
        coverage=(DOOR, {**DOOR, "purpose": "dialysis"}),
        lines=[line(code="HD")],
    ),
    "a code that no catalogue knows": case(
        "contradicted/no_session", points=({**ROOM, "item_codes": "NEW"},), lines=[line(code="NEW")]
    ),
    "codes written by hand": case("contradicted/no_session", points=({**ROOM, "item_codes": " ot ; tms "},)),
}
PLACES = {name: f"H{number}" for number, name in enumerate(CASES)}
OWN_IDS = {
    "attendance": "event_id",
    "counter_identifications": "event_id",
    "service_points": "point_id",
    "staff_presence": "presence_id",
    "stays": "visit_id",
}


def at_home(table, row, home):
    """Give a row its case's institution and person, and ids that no other case has."""
    there = {"institution_id": home + row.get("institution_id", ""), "person_id": f"P-{home}"}
    if row.get("person_id"):
        there["person_id"] = f"{row['person_id'].replace('P1', 'P')}-{home}"
    elif table in {"machine_sessions", "staff_presence"}:
        there["person_id"] = None
    own = OWN_IDS.get(table)
    default = "S1" if table == "service_points" else None
    ids = {own: f"{home}-{row.get(own, default)}"} if own else {}
    if table == "staff_presence" and row.get("point_id"):
        ids["point_id"] = f"{home}-{row['point_id']}"
    known = INPUT_TABLES[table].by_name
    return {**row, **{name: value for name, value in {**there, **ids}.items() if name in known}}


@pytest.fixture(scope="module")
def rows():
    found = {
        "item_catalogue": [
            {"item_code": code, "item_class": kind, "unit": UNITS.get(code)} for code, kind in CODES.items()
        ]
    }
    for name, (tables, _) in CASES.items():
        home = PLACES[name]
        found.setdefault("institutions", []).extend({"institution_id": home + far} for far in ("", "-FAR"))
        for table, mine in tables.items():
            found.setdefault(table, []).extend(at_home(table, row, home) for row in mine)
    return {name: list(expand(name, table)) for name, table in found.items()}


def written(rows, folder):
    (folder / "tables").mkdir()
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def out(rows, tmp_path_factory):
    folder = written(rows, tmp_path_factory.mktemp("points"))
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out"))
    return folder / "out"


@pytest.fixture(scope="module")
def on_duckdb(out):
    return {(one.institution_id, one.line_id): one for one in read_verdicts(out)}


@pytest.fixture(scope="module")
def judged(rows):
    return Oracle({name: rows.get(name, []) for name in INPUT_TABLES}, FIRST, LAST).judge()


def told(answers, name):
    return {
        key[1]: f"{answer.verdict}/{answer.reason}"
        for key, answer in answers.items()
        if key[0] == PLACES[name]
    }


@pytest.mark.parametrize("name", CASES)
def test_the_line_is_answered(on_duckdb, name):
    assert told(on_duckdb, name) == CASES[name][1]


def test_the_oracle_says_the_same(on_duckdb, judged):
    def facts(one):
        return one.verdict, one.reason, round(one.coverage_ratio, 9), tuple(one.evidence)

    assert {key: facts(one) for key, one in judged.lines.items()} == {
        key: facts(one) for key, one in on_duckdb.items()
    }


def test_lines_of_points_are_told_apart(on_duckdb, judged):
    of_points = {key for key, one in on_duckdb.items() if one.rule_id == "line-service-point"}
    assert of_points == judged.of_points
    assert (PLACES["dialysis stays dialysis"], "L1") not in of_points


def test_the_ledger_closes_to_the_cent(rows, out, judged):
    sent = Counter()
    for row in rows["claim_lines"]:
        sent[row["institution_id"]] += row["amount"]
    booked = Counter()
    ledger = pq.read_table(out / "ledger.parquet").to_pylist()
    for row in ledger:
        booked[row["institution_id"]] += row["amount"]
    assert booked == sent
    assert {(row["institution_id"], row["box"]): row["amount"] for row in ledger} == {
        key: one.amount for key, one in judged.ledger.items()
    }
    assert sum(sent.values()) > Decimal(0)
