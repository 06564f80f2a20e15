"""How one look can end: a closed set. A fault is none of these; it is an exception."""

from dataclasses import dataclass

from renzheng.contracts.events import Pad
from renzheng.models.decision import Compared


@dataclass(frozen=True, slots=True)
class Matched:
    """The probes match the patient's references.

    Args:
        compared: score, threshold and the rate it stands for.
        pad: what liveness showed; `not_shown` signs in only where the site has chosen so.
        decision_ms: from the first usable face to the decision.
        signals: what each signal of liveness said, as codes for the record.
    """

    compared: Compared
    pad: Pad
    decision_ms: int
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotMatched:
    """The probes are somebody else's, as far as the engine can tell."""

    compared: Compared
    pad: Pad
    decision_ms: int
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotSure:
    """The score lies where neither answer would be honest."""

    compared: Compared
    pad: Pad
    decision_ms: int
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAcquired:
    """No usable face came within the time; `reason` is the commonest thing that was wrong.

    `no_frames` when not one came, `too_slow` when usable ones came that this machine analysed too slowly.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class AttackSuspected:
    """The signals speak for something held up or fed in; `compared` is what it would have scored."""

    compared: Compared
    decision_ms: int
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotShown:
    """The probes match, but nothing showed that the face is a living one, not even when asked.

    Args:
        compared: as `Matched`.
        decision_ms: as `Matched`.
        signals: as `Matched`.
        too_slow: this machine analysed too few frames to see it.
    """

    compared: Compared
    decision_ms: int
    signals: tuple[str, ...] = ()
    too_slow: bool = False


LookOutcome = Matched | NotMatched | NotSure | NotAcquired | AttackSuspected | NotShown
