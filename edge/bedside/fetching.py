"""Rounds from central's door: sealed sheets before they are due, their codes from then on."""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.ids import is_bureau
from renzheng.contracts.once import refuse_twice
from renzheng.contracts.requests import OPENINGS_PATH, ROUNDS_PATH
from renzheng.contracts.rounds import Opening, RoundError, SealedSheet
from renzheng.edge.bedside.rounds import SheetState, standing
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.bulk import Bulk
from renzheng.edge.device.clock import Clock
from renzheng.edge.errors import BulkUnreachableError

LOGGER = logging.getLogger(__name__)
_SHEETS: TypeAdapter[list[SealedSheet]] = TypeAdapter(list[SealedSheet])
_OPENINGS: TypeAdapter[list[Opening]] = TypeAdapter(list[Opening])
Part = TypeVar("Part")


class Rounds(Protocol):
    """Where rounds come from."""

    def sheets(self) -> Sequence[SealedSheet]:
        """Fetch the sealed sheets addressed to this device."""

    def openings(self) -> Sequence[Opening]:
        """Fetch the codes of its rounds that are due."""


class CentralRounds:
    """Rounds over HTTPS, through the device's signed calls."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk

    def sheets(self) -> Sequence[SealedSheet]:
        """Fetch the sealed sheets.

        Raises:
            BulkUnreachableError, BulkRefusedError: as `Bulk.call`.
            RoundError: what came is no list of sheets.
        """
        return _read(_SHEETS, self._bulk.get(ROUNDS_PATH).body)

    def openings(self) -> Sequence[Opening]:
        """Fetch the codes. Raises as `sheets`."""
        return _read(_OPENINGS, self._bulk.get(OPENINGS_PATH).body)


class Fetcher:
    """Asks at an interval, and when somebody wants it; what cannot be had now is asked for again.

    Args:
        rounds: where they come from; None for a unit that only takes sheets from files.
        store: where they are kept.
        clock: when it is.
        institution_id: this device's; central takes answers about another only from a bureau's device.
        every_seconds: the interval.
    """

    def __init__(
        self,
        rounds: Rounds | None,
        store: BedsideStore,
        clock: Clock,
        *,
        institution_id: str,
        every_seconds: float,
    ) -> None:
        self._rounds = rounds
        self._store = store
        self._clock = clock
        self._institution_id = institution_id
        self._asking = threading.Lock()
        self.worker = Worker("rounds", self._turn, every_seconds=every_seconds)
        self.reached_at: datetime | None = None

    def start(self) -> None:
        """Ask at the interval from now on, in a thread of its own."""
        if self._rounds is not None:
            self.worker.start()

    def stop(self) -> None:
        """Ask no more."""
        self.worker.stop(timeout_seconds=25)

    def fetch(self) -> None:
        """Ask once for new sheets, and for the codes of those that are due.

        Raises:
            BulkUnreachableError: no door is named, or it does not answer.
            BulkRefusedError, RoundError: the door answered with something else.
        """
        if self._rounds is None:
            raise BulkUnreachableError(
                "This device knows no door of central's.", do="Set bulk.url, or import sheets from files."
            )
        with self._asking:
            for sealed in self._rounds.sheets():
                try:
                    self.keep(sealed)
                except RoundError as error:
                    LOGGER.warning("sheet of round %s was not kept: %s", sealed.round_id, error.what)
            if self._waiting():
                self._open(self._rounds.openings())
            self.reached_at = self._clock.read().wall

    def keep(self, sealed: SealedSheet) -> str:
        """Keep one sheet.

        Raises:
            RoundError: it is another institution's, and this is no device of the bureau's.
        """
        if sealed.institution_id != self._institution_id and not is_bureau(self._institution_id):
            raise RoundError(
                "A sheet of another institution was handed to this device.",
                why="Central takes answers about an institution only from a device that stands there.",
                do="Use a unit of that institution or of the bureau.",
                round_id=sealed.round_id,
            )
        return self._store.put_sealed(sealed)

    def _waiting(self) -> list[tuple[str, SealedSheet]]:
        now = self._clock.read().wall
        return [
            (name, sealed)
            for name, sealed in self._store.sheets()
            if standing(sealed, now, opened=self._store.is_open(name)) is SheetState.DUE
        ]

    def _open(self, openings: Sequence[Opening]) -> None:
        codes = {opening.round_id: opening.code for opening in openings}
        for name, sealed in self._waiting():
            if sealed.round_id not in codes:
                continue
            try:
                self._store.open(name, codes[sealed.round_id])
                LOGGER.info("round %s is open", sealed.round_id)
            except RoundError as error:
                LOGGER.warning("round %s cannot be opened: %s", sealed.round_id, error.what)

    def _turn(self) -> None:
        try:
            self.fetch()
        except BulkUnreachableError as error:
            LOGGER.info("rounds were not fetched: %s", error.what)
        except RenzhengError as error:
            LOGGER.warning("rounds were not fetched: %s", error)


def _read(adapter: TypeAdapter[list[Part]], body: bytes) -> list[Part]:
    try:
        refuse_twice("list of rounds", body)
        return adapter.validate_json(body)
    except ValidationError as error:
        raise RoundError(
            f"What central's door gave is no list of rounds ({error.error_count()} faults).",
            do="Check that device and central are of matching versions.",
        ) from None
