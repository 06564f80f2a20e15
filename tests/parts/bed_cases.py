"""Bed days, day by day: each way out of the audit with the innocent case beside it, as small tables.

Times are local. A verdict written as a mapping is that of each day of the line; written as a text, that of
the line. A prefix keeps the ids of the cases apart, so that all of them fit into one lake.
"""

import datetime as dt

from renzheng.contracts.tables import INPUT_TABLES
from renzheng.rules.examples import CATALOGUE, SEPARATOR, Case, _prefixed, expand

OTHER = {"institution_id": "H2"}


def at(day, clock):
    return f"2026-03-{day:02} {clock}"


def bed(line="L1", day=4, clock="08:00", **more):
    return {
        "line_id": line,
        "item_code": "BED",
        "visit_id": "V1",
        "service_time": at(day, clock),
        "amount": 60,
        **more,
    }


def beds(*days, clock="08:00", **more):
    return [bed(f"L{day}", day, clock, **more) for day in days]


def stay(begin=1, end=8, clock="09:00", until="10:00", visit="V1", **more):
    discharged = {} if end is None else {"discharged_at": at(end, until)}
    return {"visit_id": visit, "admitted_at": at(begin, clock), **discharged, **more}


def seen(day=4, clock="15:00", event=None, **more):
    return {
        "event_id": event or f"E{day}",
        "event_type": "presence",
        "purpose": "inpatient",
        "occurred_at": at(day, clock),
        **more,
    }


def leave(kind="examination", begin=4, clock="09:00", end=4, until="12:00", **more):
    back = {} if end is None else {"returned_at": at(end, until)}
    return {"visit_id": "V1", "kind": kind, "left_at": at(begin, clock), **back, **more}


def check(result="absent", day=4, clock="10:00", **more):
    return {"check_id": f"C{day}", "visit_id": "V1", "drawn_at": at(day, clock), "result": result, **more}


def weeks_ago(day):
    """Noon of a day five weeks before one of March."""
    return dt.datetime.fromisoformat(at(day, "12:00")) - dt.timedelta(weeks=5)


def died(day):
    return [{"person_id": "P1", "death_date": dt.date(2026, 3, day)}]


BROKEN = "insufficient/broken_row"
OTHERS_STAY = stay(visit="V9", person_id="P9")
NOT_SEEN, SEEN = "insufficient/not_seen", "supported/seen"
OUTSIDE, TWICE = "contradicted/outside_stay", "contradicted/bed_billed_twice"
DEAD, ABSENT = "contradicted/after_death", "contradicted/absent_at_check"
ERRAND, ON_LEAVE = "supported/approved_leave", "insufficient/on_leave"
OPEN = "insufficient/unexplained_absence"

# name: (tables, {line: verdict of the line, or of each of its days})
CASES = {
    # a line of n is n days
    "three days in one line, all seen": (
        {"stays": [stay()], "claim_lines": [bed(quantity=3)], "attendance": [seen(2), seen(3), seen(4)]},
        {"L1": {2: SEEN, 3: SEEN, 4: SEEN}},
    ),
    "three days in one line, seen on two": (
        {"stays": [stay()], "claim_lines": [bed(quantity=3)], "attendance": [seen(2), seen(4)]},
        {"L1": {2: SEEN, 3: NOT_SEEN, 4: SEEN}},
    ),
    "three days in one line, absent on one": (
        {
            "stays": [stay()],
            "claim_lines": [bed(quantity=3)],
            "attendance": [seen(2), seen(4)],
            "spot_checks": [check(day=3)],
        },
        {"L1": {2: SEEN, 3: ABSENT, 4: SEEN}},
    ),
    "more days than the stay has": (
        {"stays": [stay(begin=3)], "claim_lines": [bed(quantity=4)]},
        {"L1": {1: OUTSIDE, 2: OUTSIDE, 3: NOT_SEEN, 4: NOT_SEEN}},
    ),
    "more days than the stay has, where no stay was sent": (
        {"claim_lines": [bed(quantity=4)]},
        {"L1": {1: NOT_SEEN, 2: NOT_SEEN, 3: NOT_SEEN, 4: NOT_SEEN}},
    ),
    "days before the stay, in a month of which nothing was told": (
        {"stays": [stay(begin=1)], "claim_lines": [bed(day=2, quantity=3)]},
        {"L1": "contradicted/outside_stay"},
    ),
    "a million days": (
        {"stays": [stay(begin=3)], "claim_lines": [bed(quantity=1_000_000)]},
        {"L1": OUTSIDE},
    ),
    "nothing, but paid": (
        {"stays": [stay()], "claim_lines": [bed(quantity=0)], "attendance": [seen()]},
        {"L1": SEEN},
    ),
    "entered at the settlement, five days after discharge": (
        {"stays": [stay(end=4)], "claim_lines": [bed(day=9, quantity=4)]},
        {"L1": {1: NOT_SEEN, 2: NOT_SEEN, 3: NOT_SEEN, 4: NOT_SEEN}},
    ),
    "half a day more on the oldest day": (
        {"stays": [stay()], "claim_lines": [bed(quantity=1.5)]},
        {"L1": {3: NOT_SEEN, 4: NOT_SEEN}},
    ),
    "thirty hours of a bed by the hour": (
        {"stays": [stay()], "claim_lines": [bed(quantity=30, item_code="BEDH")]},
        {"L1": {3: NOT_SEEN, 4: NOT_SEEN}},
    ),
    "twenty-four hours and a rounding": (
        {"stays": [stay(begin=4)], "claim_lines": [bed(quantity=25, item_code="BEDH")]},
        {"L1": {4: NOT_SEEN}},
    ),
    # a stay is found by visit, else by person and day
    "the stay of another visit of the person": (
        {"stays": [stay(visit="V2")], "claim_lines": [bed()]},
        {"L1": NOT_SEEN},
    ),
    "the stay of another person": (
        {"stays": [stay(visit="V2", person_id="P2")], "claim_lines": [bed()]},
        {"L1": OUTSIDE},
    ),
    "a stay at another institution": (
        {"stays": [stay(**OTHER)], "claim_lines": [bed()]},
        {"L1": NOT_SEEN},
    ),
    "stays were sent, but not of this month": (
        {
            "stays": [stay(visit="V9", person_id="P9", admitted_at="2026-02-03 09:00", discharged_at=None)],
            "claim_lines": [bed()],
        },
        {"L1": NOT_SEEN},
    ),
    "seen without a stay": (
        {"stays": [stay(visit="V2", person_id="P2")], "claim_lines": [bed()], "attendance": [seen()]},
        {"L1": SEEN},
    ),
    # posted after midnight
    "two days after discharge": (
        {"stays": [stay(end=2)], "claim_lines": [bed()]},
        {"L1": OUTSIDE},
    ),
    "the morning after discharge": (
        {"stays": [stay(end=3)], "claim_lines": [bed()]},
        {"L1": OUTSIDE},
    ),
    "a batch soon after midnight, discharged in the evening": (
        {"stays": [stay(end=3, until="22:00")], "claim_lines": [bed(clock="00:05")]},
        {"L1": {3: NOT_SEEN}},
    ),
    "each day by a batch soon after midnight, and an evening discharge": (
        {"stays": [stay(end=3, until="22:00")], "claim_lines": beds(2, 3, 4, clock="00:05")},
        {"L2": {2: NOT_SEEN}, "L3": {2: NOT_SEEN}, "L4": {3: NOT_SEEN}},
    ),
    "the same, with a day more than the stay has": (
        {
            "stays": [stay(end=3, until="22:00")],
            "claim_lines": [bed("L1", 1, "12:00"), *beds(2, 3, 4, clock="00:05")],
        },
        {"L1": NOT_SEEN, "L2": NOT_SEEN, "L3": NOT_SEEN, "L4": TWICE},
    ),
    # death
    "the bed of the day of death, entered the next morning": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": [bed(clock="08:00")]},
        {"L1": {3: NOT_SEEN}},
    ),
    "the discharge written after midnight": (
        {"stays": [stay(end=4, until="01:00")], "persons": died(3), "claim_lines": [bed(clock="00:05")]},
        {"L1": {3: NOT_SEEN}},
    ),
    "the bed of the day of death, entered days later": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": [bed(day=9)]},
        {"L1": {3: NOT_SEEN}},
    ),
    "entered days later, when every day of the stay had its bed": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": beds(1, 2, 3, 9)},
        {"L1": NOT_SEEN, "L2": NOT_SEEN, "L3": NOT_SEEN, "L9": TWICE},
    ),
    "the three days of the stay, entered one by one after death": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": beds(5, 6, 7)},
        {"L5": {1: NOT_SEEN}, "L6": {2: NOT_SEEN}, "L7": {3: NOT_SEEN}},
    ),
    "one more of them than the stay has days": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": beds(5, 6, 7, 8)},
        {"L5": {1: NOT_SEEN}, "L6": {2: NOT_SEEN}, "L7": {3: NOT_SEEN}, "L8": {3: TWICE}},
    ),
    "two entered after death, and one day of the stay had no bed": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": beds(1, 3, 5, 6)},
        {"L1": {1: NOT_SEEN}, "L3": {3: NOT_SEEN}, "L5": {2: NOT_SEEN}, "L6": {3: TWICE}},
    ),
    "the day that was left out, entered after death, with a check that found nobody": (
        {
            "stays": [stay(end=3, until="22:00")],
            "persons": died(3),
            "claim_lines": beds(1, 3, 9),
            "spot_checks": [check(day=2)],
        },
        {"L1": {1: NOT_SEEN}, "L3": {3: NOT_SEEN}, "L9": {2: ABSENT}},
    ),
    "a line of two days and a line of one, both entered after death": (
        {
            "stays": [stay(end=3, until="22:00")],
            "persons": died(3),
            "claim_lines": [bed("L1", 6, quantity=2), bed("L2", 7), bed("L3", 7, "09:00", amount=0)],
        },
        {"L1": {2: NOT_SEEN, 3: NOT_SEEN}, "L2": {1: NOT_SEEN}, "L3": {3: NOT_SEEN}},
    ),
    "entered in the period for a stay long before it, of which one day had its bed": (
        {
            "stays": [{"visit_id": "V1", "admitted_at": weeks_ago(28), "discharged_at": weeks_ago(30)}],
            "persons": [{"person_id": "P1", "death_date": weeks_ago(30).date()}],
            "claim_lines": [bed("L0", service_time=weeks_ago(28)), *beds(2, 3, 4)],
        },
        {"L2": {22: NOT_SEEN}, "L3": {23: NOT_SEEN}, "L4": {23: TWICE}},
    ),
    "entered later than a bed may be": (
        {
            "stays": [{"visit_id": "V1", "admitted_at": weeks_ago(1), "discharged_at": weeks_ago(3)}],
            "persons": [{"person_id": "P1", "death_date": weeks_ago(3).date()}],
            "claim_lines": [bed(day=8)],
        },
        {"L1": DEAD},
    ),
    "a stay that goes on after death": (
        {"stays": [stay()], "persons": died(3), "claim_lines": [bed()]},
        {"L1": DEAD},
    ),
    "the bed of the day of death, billed again the next morning": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": beds(1, 2, 3, 4)},
        {"L1": NOT_SEEN, "L2": NOT_SEEN, "L3": NOT_SEEN, "L4": TWICE},
    ),
    "the whole stay in one line, entered after death": (
        {"stays": [stay(end=3, until="22:00")], "persons": died(3), "claim_lines": [bed(day=6, quantity=3)]},
        {"L1": {1: NOT_SEEN, 2: NOT_SEEN, 3: NOT_SEEN}},
    ),
    # one bed a day
    "one bed day billed five times": (
        {"stays": [stay()], "claim_lines": [bed(f"L{n}") for n in range(5)], "attendance": [seen()]},
        {"L0": SEEN, "L1": TWICE, "L2": TWICE, "L3": TWICE, "L4": TWICE},
    ),
    "under a visit of its own each": (
        {"stays": [stay()], "claim_lines": [bed("L1"), bed("L2", visit_id="V2")]},
        {"L1": NOT_SEEN, "L2": TWICE},
    ),
    "two half days are one": (
        {"stays": [stay()], "claim_lines": [bed("L1", quantity=0.5), bed("L2", quantity=0.5)]},
        {"L1": NOT_SEEN, "L2": NOT_SEEN},
    ),
    "a whole and a half": (
        {"stays": [stay()], "claim_lines": [bed("L1", quantity=0.5), bed("L2", clock="09:00")]},
        {"L1": TWICE, "L2": NOT_SEEN},
    ),
    "a line that costs nothing takes no bed": (
        {"stays": [stay()], "claim_lines": [bed("L1", amount=0), bed("L2")]},
        {"L1": NOT_SEEN, "L2": NOT_SEEN},
    ),
    "the days of one line billed once more each": (
        {"stays": [stay()], "claim_lines": [bed("L9", 5, quantity=3), *beds(3, 4, 5)]},
        {"L9": {3: TWICE, 4: TWICE, 5: TWICE}, "L3": NOT_SEEN, "L4": NOT_SEEN, "L5": NOT_SEEN},
    ),
    "two institutions at once": (
        {
            "stays": [stay(), stay(visit="V2", **OTHER)],
            "claim_lines": [bed("L1", clock="07:00"), bed("L2", visit_id="V2", **OTHER)],
            "attendance": [seen(**OTHER)],
        },
        {"L1": TWICE, "L2": SEEN},
    ),
    "two institutions at once, nobody seen: the earlier line keeps the day": (
        {
            "stays": [stay(), stay(visit="V2", **OTHER)],
            "claim_lines": [bed("L1"), bed("L2", clock="07:00", visit_id="V2", **OTHER)],
        },
        {"L1": TWICE, "L2": NOT_SEEN},
    ),
    "the one with a stay keeps the day": (
        {
            "stays": [stay(), stay(visit="V9", person_id="P9", **OTHER)],
            "claim_lines": [bed("L1"), bed("L2", clock="07:00", visit_id="V2", **OTHER)],
        },
        {"L1": NOT_SEEN, "L2": TWICE},
    ),
    "the day of a transfer": (
        {
            "stays": [stay(end=4), stay(begin=4, visit="V2", clock="17:00", **OTHER)],
            "claim_lines": [bed("L1"), bed("L2", clock="18:00", visit_id="V2", **OTHER)],
        },
        {"L1": NOT_SEEN, "L2": NOT_SEEN},
    ),
    "a transfer, and the other institution sends no stays": (
        {
            "stays": [stay(end=4)],
            "claim_lines": [
                bed("L1"),
                *(bed(f"M{d}", d, "18:00", visit_id="V2", **OTHER) for d in (4, 5, 6)),
            ],
        },
        {"L1": NOT_SEEN, "M4": NOT_SEEN, "M5": NOT_SEEN, "M6": NOT_SEEN},
    ),
    "a transfer between two that send no stays": (
        {
            "claim_lines": [
                *beds(2, 3, 4),
                *(bed(f"M{d}", d, "18:00", visit_id="V2", **OTHER) for d in (4, 5, 6)),
            ],
        },
        {"L2": NOT_SEEN, "L3": NOT_SEEN, "L4": NOT_SEEN, "M4": NOT_SEEN, "M5": NOT_SEEN, "M6": NOT_SEEN},
    ),
    "two that send no stays and both bill all week": (
        {
            "claim_lines": [
                *beds(2, 3, 4, 5),
                *(bed(f"M{d}", d, "18:00", visit_id="V2", **OTHER) for d in (2, 3, 4, 5)),
            ],
        },
        {
            **{f"L{d}": NOT_SEEN for d in (2, 3, 4, 5)},
            # the runs begin together, not one where the other ends
            **{f"M{d}": TWICE for d in (2, 3, 4, 5)},
        },
    ),
    "a stay of one day each day, beside a long one": (
        {
            "stays": [
                stay(end=20),
                *(stay(begin=d, end=d, until="17:00", visit=f"W{d}", **OTHER) for d in (10, 11)),
            ],
            "claim_lines": [*beds(10, 11), *(bed(f"M{d}", d, visit_id=f"W{d}", **OTHER) for d in (10, 11))],
        },
        {"L10": NOT_SEEN, "L11": NOT_SEEN, "M10": TWICE, "M11": TWICE},
    ),
    "sent to another hospital on a transfer leave": (
        {
            "stays": [stay(end=20), stay(begin=10, end=12, visit="V2", **OTHER)],
            "claim_lines": [
                *beds(10, 11, 12),
                *(bed(f"M{d}", d, visit_id="V2", **OTHER) for d in (10, 11, 12)),
            ],
            "leaves": [leave("transfer", 10, "08:30", 12, "11:00")],
        },
        {
            "L10": NOT_SEEN,
            "L11": ON_LEAVE,
            "L12": NOT_SEEN,
            "M10": NOT_SEEN,
            "M11": NOT_SEEN,
            "M12": NOT_SEEN,
        },
    ),
    "the patient was readmitted the same day": (
        {
            "stays": [stay(end=4), stay(begin=4, visit="V2", clock="20:00")],
            "claim_lines": [bed("L1"), bed("L2", clock="21:00", visit_id="V2")],
        },
        {"L1": NOT_SEEN, "L2": NOT_SEEN},
    ),
    "a second line of the night batch, the day before left out": (
        {"stays": [stay()], "claim_lines": [bed("L1", clock="00:03"), bed("L2", clock="23:58")]},
        {"L1": {3: NOT_SEEN}, "L2": {4: NOT_SEEN}},
    ),
    # examinations, leaves, absences
    "absent on an examination of three hours": (
        {"stays": [stay()], "claim_lines": [bed()], "leaves": [leave()], "spot_checks": [check()]},
        {"L1": ERRAND},
    ),
    "absent on an examination of many days: its first hours": (
        {
            "stays": [stay()],
            "claim_lines": [bed()],
            "leaves": [leave(end=7)],
            "spot_checks": [check()],
        },
        {"L1": ERRAND},
    ),
    "absent on an examination of many days: later": (
        {
            "stays": [stay(end=9)],
            "claim_lines": [bed(day=6)],
            "leaves": [leave(end=6, until="20:00")],
            "spot_checks": [check(day=6)],
        },
        {"L1": OPEN},
    ),
    "one examination after the other, day and night": (
        {
            "stays": [stay(end=9)],
            "claim_lines": [bed(day=6)],
            "leaves": [leave(begin=d, end=d + 1, until="08:30") for d in (4, 5, 6)],
            "spot_checks": [check(day=6)],
        },
        {"L1": OPEN},
    ),
    "an examination every day, the nights in bed": (
        {
            "stays": [stay(end=9)],
            "claim_lines": [bed(day=6)],
            "leaves": [leave(begin=d, end=d) for d in (4, 5, 6)],
            "spot_checks": [check(day=6)],
        },
        {"L1": ERRAND},
    ),
    "absent on plain leave of many days": (
        {
            "stays": [stay(end=9)],
            "claim_lines": [bed(day=6)],
            "leaves": [leave("leave", end=6, until="20:00")],
            "spot_checks": [check(day=6)],
        },
        {"L1": NOT_SEEN},
    ),
    "verified elsewhere on an examination of many days": (
        {
            "stays": [stay(end=9)],
            "claim_lines": [bed(day=6)],
            "leaves": [leave(end=6, until="20:00")],
            "attendance": [seen(6, **OTHER)],
        },
        {"L1": OPEN},
    ),
    "a whole day on an examination of many days": (
        {"stays": [stay(end=9)], "claim_lines": [bed(day=6)], "leaves": [leave(end=8)]},
        {"L1": ON_LEAVE},
    ),
    "away with approval, and the leave for it": (
        {
            "stays": [stay()],
            "claim_lines": [bed()],
            "leaves": [leave("leave")],
            "spot_checks": [check("away_approved")],
        },
        {"L1": NOT_SEEN},
    ),
    "away with approval, without a leave": (
        {"stays": [stay()], "claim_lines": [bed()], "spot_checks": [check("away_approved")]},
        {"L1": OPEN},
    ),
    "away with approval, and verified elsewhere": (
        {
            "stays": [stay()],
            "claim_lines": [bed()],
            "spot_checks": [check("away_approved")],
            "attendance": [seen(**OTHER)],
        },
        {"L1": "contradicted/elsewhere"},
    ),
    "an examination in the morning, and away without a leave at night": (
        {
            "stays": [stay()],
            "claim_lines": [bed()],
            "leaves": [leave()],
            "spot_checks": [check(), check("away_approved", clock="21:00", check_id="C9")],
        },
        {"L1": OPEN},
    ),
    "an examination in the morning, and verified elsewhere at night": (
        {
            "stays": [stay()],
            "claim_lines": [bed()],
            "leaves": [leave()],
            "spot_checks": [check()],
            "attendance": [seen(clock="21:00", **OTHER)],
        },
        {"L1": OPEN},
    ),
    "absent, and the institution sends no stays": (
        {"claim_lines": [bed()], "spot_checks": [check()]},
        {"L1": ABSENT},
    ),
    "absent before admission": (
        {"stays": [stay(begin=4, clock="14:00")], "claim_lines": [bed()], "spot_checks": [check()]},
        {"L1": NOT_SEEN},
    ),
    # broken rows
    "a leave of which the days cannot be read clears one absence": (
        {
            "stays": [stay()],
            "claim_lines": beds(4, 5),
            "leaves": [leave(begin=5, end=4)],
            "spot_checks": [check(day=4), check(day=5)],
        },
        {"L4": BROKEN, "L5": ABSENT},
    ),
    "a leave of which only the kind cannot be read clears the days it names": (
        {
            "stays": [stay()],
            "claim_lines": beds(4, 5, 6),
            "leaves": [leave("?", begin=4, end=5)],
            "spot_checks": [check(day=4), check(day=5), check(day=6)],
        },
        {"L4": BROKEN, "L5": BROKEN, "L6": ABSENT},
    ),
    "a stay that cannot be read clears the lines of its visit": (
        {
            "stays": [OTHERS_STAY, stay(begin=8, end=1)],
            "claim_lines": [*beds(4, 5), bed("L6", 6, visit_id="V2")],
        },
        {"L4": BROKEN, "L5": BROKEN, "L6": OUTSIDE},
    ),
    "a presence that cannot be read clears its day": (
        {
            "stays": [OTHERS_STAY],
            "claim_lines": beds(4, 5),
            "attendance": [seen(4, outcome="?")],
        },
        {"L4": BROKEN, "L5": OUTSIDE},
    ),
    "a sign-out that cannot be read clears nothing": (
        {
            "stays": [OTHERS_STAY],
            "claim_lines": beds(4),
            "attendance": [seen(4, outcome="?", event_type="sign_out")],
        },
        {"L4": OUTSIDE},
    ),
    "no broken row clears a second bed, or a check that looked into it": (
        {
            "stays": [stay()],
            "claim_lines": [bed("L1"), bed("L2"), bed("L5", 5)],
            "attendance": [seen(4, outcome="?"), seen(5, outcome="?")],
            "spot_checks": [check(day=5)],
        },
        {"L1": NOT_SEEN, "L2": TWICE, "L5": ABSENT},
    ),
    "a new bed each day makes no day of admission": (
        {
            "stays": [stay(begin=d, end=d + 1, until="09:00") for d in range(1, 8)],
            "claim_lines": [bed()],
            "attendance": [seen(**OTHER)],
        },
        {"L1": "contradicted/elsewhere"},
    ),
}


def laid_out(names):
    """Write the chosen cases as rows of the canonical tables."""
    cases = []
    for name in names:
        tables, expected = CASES[name]
        prefix = f"c{list(CASES).index(name)}"
        catalogue = [{"item_code": code, "item_class": kind} for code, kind in CATALOGUE.items()]
        catalogue.append({"item_code": "BEDH", "item_class": "bed_day", "unit": "hour"})
        rows = {
            table: [
                _prefixed(INPUT_TABLES[table], row, prefix + SEPARATOR, ()) for row in expand(table, found)
            ]
            for table, found in {"item_catalogue": catalogue, **tables}.items()
        }
        cases.append(Case(prefix, "", name, rows, (), expected))
    return cases


def of_case(rows, name):
    """Pick the rows of one case, with the ids that the case gave its lines."""
    prefix = f"c{list(CASES).index(name)}{SEPARATOR}"
    return [
        {**row, "line_id": row["line_id"].removeprefix(prefix)}
        for row in rows
        if row["line_id"].startswith(prefix)
    ]
