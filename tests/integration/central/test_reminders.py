"""What became of advices is counted, and a point that does not fit loses power."""

import json
from decimal import Decimal

import pytest
from parts.asking import Asking
from parts.check_site import HD, HP, NOW, PAIR, Site

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.cases import powers
from renzheng.central.cases.point_powers import LostPowers, settle, settle_points
from renzheng.central.checks.keeping import Answer
from renzheng.central.checks.lost_power import lowered
from renzheng.central.checks.reminders import Figures, Limits, reason_of, too_often
from renzheng.rules.casework import resolve
from renzheng.rules.knowledge.points import Power

SUM = {"override_limit": Decimal("0.5"), "override_fewest": Decimal(4), "override_institutions": Decimal(3)}


def asked(number, institution="H1", department="肾内科"):
    at = "2026-03-04T10:00:00+08:00"
    items = [
        {"id": f"{number}-{code}", "code": code, "amount": 100, "at": at, "department": department}
        for code in (HP, HD)
    ]
    return {
        "stage": "before", "institution_id": institution, "patient": {"person_id": f"P{number}"},
        "encounter": {"visit_id": f"V{number}"}, "items": items,
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    with site.database.writing() as connection:
        for number in range(3, 6):
            name = f"his-{number}"
            new = New(name, frozenset({Role.HOSPITAL_OFFICE}), frozenset({f"H{number}"}), kind="program")
            accounts.add(connection, new, "test", NOW)
            site.tokens[name] = accounts.give_token(connection, name, NOW)
    answers = [
        ("followed", ""), ("overridden", "emergency"), ("overridden", "two_treatments: 张三 说"),
        ("overridden", "张三 说"), ("overridden", ""), None,
    ]  # fmt: skip
    for number, done in enumerate(answers):
        told = site.check(asked(number))
        if done:
            body = {"advice": told["advices"][0]["id"], "action": done[0], "reason": done[1]}
            assert site.check(body, path=f"/api/v1/checks/{told['check_id']}/answers") == {"code": "ok"}
    site.check({**asked(90, "H2"), "items": []}, who="his-2")
    return site


def read(site, query, who="au"):
    answer = Asking(site.app, site.tokens[who]).get(
        f"/api/v1/reminders?first=2026-03-01&last=2026-03-31&{query}"
    )
    assert answer.status == 200, answer.text
    return json.loads(answer.body)["rows"]


def test_figures_by_institution_department_and_rule(site):
    one, other = read(site, "by=institution")
    assert (one["asked"], one["advised"], one["followed"], one["overridden"], one["unanswered"]) == (
        6,
        6,
        1,
        4,
        1,
    )
    assert one["by_reason"] == {"emergency": 1, "two_treatments": 1, "other": 1, "none": 1}
    assert (one["followed_share"], one["median_seconds"]) == (0.2, 0)
    assert (other["institution_id"], other["asked"], other["advised"]) == ("H2", 1, 0)
    (row,) = read(site, "by=department")
    assert (row["department"], row["advised"]) == ("肾内科", 6)
    (row,) = read(site, "by=rule")
    assert (row["point"], row["version"], row["kind"]) == (PAIR.id, PAIR.version, "pair")


def test_a_hospital_sees_its_own_figures_and_nobody_a_name_in_a_reason(site):
    assert [row["institution_id"] for row in read(site, "by=institution", who="his-2")] == ["H2"]
    assert read(site, "by=rule", who="his-2") == []
    for by in ("institution", "department", "rule"):
        page = Asking(site.app, site.tokens["au"]).get(f"/reminders?first=2026-03-01&last=2026-03-31&by={by}")
        assert page.status == 200
        assert "张三" not in page.text
        assert ("H1" if by != "rule" else PAIR.id) in page.text
    metrics = Asking(site.app, site.tokens["au"])
    assert metrics.get("/api/v1/reminders?by=person").status == 422


def test_metrics_have_bounded_labels(site):
    text = site.metrics.text([])
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert {name for name in counted if name.startswith("renzheng_checks_total")} == {
        'renzheng_checks_total{code="ok",stage="before"}',
        'renzheng_checks_total{code="nothing_to_check",stage="before"}',
    }
    assert float(counted['renzheng_advices_total{kind="pair",power="warn"}']) == 6
    assert float(counted['renzheng_check_answers_total{action="overridden",reason="other"}']) == 1
    assert "张三" not in text
    assert PAIR.id not in text


def test_a_point_that_three_hospitals_find_not_to_fit_loses_power_and_one_alone_takes_none(site):
    keeper, now = site.checks.keeper, NOW.replace(hour=5)
    numbers = resolve({}, NOW.date()) | SUM
    versions = {}
    for institution in ("H3", "H4", "H5"):
        for number in range(8):
            body = asked(f"{institution}-{number}", institution)
            advice = site.check(body, who=f"his-{institution[1]}")["advices"][0]
            keeper.answer([Answer(advice["id"], "overridden", "medically_needed")], "x", 10**15 + number)
        with site.database.writing() as connection:
            lost = settle(connection, keeper, numbers, now, site.key)
        versions[institution] = lost
    assert versions == {"H3": [], "H4": [], "H5": [(PAIR.id, PAIR.version)]}
    with site.database.writing() as connection:
        held = powers.powers(connection)
        assert settle(connection, keeper, numbers, now, site.key) == [], "counting begins anew"
    assert held[PAIR.id, PAIR.version].power == powers.WARN
    lost = LostPowers(site.database).now()
    assert lowered(lost, PAIR.id, PAIR.version, Power.BLOCK) is Power.WARN
    bureau = {(PAIR.id, PAIR.version): powers.BUREAU}
    assert lowered(bureau, PAIR.id, PAIR.version, Power.WARN) is Power.WATCH
    assert lowered(lost, PAIR.id, "another", Power.BLOCK) is Power.BLOCK
    settle_points(site.database, site.settings, now)


def test_reasons_are_counted_by_a_closed_list():
    assert [reason_of(one) for one in ("emergency", "emergency: x", "急诊或抢救需要", "x", " ")] == [
        "emergency", "emergency", "emergency", "other", "none",
    ]  # fmt: skip


def test_to_be_corrected_is_no_good_reason_and_few_answers_say_nothing():
    def figures(answers, reason):
        one = Figures(advised=answers, overridden=answers)
        one.by_reason[reason] = answers
        return one

    limits = Limits(0.5, 20, 2)
    many = {name: figures(30, "emergency") for name in "AB"}
    assert too_often(many, limits) == ["A", "B"]
    assert too_often({**many, "B": figures(30, "to_be_corrected")}, limits) == []
    assert too_often({**many, "B": figures(19, "emergency")}, limits) == []
