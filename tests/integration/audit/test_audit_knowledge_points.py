"""The audit and a check say the same: generated days, held against the evaluator person by person."""

import datetime as dt
import itertools
import random
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import CHINA, filled

from renzheng.central.audit.readback import read_findings
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.history import level_of
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema
from renzheng.rules.knowledge.evaluating import Knowledge
from renzheng.rules.knowledge.facts import EPOCH, Encounter, Line, Patient, situation
from renzheng.rules.knowledge.points import Kind, Point
from renzheng.rules.knowledge.tables import with_points
from renzheng.rules.pack import load_pack

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 10)
SEEDS, PERSONS = range(26, 36), 32
VISITS = {
    "V1": ("outpatient", ("N18.001",)), "V2": ("inpatient", ("E11.9", "I10.x00")),
    "V3": ("pharmacy", ("E11.9",)), "V4": ("outpatient", ()),
}  # fmt: skip
"""Each visit's kind and diagnoses."""
LEVELS = {"H1": "1", "H2": "3"}


def point(kind, value, unit, *items, **more):
    return Point(f"{kind.value}-{'-'.join(items)}-{unit}", kind, items, "", value, unit, **more)


POINTS = [
    point(Kind.SEX, "F", "", "S1"), point(Kind.SEX, "M", "", "S2"),
    point(Kind.AGE, "[0,18)", "year", "A1"), point(Kind.AGE, "[40,65)", "year", "A2"),
    point(Kind.PAIR, 1, "day", "M1", "P1"), point(Kind.PAIR, 1, "visit", "M1", "P2"),
    point(Kind.PAIR, 6, "hours", "M2", "P1"), point(Kind.PAIR, 1, "hour", "M2", "P2"),
    point(Kind.FREQUENCY, 2, "day", "F1"), point(Kind.FREQUENCY, 3, "visit", "F2"),
    point(Kind.FREQUENCY, 1, "hour", "F3"), point(Kind.PERIOD, 2, "day", "R1", within_days=5),
    point(Kind.FREQUENCY, 2, "week", "F4"), point(Kind.FREQUENCY, 3, "month", "F5"),
    point(Kind.SEX, "F", "", "E1", valid_to=dt.date(2026, 3, 5)),
    point(Kind.VISIT, ("inpatient",), "", "C1"), point(Kind.VISIT, ("outpatient",), "", "C2"),
    point(Kind.LEVEL, 2, "level", "C1", "L1"), point(Kind.DIAGNOSIS, ("N18", "i10."), "", "D1"),
    point(Kind.COMPANION, ("M1", "F1"), "", "D1"), point(Kind.COMPANION, ("P1",), "", "C2"),
]  # fmt: skip
OF_A_VISIT = (Kind.VISIT, Kind.DIAGNOSIS)
"""Kinds that ask what the visit is; the others are asked of everything at an institution."""
CODES = sorted({code for one in POINTS for code in one.items})
COUNTED = [code for code in CODES if code[0] not in "CDL"]


def world():
    """Make the days of ten seeds: lines with reversals, empty lines, and times around midnight."""
    persons, lines = [], []
    for seed in SEEDS:
        chance = random.Random(seed)
        for number in range(PERSONS):
            person = f"P{seed}-{number}"
            born = chance.choice([None, FIRST - dt.timedelta(days=chance.randint(0, 30_000))])
            persons.append({"person_id": person, "sex": chance.choice("MFU"), "birth_date": born})
            codes = chance.sample(COUNTED, 3)
            codes += chance.sample(CODES, 1) if number % 3 == 0 else []
            for at in range(chance.randint(2, 18)):
                lines += list(one_line(chance, person, f"{person}-{at}", codes))
    return persons, lines


def one_line(chance, person, name, codes):
    hour = chance.choice([0, 8, 9, 10, 15, 23])
    when = dt.datetime.combine(FIRST, dt.time(hour, chance.choice([0, 30, 59])), CHINA)
    quantity = chance.choice([1, 1, 1, 2, 3, 0])
    row = {
        "line_id": name, "institution_id": chance.choice(["H1", "H2"]), "person_id": person,
        "visit_id": chance.choice(list(VISITS)), "item_code": chance.choice(codes), "quantity": quantity,
        "amount": quantity * chance.choice([10, 33]),
        "service_time": when + dt.timedelta(days=chance.randint(0, 9)),
    }  # fmt: skip
    row["visit_type"] = VISITS[row["visit_id"]][0]
    yield row
    if quantity and chance.random() < 0.2:
        back = chance.choice([quantity, 1])
        amount = row["amount"] * back // quantity
        yield row | {"line_id": f"{name}R", "quantity": -back, "amount": -amount, "reverses_line_id": name}


def evaluated(persons, lines):
    """Return what the evaluator holds against each person at each institution: lines and yuan by point."""
    back = {row["reverses_line_id"]: row for row in lines if "reverses_line_id" in row}
    net = defaultdict(list)
    for row in (row for row in lines if "reverses_line_id" not in row):
        taken = back.get(row["line_id"], {"quantity": 0, "amount": 0})
        wall = row["service_time"].replace(tzinfo=None) - dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
        net[row["person_id"]].append(
            Line(
                row["line_id"], row["item_code"], (row["quantity"] + taken["quantity"]) * 10_000,
                (row["amount"] + taken["amount"]) * 100, wall // dt.timedelta(microseconds=1),
                row["institution_id"], row["visit_id"],
            )
        )  # fmt: skip
    found = defaultdict(lambda: (set(), 0))
    knowledge = Knowledge(POINTS)
    for person in persons:
        born = person["birth_date"] and (person["birth_date"] - EPOCH).days
        patient = Patient(person["person_id"], person["sex"], born)
        every = net[person["person_id"]]
        for institution, visit in itertools.product(LEVELS, (*VISITS, "")):
            here = [one for one in every if one.institution_id == institution]
            mine = [at_hand(one) for one in here if visit in ("", one.visit_id)]
            others = [one for one in every if one.id not in {line.id for line in mine}]
            kind, diagnoses = VISITS.get(visit, (None, ()))
            encounter = Encounter(institution, visit, kind, None, diagnoses, level_of(LEVELS[institution]))
            now = situation(patient, encounter, mine, others)
            for hit in knowledge.evaluate(now, "before").hits:
                if (hit.point.kind in OF_A_VISIT) == bool(visit):
                    key = (hit.point.id, hit.point.version, institution, person["person_id"])
                    ids, fen = found[key]
                    found[key] = (ids | {one.id for one in hit.lines}, fen + hit.amount_fen)
    return dict(found)


def at_hand(line):
    return Line(*(getattr(line, name) for name in line.__slots__[:7]), at_hand=True)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    persons, lines = world()
    catalogue = [{"item_code": code, "item_class": "other"} for code in CODES]
    (folder / "tables").mkdir()
    institutions = [{"institution_id": name, "level": level} for name, level in LEVELS.items()]
    diagnoses = [
        {"institution_id": place, "visit_id": visit, "person_id": one["person_id"], "diagnosis_code": code}
        for place in LEVELS for one in persons for visit, (_, codes) in VISITS.items() for code in codes
    ]  # fmt: skip
    told = {
        "persons": persons, "claim_lines": lines, "item_catalogue": catalogue,
        "institutions": institutions, "diagnoses": diagnoses,
    }  # fmt: skip
    rows = filled(told)
    for name in told:
        table = pa.Table.from_pylist(rows[name], arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    rules = (
        "knowledge-pair",
        "knowledge-frequency",
        "knowledge-period",
        "sex-limited-item",
        "age-limited-item",
        "knowledge-condition",
    )
    asked = AuditRequest(folder / "tables", FIRST, LAST, folder / "out", only=rules, points=POINTS)
    summary = run_audit(asked).summary
    assert summary["failed_rules"] == {}
    return persons, lines, read_findings(folder / "out")


def test_findings_of_the_audit_and_hits_of_a_check_are_the_same_and_name_the_same_point(audited):
    persons, lines, findings = audited
    found = defaultdict(lambda: (set(), 0))
    for one in findings:
        told = one.parameters
        key = (told["point"], told["point_version"], one.institution_id, one.person_id)
        ids, fen = found[key]
        found[key] = (ids | set(one.line_ids), fen + int(one.amount * 100))
    expected = evaluated(persons, lines)
    assert dict(found) == expected
    assert {key[0] for key in expected} == {one.id for one in POINTS}, "every point has found something"


def test_points_take_the_place_of_what_the_pack_says_of_the_same_items():
    pack = load_pack().for_region(None)
    pair = Point("7-pair", Kind.PAIR, ("003110000100000", "003110000060000"), "", 1, "visit")
    looser = Point("a-pair", Kind.PAIR, pair.items, "", 1, "hour")
    unread = Point("x", Kind.SEX, ("Q",), "", None, "", problem="words_not_read")
    rows = with_points(pack, [looser, pair, unread]).knowledge["pairs"]
    same = [row for row in rows if (row["main_code"], row["sub_code"]) == pair.items]
    assert [(row["within"], row["point"]) for row in same] == [("visit", "7-pair")]
    assert len(rows) == len(pack.knowledge["pairs"])
    assert with_points(pack, [unread]) is pack
