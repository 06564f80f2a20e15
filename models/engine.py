"""The face engine: from pixels to a decision, one stage a line.

engine = open_engine("dlib")
analysis = engine.analyse(image)                       # OneFace | PoorQuality | NoFace | SeveralFaces
template = engine.embed(image, analysis.face)
decision = engine.verify([template], references, at_fmr=1e-3)   # Match | NotSure | NonMatch | NoReference
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renzheng.models import quality as quality_of
from renzheng.models.analysis import Analysis, Face, NoFace, OneFace, PoorQuality, SeveralFaces
from renzheng.models.calibration import Calibration, threshold_or_last
from renzheng.models.catalogue.cards import Card, OperatingPoint, card
from renzheng.models.catalogue.files import check_shapes, find_file, installed
from renzheng.models.comparison import compare, plain_space
from renzheng.models.conversion.convert import SOURCES, ensure_converted
from renzheng.models.decision import UNSURE_FMR, Decision, Match, NoReference, NotSure, Threshold, decide
from renzheng.models.detection.boxes import Box, Detection
from renzheng.models.detection.detectors import Detector, MmodLooks, YunetLooks
from renzheng.models.detection.mmod import MmodDetector
from renzheng.models.detection.yunet import YunetDetector
from renzheng.models.embedding import ArcfaceEmbedder, DlibEmbedder, Embedder
from renzheng.models.errors import (
    ModelMissingError,
    OperatingPointError,
    TemplateMismatchError,
    UnknownEngineError,
)
from renzheng.models.images import check
from renzheng.models.landmarks import FivePointPredictor
from renzheng.models.network import Network
from renzheng.models.quality import Bounds
from renzheng.models.templates import ModelId, Template, model_id
from renzheng.models.transparency import Transparency, opaque

Pixels = NDArray[np.uint8]

# A face of less than this share of the largest one's width is a poster, or whoever is next in the queue,
# behind the person who signs in.
_BYSTANDER_SHARE = 0.6
SMALLEST_OF_FILES_PX = 20.0
"""Distance of the eyes in a photograph that is a file. With 20 px `dlib` and MobileFaceNet tell people apart
as well as with 32 (docs/faces.md); the portrait in a resident identity card's chip has about 27."""
# A picture is only turned where its face is that much steadier so than as it came.
_CLEARLY_STEADIER = 0.5


class FaceEngine:
    """Detector, landmarks, quality, embedders and their calibration, put together.

    Args:
        name: the engine's name.
        detector: finds faces.
        predictor: finds eyes and nose in a box.
        embedders: whose numbers, one behind the other, make a template.
        thresholds: the operating points of the card, which serve until the site has calibrated.
        bounds: what a sample must keep within.
    """

    def __init__(
        self,
        *,
        name: str,
        detector: Detector,
        predictor: FivePointPredictor,
        embedders: Sequence[Embedder],
        thresholds: Sequence[Threshold],
        bounds: Bounds | None = None,
    ) -> None:
        self.name = name
        self._detector = detector
        self._predictor = predictor
        self._embedders = tuple(embedders)
        self._bounds = bounds or Bounds()
        self.model: ModelId = model_id([(each.name, each.sha256, each.length) for each in self._embedders])
        self.card_calibration = Calibration(plain_space(self.model), tuple(thresholds))

    def analyse(
        self,
        image: Pixels,
        *,
        bounds: Bounds | None = None,
        last: Face | None = None,
        transparency: Transparency = opaque,
    ) -> Analysis:
        """Say what is to be seen in an image.

        Args:
            image: uint8 RGB, (rows, columns, 3); from `renzheng.models.images.decode`, or a camera's frame.
            bounds: what the sample must keep within, where other than the engine's own.
            last: the one face of the frame before. Where it alone is found there again, much as it was, the
                rest of the image is not looked at, and `Face.followed` says so; else the whole image is.
                Others outside are then not seen: `renzheng.models.following` decides when that will do.
            transparency: receives every intermediate result.

        Raises:
            PixelLayoutError: the array is something else.
            ImageTooSmallError: it has hardly any pixels.
        """
        image = check(image)
        transparency("image", image)
        again = None if last is None else self.find_again(image, last)
        detections = self._detector.detect(image) if again is None else [again]
        transparency("detections", detections)
        chosen = _of_the_visitor(detections)
        transparency("chosen", chosen)
        if not chosen:
            return NoFace()
        if len(chosen) > 1:
            return SeveralFaces(len(chosen), tuple(each.box for each in chosen))
        face = replace(self.face_of(image, chosen[0]), followed=again is not None)
        transparency("landmarks", face.landmarks)
        measured = quality_of.measure(image, face.box, face.landmarks)
        transparency("quality", measured)
        problems = quality_of.judge(measured, bounds or self._bounds)
        if problems:
            return PoorQuality(face, measured, problems)
        return OneFace(face, measured, quality_of.advise(measured))

    def analyse_reference(self, image: Pixels, *, any_way_up: bool = False) -> tuple[Pixels, Analysis]:
        """Look at a picture that is to be a reference; stricter than `analyse`.

        Args:
            image: uint8 RGB, (rows, columns, 3).
            any_way_up: it is a file, which may lie on its side or head without a word: it is looked at in all
                four turns. A camera's own frame stands as the camera does.

        Returns:
            The picture, its face upright, and what is to be seen in it.

        Raises:
            PixelLayoutError, ImageTooSmallError: as `analyse`.
        """
        image = check(image)
        if any_way_up:
            image = self._upright(image)
        smallest = SMALLEST_OF_FILES_PX if any_way_up else self._bounds.interocular_px
        seen = self.analyse(image, bounds=replace(self._bounds, interocular_px=smallest))
        if not isinstance(seen, OneFace):
            return image, seen
        unsteadiness = self._predictor.unsteadiness(image, seen.face.box)
        problems = quality_of.judge_reference(seen.quality, unsteadiness)
        return image, PoorQuality(seen.face, seen.quality, problems) if problems else seen

    def _upright(self, image: Pixels) -> Pixels:
        """Turn a picture by quarters to where its face is found by its points, not by the average face's."""
        turns = [np.ascontiguousarray(np.rot90(image, quarters)) for quarters in range(4)]
        steadiness = [self._unsteadiness(turn) for turn in turns]
        best = int(np.argmin(steadiness))
        return turns[best] if steadiness[best] < _CLEARLY_STEADIER * steadiness[0] else image

    def _unsteadiness(self, image: Pixels) -> float:
        chosen = self._foremost(image)
        return math.inf if chosen is None else self._predictor.unsteadiness(image, chosen.box)

    def _foremost(self, image: Pixels) -> Detection | None:
        """Look thoroughly for the face that a photograph is of."""
        found = self._detector.search(image)
        return max(found, key=lambda each: prominence(each.box, image.shape[1], image.shape[0]), default=None)

    def detect(self, image: Pixels) -> list[Detection]:
        """Return all faces of an image, most confident first."""
        return self._detector.detect(check(image))

    def find_again(self, image: Pixels, last: Face) -> Detection | None:
        """Return a face that is found near its last place, alone and much as it was; None otherwise.

        Args:
            image: uint8 RGB, of the same size as the one in which `last` was found.
            last: as `analyse` gave it.
        """
        found = self._detector.follow(image, last.box)
        return found[0] if len(found) == 1 and _much_as_it_was(found[0], last) else None

    def survey(self, image: Pixels) -> list[Detection]:
        """Return the faces of whoever walks past, of 80 px and more, most confident first; one look only."""
        return self._detector.survey(check(image))

    def face_of(self, image: Pixels, detection: Detection) -> Face:
        """Find eyes and nose of a detection."""
        landmarks = self._predictor.locate(image, detection.box)
        return Face(detection.box, detection.confidence, landmarks, detection.points)

    def subject(self, image: Pixels) -> Face | None:
        """Find the face that a photograph is of: large and near the middle; None where there is none.

        Looks as thoroughly as time allows: for enrolment from photographs and for evaluation, not for a
        kiosk's frames.
        """
        image = check(image)
        chosen = self._foremost(image)
        return None if chosen is None else self.face_of(image, chosen)

    def embed(
        self,
        image: Pixels,
        face: Face,
        *,
        mirrored: bool = False,
        thorough: bool = False,
        transparency: Transparency = opaque,
    ) -> Template:
        """Turn a face into a template.

        Args:
            image: the image that was analysed.
            face: one of its faces.
            mirrored: average over the face and its mirror image: twice the time, a little more accuracy.
            thorough: average over several cuts and their mirror images: 14 times the time, the best accuracy.
                Meant for enrolment and evaluation. Plain, mirrored and thorough templates all compare with
                each other.
            transparency: receives the aligned chips and the template.
        """
        image = check(image)
        if thorough:
            face = replace(face, landmarks=self._predictor.locate_finely(image, face.box))
        chips = {each.name: each.align(image, face, thorough=thorough) for each in self._embedders}
        transparency("aligned", chips)
        values = [each.embed(chips[each.name], mirrored=mirrored or thorough) for each in self._embedders]
        template = Template(np.concatenate(values), self.model)
        transparency("template", template)
        return template

    def compare(
        self,
        probes: Sequence[Template],
        references: Sequence[Template],
        calibration: Calibration | None = None,
    ) -> float:
        """Return the comparison score; see `renzheng.models.comparison.compare`."""
        return compare(probes, references, (calibration or self.card_calibration).space)

    def verify(
        self,
        probes: Sequence[Template],
        references: Sequence[Template],
        at_fmr: float = 1e-3,
        calibration: Calibration | None = None,
        *,
        transparency: Transparency = opaque,
    ) -> Decision:
        """Decide whether one attempt's probes are of the references' person.

        Args:
            probes: one or more templates of this attempt; they are fused.
            references: what the person enrolled; several are fused. None: `NoReference`.
            at_fmr: the share of impostors that may pass. Where a site's own calibration cannot carry so small
                a rate, nobody matches: whoever might is `NotSure`.
            calibration: the site's own; without, the card's.
            transparency: receives score and decision.

        Raises:
            OperatingPointError: nobody measures so small (or so large) a rate.
            TemplateMismatchError: templates of different models or keys.
        """
        if not probes:
            raise OperatingPointError("There is no probe to compare.", do="Embed at least one face first.")
        if not references:
            return NoReference()
        used = calibration or self.card_calibration
        match, carried = threshold_or_last(used, at_fmr, several=len(probes) > 1)
        unsure = used.threshold_at(max(UNSURE_FMR, at_fmr))
        if calibration is not None and probes[0].key != calibration.key:
            raise TemplateMismatchError(
                f"The probe is under key {probes[0].key or 'none'}, "
                f"the calibration under {calibration.key or 'none'}.",
                why="The centre was measured in another space.",
                do="Transform the probe with the site's key, or calibrate again.",
            )
        score = self.compare(probes, references, used)
        transparency("comparison", score)
        decision = decide(score, match, unsure)
        if isinstance(decision, Match) and not carried:
            decision = NotSure(score, match)
        transparency("decision", decision)
        return decision


def open_engine(
    name: str = "dlib", *, threads: int = 1, folder: Path | None = None, population: str | None = None
) -> FaceEngine:
    """Load an engine.

    Args:
        name: one of `ENGINES`.
        threads: how many threads one network may use.
        folder: where model files are looked for before this machine's own folders.
        population: whose operating points of the card serve until a site has calibrated; None: those of the
            population that needs the strictest. To be named only of people who are known to be of it.

    Raises:
        UnknownEngineError: there is none of that name.
        ModelMissingError: a model file is not on this machine.
        ModelFileError: a model file is not what its card says.
    """
    wanted = ENGINES.get(name)
    if wanted is None:
        raise UnknownEngineError(
            f"There is no engine {name!r}.", do=f"Choose one of: {', '.join(ENGINES)}.", name=name
        )
    embedders = [load_embedder(each, threads, folder) for each in wanted.embedders]
    thresholds = thresholds_of(card(wanted.embedders[-1]), name, population)
    return FaceEngine(
        name=name,
        detector=load_detector(wanted.detector, threads, folder),
        predictor=FivePointPredictor(),
        embedders=embedders,
        thresholds=thresholds,
    )


@dataclass(frozen=True)
class Recipe:
    """What an engine is made of; its operating points stand on the last embedder's card.

    Attributes:
        detector: `mmod` or `yunet`.
        embedders: names of cards.
        trust: how much each embedder's score counts once it is divided by its deviation among strangers.
    """

    detector: str
    embedders: tuple[str, ...]
    trust: tuple[float, ...] = (1.0,)


ENGINES: Mapping[str, Recipe] = {
    "dlib": Recipe("mmod", ("dlib-resnet",)),
    "yunet-dlib": Recipe("yunet", ("dlib-resnet",)),
    "yunet-mobilefacenet": Recipe("yunet", ("mobilefacenet",)),
    "yunet-sface": Recipe("yunet", ("sface",)),
    # Among strangers' deviations MobileFaceNet tells people apart half as well again as dlib (docs/faces.md).
    "fused": Recipe("yunet", ("dlib-resnet", "mobilefacenet"), trust=(0.3, 0.7)),
}

BEST_FIRST = ("yunet-mobilefacenet", "fused", "yunet-dlib", "dlib")
"""As measured in docs/faces.md, the faster of equals first; one without operating points is never chosen."""

_YUNET = ("yunet", "yunet-2023mar")


def is_ready(name: str, folder: Path | None = None) -> bool:
    """Whether all files of an engine are on this machine (dlib's are converted from its package)."""
    recipe = ENGINES[name]
    networks = [each for each in recipe.embedders if each not in SOURCES]
    detector = recipe.detector == "mmod" or any(installed(card(each), folder) for each in _YUNET)
    return detector and all(installed(card(each), folder) for each in networks)


def ready_engines(folder: Path | None = None) -> tuple[str, ...]:
    """Return the engines of `BEST_FIRST` whose files are on this machine, best first."""
    return tuple(name for name in BEST_FIRST if is_ready(name, folder))


def model_of(name: str) -> ModelId:
    """Return the model whose templates an engine makes, as its cards describe it; nothing is loaded."""
    known = [card(each) for each in ENGINES[name].embedders]
    return model_id([(each.name, each.sha256, each.output.length) for each in known])


def load_detector(name: str, threads: int, folder: Path | None = None) -> Detector:
    """Load `mmod`, or `yunet` with `mmod` behind it for photographs in which YuNet finds nobody."""
    mmod = MmodLooks(MmodDetector(load_network("dlib-mmod", threads, folder)))
    if name == "mmod":
        return mmod
    try:
        network = load_network("yunet", threads, folder)
    except ModelMissingError:
        network = load_network("yunet-2023mar", threads, folder)
    return YunetLooks(YunetDetector(network), fallback=mmod)


def load_embedder(name: str, threads: int, folder: Path | None = None) -> Embedder:
    """Load an embedder as its card describes it."""
    network = load_network(name, threads, folder)
    return DlibEmbedder(network) if name == "dlib-resnet" else ArcfaceEmbedder(card(name), network)


def load_network(name: str, threads: int, folder: Path | None = None) -> Network:
    """Load a model of the catalogue and check it against its card.

    One of dlib's is taken from `folder` where it was converted to there; else it is converted first.
    """
    known = card(name)
    if name in SOURCES and (folder is None or not (folder / known.file).is_file()):
        path = ensure_converted(name)
    else:
        path = find_file(known, folder)
    network = Network(path, threads=threads, expected_sha256=known.sha256)
    check_shapes(network, known)
    return network


def thresholds_of(known: Card, engine: str, population: str | None = None) -> tuple[Threshold, ...]:
    """Return the card's operating points for one engine: for each rate, that of the worst population.

    A threshold measured on one population promises nothing to another, so the highest of all is in force
    until the site has calibrated on its own people.

    Args:
        known: the card of the engine's last embedder.
        engine: the engine's name.
        population: only points measured on it; None: the worst of all.
    """
    worst: dict[float, OperatingPoint] = {}
    for point in known.operating_points:
        if population not in (None, point.population):
            continue
        if point.engine == engine and point.threshold >= worst.get(point.fmr, point).threshold:
            worst[point.fmr] = point
    return tuple(
        Threshold(point.threshold, point.fmr, *point.fmr_interval, basis="card", fnmr=point.fnmr)
        for point in worst.values()
    )


def prominence(box: Box, columns: int, rows: int) -> float:
    """Rank the faces of a photograph: the larger and the nearer to the middle, the higher."""
    aside = ((box.left + box.right) / 2 - columns / 2) / columns
    off = ((box.top + box.bottom) / 2 - rows / 2) / rows
    return box.width * math.exp(-4 * (aside**2 + off**2))


# A face is followed while it moves by less than a third of its width and keeps its size and the detector's
# confidence; the window that is looked at has room for more.
_MOST_MOVED, _MOST_GROWN, _LEAST_AS_SURE = 0.3, 1.25, 0.75


def _much_as_it_was(found: Detection, last: Face) -> bool:
    box, before = found.box, last.box
    across = (box.left + box.right - before.left - before.right) / 2
    down = (box.top + box.bottom - before.top - before.bottom) / 2
    grown = box.width / before.width
    return (
        math.hypot(across, down) < _MOST_MOVED * before.width
        and 1 / _MOST_GROWN < grown < _MOST_GROWN
        and found.confidence > _LEAST_AS_SURE * last.confidence
    )


def _of_the_visitor(detections: Sequence[Detection]) -> list[Detection]:
    """Return the largest face and all of similar size, largest first."""
    by_size = sorted(detections, key=lambda each: each.box.width, reverse=True)
    return [each for each in by_size if each.box.width >= _BYSTANDER_SHARE * by_size[0].box.width]
