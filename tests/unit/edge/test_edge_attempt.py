"""One look: what the frames of an attempt lead to."""

from dataclasses import replace

import numpy as np
import pytest

from renzheng.contracts.events import Pad
from renzheng.edge.kiosk import attempt
from renzheng.edge.kiosk.attempt import Observation
from renzheng.edge.kiosk.faces import Look
from renzheng.edge.kiosk.outcomes import AttackSuspected, Matched, NotAcquired, NotMatched, NotSure
from renzheng.models.decision import Match, NonMatch, Threshold
from renzheng.models.decision import NotSure as Unsure
from renzheng.models.liveness.motion import Liveness
from renzheng.models.templates import ModelId, Template

THRESHOLD = Threshold(0.9, 1e-3, 1e-4, 2e-3, "card")
MATCH, NON_MATCH, UNSURE = Match(0.95, THRESHOLD), NonMatch(0.1, THRESHOLD), Unsure(0.85, THRESHOLD)
GOOD = Look((320.0, 200.0), 100.0, None, quality=5.0)
FAR = Look((320.0, 200.0), 20.0, "come_closer")
NOBODY = Look(None, 0.0, "step_into_view")


def template(value=1.0):
    return Template(np.array([value, 0.0], np.float32), ModelId("fake:000000000000:2"))


def play(decision, pad=Pad.NOT_SHOWN, look=GOOD, *, frames=150, every_ms=100, limit_ms=12_000):
    """Feed equal frames until there is an outcome; return it and when it came."""
    state = attempt.begin(0, limit_ms)
    for number in range(1, frames + 1):
        now = number * every_ms
        usable = template() if look.guidance is None else None
        seen = Observation(number, now, look, usable, Liveness(pad))
        state = attempt.observe(state, seen, lambda _: decision)
        outcome = attempt.conclude(state, now)
        if outcome is not None:
            return outcome, now, state
    return None, None, state


def test_a_moving_match_is_through_within_half_a_second():
    outcome, now, _ = play(MATCH, Pad.BONA_FIDE)
    assert outcome == Matched(MATCH, Pad.BONA_FIDE, 200)
    assert now <= 500


def test_a_still_match_is_asked_to_move_and_then_let_through_as_not_shown():
    _, _, state = play(MATCH, frames=15)
    assert state.guidance == attempt.TURN_A_LITTLE
    outcome, now, _ = play(MATCH)
    assert outcome == Matched(MATCH, Pad.NOT_SHOWN, attempt.PASSIVE_MS)
    assert now == attempt.PASSIVE_MS + 100


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
        own = Observation(number, number * 100, GOOD, template(1), Liveness(Pad.BONA_FIDE), continuity=1)
        state = attempt.observe(state, own, lambda _: NON_MATCH)
    picture = [
        Observation(number, number * 100, GOOD, template(2), Liveness(Pad.NOT_SHOWN), continuity=2)
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
            number, number * 100, GOOD, template(), Liveness(Pad.BONA_FIDE), continuity=number // 2
        )
        state = attempt.observe(state, seen, lambda _: MATCH)
        outcome = attempt.conclude(state, seen.at_ms)
        if outcome:
            break
    assert outcome.pad is Pad.NOT_SHOWN
