"""The signals of liveness on what is known of them, their sum, and the challenge."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from renzheng.contracts.events import Pad
from renzheng.models.detection.boxes import Box
from renzheng.models.landmarks import Landmarks
from renzheng.models.liveness import (
    bands,
    challenge,
    expression,
    frames,
    glare,
    light,
    motion,
    network,
    periodic,
)
from renzheng.models.liveness.challenge import Ability, Plan, draw
from renzheng.models.liveness.evidence import Family, SignalResult
from renzheng.models.liveness.fusion import ATTACK_AT, BONA_FIDE_AT, NOTHING_SHOWN, fuse
from renzheng.models.liveness.light import FILLS, STEP_MS, Answer, PaintedColour, Skin
from renzheng.models.liveness.pose import Challenge, Pose, done, pose_of
from renzheng.models.liveness.stream import Camera, Stream, timing

BOX = Box(220, 120, 420, 320)
GROUND = np.random.default_rng(0).normal(128, 6, (480, 640, 3))


def picture(values):
    return np.clip(values, 0, 255).astype(np.uint8)


FACE = SignalResult("face_shape", 2.0, shows_depth=True, family=Family.SHAPE)
EXPRESSION = SignalResult("expression", 1.5, family=Family.EXPRESSION)
LIGHT = SignalResult("colour_light", 1.5, family=Family.LIGHT)

# Fusion ------------------------------------------------------------------------------------------------


def test_silence_is_not_shown():
    assert fuse(()) == NOTHING_SHOWN
    assert NOTHING_SHOWN.pad is Pad.NOT_SHOWN


def test_nothing_is_bona_fide_without_depth_however_much_speaks_for_it():
    assert fuse((SignalResult("network", 9.0), SignalResult("colour_light", 9.0))).pad is Pad.NOT_SHOWN


@pytest.mark.parametrize(
    ("doubt", "pad"),
    [
        (0.0, Pad.BONA_FIDE),
        (BONA_FIDE_AT - 3.5, Pad.BONA_FIDE),
        (BONA_FIDE_AT - 3.6, Pad.NOT_SHOWN),
        (ATTACK_AT - 3.4, Pad.NOT_SHOWN),
        (ATTACK_AT - 3.5, Pad.ATTACK),
    ],
)
def test_a_living_face_seen_may_be_doubted(doubt, pad):
    verdict = fuse((FACE, EXPRESSION, SignalResult("periodic", doubt)))
    assert verdict.pad is pad
    assert (
        verdict.codes() == ("face_shape:+2.0", "expression:+1.5", f"periodic:{doubt:+.1f}")[: 2 + bool(doubt)]
    )


@pytest.mark.parametrize(
    "others", [(), (FACE,), (SignalResult("challenge", 9.0), SignalResult("network", 9.0))]
)
def test_one_family_of_signs_is_not_enough_however_often_it_is_seen(others):
    assert fuse((FACE, *others)).pad is Pad.NOT_SHOWN


def test_a_face_that_lives_but_shows_no_depth_is_not_shown():
    assert fuse((EXPRESSION, LIGHT)).pad is Pad.NOT_SHOWN
    assert fuse((FACE, LIGHT)).pad is Pad.BONA_FIDE


@pytest.mark.parametrize("seen", [motion.Shape.LAYERS, motion.Shape.BODY, motion.Shape.UNKNOWN])
def test_layers_accuse_nobody_and_a_body_may_be_a_folded_photograph(seen):
    assert motion.say(motion.Motion(seen)).weight == 0.0
    assert not motion.say(motion.Motion(seen)).shows_depth


@pytest.mark.parametrize("part", ["eyes", "lips"])
def test_lids_and_lips_count_only_where_skin_or_light_moved_too(part):
    moved = expression.Moved(**{part: expression.PAIRS})
    assert expression.say(moved, supported=False).family is None
    assert expression.say(moved, supported=True).family is Family.EXPRESSION
    once_less = expression.Moved(expression.PAIRS - 1, expression.PAIRS - 1)
    assert expression.say(once_less, supported=True).family is None


@pytest.mark.parametrize("said", [periodic.say(np.full((2, 160, 160), 1e-9, np.float32)), frames.say(4.0)])
def test_no_pattern_and_no_frame_accuses_anybody_alone(said):
    assert fuse((said,)).pad is Pad.NOT_SHOWN


def test_the_network_alone_is_worth_little_for_and_more_against():
    assert network.say(1.0).weight == 0.5
    assert network.say(0.0).weight == -2.0
    assert network.say(0.8).weight == pytest.approx(0.0)


# Screen and print --------------------------------------------------------------------------------------


def test_a_pixel_grid_has_a_peak_and_plain_noise_has_none():
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    grid = GROUND + 12 * np.sin(2 * np.pi * (0.21 * x + 0.13 * y))[:, :, None]
    assert periodic.say(periodic.spectrum(picture(grid), BOX)).weight < -2.0
    assert periodic.say(periodic.spectrum(picture(GROUND), BOX)).weight == 0.0


def test_a_face_smaller_than_the_window_at_the_edge_is_measured_all_the_same():
    assert np.isfinite(periodic.peak(periodic.spectrum(picture(GROUND[:100, :90]), Box(-20, -20, 40, 40))))


@pytest.mark.parametrize(("shown", "least"), [(4, 4), (2, 2), (0, 0)])
def test_long_edges_around_the_face_are_counted_by_side(shown, least):
    scene = GROUND.copy()
    sides = [np.s_[40:440, 150:154], np.s_[40:440, 490:494], np.s_[40:44, 150:490], np.s_[436:440, 150:490]]
    for side in sides[:shown]:
        scene[side] = 10
    assert frames.sides(picture(scene), BOX) == least
    assert (frames.say(least).weight < 0) is (least > 2)


def test_a_burnt_patch_is_weighed_lightly():
    scene = GROUND.copy()
    scene[150:190, 250:300] = 255
    assert glare.say(glare.patch(picture(scene), BOX)).weight == -0.5
    assert glare.patch(picture(GROUND), BOX) == 0.0
    assert glare.patch(picture(GROUND), Box(900, 900, 950, 950)) == 0.0


def test_bands_that_wander_over_the_whole_face_are_seen_and_a_nod_is_not():
    rows = np.arange(480)[:, None, None]
    wander = [picture(GROUND * (1 + 0.03 * np.sin(2 * np.pi * (rows + 40 * at) / 150))) for at in range(8)]
    assert bands.say(np.stack([bands.profile(each, BOX) for each in wander])).weight < -1.0
    scene = GROUND.copy()
    scene[180:200, 240:300] = 40  # an eye that moves: one half of the face
    nod = [picture(np.roll(scene, 3 * (at % 3), axis=0)) for at in range(8)]
    assert bands.say(np.stack([bands.profile(each, BOX) for each in nod])).weight == 0.0
    assert bands.bands(np.zeros((2, bands.STRIPS, bands.ROWS), np.float32)) == 0.0
    profiles = np.stack([bands.profile(each, BOX) for each in wander])
    near, far = range(0, 80 * len(profiles), 80), range(0, 250 * len(profiles), 250)
    assert bands.say(profiles, near).weight < -1.0
    assert bands.say(profiles, far).weight == 0.0, "frames a quarter of a second apart tell nothing of bands"


# The stream --------------------------------------------------------------------------------------------


NO_NAME = Camera()


def played(digests, camera=NO_NAME, step=None):
    stream = Stream()
    for index, digest in enumerate(digests):
        stream.take(bytes([digest]), index * 83 + (index * 7) % 11 if step is None else index * step)
    return {word.signal: word.weight for word in stream.say(camera)}


def test_a_loop_a_still_and_a_clockwork_are_seen_and_a_camera_is_left_alone():
    assert set(played(range(20)).values()) == {0.0}
    assert played([0, 1, 2, 3, 4] * 3)["repeated_frames"] == -6.5
    assert played([0] * 12)["frozen_frames"] == -2.5
    assert played(range(20), step=83)["timing"] == -1.5
    assert played([0, 1, 1, 2, 3, 4])["frozen_frames"] == 0.0


def test_signs_of_one_thing_are_recorded_but_counted_once():
    said = played([0] * 12, Camera("OBS Virtual Camera"), step=80)
    assert sorted(said.values()) == [-2.5, -0.1, -0.1, 0.0]


@pytest.mark.parametrize(
    ("camera", "weight"),
    [
        (Camera("HD Webcam (046d:0825)"), 0.0),
        (Camera("OBS Virtual Camera"), -1.75),
        (Camera("HD Webcam (046d:0825)", ("HD Webcam",)), -4.0),
    ],
)
def test_a_forged_name_hides_no_device_without_hardware(camera, weight):
    assert played(range(20), camera)["virtual_camera"] == weight


def test_bursts_of_impossible_frames_speak_against_a_camera():
    assert timing([0, 1, 2, 3, 4, 5, 90, 91, 92, 93]).weight == -1.5
    assert timing([0, 1, 2]).weight == 0.0


# The challenge -----------------------------------------------------------------------------------------


def rest(at_ms=0, yaw=0.05, drop=0.6, scale=100.0):
    return Pose(at_ms, yaw, drop, scale)


BEFORE = [rest(at) for at in range(0, 1000, 100)]


@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        (Challenge.TURN_LEFT, {"yaw": 0.22}, {"yaw": -0.2}),
        (Challenge.TURN_RIGHT, {"yaw": -0.12}, {"yaw": 0.3}),
        (Challenge.NOD, {"drop": 0.55}, {"drop": 0.62}),
        (Challenge.COME_NEARER, {"scale": 120.0}, {"scale": 90.0}),
    ],
)
def test_only_what_was_asked_after_it_was_asked_and_steadily_counts(asked, right, wrong):
    after = [rest(at) for at in (1500, 1600, 1700)]
    answered = [replace(pose, **right) for pose in after]
    assert done(asked, BEFORE, answered, 1000)
    assert not done(asked, BEFORE, [replace(pose, **wrong) for pose in after], 1000)
    assert not done(asked, BEFORE, answered, 1550)  # before anybody can have heard it
    assert not done(asked, BEFORE, [answered[0], *after[1:]], 1000)  # one slipped landmark
    assert not done(asked, [], answered, 1000)


def test_pose_is_measured_along_the_eyes_however_the_head_leans():
    upright = Landmarks((360, 200), (340, 200), (260, 200), (280, 200), (325, 250))
    seen = pose_of(upright, 7)
    assert (seen.at_ms, seen.scale) == (7, 80.0)
    assert seen.yaw == pytest.approx(2 * 15 / 80)
    assert seen.drop == pytest.approx(50 / 80)
    turned = Landmarks(*((310 + 240 - y, x) for x, y in upright.points))
    assert pose_of(turned, 7).yaw == pytest.approx(seen.yaw)
    assert pose_of(Landmarks(*[(1.0, 1.0)] * 5), 0) is None


def test_a_plan_asks_only_what_the_patient_can_do():
    assert draw(frozenset(), "n", lambda _: 0) == Plan("n")
    assert draw(frozenset({Ability.COLOUR_LIGHT}), "n", lambda _: 0) == Plan("n")
    assert draw(frozenset({Ability.NOD}), "n", lambda _: 0) == Plan("n", Challenge.NOD)
    both = frozenset({Ability.TURN_HEAD, Ability.COLOUR_LIGHT})
    drawn = {draw(both, "n", np.random.default_rng(seed).integers) for seed in range(60)}
    assert {plan.challenge for plan in drawn} == {Challenge.TURN_LEFT, Challenge.TURN_RIGHT}
    assert len({plan.colours for plan in drawn}) > 40
    for plan in drawn:
        assert len(plan.colours) == light.STEPS
        assert all(one is not other for one, other in itertools.pairwise(plan.colours))


def test_the_fills_are_soft_of_like_brightness_and_slow():
    def linear(value):
        return value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4

    brightness = []
    for fill in FILLS.values():
        red, green, blue = map(linear, fill)
        assert red / (red + green + blue) < 0.8  # no saturated red (WCAG 2.2)
        brightness.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert max(brightness) - min(brightness) < 0.2
    assert 1000 / STEP_MS / 2 <= 3  # flashes a second


def lit(colours, *, strength, lag_ms=160, noise=0.0008, seed=0, moves=0.0):
    random = np.random.default_rng(seed)
    skin = []
    for at in range(0, 3600, 83):
        step = (at - lag_ms) // STEP_MS
        fill = np.array(FILLS[colours[step]] if 0 <= step < len(colours) else (190, 190, 190)) / 190
        light_on = 1 + strength * (fill - 1) + random.normal(0, noise, 3) + moves * np.sin(at / 700)
        skin.append(Skin(at, *(np.array([150, 120, 100]) * light_on)))
    return skin


def sequence(seed):
    return draw(challenge.EVERY_ABILITY, "n", np.random.default_rng(seed).integers).colours


def shown(colours):
    return [PaintedColour(step * STEP_MS, colour) for step, colour in enumerate(colours)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("lag_ms", [40, 160, 300])
def test_skin_answers_its_own_sequence_while_the_head_moves(seed, lag_ms):
    colours = sequence(seed)
    seen = lit(colours, strength=0.02, lag_ms=lag_ms, seed=seed, moves=0.05)
    assert light.answer(seen, shown(colours)) is Answer.ANSWERED


def test_a_replay_answers_nothing_and_a_recording_answers_another_sequence():
    answered = 0
    for seed in range(100):
        dark = lit(sequence(seed), strength=0.0, seed=seed)
        assert light.answer(dark, shown(sequence(seed))) is Answer.UNANSWERED
        recorded = lit(sequence(seed + 1000), strength=0.02, seed=seed)
        answered += light.answer(recorded, shown(sequence(seed))) is Answer.ANSWERED
    assert answered <= 6  # 6 %: sequences of eight steps of three colours now and then resemble each other


@pytest.mark.parametrize(
    ("sides", "beside", "answer"),
    [
        (0.7, 0.1, Answer.ANSWERED),
        (1.0, 0.1, Answer.NOT_AS_A_HEAD),  # a tinted picture on a telephone
        (1.0, 1.0, Answer.NOT_AS_A_HEAD),  # one that fills the view, or is fed in
        (0.7, 0.9, Answer.NOT_AS_A_HEAD),
    ],
)
def test_light_must_fall_as_on_a_head(sides, beside, answer):
    colours, strength = sequence(3), 0.03
    parts = [
        lit(colours, strength=strength * share, seed=3 + n) for n, share in enumerate((1, sides, beside))
    ]
    seen = [
        replace(middle, sides=(side.red, side.green, side.blue), beside=(wall.red, wall.green, wall.blue))
        for middle, side, wall in zip(*parts, strict=True)
    ]
    assert light.answer(seen, shown(colours)) is answer


def test_what_answers_too_late_may_be_a_program_that_watches():
    colours = sequence(4)
    late = lit(colours, strength=0.03, lag_ms=light.LATEST_MS + 80)
    assert light.answer(late, shown(colours)) is Answer.LATE


def test_too_little_is_unmeasured():
    colours = sequence(1)
    assert light.answer(lit(colours, strength=0.02), shown(colours)[:3]) is Answer.UNMEASURED
    assert light.answer(lit(colours, strength=0.02)[:8], shown(colours)) is Answer.UNMEASURED
    assert light.answer([], []) is Answer.UNMEASURED
    assert light.skin_of(picture(GROUND), Box(900, 900, 950, 950), 0) is None
    assert light.skin_of(picture(GROUND), BOX, 5).at_ms == 5
