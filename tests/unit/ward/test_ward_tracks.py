"""Tracks: one person stays one, two never become one; in and out; when a presence is due."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.edge import DAY

from renzheng.edge.settings.ward import DoorLine
from renzheng.edge.ward.crossing import direction_of
from renzheng.edge.ward.presence import LastReport, after, is_due
from renzheng.edge.ward.tracks import Rules, Tracks, advance
from renzheng.models.detection.boxes import Box

RULES = Rules()
LINE = DoorLine(start=(0.2, 0.5), end=(0.8, 0.5), inside=(0.5, 0.9))
INTERVAL = timedelta(minutes=30)


def face(x, y, width=100.0):
    return Box(x - width / 2, y - width / 2, x + width / 2, y + width / 2)


def follow(*pictures, rules=RULES):
    """Pictures a second apart, each a list of faces; the tracks' numbers of each, and the closed tracks."""
    tracks, numbers, closed = Tracks(), [], []
    for second, faces in enumerate(pictures):
        advanced = advance(tracks, faces, float(second), rules)
        tracks = advanced.tracks
        numbers.append(advanced.numbers)
        closed += advanced.closed
    return numbers, closed, tracks


def test_somebody_who_walks_and_grows_is_one_track():
    numbers, _, _ = follow([face(300, 180, 90)], [face(380, 230, 115)], [face(460, 290, 145)])
    assert numbers == [(1,), (1,), (1,)]


def test_two_who_walk_apart_stay_two():
    numbers, _, _ = follow(
        [face(200, 200), face(900, 200)], [face(260, 210), face(840, 210)], [face(320, 220), face(780, 220)]
    )
    assert numbers == [(1, 2), (1, 2), (1, 2)]


def test_where_two_could_have_gone_either_way_both_begin_anew():
    numbers, _, _ = follow([face(400, 200), face(640, 200)], [face(500, 210), face(540, 210)])
    assert set(numbers[0]).isdisjoint(numbers[1])


def test_a_child_does_not_become_a_man_and_nobody_jumps_across():
    numbers, _, _ = follow([face(300, 200, 60)], [face(320, 200, 180)], [face(1200, 200, 180)])
    assert numbers == [(1,), (2,), (3,)]


def test_a_missed_look_does_not_end_a_track_and_a_longer_absence_does():
    numbers, closed, _ = follow([face(300, 200)], [], [face(330, 210)], [], [], [], [], [face(340, 210)])
    assert (numbers[0], numbers[2], numbers[7]) == ((1,), (1,), (2,))
    assert [track.number for track in closed] == [1]
    assert len(closed[0].steps) == 2


def test_who_stays_for_minutes_is_told_apart_from_who_comes_later():
    numbers, closed, _ = follow(*[[face(300, 200)] for _ in range(6)], rules=Rules(longest_seconds=3.0))
    assert [track.number for track in closed] == [1]
    assert numbers[-1] == (2,)


def test_a_clock_that_goes_back_closes_rather_than_joins():
    tracks = advance(Tracks(), [face(300, 200)], 100.0, RULES).tracks
    advanced = advance(tracks, [face(300, 200)], 50.0, RULES)
    assert ([track.number for track in advanced.closed], advanced.numbers) == ([1], (2,))


faces = st.builds(face, st.floats(0, 1280), st.floats(0, 720), st.floats(40, 300))


@given(st.lists(st.lists(faces, max_size=4), max_size=6))
def test_every_face_belongs_to_one_track_and_no_track_to_two_faces_of_a_picture(pictures):
    numbers, closed, tracks = follow(*pictures)
    for seen, picture in zip(numbers, pictures, strict=True):
        assert len(set(seen)) == len(picture)
    steps = sum(len(track.steps) for track in (*closed, *tracks.open))
    assert steps == sum(map(len, pictures))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0.5, 0.2), (0.5, 0.4), (0.5, 0.7)], "in"),
        ([(0.5, 0.7), (0.5, 0.3)], "out"),
        ([(0.5, 0.2), (0.5, 0.7), (0.5, 0.3)], None),  # looked in and left
        ([(0.5, 0.2), (0.5, 0.7), (0.5, 0.3), (0.4, 0.8)], "in"),
        ([(0.5, 0.2), (0.5, 0.495)], None),  # on the line is on no side
        ([(0.05, 0.2), (0.05, 0.8)], None),  # past the door, not through it
        ([(0.5, 0.2)], None),
        ([], None),
    ],
)
def test_a_direction_is_a_way_through_the_line(places, expected):
    assert direction_of(places, LINE) == expected


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_the_way_back_is_the_other_direction(places):
    opposite = {"in": "out", "out": "in", None: None}
    assert direction_of(places[::-1], LINE) == opposite[direction_of(places, LINE)]


@pytest.mark.parametrize(
    ("last", "minutes", "direction", "due"),
    [
        (None, 0, None, True),
        (LastReport(DAY), 29, None, False),
        (LastReport(DAY), 30, None, True),
        (LastReport(DAY), 5, "out", True),  # the time outside begins
        (LastReport(DAY, "out", DAY), 5, "out", False),
        (LastReport(DAY, "out", DAY), 5, "in", True),
        (LastReport(DAY, "out", DAY), 0.5, "in", False),  # to and fro in the door
        (LastReport(DAY), -60, None, True),  # the clock was set back: not silenced for an hour
    ],
)
def test_a_presence_is_told_once_an_interval_and_when_the_patient_goes_the_other_way(
    last, minutes, direction, due
):
    assert is_due(last, DAY + timedelta(minutes=minutes), direction, INTERVAL) is due


def test_the_last_direction_is_remembered_over_presences_without_one():
    told = after(after(None, DAY, "out"), DAY + INTERVAL, None)
    assert told == LastReport(DAY + INTERVAL, "out", DAY)
