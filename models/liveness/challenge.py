"""What one attempt will ask if it has to, drawn anew for each, and what the answer weighs; pure.

The plan is the attempt's nonce: which movement, and which of 3 x 2^7 sequences of colours. Drawn by the agent
from the system's randomness and told to the page only when it is asked, it cannot stand in a recording.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from renzheng.models.liveness import light
from renzheng.models.liveness.evidence import Family, SignalResult
from renzheng.models.liveness.light import Answer, Colour, PaintedColour, Skin
from renzheng.models.liveness.pose import Challenge, Pose, done


class Ability(StrEnum):
    """What a patient can do, or may be shown."""

    TURN_HEAD = "turn_head"
    NOD = "nod"
    COME_NEARER = "come_nearer"
    COLOUR_LIGHT = "colour_light"


EVERY_ABILITY = frozenset(Ability)
_MOVEMENTS = {
    Ability.TURN_HEAD: (Challenge.TURN_LEFT, Challenge.TURN_RIGHT),
    Ability.NOD: (Challenge.NOD,),
    Ability.COME_NEARER: (Challenge.COME_NEARER,),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked when passive signals are not sure.

    Args:
        nonce: names this attempt's plan; what the page reports must name it too.
        challenge: the movement; None for whoever can do none: then nothing is asked.
        colours: the sequence of fills; empty for whoever must not be shown any.
    """

    nonce: str = ""
    challenge: Challenge | None = None
    colours: tuple[Colour, ...] = ()


ASK_NOTHING = Plan()


def draw(abilities: frozenset[Ability], nonce: str, below: Callable[[int], int]) -> Plan:
    """Draw a plan.

    Args:
        abilities: what the patient's profile allows.
        nonce: this attempt's.
        below: returns an unpredictable number from 0 to below its argument; `secrets.randbelow`.
    """
    movements = [each for ability in Ability if ability in abilities for each in _MOVEMENTS.get(ability, ())]
    if not movements:
        return Plan(nonce)
    chosen = movements[below(len(movements))]
    if Ability.COLOUR_LIGHT not in abilities:
        return Plan(nonce, chosen)
    every = tuple(Colour)
    colours = [every[below(len(every))]]
    while len(colours) < light.STEPS:
        others = [colour for colour in every if colour is not colours[-1]]
        colours.append(others[below(len(others))])
    return Plan(nonce, chosen, tuple(colours))


@dataclass(frozen=True, slots=True)
class Answering:
    """What has been seen of the answer.

    Args:
        asked_ms: when the page was told.
        before: poses up to then.
        poses: poses since.
        skin: the skin's colour since.
        shown: the colours that the page reports to have painted.
    """

    asked_ms: int
    before: tuple[Pose, ...]
    poses: tuple[Pose, ...] = ()
    skin: tuple[Skin, ...] = ()
    shown: tuple[PaintedColour, ...] = ()


def say(plan: Plan, answering: Answering, *, over: bool) -> tuple[SignalResult, ...]:
    """Weigh the answer so far; only at the end (`over`) does a missing one count against."""
    if plan.challenge is None:
        return ()
    moved = done(plan.challenge, answering.before, answering.poses, answering.asked_ms)
    answered = light.answer(answering.skin, answering.shown)
    whole = not plan.colours or len(answering.shown) >= len(plan.colours)
    if not moved:
        return (SignalResult("challenge", -1.5 if over else 0.0),)
    if plan.colours and not whole and not over:
        return ()  # done, but the colours are still running
    return (_moved(), _lit(answered))


def _moved() -> SignalResult:
    return SignalResult("challenge", 0.5, 1.0)


_LIT = {Answer.ANSWERED: 1.5, Answer.UNANSWERED: -2.5, Answer.LATE: -2.5}
"""A folded photograph turns as asked and paper answers light, so neither is enough; what cannot be
measured, or shines everywhere alike, says nothing. What answers later than light does is no better than what
does not answer: whether a tint that comes late is found at all depends on a few pixels of the face's box."""


def _lit(answered: Answer) -> SignalResult:
    as_a_head = answered is Answer.ANSWERED
    return SignalResult(
        "colour_light", _LIT.get(answered, 0.0), float(as_a_head), family=Family.LIGHT if as_a_head else None
    )
