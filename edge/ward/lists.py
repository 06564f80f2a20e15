"""Whom a ward's cameras may look for at this moment: today's inpatients of the ward with references here."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from renzheng.contracts.rosters import InpatientRoster
from renzheng.edge.device.store.inpatients import Inpatients
from renzheng.edge.device.store.people import People
from renzheng.edge.look.gallery import SiteGallery
from renzheng.edge.settings.ward import WardSettings
from renzheng.models.calibration import Calibration
from renzheng.models.search import Gallery
from renzheng.models.templates import ModelId, Template

LOGGER = logging.getLogger(__name__)


class Embeds(Protocol):
    """What is asked of an engine here: which model it is, and what its scores mean without a site's own."""

    model: ModelId
    card_calibration: Calibration


@dataclass(frozen=True)
class WardList:
    """One ward's list.

    Args:
        gallery: who is looked for.
        listed: how many inpatients the ward has today; those without a reference here cannot be seen.
        enrol_again: how many of them may be looked for, but have references of another face engine only.
    """

    gallery: Gallery
    listed: int
    enrol_again: int = 0


def may_look_for(
    roster: InpatientRoster, ward: str, consented: Callable[[str], bool | None], *, consent_needed: bool
) -> list[str]:
    """Name the inpatients of a ward who may be looked for; who refused or withdrew never is. Pure.

    Args:
        roster: today's.
        ward: as the roster calls it.
        consented: what a person said; None when they were not asked.
        consent_needed: False where another basis than consent allows it for those who were not asked.
    """
    people = dict.fromkeys(patient.person_id for patient in roster.of_ward(ward))
    answers = {who: consented(who) for who in people}
    return [who for who, said in answers.items() if said or (said is None and not consent_needed)]


class WardLists:
    """Makes the lists anew when roster or references have changed.

    Args:
        settings: for how long a roster serves, and whether consent is needed.
        inpatients: the roster.
        people: references and consents.
        gallery: the site's calibration.
        engine: whose templates they are.
        zone: the institution's.
        notice: name and version of the notice that was consented to.
    """

    def __init__(
        self,
        settings: WardSettings,
        inpatients: Inpatients,
        people: People,
        gallery: SiteGallery,
        engine: Embeds,
        *,
        zone: ZoneInfo,
        notice: tuple[str, str],
    ) -> None:
        self._settings = settings
        self._inpatients = inpatients
        self._people = people
        self._site = gallery
        self._engine = engine
        self._zone = zone
        self._notice = notice
        self._lists: Mapping[str, WardList] = {}
        self.trouble: str | None = "no_roster"

    def of(self, ward: str) -> WardList | None:
        """The list of a ward; None when there is no roster to look by."""
        return self._lists.get(ward)

    def refresh(self, now: datetime, wards: Iterable[str]) -> None:
        """Read roster and references; without a roster in force nobody is looked for."""
        longest = timedelta(hours=self._settings.roster_hours)
        roster = self._inpatients.in_force(now, self._zone, longest)
        if roster is None:
            if self.trouble is None:
                LOGGER.warning("no roster of inpatients is in force: nobody is looked for")
            self._lists, self.trouble = {}, "no_roster"
            return
        held: dict[str, list[Template]] = defaultdict(list)
        for who, template in self._people.gallery(self._engine.model):
            held[who].append(template)
        calibration = self._site.calibration or self._engine.card_calibration
        self._lists = {ward: self._list(roster, ward, held, calibration) for ward in set(wards)}
        self.trouble = None

    def _list(
        self,
        roster: InpatientRoster,
        ward: str,
        held: Mapping[str, list[Template]],
        calibration: Calibration,
    ) -> WardList:
        allowed = may_look_for(
            roster,
            ward,
            lambda who: self._people.consented(who, *self._notice),
            consent_needed=self._settings.consent_needed,
        )
        people = [(who, held[who]) for who in allowed if held.get(who)]
        without = [who for who in allowed if not held.get(who)]
        again = sum(self._people.has_other_references(who, self._engine.model) for who in without)
        return WardList(Gallery.enrolled(people, calibration), len(roster.of_ward(ward)), again)
