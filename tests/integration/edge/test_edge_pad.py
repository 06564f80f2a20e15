"""Attacks and bona fide presentations through detection, liveness and the attempt's core: the short form.

The long form, 42 of each species, is in tests/evaluation/edge.
"""

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from parts.attacks import ATTACKS, capture_card
from parts.looks import PLAN, answering, look, passes, presentations, seen_by
from parts.sheets import ANIMATED
from typer.testing import CliRunner

from renzheng.edge.look.outcomes import AttackSuspected, Matched, NotAcquired, NotShown
from renzheng.models.command import app
from renzheng.models.engine import open_engine
from renzheng.models.liveness.challenge import EVERY_ABILITY, draw

FOLDER = Path(os.environ.get("RENZHENG_PORTRAITS", ".cache/portraits"))
FRAMES = 24
IN_BRIEF = ("folded_print", "lively_still")


@pytest.fixture(scope="module")
def engine():
    if not (FOLDER / "obama.jpg").exists():
        pytest.skip(f"no portraits in {FOLDER}: run make setup, or set RENZHENG_PORTRAITS")
    return open_engine("dlib", threads=1)


# `long`: a telephone is a smaller screen than the tablet's; the command's test below has one as well.
EVERY_DAY = [pytest.param(one, marks=[pytest.mark.long] * (one == "phone_replay")) for one in ATTACKS]


@pytest.mark.parametrize("species", EVERY_DAY)
def test_no_attack_passes_the_look(engine, species):
    (presentation,) = presentations(species, FOLDER, [1], FRAMES)
    outcome, _ = look(seen_by(engine, presentation), presentation)
    assert not passes(outcome)


@pytest.mark.parametrize(
    "species", [name if name in IN_BRIEF else pytest.param(name, marks=pytest.mark.long) for name in ANIMATED]
)
def test_nothing_that_has_depth_or_life_but_no_face_passes_the_whole_flow(engine, species):
    """Each waits, turns as asked and shines back the colours; the screens' pictures blink besides."""
    (presentation,) = presentations(species, FOLDER, [1], FRAMES)
    outcome, state = look(seen_by(engine, presentation), presentation)
    assert not passes(outcome)
    assert state.answering is not None or isinstance(outcome, AttackSuspected)


@pytest.fixture(scope="module")
def moving(engine):
    return [(one, seen_by(engine, one)) for one in presentations("bona_fide", FOLDER, [0], FRAMES)]


@pytest.mark.parametrize("slowness", [30, 150, 600, 2_000])
def test_frames_as_a_busy_machine_looks_at_them_accuse_nobody(moving, slowness):
    """Each look takes 15 ms to two seconds, and what was sent meanwhile is passed over but for the newest."""
    chance = random.Random(slowness)
    for presentation, seen in moving:
        now, taken = 0, []
        for frame in seen:
            if chance.random() < 0.8:  # the others were passed over
                now += chance.randint(15, slowness)
                taken.append(replace(frame, at_ms=now))
        outcome, _ = look(taken, presentation)
        assert isinstance(outcome, Matched | NotShown | NotAcquired)


def test_a_moving_head_passes_before_it_is_asked_for_anything(moving):
    for presentation, seen in moving:
        outcome, state = look(seen, presentation)
        assert passes(outcome)
        assert state.answering is None
        assert outcome.decision_ms < 1_500


def test_a_recording_from_a_capture_card_passes_what_is_passive(engine):
    """A limit, written down: such a recording is told only by the challenge; see docs/liveness.md."""
    presentation = capture_card(FOLDER / "obama2.jpg", FOLDER / "biden.jpg", FRAMES, 3)
    outcome, _ = look(seen_by(engine, presentation), presentation)
    assert isinstance(outcome, Matched)


def test_a_still_person_turns_when_asked_and_a_turned_picture_does_not_count(engine):
    person = answering(FOLDER / "obama.jpg", 1, seconds=6.5)
    outcome, state = look(seen_by(engine, person), person)
    assert passes(outcome)
    assert state.answering is not None
    picture = answering(FOLDER / "obama.jpg", 1, seconds=3.6, body=False)
    outcome, _ = look(seen_by(engine, picture), picture)
    assert not passes(outcome)


def test_the_list_of_the_command_is_measured_and_its_keys_stand(engine, tmp_path):
    rows = ["file,species,label"]
    for name in ("bona_fide", "phone_replay"):
        (shown,) = presentations(name, FOLDER, [1], 32)
        (tmp_path / name).mkdir()
        for index, frame in enumerate(shown.frames):
            cv2.imwrite(str(tmp_path / name / f"{index:02}.jpg"), frame[:, :, ::-1])
        rows.append(f"{name},{name},{'bona_fide' if shown.bona_fide else 'attack'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    arguments = [
        "evaluate-pad",
        "--images",
        str(tmp_path),
        "--labels",
        str(tmp_path / "labels.csv"),
        "--json",
    ]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["species"]["phone_replay"]["apcer"] == 0.0
    assert told["bpcer"] == 0.0
    assert told["results"][0]["decided_ms"] >= told["working_point"]["shortest_ms"]


def test_the_plan_of_these_tests_is_one_that_may_be_drawn():
    drawn = draw(EVERY_ABILITY, "nonce", lambda _: 0)
    assert (drawn.challenge, len(drawn.colours)) == (PLAN.challenge, len(PLAN.colours))
