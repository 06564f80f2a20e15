"""One look into the camera: frames in, one outcome; pure, but for the comparison that it is handed.

The best few probes decide together. Whoever moves a little is through at once; of whoever matches and shows
nothing living yet, one movement is asked, once, while the screen shines in changing colours. Who cannot be
asked, or does not answer, is not signed in by the face: the next try, or the other way. On a machine that
analyses few frames a second, limits grow with the time between them (`pace`), and a failure is `TOO_SLOW`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from renzheng.contracts.events import Pad
from renzheng.edge.look.faces import Look
from renzheng.edge.look.outcomes import (
    AttackSuspected,
    LookOutcome,
    Matched,
    NotAcquired,
    NotMatched,
    NotShown,
    NotSure,
)
from renzheng.edge.look.pace import NOT_BEGUN, Pace
from renzheng.models.decision import Compared, Decision, Match, NonMatch, NoReference
from renzheng.models.liveness import challenge
from renzheng.models.liveness.challenge import ASK_NOTHING, Answering, Plan
from renzheng.models.liveness.fusion import NOTHING_SHOWN, Verdict, fuse
from renzheng.models.liveness.light import PaintedColour, Skin
from renzheng.models.liveness.pose import Pose
from renzheng.models.templates import Template

Compare = Callable[[Sequence[Template]], Decision]

PROBES = 3
"""Probes that decide together; fusing three takes out a single blurred one."""

MIN_USABLE = 3
"""Usable frames before anything is decided."""

ASK_MS = 1_500
"""Somebody who matches and has shown nothing living by then is asked to do something."""

PASSIVE_MS = 3_000
"""How long liveness is waited for where nothing may be asked, from the first usable face."""

ANSWER_MS = 8_000
"""How long an answer is waited for; the colours alone take 3.2 s. The attempt's own limit waits as well."""

_FEWEST_AT_REST = 3
POSES_KEPT = 12
"""Poses before the prompt, whose median is the head's position at rest."""

FLAT_MS = 1_200
"""How long a flat thing is watched before it is called an attack, from the first usable face."""

REFUSE_MS = 1_500
"""How long probes that do not match are collected before that is the answer."""

TURN_A_LITTLE = "turn_a_little"
"""What is said to whoever matches and holds still where no plan was drawn: a hint; nothing hangs on it."""

JUMP_IN_EYE_DISTANCES = 1.2
"""A face that is this far from where it was a frame before may be another one: the attempt begins anew."""

LOST_MS = 500
"""A face that was away for this long may be another one; on a slow machine for two frames' time."""

TOO_SLOW = "too_slow"
"""Reason of an attempt that failed because too few frames were analysed: nothing is said of the patient."""

MOST_LOSSES = 3
"""After the thread was lost this often, liveness is no longer looked for in this attempt."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One analysed frame.

    Args:
        frame: its number on the socket that brought it.
        at_ms: when it arrived.
        look: what it shows.
        template: of a usable face.
        liveness: what the passive signals conclude up to this frame.
        continuity: frames that share it are surely of one face.
        pose: where the head looks, of any one face.
        skin: its mean colour.
    """

    frame: int
    at_ms: int
    look: Look
    template: Template | None = None
    liveness: Verdict = NOTHING_SHOWN
    continuity: int = 0
    pose: Pose | None = None
    skin: Skin | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the frames so far have shown.

    Args:
        began_ms: when the attempt began.
        limit_ms: how long it may take.
        first_usable: frame number and time of the first usable face, of the face that is here now.
        probes: quality and template of the best few.
        usable: how many frames were usable.
        live: the strongest thing that liveness said.
        guidance: what to tell the person now.
        wrong: how often each thing was wrong, for the reason when nothing is acquired.
        decision: what the probes say so far.
        last_seen_ms: when a face was last there.
        last_look: that face.
        continuity: of the probes.
        losses: how often the thread was lost.
        plan: what is asked if liveness is not shown by itself.
        poses: the last few, up to the prompt.
        answering: what is seen of the answer; None until something is asked.
        shown_is_needed: a match that shows nothing living is refused, not merely noted.
        pace: how fast frames are analysed.
        ever_usable: how many frames were usable, of whatever face.
    """

    began_ms: int
    limit_ms: int
    first_usable: tuple[int, int] | None = None
    probes: tuple[tuple[float, Template], ...] = ()
    usable: int = 0
    live: Verdict = NOTHING_SHOWN
    guidance: str | None = None
    wrong: tuple[tuple[str, int], ...] = ()
    decision: Decision | None = None
    last_seen_ms: int | None = None
    last_look: Look | None = None
    continuity: int = 0
    losses: int = 0
    plan: Plan = ASK_NOTHING
    poses: tuple[Pose, ...] = ()
    answering: Answering | None = None
    shown_is_needed: bool = False
    pace: Pace = NOT_BEGUN
    ever_usable: int = 0


def begin(now_ms: int, limit_ms: int, plan: Plan = ASK_NOTHING, *, shown_is_needed: bool = False) -> Attempt:
    """Begin an attempt."""
    return Attempt(now_ms, limit_ms, plan=plan, shown_is_needed=shown_is_needed)


def painted(attempt: Attempt, shown: PaintedColour) -> Attempt:
    """Take the page's word that it has painted the next colour."""
    if attempt.answering is None:
        return attempt
    return replace(attempt, answering=replace(attempt.answering, shown=(*attempt.answering.shown, shown)))


def observe(attempt: Attempt, seen: Observation, compare: Compare) -> Attempt:
    """Take one frame."""
    attempt = replace(attempt, pace=attempt.pace.take(seen.at_ms))
    if _another_face(attempt, seen):
        attempt = replace(
            attempt,
            first_usable=None,
            probes=(),
            usable=0,
            live=NOTHING_SHOWN,
            decision=None,
            poses=(),
            answering=None,
        )
    if seen.continuity != attempt.continuity:
        attempt = _thread_lost(attempt, seen.continuity)
    if seen.look.centre is not None:
        attempt = replace(attempt, last_seen_ms=seen.at_ms, last_look=seen.look)
    attempt = _answer(attempt, seen)
    if seen.template is None or seen.look.guidance is not None:
        return _unusable(attempt, seen)
    attempt = replace(
        attempt,
        first_usable=attempt.first_usable or (seen.frame, seen.at_ms),
        usable=attempt.usable + 1,
        ever_usable=attempt.ever_usable + 1,
        probes=_best((*attempt.probes, (seen.look.quality, seen.template))),
        live=_live(attempt, seen) if attempt.losses <= MOST_LOSSES else NOTHING_SHOWN,
    )
    decision = compare([template for _, template in attempt.probes]) if attempt.usable >= MIN_USABLE else None
    asked = _ask(replace(attempt, decision=decision), seen.at_ms)
    if asked.guidance is None and not isinstance(decision, Match):
        return replace(asked, guidance=seen.look.advice)
    return asked


def conclude(attempt: Attempt, now_ms: int) -> LookOutcome | None:
    """End the attempt, if what it has shown so far, or its time, says so; None to go on."""
    over = _is_over(attempt, now_ms)
    if attempt.first_usable is None or attempt.decision is None or isinstance(attempt.decision, NoReference):
        over = over or (attempt.pace.hopeless and attempt.answering is None)
        return NotAcquired(_why_nothing(attempt, now_ms)) if over else None
    taken_ms = now_ms - attempt.first_usable[1]
    compared, live = attempt.decision, attempt.live
    if live.pad is Pad.ATTACK:
        ready = over or taken_ms >= FLAT_MS
        return AttackSuspected(compared, taken_ms, live.codes()) if ready else None
    if isinstance(compared, Match):
        return _admit(attempt, compared, now_ms)
    if over or (taken_ms >= REFUSE_MS and attempt.answering is None):
        return _refusal(compared, live, taken_ms)
    return None


def _admit(attempt: Attempt, compared: Match, now_ms: int) -> Matched | NotShown | None:
    assert attempt.first_usable is not None
    taken_ms = now_ms - attempt.first_usable[1]
    codes = attempt.live.codes()
    if attempt.live.pad is Pad.BONA_FIDE:
        return Matched(compared, Pad.BONA_FIDE, taken_ms, codes)
    asks = attempt.plan.challenge is not None and attempt.shown_is_needed
    if not (_is_over(attempt, now_ms) or (taken_ms >= PASSIVE_MS and not asks)):
        return None
    if attempt.shown_is_needed:
        too_slow = attempt.pace.is_slow(now_ms - attempt.began_ms)
        return NotShown(compared, taken_ms, codes, too_slow=too_slow)
    return Matched(compared, Pad.NOT_SHOWN, taken_ms, codes)


def _is_over(attempt: Attempt, now_ms: int) -> bool:
    if attempt.answering is not None:
        return now_ms - attempt.answering.asked_ms >= ANSWER_MS
    return now_ms - attempt.began_ms >= attempt.limit_ms


def _refusal(compared: Compared, live: Verdict, taken_ms: int) -> NotMatched | NotSure:
    kind = NotMatched if isinstance(compared, NonMatch) else NotSure
    return kind(compared, live.pad, taken_ms, live.codes())


def _another_face(attempt: Attempt, seen: Observation) -> bool:
    """Tell whether the face may not be the one of before: what one face showed must not serve another."""
    last = attempt.last_look
    if last is None or last.centre is None or attempt.last_seen_ms is None or seen.look.centre is None:
        return False
    if seen.at_ms - attempt.last_seen_ms > attempt.pace.lost_ms(LOST_MS):
        return True
    away = math.dist(last.centre, seen.look.centre)
    return away > JUMP_IN_EYE_DISTANCES * max(last.interocular_px, seen.look.interocular_px)


def _thread_lost(attempt: Attempt, continuity: int) -> Attempt:
    """Begin to collect anew, but not to count the time: it may be the same face, moved too quickly.

    A face that cannot be followed at all, lost `MOST_LOSSES` times, goes on without liveness.
    """
    attempt = replace(
        attempt, live=NOTHING_SHOWN, continuity=continuity, losses=attempt.losses + bool(attempt.continuity)
    )
    if attempt.answering is not None:  # what was answered so far may have been another's answer
        attempt = replace(attempt, answering=replace(attempt.answering, before=(), poses=(), skin=()))
    if attempt.losses > MOST_LOSSES:
        return attempt
    return replace(attempt, probes=(), usable=0, decision=None)


def _unusable(attempt: Attempt, seen: Observation) -> Attempt:
    wrong = Counter(dict(attempt.wrong))
    wrong[seen.look.guidance or "step_into_view"] += 1
    asked = attempt.answering is not None and seen.look.centre is not None
    guidance = attempt.guidance if asked else seen.look.guidance  # who turns the head does as asked
    return replace(attempt, guidance=guidance, wrong=tuple(wrong.items()))


def _best(probes: tuple[tuple[float, Template], ...]) -> tuple[tuple[float, Template], ...]:
    return tuple(sorted(probes, key=lambda probe: probe[0], reverse=True)[:PROBES])


def _live(attempt: Attempt, seen: Observation) -> Verdict:
    """The newest word, with the answer to what was asked; an attack, once shown, stands."""
    if attempt.live.pad is Pad.ATTACK:
        return attempt.live
    if attempt.answering is None:
        return seen.liveness
    over = seen.at_ms - attempt.answering.asked_ms >= ANSWER_MS
    answered = challenge.say(attempt.plan, attempt.answering, over=over)
    return fuse((*seen.liveness.said, *answered)) if answered else seen.liveness


def _answer(attempt: Attempt, seen: Observation) -> Attempt:
    """Keep pose and colour: before the prompt to know the head at rest, after it as the answer."""
    answering = attempt.answering
    if answering is None:
        poses = attempt.poses if seen.pose is None else (*attempt.poses, seen.pose)[-POSES_KEPT:]
        return replace(attempt, poses=poses)
    if seen.pose is not None and len(answering.before) < _FEWEST_AT_REST:
        answering = replace(answering, before=(*answering.before, seen.pose))
    elif seen.pose is not None:
        answering = replace(answering, poses=(*answering.poses, seen.pose))
    if seen.skin is not None:
        answering = replace(answering, skin=(*answering.skin, seen.skin))
    return replace(attempt, answering=answering)


def _ask(attempt: Attempt, now_ms: int) -> Attempt:
    waits = isinstance(attempt.decision, Match) and attempt.live.pad is Pad.NOT_SHOWN
    long = attempt.first_usable is not None and now_ms - attempt.first_usable[1] >= ASK_MS
    if attempt.answering is None and attempt.plan.challenge is not None and waits and long:
        attempt = replace(attempt, answering=Answering(now_ms, attempt.poses))
    return replace(attempt, guidance=_prompt(attempt, hint=waits and long))


def _prompt(attempt: Attempt, *, hint: bool) -> str | None:
    if attempt.answering is not None and attempt.plan.challenge is not None:
        return attempt.plan.challenge.value
    return TURN_A_LITTLE if hint and attempt.plan == ASK_NOTHING else None


def _why_nothing(attempt: Attempt, now_ms: int) -> str:
    """The commonest thing that was wrong; where most frames were usable, only too few of them, `TOO_SLOW`."""
    if attempt.pace.frames == 0:
        return "no_frames"
    mostly_usable = 2 * attempt.ever_usable >= attempt.pace.frames
    if attempt.pace.hopeless or (mostly_usable and attempt.pace.is_slow(now_ms - attempt.began_ms)):
        return TOO_SLOW
    wrong = Counter(dict(attempt.wrong)).most_common(1)
    return wrong[0][0] if wrong else "hold_still"  # usable, but never twice the same face
