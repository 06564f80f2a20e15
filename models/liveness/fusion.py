"""One conclusion from several signals: the sum of their weights of evidence; pure.

An absent signal adds nothing, so a kiosk without a liveness network still concludes, from less. Nothing but
depth seen (motion, or the challenge done) can make a presentation bona fide; silence stays *not shown*.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.contracts.events import Pad
from renzheng.models.liveness.evidence import Said

BONA_FIDE_AT = 2.0
"""The working point: motion's word for a body (3.0) may be weakened by one small doubt, not by two or a large
one. docs/liveness.md has the error rates."""

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
    said: tuple[Said, ...] = ()

    def codes(self) -> tuple[str, ...]:
        """What each signal said, for the record; signals without a word are left out."""
        return tuple(word.as_code() for word in self.said if abs(word.weight) >= 0.05)  # noqa: PLR2004 - prints as 0.0


NOTHING_SHOWN = Verdict(Pad.NOT_SHOWN)


def fuse(said: Sequence[Said]) -> Verdict:
    """Weigh what the signals said."""
    weight = sum(word.weight for word in said)
    if weight <= ATTACK_AT:
        return Verdict(Pad.ATTACK, weight, tuple(said))
    deep = any(word.shows_depth for word in said)
    pad = Pad.BONA_FIDE if deep and weight >= BONA_FIDE_AT else Pad.NOT_SHOWN
    return Verdict(pad, weight, tuple(said))
