"""Enrolment: photographs in, references and their event out; a refused photograph says why."""

import logging
from collections.abc import Sequence
from typing import Literal

from renzheng.contracts.events import EnrolmentCaptured, EnrolmentData, device_source
from renzheng.contracts.ids import EventId
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.people import People
from renzheng.edge.errors import PhotographRefusedError
from renzheng.edge.look.faces import FaceEngine, Image, look_of
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.settings import Settings
from renzheng.models.analysis import OneFace
from renzheng.models.templates import Template

LOGGER = logging.getLogger(__name__)
LIVE_REFERENCES = 3
"""Live references a person: three reach about a third more of the genuine comparisons than one."""


def take_template(engine: FaceEngine, image: Image, name: str, *, any_way_up: bool = False) -> Template:
    """Make a reference's template.

    Args:
        engine: the face engine.
        image: RGB.
        name: what to call the photograph in a refusal.
        any_way_up: it is a file, which may lie on its side or head.

    Raises:
        PhotographRefusedError: no face, several, or one that would give an unreliable template.
    """
    image, analysis = engine.analyse_reference(image, any_way_up=any_way_up)
    if not isinstance(analysis, OneFace):
        reason = look_of(analysis).guidance or "refused"
        raise PhotographRefusedError(
            f"{name} cannot serve as a reference: {reason}.",
            why="A poor reference turns its own owner away, visit after visit.",
            do="Give a sharp, evenly lit photograph of this one person facing the camera.",
            reason=reason,
        )
    return engine.embed(image, analysis.face, mirrored=True)


class Enrolment:
    """Writes references with the event that tells of them."""

    def __init__(
        self,
        settings: Settings,
        log: DeviceLog,
        people: People,
        clock: Clock,
        engine: FaceEngine,
        *,
        gallery: SiteGallery,
    ) -> None:
        self._settings = settings
        self._log = log
        self._people = people
        self._clock = clock
        self._gallery = gallery
        self.engine = engine

    def enrol(
        self,
        person_id: str,
        templates: Sequence[Template],
        *,
        source: Literal["live", "photograph"],
        witness_id: str | None = None,
    ) -> EventId:
        """Keep the references of a person who is already entered as a patient.

        Raises:
            UnknownPersonError: there is no such patient.
        """
        person_id = self._people.by_id(person_id).person_id
        reading = self._clock.read()
        resembles = self._gallery.resembling(person_id, templates)
        if resembles:
            LOGGER.warning("a new reference matches that of %d other person(s)", len(resembles))
        event = EnrolmentCaptured(
            source=device_source(self._settings.device.device_id),
            time=reading.wall,
            subject=person_id,
            data=EnrolmentData(
                institution_id=self._settings.device.institution_id,
                clock=reading.as_event_clock(),
                engine=engine_name(self.engine),
                references=len(templates),
                source=source,
                witness_id=witness_id,
                resembles=resembles or None,
            ),
        )
        change = self._people.add_references(person_id, templates, source=source, at=reading.wall)
        self._log.append(event, change)
        return EventId(event.id)


def engine_name(engine: FaceEngine) -> str:
    """Name the engine and the model behind it, for the events."""
    return f"{engine.name}/{engine.model}"[:200]
