"""What a site of so many people would get: calibrate on drawn people, then measure on all others.

The people that a site calibrates on and those it is measured on never overlap; the draw is repeated, and what
came of all draws is counted together. Intervals come from drawing the measured people again, not comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from renzheng.models.calibration import Calibration
from renzheng.models.errors import OperatingPointError, PairsFileError
from renzheng.models.evaluation.by_people import rate_by_pairs, rate_by_people
from renzheng.models.evaluation.metrics import Rate
from renzheng.models.evaluation.sets import Comparison, with_references
from renzheng.models.site import calibrate, require_enough
from renzheng.models.strangers import Values, cosines_in
from renzheng.models.templates import ModelId, Template

DRAWS = 20
USUAL_REFERENCES = 3
SEARCHED_FPIR = 0.01
_FEWEST_OTHERS = 2
_MADE_AT = datetime(2000, 1, 1, tzinfo=UTC)

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class AsSite:
    """What sites of `people` people get, over all draws.

    Attributes:
        people: of a site.
        draws: how many sites were drawn.
        asked_fmr: the false match rate that was asked for.
        not_carried: in how many draws the site could not carry that rate: nobody passed there.
        offered_fmr: median over the draws of the smallest rate that was offered.
        thresholds: smallest, median and largest threshold; empty where no draw carried the rate.
        real_fmr: among everyone else, one probe against the references of one stranger.
        tar: among everyone else.
        attempts: false matches of attempts of several photographs, each held against the threshold that
            `several` probes must reach, as photograph follows photograph.
        fpir: share of searches by strangers among everyone else that return someone; asked: `SEARCHED_FPIR`.
        searched: median size of those galleries.
    """

    people: int
    draws: int
    asked_fmr: float
    not_carried: int
    offered_fmr: float
    thresholds: tuple[float, ...]
    real_fmr: Rate
    tar: Rate
    attempts: Rate
    fpir: Rate
    searched: int


@dataclass
class _Tally:
    """Hits and trials by the people involved, over all draws."""

    people: int
    strange: list[Counts] = field(init=False)
    mated: list[Counts] = field(init=False)
    attempts: list[Counts] = field(init=False)
    searches: list[Counts] = field(init=False)

    def __post_init__(self) -> None:
        def square() -> list[Counts]:
            return [np.zeros((self.people, self.people)) for _ in range(2)]

        def line() -> list[Counts]:
            return [np.zeros(self.people) for _ in range(2)]

        self.strange, self.attempts = square(), square()
        self.mated, self.searches = line(), line()


@dataclass(frozen=True)
class Templates:
    """Templates of people.

    Attributes:
        model: of the templates.
        values: (images, length); rows of NaN where there is no template.
        person: (images,) numbers from 0 upwards, none left out.
    """

    model: ModelId
    values: Values
    person: NDArray[np.int64]

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which images have a template."""
        found: NDArray[np.bool_] = np.isfinite(self.values[:, 0])
        return found


def as_site(
    templates: Templates,
    trust: Sequence[float],
    *,
    people: int,
    fmr: float,
    references: int | None,
    draws: int = DRAWS,
) -> AsSite:
    """Draw sites, calibrate each, and measure it on everyone else.

    Args:
        templates: of at least `people` + 2 people.
        trust: one weight for each network of the model.
        people: of a site.
        fmr: false match rate to ask for.
        references: of a person, at the site and among everyone else; None: three.
        draws: how many sites.

    Raises:
        PairsFileError: too few people.
        CalibrationError: a site of so few does not calibrate.
    """
    person = np.unique(templates.person, return_inverse=True)[1].astype(np.int64)
    templates = Templates(templates.model, templates.values, person)
    enrolled = np.unique(person[templates.there])
    require_people(people, len(enrolled))
    count = references or USUAL_REFERENCES
    tally = _Tally(int(person.max()) + 1)
    rng = np.random.default_rng(0)  # the same photographs give the same draws
    made = []
    sizes = []
    for _ in range(draws):
        chosen = rng.permutation(enrolled)[:people]
        calibration = calibrate(_gallery(templates, chosen, count, rng), trust, now=_MADE_AT)
        others = ~np.isin(person, chosen)
        sizes.append(len(np.unique(person[others])))
        made.append(calibration)
        rest = Templates(templates.model, templates.values[others], person[others])
        _measure(tally, rest, calibration, fmr, count)
    return _summary(tally, made, people, fmr, int(np.median(sizes)))


def require_people(people: int, there: int) -> None:
    """Refuse a site that `there` people cannot make; known before their photographs are looked at.

    Raises:
        CalibrationError: a site of so few does not calibrate.
        PairsFileError: too few are left to measure on.
    """
    require_enough(people)
    if there < people + _FEWEST_OTHERS:
        raise PairsFileError(
            f"There are {there} people with a face; a site of {people} leaves too few to measure on.",
            do=f"Give at least {people + _FEWEST_OTHERS} people, or a smaller --as-site.",
        )


def _gallery(
    templates: Templates, chosen: NDArray[np.int64], count: int, rng: np.random.Generator
) -> dict[str, list[Template]]:
    gallery = {}
    for who in chosen.tolist():
        own = np.flatnonzero((templates.person == who) & templates.there)
        taken = rng.permutation(own)[:count]
        gallery[f"{who:06d}"] = [Template(templates.values[image], templates.model) for image in taken]
    return gallery


def _measure(tally: _Tally, rest: Templates, calibration: Calibration, fmr: float, count: int) -> None:
    """Count one site's hits among everyone else."""
    person, there = rest.person, rest.there
    wanted = with_references(person, there, count)
    made = [each for each in wanted if there[each.probe]]
    scores = _scores(rest.values, made, calibration)
    score = _threshold(calibration, fmr)
    for each, reached in zip(made, scores >= score, strict=True):
        one, other = person[each.probe], person[each.references[0]]
        if each.mated:
            tally.mated[0][one] += reached
        else:
            tally.strange[0][one, other] += reached
            tally.strange[1][one, other] += 1
    for each in wanted:
        if each.mated:
            tally.mated[1][person[each.probe]] += 1
    _count_searches(tally, person, made, scores, calibration)
    _count_attempts(tally, rest, calibration, fmr, count)


def _scores(values: Values, made: Sequence[Comparison], calibration: Calibration) -> Counts:
    cosines = cosines_in(values, [(each.probe, each.references) for each in made], calibration.space)
    scores: Counts = cosines @ np.asarray(calibration.space.weights)
    return scores


def _threshold(calibration: Calibration, fmr: float, *, several: bool = False) -> float:
    try:
        return calibration.threshold_at(fmr, several=several).score
    except OperatingPointError:
        return np.inf


def _count_searches(
    tally: _Tally,
    person: NDArray[np.int64],
    made: Sequence[Comparison],
    scores: Counts,
    calibration: Calibration,
) -> None:
    """Search every probe among all but its own person, as somebody who has not enrolled."""
    score = _threshold(calibration, SEARCHED_FPIR / (len(np.unique(person)) - 1))
    best = np.full(len(person), -np.inf)
    for each, value in zip(made, scores, strict=True):
        if not each.mated:
            best[each.probe] = max(best[each.probe], value)
    searched = np.isfinite(best)
    np.add.at(tally.searches[0], person[searched], best[searched] >= score)
    np.add.at(tally.searches[1], person[searched], 1)


def _count_attempts(tally: _Tally, rest: Templates, calibration: Calibration, fmr: float, count: int) -> None:
    """Let each person attempt with several photographs: one, two, then three fused; any match is one."""
    space, score = calibration.space, _threshold(calibration, fmr, several=True)
    own = {int(who): np.flatnonzero((rest.person == who) & rest.there) for who in np.unique(rest.person)}
    own = {who: images for who, images in own.items() if len(images)}
    fused = np.stack([space.fuse(rest.values[images[:count]]) for images in own.values()])
    people = np.array(list(own))
    for who, images in own.items():
        others = people != who
        for start in range(0, len(images) - USUAL_REFERENCES + 1, USUAL_REFERENCES):
            taken = images[start : start + USUAL_REFERENCES]
            moments = [space.fuse(rest.values[taken[:size]]) for size in range(1, USUAL_REFERENCES + 1)]
            reached = (fused @ np.stack(moments).T).max(axis=1) >= score
            tally.attempts[0][who, people[others]] += reached[others]
            tally.attempts[1][who, people[others]] += 1


def _summary(tally: _Tally, made: Sequence[Calibration], people: int, fmr: float, searched: int) -> AsSite:
    found = sorted(score for each in made if np.isfinite(score := _threshold(each, fmr)))
    return AsSite(
        people=people,
        draws=len(made),
        asked_fmr=fmr,
        not_carried=len(made) - len(found),
        offered_fmr=float(np.median([each.carried_fmr for each in made])),
        thresholds=(found[0], float(np.median(found)), found[-1]) if found else (),
        real_fmr=rate_by_pairs(*tally.strange),
        tar=rate_by_people(*tally.mated),
        attempts=rate_by_pairs(*tally.attempts),
        fpir=rate_by_people(*tally.searches),
        searched=searched,
    )
