"""One conclusion from several signals: the sum of their weights of evidence; pure.

An absent signal adds nothing, so a kiosk without a liveness network still concludes, from less. Bona fide
needs the depth of a face and one more family of signs: lids, lips or gaze that move, or the answer of a
head to coloured light. Silence stays *not shown*.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.contracts.events import Pad
from renzheng.models.liveness.evidence import SignalResult

BONA_FIDE_AT = 2.0
"""The working point: a face's shape and expression (3.5) may be weakened by one doubt, not by a large one.
docs/liveness.md has the error rates."""

FAMILIES_NEEDED = 2
"""How many families of signs of life must agree, depth among them."""

ATTACK_AT = -3.0
"""From here on it is called an attack rather than not shown; one signal's strongest word, or two agreeing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What presentation attack detection concludes, and from what.

    Args:
        pad: the conclusion; *not shown* unless evidence says otherwise.
        weight: the sum.
        said: each signal's word.
    """

    pad: Pad
    weight: float = 0.0
    said: tuple[SignalResult, ...] = ()

    def codes(self) -> tuple[str, ...]:
        """What each signal said, for the record; signals without a word are left out."""
        return tuple(word.as_code() for word in self.said if abs(word.weight) >= 0.05)  # noqa: PLR2004 - prints as 0.0


NOTHING_SHOWN = Verdict(Pad.NOT_SHOWN)


def fuse(said: Sequence[SignalResult]) -> Verdict:
    """Weigh what the signals said."""
    weight = sum(word.weight for word in said)
    if weight <= ATTACK_AT:
        return Verdict(Pad.ATTACK, weight, tuple(said))
    deep = any(word.shows_depth for word in said)
    families = {word.family for word in said if word.family is not None}
    enough = deep and len(families) >= FAMILIES_NEEDED
    pad = Pad.BONA_FIDE if enough and weight >= BONA_FIDE_AT else Pad.NOT_SHOWN
    return Verdict(pad, weight, tuple(said))
