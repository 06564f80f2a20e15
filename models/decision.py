"""From a comparison score to an outcome that carries what it stands for. Values in, values out."""

from dataclasses import dataclass

# Above the score that this share of impostors reaches, a failed comparison is "not sure" rather than a
# non-match: nine in ten impostors end as non-match, and hardly a true patient does.
UNSURE_FMR = 0.1


@dataclass(frozen=True)
class Threshold:
    """A score and the false match rate it stands for.

    Attributes:
        score: comparisons at or above it match.
        fmr: the share of non-mated comparisons that reach it.
        fmr_low: lower end of the 95 % interval of that share.
        fmr_high: upper end.
        basis: what it was measured on: `card` (elsewhere), `site-model` (this site's own people, the tail
            computed from their spread) or `site` (counted among this site's own people).
        fnmr: the share of genuine comparisons that miss it, where that was measured.
    """

    score: float
    fmr: float
    fmr_low: float
    fmr_high: float
    basis: str
    fnmr: float | None = None


@dataclass(frozen=True)
class SameSex:
    """What the site's thresholds mean among people of one sex, who resemble each other more than all do.

    Attributes:
        sex: as it was given.
        people: of that sex.
        pairs: of them.
        rates: (false match rate of a threshold, the rate there among these pairs); computed, as `site-model`.
    """

    sex: str
    people: int
    pairs: int
    rates: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Compared:
    """A comparison that was made: its score and the threshold it was held against."""

    comparison_score: float
    threshold: Threshold

    @property
    def fmr(self) -> float:
        """The false match rate the threshold stands for."""
        return self.threshold.fmr


@dataclass(frozen=True)
class Match(Compared):
    """The probe is of the reference's person, at the false match rate of the threshold."""


@dataclass(frozen=True)
class NotSure(Compared):
    """The score proves nothing either way: ask for a second factor or a witness."""


@dataclass(frozen=True)
class NonMatch(Compared):
    """The probe is most likely of someone else."""


@dataclass(frozen=True)
class NoReference:
    """There is nothing to compare with: the person has not enrolled, or not with this model."""


Decision = Match | NotSure | NonMatch | NoReference


def decide(comparison_score: float, match: Threshold, unsure: Threshold) -> Match | NotSure | NonMatch:
    """Place a score in one of the three zones; `unsure` lies below `match`."""
    if comparison_score >= match.score:
        return Match(comparison_score, match)
    if comparison_score >= unsure.score:
        return NotSure(comparison_score, match)
    return NonMatch(comparison_score, match)
