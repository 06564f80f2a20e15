"""Generated cases for the audit: small worlds of one person, two institutions and three days."""

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from renzheng.contracts.tables import INPUT_TABLES

CHINA = dt.timezone(dt.timedelta(hours=8))
ORIGIN = dt.datetime(2026, 3, 2, tzinfo=CHINA)
FIRST, LAST = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
CODES = {
    "HD": "haemodialysis",
    "HDF": "haemodiafiltration",
    "HP": "haemoperfusion",
    "PD": "peritoneal_dialysis",
    "BED": "bed_day",
}

# a coarse clock makes ties, overlaps and exact limits common
moments = st.integers(-8, 72).map(lambda half_hours: ORIGIN + dt.timedelta(minutes=45 * half_hours))
lengths = st.sampled_from([0, 20, 45, 60, 90, 120, 240, 600, 1500]).map(lambda m: dt.timedelta(minutes=m))
places = st.sampled_from(["H1", "H1", "H1", "H2"])
hardly_ever = st.sampled_from([False] * 5 + [True])


@st.composite
def events(draw, kinds=("sign_in", "sign_in", "sign_out", "sign_out", "presence", "identity_check")):
    outcome = draw(st.sampled_from(["match"] * 5 + ["manual", "declined", "non_match", "not_acquired"]))
    at = draw(moments)
    return {
        "institution_id": draw(places),
        "device_id": "K1",
        "person_id": "P1",
        "event_type": draw(st.sampled_from(kinds)),
        "purpose": draw(st.sampled_from(["dialysis"] * 4 + ["inpatient"])),
        "occurred_at": at,
        "received_at": at + draw(lengths),
        "outcome": outcome,
        "pad": draw(st.sampled_from(["bona_fide"] * 5 + ["attack", "not_shown"])),
        "session_id": draw(st.sampled_from([None] * 4 + ["S1", "S2"])),
        "clock_trusted": not draw(hardly_ever),
    }


@st.composite
def visits(draw):
    """A sign-in and a sign-out that mostly belong together: pure chance hardly ever makes a session."""
    start, session = draw(moments), draw(st.sampled_from([None, None, "S3"]))
    here = draw(places)
    pair = []
    for kind, at in (("sign_in", start), ("sign_out", start + draw(lengths))):
        event = draw(events(kinds=(kind,)))
        pair.append(
            {**event, "institution_id": here, "occurred_at": at, "session_id": session, "purpose": "dialysis"}
        )
    return pair


@st.composite
def worlds(draw):
    lines = [
        {
            "institution_id": draw(places),
            "visit_id": draw(st.sampled_from(["V1", "V2"])),
            "person_id": "P1",
            "visit_type": "outpatient",
            "item_code": draw(st.sampled_from(["HD", "HD", "HD", "HP", "PD", "BED", "BED"])),
            "item_name": "item",
            "service_time": draw(moments),
            "quantity": draw(st.sampled_from([1, 1, 1, 1, 2, 3, Decimal("0.5")])),
            "amount": 100,
        }
        for _ in range(draw(st.integers(1, 4)))
    ]
    spans = []
    for table in ("machine_sessions", "stays", "leaves", "spot_checks", "coverage"):
        for _ in range(draw(st.integers(0, 2))):
            begin = draw(moments)
            spans.append((table, draw(places), begin, begin + draw(lengths), draw(st.integers(0, 11))))
    return {
        "lines": lines,
        "reversals": draw(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 2])), max_size=1)),
        "events": draw(st.lists(events(), max_size=4))
        + [e for visit in draw(st.lists(visits(), max_size=3)) for e in visit],
        "spans": spans,
        "minutes": draw(st.sampled_from([None, 90, 240])),
        "death": draw(st.sampled_from([None] * 19 + [dt.date(2026, 3, 2)])),
        "inpatient": draw(st.sampled_from([True, True, False])),
        "covered": draw(st.sampled_from([True, True, False])),
    }


def tables_of(generated):
    """Put worlds side by side, each with ids of its own."""
    rows = {name: [] for name in INPUT_TABLES}
    rows["item_catalogue"] = [{"item_code": code, "item_class": kind} for code, kind in CODES.items()]
    rows["stays"].append(stay("Z", "H9", "V9", ORIGIN, None))
    for number, world in enumerate(generated):
        _lay_out(rows, f"w{number}-", world)
    return {
        name: [{column.name: row.get(column.name) for column in INPUT_TABLES[name].columns} for row in found]
        for name, found in rows.items()
    }


def stay(w, institution, visit, begin, end):
    return {
        "visit_id": w + visit,
        "institution_id": w + institution,
        "person_id": w + "P1",
        "admitted_at": begin,
        "discharged_at": end,
    }


def _lay_out(rows, w, world):
    rows["persons"].append({"person_id": w + "P1", "sex": "F", "death_date": world["death"]})
    rows["institutions"] += [
        {"institution_id": w + place, "name": place, "region_code": "371121"} for place in ("H1", "H2")
    ]

    def own(row):
        return {
            name: w + value
            if name in {"institution_id", "person_id", "visit_id", "session_id"} and value
            else value
            for name, value in row.items()
        }

    lines = [{**own(line), "line_id": f"{w}L{n}"} for n, line in enumerate(world["lines"])]
    for line in lines:
        line["quantity"], line["amount"] = Decimal(line["quantity"]), Decimal(line["amount"])
    for n, (target, quantity) in enumerate(world["reversals"]):
        reversed_line = lines[target % len(lines)]
        lines.append(
            {
                **reversed_line,
                "line_id": f"{w}R{n}",
                "quantity": Decimal(-quantity),
                "amount": Decimal(-100),
                "reverses_line_id": reversed_line["line_id"],
            }
        )
    rows["claim_lines"] += lines
    rows["attendance"] += [{**own(e), "event_id": f"{w}E{n:02}"} for n, e in enumerate(world["events"])]
    if world["minutes"]:
        rows["prescriptions"].append(
            {
                "person_id": w + "P1",
                "institution_id": w + "H1",
                "valid_from": dt.date(2026, 1, 1),
                "modality": "haemodialysis",
                "sessions_per_week": 3.0,
                "session_minutes": world["minutes"],
            }
        )
    if world["inpatient"]:
        rows["stays"].append(stay(w, "H1", "V1", ORIGIN - dt.timedelta(days=1), None))
    if world["covered"]:
        whole = {
            "from_at": ORIGIN - dt.timedelta(days=2),
            "to_at": ORIGIN + dt.timedelta(days=4),
            "state": "up",
        }
        for purpose in ("dialysis", "inpatient"):
            rows["coverage"].append(
                {"institution_id": w + "H1", "device_id": "K9", "purpose": purpose, **whole}
            )
    for n, (table, place, begin, end, chance) in enumerate(world["spans"]):
        rows[table].append({"institution_id": w + place, **_span(table, w, n, begin, end, chance)})


def _span(table, w, n, begin, end, chance):  # noqa: PLR0917 - as drawn
    who = {"person_id": w + "P1"}
    match table:
        case "machine_sessions":
            return {
                **({} if chance == 0 else who),
                "machine_id": f"M{n}",
                "started_at": begin,
                "ended_at": end,
            }
        case "stays":
            discharged = None if chance == 0 else end + dt.timedelta(days=2)
            return {
                **who,
                "visit_id": w + ["V1", "V2"][chance % 2],
                "admitted_at": begin,
                "discharged_at": discharged,
            }
        case "leaves":
            kind = ["leave", "examination", "transfer"][chance % 3]
            back = {"returned_at": end} if chance < 6 else {"due_back_at": end} if chance < 10 else {}
            given = {
                "visit_id": w + "V1",
                "kind": kind,
                "left_at": begin,
                "approved_by": "D",
                "recorded_at": begin,
            }
            return {**who, **given, **back}
        case "spot_checks":
            results = [
                "present",
                "absent",
                "absent",
                "away_approved",
                "identity_mismatch",
                "refused",
                "unanswered",
            ]
            answered = {"answered_at": end} if chance % 2 else {}
            given = {
                "check_id": f"{w}C{n}",
                "round_id": "R",
                "visit_id": w + "V1",
                "drawn_at": begin,
                "due_at": end,
            }
            return {**who, **given, **answered, "result": results[chance % 7]}
        case _:
            purpose = ["dialysis", "dialysis", "inpatient"][chance % 3]
            state = "degraded" if chance == 11 else "up"
            longer = end + dt.timedelta(hours=12 * (chance % 4))
            return {
                "device_id": f"K{n}",
                "purpose": purpose,
                "from_at": begin,
                "to_at": longer,
                "state": state,
            }
