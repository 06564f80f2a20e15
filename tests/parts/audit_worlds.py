"""Generated cases for the audit: small worlds of one or two persons, two institutions and a few days."""

import datetime as dt
from decimal import Decimal

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from renzheng.contracts.tables import INPUT_TABLES, REJECTS

CHINA = dt.timezone(dt.timedelta(hours=8))
ORIGIN = dt.datetime(2026, 3, 2, tzinfo=CHINA)
FIRST, LAST = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
REGION, CITY, OTHER_REGION = "371121", "371100", "371122"
CATALOGUE = (
    {"item_code": "HD", "item_class": "haemodialysis"},
    {"item_code": "HDF", "item_class": "haemodiafiltration", "unit": "session"},
    {"item_code": "HP", "item_class": "haemoperfusion"},
    {"item_code": "HFH", "item_class": "haemofiltration", "unit": "hour"},
    {"item_code": "PD", "item_class": "peritoneal_dialysis"},
    {"item_code": "OTH", "item_class": "other"},
    {"item_code": "BED", "item_class": "bed_day", "unit": "day"},
    {"item_code": "BEDH", "item_class": "bed_day", "unit": "hour"},
    # known until the day before the period, for one day of it, elsewhere only, and differently here
    {"item_code": "GONE", "item_class": "haemodialysis", "valid_to": dt.date(2026, 3, 1)},
    {
        "item_code": "DAY",
        "item_class": "haemodialysis",
        "valid_from": dt.date(2026, 3, 3),
        "valid_to": dt.date(2026, 3, 3),
    },
    {"item_code": "FAR", "item_class": "haemodialysis", "region_code": OTHER_REGION},
    {"item_code": "HERE", "item_class": "other"},
    {"item_code": "HERE", "item_class": "haemodialysis", "region_code": CITY},
    {"item_code": "NEW", "item_class": "other", "valid_from": dt.date(2020, 1, 1)},
    {"item_code": "NEW", "item_class": "haemodialysis", "valid_from": dt.date(2026, 3, 2)},
)
ITEMS = (
    *("HD",) * 8,
    *("BED",) * 6,
    *("HFH",) * 2,
    *("HP", "HDF", "BEDH", "PD", "OTH", "UNKNOWN", "GONE", "DAY", "FAR", "HERE", "NEW", "hd ", "ＨＤ"),
)
QUANTITIES = (*(1,) * 8, 2, 2, 3, 4, 5, 10, 0, Decimal("0.5"), Decimal("1.02"), Decimal("1.5"), Decimal(30))

# a coarse clock makes ties, overlaps and exact limits common
moments = st.integers(-8, 72).map(lambda half_hours: ORIGIN + dt.timedelta(minutes=45 * half_hours))
earlier_days = st.sampled_from([0, 0, 1, 1, 2, 3, 7, 29, 30, 31, 32, 36])
early_moments = st.builds(lambda at, back: at - dt.timedelta(days=back), moments, earlier_days)
lengths = st.sampled_from([0, 10, 20, 30, 45, 60, 90, 120, 240, 600, 1500, 3000]).map(
    lambda m: dt.timedelta(minutes=m)
)
places = st.sampled_from(["H1", "H1", "H1", "H2"])
persons = st.sampled_from(["P1"] * 14 + ["P1X", "P1Y", "p1", "P\u200b1 ", "P2"])
hardly_ever = st.sampled_from([False] * 5 + [True])
sources = st.sampled_from([None, "hospital", "device"])


@st.composite
def events(draw, kinds=("sign_in", "sign_in", "sign_out", "sign_out", "presence", "identity_check")):
    outcomes = ["match"] * 6 + ["manual", "declined", "non_match", "attack_suspected", "not_acquired"]
    at = draw(early_moments if draw(hardly_ever) else moments)
    return {
        "institution_id": draw(places),
        "device_id": "K1",
        "person_id": draw(persons),
        "event_type": draw(st.sampled_from(kinds)),
        "purpose": draw(st.sampled_from(["dialysis"] * 5 + ["inpatient", "outpatient"])),
        "occurred_at": at,
        "received_at": at + draw(lengths),
        "outcome": draw(st.sampled_from(outcomes)),
        "pad": draw(st.sampled_from(["bona_fide"] * 6 + ["attack", "not_shown"])),
        "session_id": draw(st.sampled_from([None] * 5 + ["S1", "S2"])),
        "clock_trusted": not draw(hardly_ever),
    }


@st.composite
def visits(draw, starts=early_moments):
    """A sign-in and a sign-out that mostly belong together, at times after a pause another pair of them."""
    start, session, here, who = (
        draw(starts),
        draw(st.sampled_from([None, None, "S3"])),
        draw(places),
        draw(persons),
    )
    minutes = [draw(lengths)]
    if draw(hardly_ever):
        minutes += [draw(st.sampled_from([5, 30, 31])), draw(lengths)]
        minutes[1] = dt.timedelta(minutes=minutes[1])
    pair, at = [], start
    for number, length in enumerate([dt.timedelta(), *minutes]):
        at += length
        event = draw(events(kinds=(("sign_in", "sign_out")[number % 2],)))
        fixed = {"institution_id": here, "person_id": who, "occurred_at": at, "purpose": "dialysis"}
        named = session if number < 2 else None
        pair.append({**event, **fixed, "received_at": at, "session_id": named})
    return pair


@st.composite
def sessions(draw):
    """A whole verified session: chance makes too few of them for lines of several sessions."""
    start, here = draw(early_moments), draw(places)
    usual = {
        "institution_id": here,
        "device_id": "K1",
        "person_id": draw(persons),
        "purpose": "dialysis",
        "outcome": draw(st.sampled_from(["match"] * 5 + ["manual"])),
        "pad": "bona_fide",
        "session_id": None,
        "clock_trusted": True,
    }
    end = start + draw(st.sampled_from([20, 240, 240, 600])) * dt.timedelta(minutes=1)
    return [
        {**usual, "event_type": kind, "occurred_at": at, "received_at": at}
        for kind, at in (("sign_in", start), ("sign_out", end))
    ]


@st.composite
def lines(draw):
    return {
        "institution_id": draw(places),
        "visit_id": draw(st.sampled_from(["V1", "V1", "V2"])),
        "person_id": draw(persons),
        "visit_type": "outpatient",
        "item_code": draw(st.sampled_from(ITEMS)),
        "item_name": draw(st.sampled_from(["item", None])),
        "service_time": draw(early_moments if draw(hardly_ever) else moments)
        + dt.timedelta(minutes=draw(st.sampled_from([0, 0, 0, 5]))),
        "quantity": draw(st.sampled_from(QUANTITIES)),
        "amount": draw(st.sampled_from([400, 100, 100, Decimal("99.99"), 0])),
        "fund_amount": draw(st.sampled_from([None, None, Decimal("70.50")])),
    }


@st.composite
def reversals(draw):
    """A row that takes back a line (an index), another reversal (counted on), or nothing that is there."""
    return {
        "of": draw(st.sampled_from([0, 0, 1, 2, 3, 10, 11, "NONE", "ITSELF", None])),
        "quantity": draw(st.sampled_from([-1, -1, -1, -2, 1, 0])),
        "amount": draw(st.sampled_from([-100, -100, -400, Decimal("-33.33"), 100, 0])),
        "whole": draw(st.booleans()),
        "person_id": draw(st.sampled_from([None] * 8 + ["P2"])),
        "institution_id": draw(st.sampled_from([None] * 8 + ["H2"])),
        "later": draw(st.sampled_from([0, 0, 1, 40])),
    }


@st.composite
def refused(draw):
    """A row that the importer did not take."""
    table = draw(
        st.sampled_from(
            ["attendance", "attendance", "machine_sessions", "leaves", "stays"] + ["claim_lines"] * 3
        )
    )
    return {
        "table": table,
        "institution_id": draw(st.sampled_from(["H1", "H1", "H2", None])),
        "person_id": draw(st.sampled_from(["P1", "P1", "P1X", None])),
        "visit_id": draw(st.sampled_from(["V1", "V2", None])),
        "day": draw(st.sampled_from([None, FIRST, LAST])),
        "amount": draw(st.sampled_from([Decimal("12.34"), None])) if table == "claim_lines" else None,
    }


@st.composite
def scenes(draw, billed):
    """What chance makes too seldom: spans of tables, events, and whether all else is left out."""
    line, kind = billed[0], draw(st.sampled_from([None] * 8 + ["mismatch", "leave", "errand", "manual"]))
    at = line["service_time"]
    sign = {**draw(events(kinds=("sign_in",))), "institution_id": line["institution_id"], "occurred_at": at}
    sign |= {"purpose": "dialysis", "person_id": "P1", "received_at": at, "clock_trusted": True}
    match kind:
        case "mismatch":
            outcome = draw(st.sampled_from(["non_match", "attack_suspected"]))
            return [], [{**sign, "outcome": outcome}], True
        case "leave":
            line["item_code"] = "BED"
            away = "leaves", line["institution_id"], at - dt.timedelta(days=1), at + dt.timedelta(days=2)
            return [(*away, draw(st.integers(0, 6)) * 7)], [], True
        case "errand":
            line["item_code"] = "BED"
            begin, end = at - dt.timedelta(hours=1), at + draw(lengths)
            away = "leaves", line["institution_id"], begin, max(begin, end), draw(st.sampled_from([0, 7, 14]))
            found = "spot_checks", line["institution_id"], at, at, draw(st.sampled_from([1, 3, 15]))
            return [away, found], [], draw(st.booleans())
        case "manual":
            run = "machine_sessions", line["institution_id"], at, at + dt.timedelta(hours=3)
            return [(*run, draw(st.integers(1, 5)))], [{**sign, "outcome": "manual"}], draw(st.booleans())
        case _:
            return [], [], False


@st.composite
def near(draw, visit, billed):
    """Move a visit to where a line may mean it: chance hardly ever makes the two meet."""
    line = draw(st.sampled_from(billed))
    if not draw(st.sampled_from([True, True, True, False])):
        return visit
    hours = draw(st.sampled_from([-3, -3, -2, -12, -16, -20, -30, -72, -24 * 30, -24 * 31, 1, 12]))
    shift = line["service_time"] + dt.timedelta(hours=hours) - visit[0]["occurred_at"]
    return [
        {
            **event,
            "institution_id": line["institution_id"],
            "occurred_at": event["occurred_at"] + shift,
            "received_at": event["received_at"] + shift,
        }
        for event in visit
    ]


SPANS = ("machine_sessions", "machine_sessions", "stays", "leaves", "spot_checks", "coverage")


@st.composite
def worlds(draw):
    spans = []
    for table in SPANS:
        for _ in range(draw(st.integers(0, 2))):
            begin = draw(moments)
            spans.append((table, draw(places), begin, begin + draw(lengths), draw(st.integers(0, 41))))
    billed = draw(st.lists(lines(), min_size=1, max_size=4))
    seen = draw(st.lists(visits(), max_size=2)) + draw(st.lists(sessions(), max_size=2))
    seen += draw(st.lists(sessions(), min_size=2, max_size=5)) if draw(hardly_ever) else []
    seen = [draw(near(visit, billed)) for visit in seen]
    more_spans, more_events, alone = draw(scenes(billed))
    chance_events = draw(st.lists(events(), max_size=4)) + [event for visit in seen for event in visit]
    days = [None] * 16 + [dt.date(2026, 3, 2), dt.date(2026, 3, 1), dt.date(2026, 2, 27)]
    return {
        "lines": billed,
        "copies": draw(st.sampled_from([0] * 6 + [1, 2])),
        "reversals": draw(st.lists(reversals(), max_size=3)) if draw(hardly_ever) else [],
        "events": more_events + ([] if alone else chance_events),
        "spans": more_spans + ([] if alone else spans),
        "minutes": draw(st.sampled_from([None, 30, 90, 240])),
        "death": draw(st.sampled_from(days)),
        "inpatient": draw(st.sampled_from([None] * 5 + [3, 8, 16])),
        "covered": draw(st.sampled_from([True, True, True, False])),
        "outage": draw(st.sampled_from([None] * 3 + [(7, 40), (7, 30), (12, 58), (20, 55), (4, 120)])),
        "arrivals": draw(st.sampled_from([None] * 4 + [6, 19])),
        "aliases": draw(st.sampled_from(["chain"] * 5 + ["none", "circle", "two"])),
        "rejects": draw(st.lists(refused(), max_size=2)) if draw(hardly_ever) else [],
        "broken": draw(hardly_ever),
    }


def some_worlds(number):
    """Draw worlds, the same ones every time, without running a test on each."""
    drawn = []

    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def draw(one):
        drawn.append(one)

    draw()
    return drawn


def tables_of(generated, first_number=0):
    """Put worlds side by side, each with ids of its own."""
    rows = {name: [] for name in (*INPUT_TABLES, "rejects")}
    rows["item_catalogue"] = [dict(row) for row in CATALOGUE]
    for number, world in enumerate(generated, first_number):
        _lay_out(rows, f"W{number}-", world)
    known = {**INPUT_TABLES, "rejects": REJECTS}
    return {
        name: [{column.name: row.get(column.name) for column in known[name].columns} for row in found]
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


PREFIXED = {"institution_id", "person_id", "visit_id", "session_id", "alias_of"}


def _lay_out(rows, w, world):
    def own(row):
        return {name: w + value if name in PREFIXED and value else value for name, value in row.items()}

    for number, death in (("P1", world["death"]), ("P1X", None)):
        rows["persons"].append(own({"person_id": number, "sex": "F", "death_date": death}))
    rows["institutions"] += [
        own({"institution_id": place, "name": place, "region_code": REGION}) for place in ("H1", "H2")
    ]
    rows["person_aliases"] += [own(row) for row in _aliases(world["aliases"])]
    _lay_out_lines(rows, w, world, own)
    for n, event in enumerate(world["events"]):
        rows["attendance"].append({**own(event), "event_id": f"{w}E{n:02}"})
    if world["minutes"]:
        ordered = {"person_id": "P1", "institution_id": "H1", "valid_from": dt.date(2026, 1, 1)}
        given = {"modality": "haemodialysis", "sessions_per_week": 3.0, "session_minutes": world["minutes"]}
        rows["prescriptions"].append(own({**ordered, **given}))
    if world["inpatient"] is not None:
        # admitted the day before the period, still there or discharged before, in or after it
        end = None if world["inpatient"] == 3 else ORIGIN + dt.timedelta(hours=world["inpatient"] * 2)
        rows["stays"].append(stay(w, "H1", "V1", ORIGIN - dt.timedelta(days=2), end))
    rows["coverage"] += [own(row) for row in _coverage(world)]
    rows["attendance"] += [own(row) for row in _arrivals(w, world["arrivals"])]
    for n, (table, place, begin, end, chance) in enumerate(world["spans"]):
        rows[table].append({"institution_id": w + place, **_span(table, w, n, begin, end, chance)})
    for n, row in enumerate(world["rejects"]):
        rows["rejects"].append({**own(row), "reason": "unreadable", "file": "f.csv", "line": n})
    if world["broken"]:
        _break(rows, w, own)


def _aliases(kind):
    chain = [{"person_id": "P1X", "alias_of": "P1"}, {"person_id": "P1Y", "alias_of": "P1X"}]
    match kind:
        case "chain":
            return chain
        case "circle":
            return [*chain, {"person_id": "P1", "alias_of": "P1Y"}]
        case "two":
            later = {"person_id": "P1X", "alias_of": "P2", "since": ORIGIN}
            return [*chain, later]
        case _:
            return []


def _lay_out_lines(rows, w, world, own):
    found = [{**own(line), "line_id": f"{w}L{n}"} for n, line in enumerate(world["lines"])]
    found += [{**found[0], "line_id": f"{w}M{n}"} for n in range(world["copies"])]
    billed = len(found)
    for n, row in enumerate(world["reversals"]):
        other = row["of"]
        at = found[other % billed] if isinstance(other, int) and other < 10 else found[-1]
        line_id = f"{w}R{n}"
        target = {"NONE": f"{w}NONE", "ITSELF": line_id, None: None}.get(other, at["line_id"])
        whole = {"quantity": -Decimal(at["quantity"]), "amount": -Decimal(at["amount"])}
        found.append(
            {
                **at,
                "line_id": line_id,
                "reverses_line_id": target,
                "service_time": at["service_time"] + dt.timedelta(days=row["later"]),
                **(whole if row["whole"] else {"quantity": row["quantity"], "amount": row["amount"]}),
                "fund_amount": [at["fund_amount"], None, Decimal("-10.25"), Decimal(500)][
                    (n + row["later"]) % 4
                ],
                **own({k: row[k] for k in ("person_id", "institution_id") if row[k]}),
            }
        )
    for line in found:
        line["quantity"], line["amount"] = Decimal(line["quantity"]), Decimal(line["amount"])
    rows["claim_lines"] += found


def _coverage(world):
    """Weeks of coverage, whole or with a short outage on every day."""
    if not world["covered"]:
        return []
    first, days = ORIGIN - dt.timedelta(days=36), 42
    stretches = [(first, first + dt.timedelta(days=days))]
    if world["outage"] is not None:
        hour, minutes = world["outage"]
        gaps = [first + dt.timedelta(days=day, hours=hour) for day in range(days)]
        ends = [gap + dt.timedelta(minutes=minutes) for gap in gaps]
        stretches = list(zip([first, *ends], [*gaps, stretches[0][1]], strict=True))
    return [
        {
            "institution_id": "H1",
            "device_id": "K9",
            "purpose": purpose,
            "from_at": begin,
            "to_at": end,
            "state": "up",
        }
        for purpose in ("dialysis", "inpatient")
        for begin, end in stretches
    ]


def _arrivals(w, hour):
    """Other patients of the weeks before, who come at that hour; some at others."""
    for n in range(0 if hour is None else 11):
        at = ORIGIN + dt.timedelta(days=-1 - n, hours=hour if n % 10 else 2)
        yield {
            "event_id": f"{w}A{n:02}",
            "institution_id": "H1",
            "device_id": "K1",
            "person_id": f"A{n}",
            "event_type": "sign_in",
            "purpose": "dialysis",
            "occurred_at": at,
            "received_at": at,
            "outcome": "match",
            "pad": "bona_fide",
            "clock_trusted": True,
        }


def _break(rows, w, own):
    """Rows of the tables themselves that break a constraint."""
    begin, end = ORIGIN + dt.timedelta(hours=8), ORIGIN + dt.timedelta(hours=12)
    here = own({"institution_id": "H1", "person_id": "P1"})
    rows["machine_sessions"].append({**here, "machine_id": "M9", "started_at": end, "ended_at": begin})
    rows["claim_lines"].append(
        {**here, "line_id": f"{w}B1", "visit_id": w + "V1", "visit_type": "outpatient", "item_code": "HD"}
        | {"quantity": Decimal(1), "amount": Decimal("55.55")}
    )
    rows["claim_lines"].append({**rows["claim_lines"][-1], "line_id": None, "amount": Decimal("44.44")})
    rows["claim_lines"].append({**rows["claim_lines"][-2], "amount": Decimal("33.33"), "service_time": begin})


def _span(table, w, n, begin, end, chance):  # noqa: PLR0917 - as drawn
    who = {"person_id": w + ("P1X" if chance == 41 else "P1")}
    match table:
        case "machine_sessions":
            return {
                **({} if chance % 12 == 0 else who),
                "machine_id": f"M{n}",
                "started_at": begin,
                "ended_at": end,
                "source": [None, "hospital", "device"][chance % 3],
            }
        case "stays":
            discharged = None if chance == 0 else end + dt.timedelta(days=chance % 4)
            begin -= dt.timedelta(days=chance % 5)
            return {
                **who,
                "visit_id": w + ["V1", "V2", "V3"][chance % 3],
                "admitted_at": begin,
                "discharged_at": discharged,
            }
        case "leaves":
            kind = ["leave", "examination", "transfer"][chance % 3]
            back = {"returned_at": end} if chance < 26 else {"due_back_at": end} if chance < 38 else {}
            begin -= dt.timedelta(hours=chance % 7 * 5)
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
