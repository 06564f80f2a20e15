"""Each kind: what it finds, the innocent beside it, and what it does not know."""

import datetime as dt

import pytest
from parts.libraries import HD, HP

from renzheng.rules.knowledge.evaluating import Knowledge
from renzheng.rules.knowledge.facts import EPOCH, Encounter, Line, Patient, situation
from renzheng.rules.knowledge.kinds import KINDS
from renzheng.rules.knowledge.points import Kind, Point
from renzheng.rules.knowledge.wording import OVERRIDES, reasons, worded


def at(text):
    return (dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)  # noqa: DTZ001


def line(name, code, when, *, quantity=1, yuan=100, at_hand=True, institution="H1", visit="V1"):
    return Line(name, code, int(quantity * 10_000), yuan * 100, at(when), institution, visit, at_hand)


def point(kind, value, unit="", items=("A",), **more):
    return Point(f"{kind.value}-{value}-{unit}", kind, items, "", value, unit, **more)


def born(text):
    return (dt.date.fromisoformat(text) - EPOCH).days


def found(one, lines, *, before=(), stage="before", patient=None, **encounter):
    shown = Encounter("H1", "V1", **encounter)
    now = situation(patient or Patient("P1", "M", born("1960-05-01")), shown, lines, before)
    result = Knowledge([one]).evaluate(now, stage)
    for hit in result.hits:
        assert all(worded(hit).text), "it can be put into words"
        assert set(reasons(hit.point)) <= set(OVERRIDES)
    return [sorted(item.id for item in hit.lines) for hit in result.hits], [
        code for _, code in result.not_known
    ]


DAY = "2026-03-04T10:00"
ONE = [line("a", "A", DAY)]
NOTHING, HIT = ([], []), ([["a"]], [])


@pytest.mark.parametrize(
    ("one", "patient", "expected"),
    [
        (point(Kind.SEX, "F"), Patient("P", "M"), HIT),
        (point(Kind.SEX, "F"), Patient("P", "F"), NOTHING),
        (point(Kind.SEX, "F"), Patient("P"), ([], ["sex_unknown"])),
        (point(Kind.AGE, "[0,18)", "year"), Patient("P", "M", born("1976-01-01")), HIT),
        (point(Kind.AGE, "[0,18)", "year"), Patient("P", "M", born("2008-03-05")), NOTHING),
        (point(Kind.AGE, "[0,18)", "year"), Patient("P", "M", born("2008-03-04")), NOTHING),
        (point(Kind.AGE, "[18,)", "year"), Patient("P", "M", born("2008-03-04")), NOTHING),
        (point(Kind.AGE, "[18,)", "year"), Patient("P", "M", born("2008-04-04")), HIT),
        (point(Kind.AGE, "[6,)", "month"), Patient("P", "M", born("2025-09-05")), NOTHING),
        (point(Kind.AGE, "[6,)", "month"), Patient("P", "M", born("2026-01-05")), HIT),
        (point(Kind.AGE, "[0,29)", "day"), Patient("P", "M", born("2026-02-04")), NOTHING),
        (point(Kind.AGE, "[0,29)", "day"), Patient("P", "M", born("2026-02-03")), HIT),
        (point(Kind.AGE, "[0,18)", "year"), Patient("P", "M"), ([], ["birth_date_unknown"])),
        (
            point(Kind.AGE, "[0,18)", "year"),
            Patient("P", "M", born("2027-01-01")),
            ([], ["birth_date_after_service"]),
        ),
    ],
)
def test_who_the_patient_is(one, patient, expected):
    assert found(one, ONE, patient=patient) == expected


@pytest.mark.parametrize(
    "day", ["2044-02-27T12:00", "2044-02-28T12:00", "2044-02-29T00:00", "2044-03-01T12:00"]
)
def test_a_birthday_accuses_nobody_born_on_a_leap_day(day):
    patient = Patient("P", "F", born("2024-02-29"))
    for limit in ("[0,20)", "[20,)"):
        assert found(point(Kind.AGE, limit, "year"), [line("a", "A", day)], patient=patient) == NOTHING


@pytest.mark.parametrize(
    ("one", "encounter", "expected"),
    [
        (point(Kind.INSURANCE, ("work_injury",)), {"insurance": "employee"}, HIT),
        (point(Kind.INSURANCE, ("work_injury",)), {"insurance": "work_injury"}, NOTHING),
        (point(Kind.INSURANCE, ("work_injury",)), {}, ([], ["insurance_unknown"])),
        (point(Kind.VISIT, ("inpatient",)), {"visit_type": "pharmacy"}, HIT),
        (point(Kind.VISIT, ("outpatient",)), {"visit_type": "pharmacy"}, ([], ["visit_type_unknown"])),
        (point(Kind.VISIT, ("inpatient",)), {"visit_type": "inpatient"}, NOTHING),
        (point(Kind.LEVEL, 2, "level"), {"level": 1}, HIT),
        (point(Kind.LEVEL, 2, "level"), {"level": 3}, NOTHING),
        (point(Kind.LEVEL, 2, "level"), {}, ([], ["level_unknown"])),
        (point(Kind.DIAGNOSIS, ("N18",)), {"diagnoses": ("I10",)}, HIT),
        (point(Kind.DIAGNOSIS, ("N18.0",)), {"diagnoses": ("i10", "n18.001")}, NOTHING),
        (point(Kind.DIAGNOSIS, ("N18",)), {}, ([], ["diagnoses_unknown"])),
    ],
)
def test_what_the_visit_is(one, encounter, expected):
    assert found(one, ONE, **encounter) == expected


BOTH = point(Kind.PAIR, 1, "day", (HP, HD))


@pytest.mark.parametrize(
    ("lines", "before", "expected"),
    [
        ([line("p", HP, DAY), line("d", HD, "2026-03-04T23:59")], [], [["d"]]),
        ([line("p", HP, DAY)], [line("d", HD, "2026-03-04T00:00", at_hand=False)], [["d"]]),
        ([line("d", HD, DAY)], [line("p", HP, DAY, at_hand=False)], [["d"]]),
        ([line("p", HP, "2026-03-04T23:59"), line("d", HD, "2026-03-05T00:00")], [], []),
        ([line("p", HP, DAY), line("d", HD, DAY, institution="H2")], [], []),
        ([line("p", HP, DAY), line("d", HD, DAY), line("x", HD, DAY, quantity=-1, yuan=-100)], [], []),
        ([line("p", HP, DAY, quantity=0), line("d", HD, DAY)], [], []),
        ([line("d", HD, DAY), line("d", HD, DAY)], [line("d", HD, DAY, at_hand=False)], []),
        ([line("x", "X", DAY)], [line("p", HP, DAY, at_hand=False), line("d", HD, DAY, at_hand=False)], []),
    ],
)
def test_haemoperfusion_includes_the_haemodialysis_of_its_day(lines, before, expected):
    assert found(BOTH, lines, before=before)[0] == expected


@pytest.mark.parametrize(
    ("value", "unit", "second", "together"),
    [
        (6, "hours", "2026-03-04T15:59", True),
        (6, "hours", "2026-03-04T16:00", False),
        (1, "hour", "2026-03-04T10:59", True),
        (1, "hour", "2026-03-04T09:59", False),
        (1, "visit", "2026-04-01T10:00", True),
    ],
)
def test_windows_of_pairs(value, unit, second, together):
    lines = [line("m", "M", DAY), line("s", "S", second)]
    assert bool(found(point(Kind.PAIR, value, unit, ("M", "S")), lines)[0]) is together


@pytest.mark.parametrize(
    ("unit", "second", "beyond"),
    [
        ("day", "2026-03-04T23:59", True), ("day", "2026-03-05T00:00", False),
        ("hour", "2026-03-04T10:30", True), ("hour", "2026-03-04T11:00", False),
        ("24 hours", "2026-03-05T09:59", True), ("24 hours", "2026-03-05T10:00", False),
        ("week", "2026-03-08T23:00", True), ("week", "2026-03-09T00:00", False),
        ("month", "2026-03-31T23:00", True), ("month", "2026-04-01T00:00", False),
        ("year", "2026-12-31T23:00", True), ("year", "2027-01-01T00:00", False),
        ("visit", "2026-12-31T23:00", True),
    ],
)  # fmt: skip
def test_frequencies_count_over_their_stretch(unit, second, beyond):
    earlier, now = line("a", "A", DAY, at_hand=False), line("b", "A", second)
    assert bool(found(point(Kind.FREQUENCY, 1, unit), [now], before=[earlier])[0]) is beyond


def test_a_frequency_puts_only_the_excess_at_stake():
    now = situation(Patient("P"), Encounter("H1", "V1"), [line("a", "A", DAY, quantity=26, yuan=260)], [])
    (hit,) = Knowledge([point(Kind.FREQUENCY, 24, "day")]).evaluate(now, "before").hits
    assert (hit.amount_fen, hit.billed) == (2000, 260_000)
    assert "26" in worded(hit).text[0]


def test_a_course_counts_days_over_all_institutions_or_those_of_one_visit():
    days = [
        line(f"d{n}", "A", f"2026-03-0{n}T08:00", at_hand=n == 3, institution=f"H{n % 2 + 1}")
        for n in (1, 2, 3)
    ]
    for limit, beyond in ((2, True), (3, False)):
        one = point(Kind.PERIOD, limit, "day", within_days=14)
        assert bool(found(one, days[2:], before=days[:2])[0]) is beyond
    assert found(point(Kind.PERIOD, 2, "day", within_days=2), days[2:], before=days[:2])[0] == []
    assert found(point(Kind.PERIOD, 2, "day"), days[2:], before=days[:2])[0] == [], (
        "one day at that institution"
    )
    assert found(point(Kind.PERIOD, 2, "time", within_days=14), days[2:], before=days[:2])[0] == [["d3"]]


def test_a_companion_must_stand_on_the_same_day():
    one = point(Kind.COMPANION, (HD,), items=("DIALYSER",), stage="during")
    alone = [line("a", "DIALYSER", DAY)]
    assert found(one, alone, stage="during") == HIT
    assert found(one, alone) == NOTHING, "an order may come before what it belongs to"
    assert found(one, [*alone, line("b", HD, DAY)], stage="during") == NOTHING


def test_only_what_is_in_force_on_the_day_counts_and_only_in_its_region():
    ended = point(Kind.SEX, "F", valid_to=dt.date(2026, 3, 3))
    assert found(ended, ONE) == NOTHING
    assert found(ended, [line("a", "A", "2026-03-03T10:00")]) == HIT
    mine = point(Kind.SEX, "F", region="371100")
    now = situation(Patient("P", "M"), Encounter("H1", "V1"), ONE, [])
    assert [
        len(Knowledge([mine], region).evaluate(now, "before").hits) for region in ("371121", "110000")
    ] == [1, 0]
    assert found(point(Kind.SEX, "F", problem="words_not_read"), ONE) == NOTHING


def test_every_kind_is_evaluated_or_is_none_to_evaluate():
    assert set(Kind) - set(KINDS) == {Kind.PRESENCE, Kind.UNREAD}
