"""A kiosk that can verify nobody is degraded, for whatever reason, until a look works again."""

import pytest

from renzheng.contracts.errors import FaultError
from renzheng.contracts.events import CoverageState, Pad
from renzheng.edge.device.coverage import CoverageStatus
from renzheng.edge.kiosk.verifying import Verifying
from renzheng.edge.look.outcomes import Matched, NotAcquired, NotShown
from renzheng.edge.look.pace import LONGEST_MS, Pace
from renzheng.edge.look.watcher import Progress
from renzheng.models.decision import Match, Threshold

MATCH = Match(0.95, Threshold(0.9, 1e-3, 1e-4, 2e-3, "card"))
UP = CoverageStatus(CoverageState.UP)
WORKED = Progress(1, 1, None, 1, Matched(MATCH, Pad.BONA_FIDE, 600))


def ended(outcome=None, **more):
    return Progress(1, None, None, None, outcome, **more)


def pace(every_ms):
    counted = Pace()
    for number in range(5):
        counted = counted.take(number * every_ms)
    return counted


@pytest.mark.parametrize(
    ("progress", "cause"),
    [
        (ended(NotAcquired("too_slow")), "too_slow"),
        (ended(NotShown(MATCH, 9_000, too_slow=True)), "too_slow"),
        (ended(pace=pace(LONGEST_MS + 1)), "too_slow"),  # nobody waited for the end
        (ended(NotAcquired("no_frames")), "no_frames"),
        (ended(NotAcquired("unreadable_frame")), "unreadable_frame"),
        (ended(fault=FaultError("The engine failed.")), "engine_fault"),
    ],
)
def test_what_keeps_everybody_from_being_verified_is_degraded_until_a_look_works(progress, cause):
    verifying = Verifying()
    verifying.progressed(progress)
    assert verifying.standing() == CoverageStatus(CoverageState.DEGRADED, cause)
    verifying.progressed(WORKED)
    assert verifying.standing() == UP


@pytest.mark.parametrize("outcome", [NotAcquired("step_into_view"), NotShown(MATCH, 9_000)])
def test_what_may_be_the_visitor_s_says_nothing_of_the_kiosk(outcome):
    verifying = Verifying()
    verifying.progressed(ended(outcome, pace=pace(600)))
    assert (verifying.standing(), verifying.typical_ms) == (UP, 600)


def test_a_kiosk_that_cannot_write_is_degraded_until_it_can():
    verifying = Verifying()
    verifying.recorded(done=False)
    assert verifying.standing() == CoverageStatus(CoverageState.DEGRADED, "not_recorded")
    verifying.recorded(done=True)
    assert verifying.standing() == UP
