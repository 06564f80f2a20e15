"""Pictures: their numbers are in the table beside them, shapes beside colours, and no text is markup."""

import xml.etree.ElementTree as ET

import pytest

from renzheng.central.pictures import days, drawing, matrices
from renzheng.central.pictures.days import Hours, SessionDay
from renzheng.central.pictures.drawing import Day, Rate, Span
from renzheng.central.texts import texts


def money(fen):
    return f"¥{fen / 100:,.2f}"


def drawn(figure):
    tree = ET.fromstring(figure.svg)
    assert tree.get("role") == "img"
    assert tree.get("aria-label") == figure.title
    return tree


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_month_hatches_days_of_poor_coverage_and_leaves_open_those_without_an_answer(language):
    days = {
        "2026-02-01": Day(0, 5, 0.9),
        "2026-02-03": Day(90_000, 7, 0.2),
        "2026-02-04": Day(10_000, 7, None),
    }
    figure = drawing.month(texts(language), "2026-02", days, money)
    tree = drawn(figure)
    squares = [one for one in tree.iter("rect") if one.get("stroke-dasharray")]
    assert len(squares) == 28 - len(days)
    assert [one.get("fill") for one in tree.iter("rect")].count("url(#h2026-02)") == 1
    assert figure.rows[1] == ["2026-02-03", "¥900.00", "7", "20%"]
    assert figure.rows[2][3] == "—"


def test_a_matrix_shows_the_largest_and_escapes_names():
    cells = {(f"H{n}", "no_session"): n * 100 for n in range(1, 30)} | {("H1", "too_short"): 5}
    figure = matrices.reasons(texts("en"), cells, {"H29": "<script>&"}, money)
    tree = drawn(figure)
    assert len(figure.rows) == matrices.MOST_ROWS
    assert figure.rows[0] == ["<script>& H29", "¥29.00", "¥0.00"]
    assert any("<script>&" in (one.text or "") for one in tree.iter("title"))
    assert "<script" not in figure.svg


def test_a_strip_has_a_lane_for_each_kind_and_a_shape_for_each_verdict():
    lanes = {
        "stay": [Span(1, 9, "stay", "H1")],
        "billed": [
            Span(3, 3, "contradicted", "L1"),
            Span(4, 4, "supported", "L2"),
            Span(5, 5, "insufficient", "L3"),
        ],
        "check": [Span(3, 3, "absent", "absent")],
    }
    figure = drawing.strip(texts("en"), "2026-02", lanes)
    tree = drawn(figure)
    assert len(list(tree.iter("circle"))) == 1
    assert len({one.get("d") for one in tree.iter("path")}) == 3
    assert figure.rows[0][1:3] == ["2026-02-01", "2026-02-09"]


def test_a_funnel_marks_only_what_chance_does_not_explain():
    rates = [Rate("few", 1, 3), Rate("many", 60, 120), Rate("fine", 190, 200)]
    tree = drawn(drawing.funnel(texts("en"), rates, 0.8))
    outside = [one for one in tree.iter("g") if one.find("path") is not None]
    assert [one.find("title").text.split()[0] for one in outside] == ["many"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_more_sessions_billed_than_run_have_a_triangle_and_the_table_has_every_number(language):
    told = [SessionDay("2026-02-01", 9, 7, 28.0), SessionDay("2026-02-02", 5, 5, 1_020.25)]
    figure = days.sessions(texts(language), "2026-02", told)
    tree = drawn(figure)
    assert len([one for one in tree.findall("g") if one.find("path") is not None]) == 1
    assert figure.rows == [["2026-02-01", "9", "7", "28.0"], ["2026-02-02", "5", "5", "1,020.2"]]


def test_a_strip_of_coverage_leaves_what_nobody_reported_dashed_and_starts_with_the_blindest():
    shown = ["2026-02-01", "2026-02-02"]
    devices = {"k-1": {shown[0]: Hours(up=24.0)}, "k-0": {shown[1]: Hours(up=6.0, down=3.0)}}
    figure = days.coverage(texts("en"), "2026-02", shown, devices)
    tree = drawn(figure)
    assert len([one for one in tree.iter("rect") if one.get("stroke-dasharray")]) == 2
    assert figure.rows[1] == ["k-0", "2026-02-02", "6.0", "0.0", "3.0", "15.0"]
    assert [row[0] for row in figure.rows] == ["k-0", "k-0", "k-1", "k-1"]


def test_machines_by_hour_and_witnesses_by_patient():
    figure = matrices.machines(texts("zh"), "2026-02", {("M2", "7"): 3, ("M1", "23"): 1})
    drawn(figure)
    assert [row[0] for row in figure.rows] == ["M1", "M2"]
    assert figure.rows[1][8] == "3"
    figure = matrices.witnesses(texts("zh"), "2026-02", {("<b>", "P1"): 1_200, ("w", "P2"): 1})
    drawn(figure)
    assert figure.rows[0] == ["<b>", "1,200", "0"]
