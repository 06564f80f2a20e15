"""One look: what the frames of an attempt lead to."""

from dataclasses import replace

import numpy as np
import pytest

from renzheng.contracts.events import Pad
from renzheng.edge.look import attempt
from renzheng.edge.look.attempt import Observation
from renzheng.edge.look.faces import Look
from renzheng.edge.look.outcomes import AttackSuspected, Matched, NotAcquired, NotMatched, NotShown, NotSure
from renzheng.models.decision import Match, NonMatch, Threshold
from renzheng.models.decision import NotSure as Unsure
from renzheng.models.liveness.challenge import ASK_NOTHING, Plan
from renzheng.models.liveness.evidence import Family, SignalResult
from renzheng.models.liveness.fusion import Verdict
from renzheng.models.liveness.light import FILLS, STEP_MS, Colour, PaintedColour, Skin
from renzheng.models.liveness.pose import Challenge, Pose
from renzheng.models.templates import ModelId, Template

THRESHOLD = Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")
MATCH, NON_MATCH, UNSURE = Match(0.95, THRESHOLD), NonMatch(0.1, THRESHOLD), Unsure(0.85, THRESHOLD)
GOOD = Look((320.0, 200.0), 100.0, None, quality=5.0)
FAR = Look((320.0, 200.0), 20.0, "come_closer")
NOBODY = Look(None, 0.0, "step_into_view")


def template(value=1.0):
    return Template(np.array([value, 0.0], np.float32), ModelId("fake:000000000000:2"))


def play(
    decision,
    pad=Pad.NOT_SHOWN,
    look=GOOD,
    *,
    frames=150,
    every_ms=100,
    limit_ms=12_000,
    plan=ASK_NOTHING,
    needed=False,
):
    """Feed equal frames until there is an outcome; return it and when it came."""
    state = attempt.begin(0, limit_ms, plan, shown_is_needed=needed)
    for number in range(1, frames + 1):
        now = number * every_ms
        usable = template() if look.guidance is None else None
        seen = Observation(number, now, look, usable, Verdict(pad))
        state = attempt.observe(state, seen, lambda _: decision)
        outcome = attempt.conclude(state, now)
        if outcome is not None:
            return outcome, now, state
    return None, None, state


def test_a_moving_match_is_through_within_half_a_second():
    outcome, now, _ = play(MATCH, Pad.BONA_FIDE)
    assert outcome == Matched(MATCH, Pad.BONA_FIDE, 200)
    assert now <= 500


def test_whoever_wears_a_mask_is_told_so_while_nothing_matches_and_no_longer_when_it_does():
    masked = replace(GOOD, advice="take_off_mask")
    _, _, state = play(NON_MATCH, look=masked, frames=5)
    assert state.guidance == "take_off_mask"
    assert state.first_usable is not None  # it is advice: the frames count all the same
    _, _, state = play(MATCH, look=masked, frames=4)
    assert state.guidance is None


def test_a_still_match_that_may_not_be_asked_is_refused_or_noted_as_the_site_chose():
    outcome, now, state = play(MATCH, plan=Plan("n"), needed=True)
    assert outcome == NotShown(MATCH, attempt.PASSIVE_MS)
    assert now == attempt.PASSIVE_MS + 100
    assert state.guidance is None
    _, _, state = play(MATCH, frames=20)
    assert state.guidance == attempt.TURN_A_LITTLE
    outcome, _, _ = play(MATCH)
    assert outcome == Matched(MATCH, Pad.NOT_SHOWN, attempt.PASSIVE_MS)


def test_a_still_match_is_asked_for_one_movement_and_refused_without_it():
    plan = Plan("n", Challenge.TURN_LEFT)
    _, _, state = play(MATCH, frames=17, plan=plan, needed=True)
    assert (state.guidance, state.answering.asked_ms) == ("turn_left", 1_600)
    outcome, now, _ = play(MATCH, plan=plan, needed=True)
    assert isinstance(outcome, NotShown)
    assert now == 1_600 + attempt.ANSWER_MS


def test_whoever_shows_life_at_once_is_asked_nothing():
    outcome, _, state = play(MATCH, Pad.BONA_FIDE, plan=Plan("n", Challenge.NOD), needed=True)
    assert isinstance(outcome, Matched)
    assert state.answering is None


COLOURS = tuple(Colour)[:3] * 2 + tuple(Colour)[:2]
PLAN = Plan("nonce", Challenge.TURN_LEFT, COLOURS)


def answer(*, turns, lights, passive=(), steps_painted=8, shift=0):
    """One attempt of somebody still who is asked; `lights`: the skin answers, `shift` steps late."""
    state = attempt.begin(0, 12_000, PLAN, shown_is_needed=True)
    random, painted = np.random.default_rng(0), 0
    for number in range(1, 130):
        now = number * 80
        asked = None if state.answering is None else state.answering.asked_ms
        if asked is not None and painted < steps_painted and now - asked >= 100 + painted * STEP_MS:
            state = attempt.painted(state, PaintedColour(now, COLOURS[painted]))
            painted += 1
        step = -1 if asked is None else (now - asked - 160) // STEP_MS - shift
        fill = FILLS[COLOURS[step % 8]] if lights and 0 <= step < 8 + shift else (200, 200, 200)
        light = 1 + 0.02 * (np.array(fill) / 200 - 1) + random.normal(0, 0.0008, 3)
        yaw = 0.25 * np.sin(min(1.0, (now - asked) / 1500) * np.pi / 2) * turns if asked else 0.0
        seen = Observation(
            number,
            now,
            GOOD,
            template(),
            Verdict(Pad.NOT_SHOWN, 0.0, tuple(passive)),
            pose=Pose(now, yaw, 0.6, 100.0),
            skin=Skin(now, *(np.array([150, 120, 100]) * light)),
        )
        state = attempt.observe(state, seen, lambda _: MATCH)
        outcome = attempt.conclude(state, now)
        if outcome is not None:
            return outcome
    return None


def test_who_turns_as_asked_in_the_light_of_the_screen_is_through():
    outcome = answer(turns=1, lights=True, passive=(FACE,))
    assert (type(outcome), outcome.pad) == (Matched, Pad.BONA_FIDE)
    assert outcome.signals == ("face_shape:+2.0", "challenge:+0.5", "colour_light:+1.5")


def test_a_folded_photograph_that_turns_as_asked_and_shines_back_has_no_face_s_depth():
    assert isinstance(answer(turns=1, lights=True), NotShown)


FACE = SignalResult("face_shape", 2.0, shows_depth=True, family=Family.SHAPE)
DOUBT = (FACE, SignalResult("periodic", -1.5))


@pytest.mark.parametrize(
    "answered",
    [
        {"turns": -1, "lights": True},
        {"turns": 0, "lights": True},
        {"turns": 1, "lights": False},
        {"turns": 1, "lights": False, "passive": DOUBT},
        {"turns": 1, "lights": True, "shift": 2, "passive": DOUBT},
        {"turns": 1, "lights": True, "steps_painted": 0, "passive": DOUBT},
    ],
    ids=[
        "wrong way",
        "does nothing",
        "no light",
        "a replay that turns",
        "another sequence",
        "page says nothing",
    ],
)
def test_half_an_answer_is_none(answered):
    assert isinstance(answer(**answered), NotShown)


def test_a_doubt_is_outweighed_by_the_whole_answer():
    assert isinstance(answer(turns=1, lights=True, passive=DOUBT), Matched)


def test_the_colours_of_another_attempt_answer_nothing():
    state = attempt.begin(0, 12_000, PLAN)
    assert attempt.painted(state, PaintedColour(100, Colour.MINT)).answering is None


@pytest.mark.parametrize("decision", [MATCH, NON_MATCH])
def test_a_flat_thing_is_suspected_whomever_it_shows(decision):
    outcome, _, _ = play(decision, Pad.ATTACK)
    assert outcome == AttackSuspected(decision, attempt.FLAT_MS)


@pytest.mark.parametrize(("decision", "kind"), [(NON_MATCH, NotMatched), (UNSURE, NotSure)])
def test_another_face_ends_as_non_match_or_not_sure_after_enough_probes(decision, kind):
    outcome, _, _ = play(decision, Pad.BONA_FIDE)
    assert outcome == kind(decision, Pad.BONA_FIDE, attempt.REFUSE_MS)


@pytest.mark.parametrize(("look", "reason"), [(NOBODY, "step_into_view"), (FAR, "come_closer")])
def test_nothing_usable_ends_at_the_limit_and_names_what_was_wrong(look, reason):
    outcome, now, _ = play(MATCH, look=look)
    assert outcome == NotAcquired(reason)
    assert now == 12_000


def test_an_attempt_without_a_single_frame_ends_too():
    assert attempt.conclude(attempt.begin(0, 12_000), 11_999) is None
    assert attempt.conclude(attempt.begin(0, 12_000), 12_000) == NotAcquired("no_frames")


@pytest.mark.parametrize("every_ms", [100, 501, 700, 1_500])
def test_a_machine_that_analyses_few_frames_a_second_still_signs_in(every_ms):
    outcome, now, _ = play(MATCH, Pad.BONA_FIDE, every_ms=every_ms)
    assert outcome == Matched(MATCH, Pad.BONA_FIDE, 2 * every_ms)
    assert now == 3 * every_ms


@pytest.mark.parametrize(
    ("look", "every_ms"), [(GOOD, 1_700), (GOOD, 6_000), (NOBODY, 1_700)], ids=["slow", "slower", "nobody"]
)
def test_a_machine_on_which_no_two_frames_show_one_face_is_too_slow_and_says_so_early(look, every_ms):
    outcome, now, state = play(MATCH, Pad.BONA_FIDE, look, every_ms=every_ms)
    assert outcome == NotAcquired(attempt.TOO_SLOW)
    assert now == min(4 * every_ms, 12_000)
    assert state.pace.typical_ms == every_ms


def test_one_analysed_frame_in_the_whole_time_is_too_slow_and_never_no_frames():
    _, _, state = play(MATCH, frames=1)
    assert attempt.conclude(state, 12_000) == NotAcquired(attempt.TOO_SLOW)


def test_what_was_wrong_before_a_slow_machine_is_said_while_it_can_tell():
    outcome, _, _ = play(MATCH, look=FAR, every_ms=700)
    assert outcome == NotAcquired("come_closer")


def test_a_pause_on_a_fast_machine_still_begins_anew():
    _, _, state = play(NON_MATCH, Pad.BONA_FIDE, frames=10)
    state = attempt.observe(state, Observation(11, 1_700, GOOD, template()), lambda _: MATCH)
    assert (state.usable, state.live.pad) == (1, Pad.NOT_SHOWN)


def test_a_match_that_shows_nothing_living_on_a_slow_machine_is_the_machine_s():
    slow, _, _ = play(MATCH, plan=Plan("n"), needed=True, every_ms=600)
    fast, _, _ = play(MATCH, plan=Plan("n"), needed=True)
    assert (slow.too_slow, fast.too_slow) == (True, False)


def test_what_one_face_showed_does_not_serve_the_next():
    _, _, state = play(NON_MATCH, Pad.BONA_FIDE, frames=5)
    assert state.live.pad is Pad.BONA_FIDE
    elsewhere = replace(GOOD, centre=(500.0, 200.0))
    state = attempt.observe(state, Observation(6, 600, elsewhere, template()), lambda _: MATCH)
    assert (state.live.pad, state.usable, state.first_usable) == (Pad.NOT_SHOWN, 1, (6, 600))


def test_a_face_that_was_away_may_be_another():
    _, _, state = play(NON_MATCH, Pad.BONA_FIDE, frames=5)
    for number, now in ((6, 600), (7, 900)):
        state = attempt.observe(state, Observation(number, now, NOBODY), lambda _: MATCH)
    state = attempt.observe(state, Observation(8, 1_200, GOOD, template()), lambda _: MATCH)
    assert (state.usable, state.live.pad) == (1, Pad.NOT_SHOWN)


def test_the_best_probes_decide():
    asked = []
    state = attempt.begin(0, 12_000)
    for number, quality in enumerate((1.0, 9.0, 3.0, 7.0, 2.0), start=1):
        seen = Observation(number, number * 100, replace(GOOD, quality=quality), template(quality))
        state = attempt.observe(state, seen, lambda probes: asked.append(probes) or NON_MATCH)
    assert [round(float(probe.values[0])) for probe in asked[-1]] == [9, 7, 3]


def test_a_photograph_slid_before_a_live_face_inherits_nothing_from_it():
    """The attacker turns their own head, then holds up the patient's picture at the same place."""
    state = attempt.begin(0, 12_000)
    for number in range(1, 6):
        own = Observation(number, number * 100, GOOD, template(1), Verdict(Pad.BONA_FIDE), continuity=1)
        state = attempt.observe(state, own, lambda _: NON_MATCH)
    picture = [
        Observation(number, number * 100, GOOD, template(2), Verdict(Pad.NOT_SHOWN), continuity=2)
        for number in range(6, 40)
    ]
    asked = []
    for seen in picture:
        state = attempt.observe(state, seen, lambda probes: asked.append(probes) or MATCH)
        outcome = attempt.conclude(state, seen.at_ms)
        if outcome:
            break
    assert outcome.pad is Pad.NOT_SHOWN
    assert {float(probe.values[0]) for probes in asked for probe in probes} == {2.0}


def test_a_face_that_cannot_be_followed_is_matched_without_liveness():
    state = attempt.begin(0, 12_000)
    for number in range(1, 60):
        seen = Observation(
            number, number * 100, GOOD, template(), Verdict(Pad.BONA_FIDE), continuity=number // 2
        )
        state = attempt.observe(state, seen, lambda _: MATCH)
        outcome = attempt.conclude(state, seen.at_ms)
        if outcome:
            break
    assert outcome.pad is Pad.NOT_SHOWN
