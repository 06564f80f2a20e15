"""One look into the camera: frames in, one outcome; pure, but for the comparison that it is handed.

The best few probes decide together. Whoever moves a little is through at once; whoever holds still is asked,
once, to turn the head, and is let through with liveness *not shown* when it stays so: care comes first, and
the audit weighs it.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from renzheng.contracts.events import Pad
from renzheng.edge.kiosk.faces import Look
from renzheng.edge.kiosk.outcomes import (
    AttackSuspected,
    LookOutcome,
    Matched,
    NotAcquired,
    NotMatched,
    NotSure,
)
from renzheng.models.decision import Compared, Decision, Match, NonMatch, NoReference
from renzheng.models.liveness.motion import NOTHING_SHOWN, Liveness
from renzheng.models.templates import Template

Compare = Callable[[Sequence[Template]], Decision]

PROBES = 3
"""Probes that decide together; fusing three takes out a single blurred one."""

MIN_USABLE = 3
"""Usable frames before anything is decided."""

ASK_MOVE_MS = 1_000
"""Somebody who matches and has not moved by then is asked to turn the head."""

PASSIVE_MS = 3_000
"""How long liveness is waited for, from the first usable face."""

FLAT_MS = 1_200
"""How long a flat thing is watched before it is called an attack, from the first usable face."""

REFUSE_MS = 1_500
"""How long probes that do not match are collected before that is the answer."""

JUMP_IN_EYE_DISTANCES = 1.2
"""A face that is this far from where it was a frame before may be another one: the attempt begins anew."""

LOST_MS = 500
"""A face that was away for this long may be another one."""

MOST_LOSSES = 3
"""After the thread was lost this often, liveness is no longer looked for in this attempt."""

TURN_A_LITTLE = "turn_a_little"


@dataclass(frozen=True, slots=True)
class Observation:
    """One analysed frame.

    Args:
        frame: its number on the socket that brought it.
        at_ms: when it arrived.
        look: what it shows.
        template: of a usable face.
        liveness: what the face's motion shows up to this frame.
        continuity: frames that share it are surely of one face.
    """

    frame: int
    at_ms: int
    look: Look
    template: Template | None = None
    liveness: Liveness = NOTHING_SHOWN
    continuity: int = 0


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
    """

    began_ms: int
    limit_ms: int
    first_usable: tuple[int, int] | None = None
    probes: tuple[tuple[float, Template], ...] = ()
    usable: int = 0
    live: Liveness = NOTHING_SHOWN
    guidance: str | None = None
    wrong: tuple[tuple[str, int], ...] = ()
    decision: Decision | None = None
    last_seen_ms: int | None = None
    last_look: Look | None = None
    continuity: int = 0
    losses: int = 0


def begin(now_ms: int, limit_ms: int) -> Attempt:
    """Begin an attempt."""
    return Attempt(now_ms, limit_ms)


def observe(attempt: Attempt, seen: Observation, compare: Compare) -> Attempt:
    """Take one frame."""
    if _another_face(attempt, seen):
        attempt = replace(attempt, first_usable=None, probes=(), usable=0, live=NOTHING_SHOWN, decision=None)
    if seen.continuity != attempt.continuity:
        attempt = _thread_lost(attempt, seen.continuity)
    if seen.look.centre is not None:
        attempt = replace(attempt, last_seen_ms=seen.at_ms, last_look=seen.look)
    if seen.template is None or seen.look.guidance is not None:
        return _unusable(attempt, seen)
    attempt = replace(
        attempt,
        first_usable=attempt.first_usable or (seen.frame, seen.at_ms),
        usable=attempt.usable + 1,
        probes=_best((*attempt.probes, (seen.look.quality, seen.template))),
        live=_stronger(attempt.live, seen.liveness) if attempt.losses <= MOST_LOSSES else NOTHING_SHOWN,
    )
    decision = compare([template for _, template in attempt.probes]) if attempt.usable >= MIN_USABLE else None
    attempt = replace(attempt, decision=decision)
    return replace(attempt, guidance=_ask(attempt, seen.at_ms))


def conclude(attempt: Attempt, now_ms: int) -> LookOutcome | None:
    """End the attempt, if what it has shown so far, or its time, says so; None to go on."""
    over = now_ms - attempt.began_ms >= attempt.limit_ms
    if attempt.first_usable is None or attempt.decision is None or isinstance(attempt.decision, NoReference):
        return NotAcquired(_commonest(attempt)) if over else None
    taken_ms = now_ms - attempt.first_usable[1]
    compared, pad = attempt.decision, attempt.live.pad
    if pad is Pad.ATTACK:
        return AttackSuspected(compared, taken_ms) if over or taken_ms >= FLAT_MS else None
    if isinstance(compared, Match):
        ready = pad is Pad.BONA_FIDE or taken_ms >= PASSIVE_MS
        return Matched(compared, pad, taken_ms) if over or ready else None
    if over or taken_ms >= REFUSE_MS:
        return _refusal(compared, pad, taken_ms)
    return None


def _refusal(compared: Compared, pad: Pad, taken_ms: int) -> NotMatched | NotSure:
    kind = NotMatched if isinstance(compared, NonMatch) else NotSure
    return kind(compared, pad, taken_ms)


def _another_face(attempt: Attempt, seen: Observation) -> bool:
    """Tell whether the face may not be the one of before: what one face showed must not serve another."""
    last = attempt.last_look
    if last is None or last.centre is None or attempt.last_seen_ms is None or seen.look.centre is None:
        return False
    if seen.at_ms - attempt.last_seen_ms > LOST_MS:
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
    if attempt.losses > MOST_LOSSES:
        return attempt
    return replace(attempt, probes=(), usable=0, decision=None)


def _unusable(attempt: Attempt, seen: Observation) -> Attempt:
    wrong = Counter(dict(attempt.wrong))
    wrong[seen.look.guidance or "step_into_view"] += 1
    return replace(attempt, guidance=seen.look.guidance, wrong=tuple(wrong.items()))


def _best(probes: tuple[tuple[float, Template], ...]) -> tuple[tuple[float, Template], ...]:
    return tuple(sorted(probes, key=lambda probe: probe[0], reverse=True)[:PROBES])


def _stronger(before: Liveness, now: Liveness) -> Liveness:
    """An attack, once shown, stands; bona fide stands against silence; otherwise the newest word."""
    order = {Pad.ATTACK: 2, Pad.BONA_FIDE: 1, Pad.NOT_SHOWN: 0}
    return before if order[before.pad] > order[now.pad] else now


def _ask(attempt: Attempt, now_ms: int) -> str | None:
    waits = isinstance(attempt.decision, Match) and attempt.live.pad is Pad.NOT_SHOWN
    if waits and attempt.first_usable is not None and now_ms - attempt.first_usable[1] >= ASK_MOVE_MS:
        return TURN_A_LITTLE
    return None


def _commonest(attempt: Attempt) -> str:
    counted = Counter(dict(attempt.wrong)).most_common(1)
    return counted[0][0] if counted else "no_frames"
