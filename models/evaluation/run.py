"""One evaluation: acquire, compare, count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from renzheng.models.calibration import Calibration
from renzheng.models.catalogue.cards import card
from renzheng.models.comparison import plain_space
from renzheng.models.decision import Threshold
from renzheng.models.engine import ENGINES, thresholds_of
from renzheng.models.errors import OperatingPointError, PairsFileError, UnknownEngineError
from renzheng.models.evaluation.acquisition import Sample
from renzheng.models.evaluation.as_site import AsSite, Templates, as_site
from renzheng.models.evaluation.by_people import error_rates
from renzheng.models.evaluation.library import NAME as LIBRARY
from renzheng.models.evaluation.metrics import (
    Histogram,
    Rate,
    bin_edges,
    det_curve,
    equal_error_rate,
    fnir_at_fpir,
    histogram,
    rate,
    share_at_least,
    threshold_for,
)
from renzheng.models.evaluation.scoring import card_scores, library_scores, site_scores
from renzheng.models.evaluation.sets import Comparison, Photographs, all_pairs, with_references
from renzheng.models.strangers import Values
from renzheng.models.templates import ModelId, Template

FMRS = (1e-2, 1e-3, 1e-4)
FPIRS = (1e-2, 3e-3)
CARD_FMR = 1e-3  # the rate at which the card's threshold is tried

# A search needs every comparison of its gallery: beyond so many people, every second, third ... is taken.
MOST_SEARCHED_PEOPLE = 300

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class AtFmr:
    """What is found at the threshold for one false match rate; failures to acquire count as not found."""

    threshold: float
    tar: Rate
    fnmr: Rate
    supported: bool


@dataclass(frozen=True)
class AtCard:
    """What the card's own threshold, set elsewhere, does here."""

    threshold: float
    accuracy: Rate
    fmr: Rate
    fnmr: Rate


@dataclass(frozen=True)
class Counts:
    """Comparisons made, and mated ones lost because no face was acquired."""

    mated: int
    non_mated: int
    mated_not_acquired: int


@dataclass(frozen=True)
class AtCommon:
    """What the whole set's threshold for one false match rate does to some of its people.

    Attributes:
        threshold: the whole set's.
        fmr: with its interval by people.
        fnmr: of the comparisons made, with its interval by people.
    """

    threshold: float
    fmr: Rate
    fnmr: Rate


@dataclass(frozen=True)
class Rates:
    """Error rates over one set of comparisons.

    Attributes:
        people: in these comparisons.
        counts: of comparisons.
        eer: where FMR and FNMR meet.
        at_fmr: at this set's own thresholds.
        at_common: at the thresholds of the whole set, of which this may be a group.
        det: threshold, FMR, FNMR.
        scores: how they spread.
    """

    people: int
    counts: Counts
    eer: float
    at_fmr: Mapping[float, AtFmr]
    at_common: Mapping[float, AtCommon]
    det: Sequence[tuple[float, float, float]]
    scores: Histogram


@dataclass(frozen=True)
class Evaluation:
    """The whole result."""

    engine: str
    references: int | None
    images: int
    people: int
    failures: Mapping[str, str]
    rates: Rates
    at_card: AtCard | None
    fnir_at_fpir: Mapping[float, float]
    groups: Mapping[str, Rates]
    as_site: AsSite | None = None


@dataclass(frozen=True)
class Acquired:
    """The templates of a set of photographs."""

    model: ModelId
    values: Values
    there: NDArray[np.bool_]


def stack(samples: Sequence[Sample]) -> Acquired:
    """Put samples into one array, (images, length), with NaN for those not acquired."""
    templates: list[Template | None] = [sample.template for sample in samples]
    first = next((template for template in templates if template is not None), None)
    if first is None:
        raise PairsFileError("Not one face was found in the photographs.", do="Check that they show faces.")
    length = len(first.values)
    missing = np.full(length, np.nan, dtype=np.float32)
    values = np.stack([missing if template is None else template.values for template in templates])
    return Acquired(first.model, values, np.isfinite(values[:, 0]))


def evaluate(
    photographs: Photographs,
    samples: Sequence[Sample],
    engine: str,
    references: int | None = None,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Evaluation:
    """Compare and count.

    Args:
        photographs: what was acquired.
        samples: one for each photograph, in their order.
        engine: the engine's name.
        references: how many references a person has; None compares image with image.
        groups: which images are in which group; a group's comparisons are those within it.
    """
    acquired = stack(samples)
    wanted = wanted_comparisons(photographs, acquired.there, references)
    made = [each for each in wanted if _is_made(each, acquired.there)]
    scores = score(acquired, photographs.person, made, engine)
    rates = count_up(wanted, made, scores, photographs.person)
    return Evaluation(
        engine=engine,
        references=references,
        images=len(photographs.images),
        people=len(np.unique(photographs.person)),
        failures={
            str(path): sample.reason
            for path, sample in zip(photographs.images, samples, strict=True)
            if sample.template is None
        },
        rates=rates,
        at_card=at_card(acquired, wanted, made, engine),
        fnir_at_fpir=identification(photographs, acquired, engine, references or 1),
        groups={
            name: _within(inside, wanted, made, scores, person=photographs.person, whole=rates)
            for name, inside in (groups or {}).items()
        },
    )


def as_site_of(
    result: Evaluation,
    photographs: Photographs,
    samples: Sequence[Sample],
    *,
    people: int,
    fmr: float,
    draws: int,
) -> Evaluation:
    """Add what sites of so many people would get; see `renzheng.models.evaluation.as_site`.

    Raises:
        UnknownEngineError: the library itself does not calibrate.
        PairsFileError: too few people have a face.
        CalibrationError: a site of so few does not calibrate.
    """
    if result.engine == LIBRARY:
        raise UnknownEngineError(f"{LIBRARY} does not calibrate.", do="Choose another engine for --as-site.")
    acquired = stack(samples)
    templates = Templates(acquired.model, acquired.values, photographs.person)
    found = as_site(
        templates,
        ENGINES[result.engine].trust,
        people=people,
        fmr=fmr,
        references=result.references,
        draws=draws,
    )
    return replace(result, as_site=found)


def wanted_comparisons(
    photographs: Photographs, there: NDArray[np.bool_], references: int | None
) -> tuple[Comparison, ...]:
    """Return the comparisons to attempt, those with faces not acquired included."""
    if photographs.pairs is not None:
        return photographs.pairs
    if references is None:
        return all_pairs(photographs.person)
    return with_references(photographs.person, there, references)


def score(
    acquired: Acquired, person: NDArray[np.int64], comparisons: Sequence[Comparison], engine: str
) -> Scores:
    """Score comparisons as a calibrated site would; the library's own way for the library."""
    if engine == LIBRARY:
        return library_scores(acquired.values, comparisons)
    return site_scores(acquired.values, person, comparisons, acquired.model, ENGINES[engine].trust)


def count_up(
    wanted: Sequence[Comparison],
    made: Sequence[Comparison],
    scores: Scores,
    person: NDArray[np.int64],
    whole: Rates | None = None,
) -> Rates:
    """Count errors; a mated comparison that could not be made is a failure to match.

    Args:
        wanted: comparisons to attempt.
        made: those of them that could be made.
        scores: one for each comparison made.
        person: (images,) who each image is of.
        whole: the rates of the set of which these comparisons are a group; None: they are the whole.
    """
    mated_flags = np.array([each.mated for each in made], dtype=bool)
    mated, non_mated = scores[mated_flags], scores[~mated_flags]
    lost = sum(each.mated for each in wanted) - len(mated)
    at_fmr = {fmr: _at_fmr(mated, non_mated, lost, fmr) for fmr in FMRS}
    common = {fmr: at.threshold for fmr, at in (whole.at_fmr if whole else at_fmr).items()}
    edges = np.asarray(whole.scores.edges) if whole else bin_edges(scores)
    return Rates(
        people=len(np.unique(person[[image for each in made for image in (each.probe, *each.references)]])),
        counts=Counts(len(mated), len(non_mated), lost),
        eer=equal_error_rate(mated, non_mated),
        at_fmr=at_fmr,
        at_common={
            fmr: AtCommon(threshold, *error_rates(made, scores, person, threshold))
            for fmr, threshold in common.items()
        },
        det=det_curve(mated, non_mated),
        scores=histogram(mated, non_mated, edges),
    )


def _at_fmr(mated: Scores, non_mated: Scores, lost: int, fmr: float) -> AtFmr:
    threshold = threshold_for(non_mated, fmr)
    accepted = int(np.sum(mated >= threshold))
    return AtFmr(
        threshold=threshold,
        tar=rate(accepted, len(mated) + lost),
        fnmr=rate(len(mated) - accepted, len(mated)),
        supported=len(non_mated) * fmr >= 1,
    )


def at_card(
    acquired: Acquired, wanted: Sequence[Comparison], made: Sequence[Comparison], engine: str
) -> AtCard | None:
    """Try the card's threshold; None where the card has none. What was not acquired never matches."""
    scored = _card_threshold_and_scores(acquired, made, engine)
    if scored is None:
        return None
    threshold, scores = scored
    mated = np.array([each.mated for each in made], dtype=bool)
    right = int(np.sum((scores >= threshold) == mated))
    right += sum(not each.mated for each in wanted) - int(np.sum(~mated))
    found = share_at_least(scores[mated], threshold)
    return AtCard(
        threshold=threshold,
        accuracy=rate(right, len(wanted)),
        fmr=share_at_least(scores[~mated], threshold),
        fnmr=Rate(1 - found.value, 1 - found.high, 1 - found.low),
    )


def _card_threshold_and_scores(
    acquired: Acquired, made: Sequence[Comparison], engine: str
) -> tuple[float, Scores] | None:
    if engine == LIBRARY:
        from renzheng.models.evaluation.library import TOLERANCE  # noqa: PLC0415 - beside its only use

        return 1 - TOLERANCE, library_scores(acquired.values, made)
    points: tuple[Threshold, ...] = thresholds_of(card(ENGINES[engine].embedders[-1]), engine)
    if not points:
        return None
    space = plain_space(acquired.model)
    try:
        threshold = Calibration(space, points).threshold_at(CARD_FMR)
    except OperatingPointError:
        return None
    return threshold.score, card_scores(acquired.values, made, space)


def identification(
    photographs: Photographs, acquired: Acquired, engine: str, references: int
) -> dict[float, float]:
    """Search every probe among one reference set of each person; open-set rates."""
    person = photographs.person
    people = np.unique(person)
    gallery = people[:: -(-len(people) // MOST_SEARCHED_PEOPLE)]
    inside = np.isin(person, gallery)
    acquired = Acquired(acquired.model, acquired.values[inside], acquired.there[inside])
    person = person[inside]
    comparisons = with_references(person, acquired.there, references)
    made = [each for each in comparisons if _is_made(each, acquired.there)]
    if not any(each.mated for each in made):
        return dict.fromkeys(FPIRS, float("nan"))
    scores = score(acquired, person, made, engine)
    own = np.full(len(person), -np.inf)
    best_other = np.full(len(person), -np.inf)
    for each, value in zip(made, scores, strict=True):
        if each.mated:
            own[each.probe] = value
        else:
            best_other[each.probe] = max(best_other[each.probe], value)
    searched = np.isin(np.arange(len(person)), [each.probe for each in comparisons if each.mated])
    return {fpir: fnir_at_fpir(own[searched], best_other[searched], fpir) for fpir in FPIRS}


def _within(
    inside: NDArray[np.bool_],
    wanted: Sequence[Comparison],
    made: Sequence[Comparison],
    scores: Scores,
    *,
    person: NDArray[np.int64],
    whole: Rates,
) -> Rates:
    def belongs(each: Comparison) -> bool:
        return bool(inside[each.probe] and all(inside[image] for image in each.references))

    kept = np.array([belongs(each) for each in made], dtype=bool)
    return count_up(
        [each for each in wanted if belongs(each)],
        [each for each, keep in zip(made, kept, strict=True) if keep],
        scores[kept],
        person,
        whole,
    )


def _is_made(comparison: Comparison, there: NDArray[np.bool_]) -> bool:
    return bool(there[comparison.probe] and there[list(comparison.references)].all())
