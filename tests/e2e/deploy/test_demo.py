"""The main job, as a user runs it: the day, held against the story."""

import os

import pytest
from parts import pictures
from parts.demo import SECONDS, run_demo
from parts.private import open_to_others

from renzheng.deploy.demo import story

pytestmark = pytest.mark.timeout(SECONDS)
# `long`: the same day before real pages; test_demo_browser.py has some of its scenes before them.
IN_A_BROWSER = [pytest.mark.chromium] + ([] if os.environ.get("RENZHENG_PICTURES") else [pytest.mark.long])


IN_PAGES = [pytest.param("--headless", id="browser", marks=IN_A_BROWSER)]


@pytest.fixture(scope="module", params=[pytest.param("--no-stay", id="plain"), *IN_PAGES])
def day(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, run_demo(out, request.param)


def test_every_file_of_the_day_is_private(day):
    out, _ = day
    assert open_to_others(out) == {}, "whatever the umask"


def test_every_billed_line_gets_the_answer_that_the_story_asks_for(day):
    _, report = day
    answers = {line["serial"]: (line["verdict"], line["reason"]) for line in report["lines"]}
    assert answers == {line.serial: (line.verdict, line.reason) for line in story.LINES}
    assert report["ok"] is True


def test_every_scene_leaves_the_event_that_it_must(day):
    _, report = day
    outcomes = [(scene["at"], scene["outcome"]) for scene in report["scenes"]]
    assert outcomes == [(scene.when.isoformat(), scene.expected) for scene in story.SCENES]


def test_what_was_signed_without_network_arrived_later(day):
    _, report = day
    late = {
        scene["person_id"]
        for scene in report["scenes"]
        if scene["late_minutes"] and scene["late_minutes"] > 5
    }
    assert late == {story.KE.person_id}


def test_the_verdicts_show_their_evidence(day):
    _, report = day
    lines = {line["serial"]: line for line in report["lines"]}
    supported = lines["0001"]["evidence"]
    assert {item.get("type") for item in supported} >= {"attendance.sign_in", "attendance.sign_out"}
    assert lines["0009"]["evidence"][0]["outcome"] == "non_match"
    assert lines["0012"]["coverage_ratio"] < 0.95 <= lines["0004"]["coverage_ratio"]


@pytest.mark.parametrize("day", IN_PAGES, indirect=True)
def test_the_browser_measured_every_green_screen_that_a_face_brought(day):
    _, report = day
    by_face = [scene for scene in report["scenes"] if scene["outcome"] == "match"]
    assert all(scene["usable_face_to_green_ms"] > 0 for scene in by_face)
    assert report["usable_face_to_green_ms"]["count"] == len(by_face) == 4


def test_broken_rows_are_rejected_with_line_and_reason(day):
    _, report = day
    assert (report["claims"]["read"], report["claims"]["accepted"]) == (17, 15)
    rejects = [(reject["line"], reject["field"], reject["reason"]) for reject in report["claims"]["rejects"]]
    assert rejects == [
        ("16", "fee_ocur_time", "bad_time"),
        ("18", "feedetl_sn", "duplicate"),
    ]


def test_the_page_for_people_tells_the_same(day):
    out, report = day
    html = (out / "report.html").read_text(encoding="utf-8")
    assert all(line["serial"] in html for line in report["lines"])
    assert "verdict." not in html, "a text is missing in the catalogue"
    assert "event_type." not in html
    assert "reason." not in html
    assert 'class="wrong"' not in html


@pytest.mark.parametrize("day", IN_PAGES, indirect=True)
def test_pictures_are_taken_of_the_real_pages(day):
    out, _ = day
    names = {"kiosk": "kiosk", "console-day": "console-day", "console-line": "console-line"}
    for taken, shown in {**names, "0730-sign_in": "kiosk-signed-in"}.items():
        picture = out / "screens" / f"{taken}.png"
        assert picture.stat().st_size > 10_000
        pictures.for_readme(picture, shown)


def test_one_doubt_is_played_to_its_deduction_and_one_to_its_clearing(day):
    out, report = day
    ends = {one["serial"]: (one["state"], one["deducted"]) for one in report["doubts"]}
    assert ends == {"0003": ("deducted", "400.00"), "0004": ("cleared", "0.00")}
    (deducted, cleared) = report["doubts"]
    assert len({step["account"] for step in deducted["steps"]}) == 4
    assert [step["act"] for step in cleared["steps"]][-3:] == ["submit", "review", "finalise"]
    html = (out / "report.html").read_text(encoding="utf-8")
    assert all(one["statement"].split("。")[0] in html for one in report["doubts"])
