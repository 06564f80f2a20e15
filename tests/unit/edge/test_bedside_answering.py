"""What an inspector says, and what counts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.bedside import CLOSES, DRAWN, DUE, leave, make_check, make_sheet
from parts.edge import DAY, THRESHOLD

from renzheng.contracts.events import Pad, SpotCheckResult
from renzheng.edge.bedside.answering import (
    Choice,
    Face,
    FaceVerdict,
    Identifier,
    MismatchReason,
    Reason,
    ResultReason,
    SubmittedAnswer,
    decide,
    place,
)
from renzheng.models.decision import Match, NonMatch

TWO = (Identifier.NAME, Identifier.WRISTBAND)
FACE = Face(FaceVerdict.MATCH, Pad.BONA_FIDE, Match(0.99, THRESHOLD))
OTHER = Face(FaceVerdict.NON_MATCH, Pad.BONA_FIDE, NonMatch(0.1, THRESHOLD))
TOLERANCE = timedelta(seconds=30)


def placed(at=DAY, *, offset=timedelta(), device_trusted=True, waited=timedelta()):
    return place(
        at + offset, at + waited + offset, at + waited, tolerance=TOLERANCE, device_trusted=device_trusted
    )


def found(said, *, moment=None, before=None, **check):
    sheet = make_sheet(checks=[make_check(1, **check)])
    decided = decide(sheet, sheet.checks[0], said, moment or placed(), before)
    return decided.result.value, decided.reason


@pytest.mark.parametrize(
    ("said", "result", "reason"),
    [
        (SubmittedAnswer(Choice.PRESENT, TWO, face=FACE), "present", None),
        (
            SubmittedAnswer(Choice.PRESENT, (Identifier.WRISTBAND,), face=FACE),
            "unanswered",
            ResultReason.IDENTIFIERS_MISSING,
        ),
        (
            SubmittedAnswer(Choice.PRESENT, (Identifier.NAME, Identifier.DATE_OF_BIRTH), face=FACE),
            "unanswered",
            ResultReason.IDENTIFIERS_MISSING,
        ),
        (SubmittedAnswer(Choice.PRESENT, TWO, face=OTHER), "unanswered", Reason.FACE_NOT_VERIFIED),
        (SubmittedAnswer(Choice.PRESENT, TWO), "unanswered", ResultReason.WITNESS_MISSING),
        (SubmittedAnswer(Choice.PRESENT, TWO, Reason.MASK, OTHER, "1001"), "present", Reason.MASK),
        (
            SubmittedAnswer(Choice.PRESENT, TWO, Reason.MASK, OTHER, witness_refused=True),
            "unanswered",
            ResultReason.WITNESS_UNKNOWN,
        ),
        (
            SubmittedAnswer(Choice.CANNOT_BE_ASKED, TWO, Reason.ASLEEP, witness_id="1001"),
            "present",
            Reason.ASLEEP,
        ),
        (
            SubmittedAnswer(Choice.CANNOT_BE_ASKED, TWO, Reason.MASK, witness_id="1001"),
            "unanswered",
            ResultReason.WITNESS_MISSING,
        ),
        (
            SubmittedAnswer(Choice.CANNOT_BE_ASKED, TWO, Reason.ASLEEP),
            "unanswered",
            ResultReason.WITNESS_MISSING,
        ),
        (SubmittedAnswer(Choice.ABSENT, confirmed=True), "absent", None),
        (SubmittedAnswer(Choice.ABSENT), "unanswered", ResultReason.NOT_CONFIRMED),
        (SubmittedAnswer(Choice.AWAY), "unanswered", ResultReason.NO_BASIS),
        (SubmittedAnswer(Choice.AWAY, has_photograph=True), "away_approved", ResultReason.ORDER_PHOTOGRAPHED),
        (SubmittedAnswer(Choice.REFUSED), "refused", None),
        (SubmittedAnswer(Choice.MISMATCH, face=OTHER), "unanswered", ResultReason.NOT_CONFIRMED),
        (
            SubmittedAnswer(Choice.MISMATCH, face=OTHER, confirmed=True),
            "unanswered",
            ResultReason.NOT_CONFIRMED,
        ),
        (
            SubmittedAnswer(Choice.MISMATCH, reason=MismatchReason.OTHER_DOCUMENT, confirmed=True),
            "identity_mismatch",
            MismatchReason.OTHER_DOCUMENT,
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_said_becomes_what_counts(said, result, reason):
    assert found(said) == (result, reason)


@pytest.mark.parametrize("choice", [Choice.ABSENT, Choice.AWAY])
def test_a_leave_recorded_before_the_draw_clears_an_absence(choice):
    said = SubmittedAnswer(choice, confirmed=True)
    assert found(said, away=(leave(),)) == ("away_approved", ResultReason.RECORDED_LEAVE)


def test_a_leave_recorded_after_the_draw_is_not_prior():
    late = leave(recorded_at=DRAWN + timedelta(minutes=1))
    assert found(SubmittedAnswer(Choice.ABSENT, confirmed=True), away=(late,)) == ("absent", None)
    assert found(SubmittedAnswer(Choice.AWAY), away=(late,)) == ("unanswered", ResultReason.NO_BASIS)


def test_a_leave_that_is_over_covers_nothing():
    over = leave().model_copy(update={"returned_at": DAY - timedelta(minutes=30)})
    assert found(SubmittedAnswer(Choice.ABSENT, confirmed=True), away=(over,)) == ("absent", None)


ACCUSING = (
    SubmittedAnswer(Choice.ABSENT, confirmed=True),
    SubmittedAnswer(Choice.MISMATCH, reason=MismatchReason.OTHER_NAME_GIVEN, confirmed=True),
)


@pytest.mark.parametrize("said", ACCUSING, ids=lambda said: said.choice.value)
@pytest.mark.parametrize(
    "moment",
    [
        placed(offset=timedelta(minutes=3)),
        placed(device_trusted=False),
        place(DAY, None, DAY, tolerance=TOLERANCE, device_trusted=True),
        placed(at=DUE - timedelta(minutes=1), waited=timedelta(minutes=30)),
    ],
    ids=["page far off", "device not synchronised", "offset unknown", "before it was due"],
)
def test_an_untrusted_clock_accuses_nobody(said, moment):
    assert found(said, moment=moment) == ("unanswered", ResultReason.CLOCK_UNTRUSTED)


def test_an_untrusted_clock_does_not_take_a_presence_away():
    assert (
        found(SubmittedAnswer(Choice.PRESENT, TWO, face=FACE), moment=placed(device_trusted=False))[0]
        == "present"
    )


def test_after_the_close_an_answer_is_kept_as_late_and_leaves_what_stood():
    late = placed(at=CLOSES + timedelta(seconds=1))
    assert found(ACCUSING[0], moment=late) == ("unanswered", ResultReason.LATE)
    assert found(ACCUSING[0], moment=late, before=SpotCheckResult.PRESENT) == ("present", ResultReason.LATE)
    assert found(ACCUSING[0], moment=placed(at=CLOSES)) == ("absent", None)


def test_an_answer_given_in_time_and_handed_over_after_the_close_counts():
    moment = placed(at=CLOSES - timedelta(minutes=1), waited=timedelta(hours=9))
    assert found(ACCUSING[0], moment=moment) == ("absent", None)


@given(
    offset=st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    waited=st.timedeltas(timedelta(), timedelta(days=30)),
)
def test_a_moment_is_carried_over_and_never_lies_in_the_future(offset, waited):
    moment = placed(offset=offset, waited=waited)
    assert moment.at == DAY
    assert moment.at <= moment.received_at
    assert moment.trusted == (abs(offset) <= TOLERANCE)


@given(
    said=st.builds(
        SubmittedAnswer,
        choice=st.sampled_from(Choice),
        identifiers=st.lists(st.sampled_from(Identifier), max_size=4).map(tuple),
        reason=st.sampled_from([None, *Reason, *MismatchReason]),
        face=st.sampled_from([None, FACE, OTHER, Face(FaceVerdict.NOT_SURE)]),
        witness_id=st.sampled_from([None, "1001"]),
        witness_refused=st.booleans(),
        confirmed=st.booleans(),
        has_photograph=st.booleans(),
    )
)
def test_nobody_is_accused_without_a_confirmation_and_nobody_present_without_two_identifiers(said):
    result, _ = found(said)
    if result in ("absent", "identity_mismatch"):
        assert said.confirmed
        assert said.choice.value in ("absent", "mismatch")
    if result == "identity_mismatch":
        assert isinstance(said.reason, MismatchReason)
    if result == "present":
        assert len(set(said.identifiers)) >= 2
        assert said.face is FACE or said.witness_id == "1001"
