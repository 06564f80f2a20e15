"""The face engine: from pixels to a decision, one stage a line.

engine = open_engine("dlib")
analysis = engine.analyse(image)                       # OneFace | PoorQuality | NoFace | SeveralFaces
template = engine.embed(image, analysis.face)
decision = engine.verify([template], references, at_fmr=1e-3)   # Match | NotSure | NonMatch | NoReference
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from renzheng.models import quality as quality_of
from renzheng.models.analysis import Analysis, Face, NoFace, OneFace, PoorQuality, SeveralFaces
from renzheng.models.calibration import Calibration
from renzheng.models.catalogue.cards import Card, card
from renzheng.models.comparison import compare, plain_space
from renzheng.models.conversion.convert import SOURCES, ensure_converted
from renzheng.models.decision import UNSURE_FMR, Decision, NoReference, Threshold, decide
from renzheng.models.detection.boxes import Detection
from renzheng.models.detection.mmod import KIOSK, SECOND_LOOK, MmodDetector
from renzheng.models.embedding import DlibEmbedder, Embedder
from renzheng.models.errors import OperatingPointError, UnknownEngineError
from renzheng.models.home import models_folder
from renzheng.models.images import check
from renzheng.models.landmarks import FivePointPredictor
from renzheng.models.network import Network
from renzheng.models.quality import Bounds
from renzheng.models.templates import ModelId, Template, model_id
from renzheng.models.transparency import Transparency, opaque

Pixels = NDArray[np.uint8]

# A face of less than this share of the largest one's width is a passer-by behind the person who signs in.
_BYSTANDER_SHARE = 0.5


class Detector(Protocol):
    """Finds faces."""

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of an RGB image, most confident first, with boxes in dlib's framing."""


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

    def analyse(self, image: Pixels, *, transparency: Transparency = opaque) -> Analysis:
        """Say what is to be seen in an image.

        Args:
            image: uint8 RGB, (rows, columns, 3); from `renzheng.models.images.decode`, or a camera's frame.
            transparency: receives every intermediate result.

        Raises:
            PixelLayoutError: the array is something else.
            ImageTooSmallError: it has hardly any pixels.
        """
        image = check(image)
        transparency("image", image)
        detections = self._detector.detect(image)
        transparency("detections", detections)
        chosen = _of_the_visitor(detections)
        transparency("chosen", chosen)
        if not chosen:
            return NoFace()
        if len(chosen) > 1:
            return SeveralFaces(len(chosen), tuple(each.box for each in chosen))
        face = self.face_of(image, chosen[0])
        transparency("landmarks", face.landmarks)
        measured = quality_of.measure(image, face.box, face.landmarks)
        transparency("quality", measured)
        problems = quality_of.judge(measured, self._bounds)
        return PoorQuality(face, measured, problems) if problems else OneFace(face, measured)

    def detect(self, image: Pixels) -> list[Detection]:
        """Return all faces of an image, most confident first."""
        return self._detector.detect(check(image))

    def face_of(self, image: Pixels, detection: Detection) -> Face:
        """Find eyes and nose of a detection."""
        return Face(detection.box, detection.confidence, self._predictor.locate(image, detection.box))

    def embed(
        self, image: Pixels, face: Face, *, mirrored: bool = False, transparency: Transparency = opaque
    ) -> Template:
        """Turn a face into a template.

        Args:
            image: the image that was analysed.
            face: one of its faces.
            mirrored: average over the face and its mirror image: twice the time, a little more accuracy. Meant for
                enrolment; mirrored and plain templates compare.
            transparency: receives the aligned chips and the template.
        """
        image = check(image)
        chips = {each.name: each.align(image, face.box, face.landmarks) for each in self._embedders}
        transparency("aligned", chips)
        values = [each.embed(chips[each.name], mirrored=mirrored) for each in self._embedders]
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
            at_fmr: the share of impostors that may pass.
            calibration: the site's own; without, the card's.
            transparency: receives score and decision.

        Raises:
            OperatingPointError: nothing measured supports that rate.
            TemplateMismatchError: templates of different models or keys.
        """
        if not probes:
            raise OperatingPointError("There is no probe to compare.", do="Embed at least one face first.")
        if not references:
            return NoReference()
        used = calibration or self.card_calibration
        match, unsure = used.threshold_at(at_fmr), used.threshold_at(max(UNSURE_FMR, at_fmr))
        score = self.compare(probes, references, used)
        transparency("comparison", score)
        decision = decide(score, match, unsure)
        transparency("decision", decision)
        return decision


def open_engine(name: str = "dlib", *, threads: int = 1) -> FaceEngine:
    """Load an engine.

    Args:
        name: see `engine_names`.
        threads: how many threads one network may use.

    Raises:
        UnknownEngineError: there is none of that name.
        ModelMissingError: a model file is not on this machine.
        ModelFileError: a model file is not what its card says.
    """
    if name not in _BUILDERS:
        raise UnknownEngineError(
            f"There is no engine {name!r}.", do=f"Choose one of: {', '.join(_BUILDERS)}.", name=name
        )
    return _BUILDERS[name](threads)


def engine_names() -> tuple[str, ...]:
    """Return the names that `open_engine` knows."""
    return tuple(_BUILDERS)


class _KioskDetector:
    """The converted dlib detector at the speed that a kiosk needs."""

    def __init__(self, detector: MmodDetector) -> None:
        self._detector = detector

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of an image; where the quick look finds none, look for smaller ones."""
        return self._detector.detect(image, KIOSK) or self._detector.detect(image, SECOND_LOOK)


def _open_dlib(threads: int) -> FaceEngine:
    embedder = DlibEmbedder(load_network("dlib-resnet", threads))
    detector = _KioskDetector(MmodDetector(load_network("dlib-mmod", threads)))
    return FaceEngine(
        "dlib", detector, FivePointPredictor(), [embedder], thresholds_of(card("dlib-resnet"), "dlib")
    )


_BUILDERS: Mapping[str, Callable[[int], FaceEngine]] = {"dlib": _open_dlib}


def load_network(name: str, threads: int) -> Network:
    """Load a model of the catalogue, converting it first where it is one of dlib's."""
    known = card(name)
    path = ensure_converted(name) if name in SOURCES else models_folder() / known.file
    return Network(path, threads=threads, expected_sha256=known.sha256)


def thresholds_of(known: Card, engine: str) -> tuple[Threshold, ...]:
    """Return the card's operating points for one engine."""
    return tuple(
        Threshold(point.threshold, point.fmr, *point.fmr_interval, basis="card")
        for point in known.operating_points
        if point.engine == engine
    )


def _of_the_visitor(detections: Sequence[Detection]) -> list[Detection]:
    """Return the largest face and all of similar size, largest first."""
    by_size = sorted(detections, key=lambda each: each.box.width, reverse=True)
    return [each for each in by_size if each.box.width >= _BYSTANDER_SHARE * by_size[0].box.width]
