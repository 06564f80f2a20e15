"""What the kiosk learns from its own people: the site's calibration, and who resembles whom.

Thresholds do not transfer between populations: what stands for one false match in a thousand among the
people of the model's card may stand for a third among others. So once enough people are enrolled, the kiosk
measures centre and thresholds among its own, again whenever the gallery has grown, and verifies with them.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from renzheng.contracts.ids import PersonId
from renzheng.edge.device.store.people import People
from renzheng.edge.look.faces import FaceEngine
from renzheng.models import site
from renzheng.models.calibration import Calibration, CalibrationStatus, standing_of
from renzheng.models.calibration_files import latest, save
from renzheng.models.engine import ENGINES
from renzheng.models.errors import OperatingPointError
from renzheng.models.search import Found, Gallery
from renzheng.models.templates import Template, lengths

LOGGER = logging.getLogger(__name__)
RESEMBLANCE_FMR = 1e-4
"""One in ten thousand a comparison: among 200 people one new face in fifty resembles somebody by chance. A
small site that carries no such rate is searched at the smallest that it carries."""


class SiteGallery:
    """The people of this kiosk, measured against each other.

    Args:
        people: whose references they are.
        engine: which model made them.
        folder: where calibrations are kept; none is overwritten.
    """

    def __init__(self, people: People, engine: FaceEngine, folder: Path) -> None:
        self._people = people
        self._engine = engine
        self._folder = folder
        self._lock = threading.Lock()
        self.calibration: Calibration | None = latest(folder, engine.name, engine.model)

    def renew(self, now: datetime) -> Calibration | None:
        """Calibrate if it is due; returns what is in force, None while the card's thresholds serve."""
        with self._lock:
            gallery = self._gallery()
            if site.is_due(self.calibration, len(gallery)):
                made = site.calibrate(gallery, self._trust(), now=now, previous=self.calibration)
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                save(self._folder, self._engine.name, made)
                LOGGER.info("calibrated on %d people: version %d", made.people, made.version)
                self.calibration = made
            return self.calibration

    def standing(self, fmr: float) -> CalibrationStatus:
        """Return what can be promised now: a rate of false matches, or that a witness is needed."""
        return standing_of(self.calibration or self._engine.card_calibration, fmr)

    def resembling(self, person_id: str, templates: Sequence[Template]) -> tuple[PersonId, ...]:
        """Name the other people whose references these templates match, best first.

        It goes with the enrolment's event to those who can look into it, not onto the nurse's screen.
        """
        others = [(who, held) for who, held in self._gallery().items() if who != person_id]
        calibration = self.calibration or self._engine.card_calibration
        at_fmr = max(RESEMBLANCE_FMR, calibration.carried_by_several)
        try:
            found = Gallery.enrolled(others, calibration).search(templates, at_fmr=at_fmr, most=5)
        except OperatingPointError:
            LOGGER.warning("nothing measured supports a search at a false match rate of %g", at_fmr)
            return ()
        if not isinstance(found, Found):
            return ()
        return tuple(PersonId(candidate.person_id) for candidate in found.candidates)

    def _gallery(self) -> dict[str, list[Template]]:
        gallery: dict[str, list[Template]] = defaultdict(list)
        for who, template in self._people.gallery(self._engine.model):
            gallery[who].append(template)
        return gallery

    def _trust(self) -> tuple[float, ...]:
        recipe = ENGINES.get(self._engine.name)
        return recipe.trust if recipe else (1.0,) * len(lengths(self._engine.model))
