"""Which rounds lie on this device, what may be shown of them, and which checks are open for answers."""

from datetime import datetime

from renzheng.contracts.rounds import Check, RoundError, Sheet
from renzheng.edge.bedside.calls import RoundShown, SheetShown
from renzheng.edge.bedside.errors import NotDueError, RoundClosedError, UnknownCheckError
from renzheng.edge.bedside.fetching import Fetcher
from renzheng.edge.bedside.rounds import SheetState, standing
from renzheng.edge.bedside.showing import answer_shown
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.store.people import People
from renzheng.edge.errors import UnknownPersonError


class DeviceRounds:
    """The rounds of one device.

    Args:
        store: sheets and answers.
        people: surnames that central does not know.
        clock: when it is.
        fetcher: asks central for codes.
    """

    def __init__(self, store: BedsideStore, people: People, clock: Clock, fetcher: Fetcher) -> None:
        self._store = store
        self._people = people
        self._clock = clock
        self._fetcher = fetcher

    def listed(self) -> list[RoundShown]:
        """Return what may be shown of the rounds that lie here."""
        now = self._clock.read().wall
        return [self._shown(name, now) for name, _ in self._store.sheets()]

    def fetched(self) -> list[RoundShown]:
        """Ask central for rounds and codes, then list them.

        Raises:
            BulkUnreachableError: central cannot be asked.
        """
        self._fetcher.fetch()
        return self.listed()

    def _shown(self, name: str, now: datetime) -> RoundShown:
        sealed = self._store.sealed(name)
        assert sealed is not None
        sheet = self._store.opened(name)
        stands = standing(sealed, now, opened=sheet is not None)
        known = sheet if stands in (SheetState.OPEN, SheetState.CLOSED) else None
        last = {kept.check_id for kept in self._store.answers(name)}
        return RoundShown(
            sheet_id=name,
            standing=stands,
            due_at=sealed.due_at,
            closes_at=sealed.closes_at,
            institution_name=known.institution_name if known else None,
            total=len(known.checks) if known else None,
            answered=len(last) if known else 0,
            sealed=sealed.model_dump(mode="json"),
        )

    def open(self, name: str, code: str | None) -> SheetShown:
        """Open a sheet that is due; one that is open is given again.

        A page may have opened it by the code while this device was out of reach. So with the code it opens
        after the close too: what was answered in time counts, the rest is late.

        Raises:
            NotDueError: its time has not come.
            RoundClosedError: it has closed, was never opened, and no code is given.
            RoundError: it is not here, or the code is not its own.
            BulkUnreachableError: no code was given and central cannot be asked.
        """
        sealed = self._store.sealed(name)
        if sealed is None:
            raise UnknownCheckError("This round is not on this device.", do="Fetch the rounds again.")
        opened = self._store.opened(name)
        match standing(sealed, self._clock.read().wall, opened=opened is not None):
            case SheetState.NOT_DUE:
                raise NotDueError("This round is not due yet.", why="Nobody may know its list before.")
            case SheetState.CLOSED if opened is None and code is None:
                raise RoundClosedError("This round has closed.", do="Take the next one.")
            case SheetState.DUE if code is None:
                opened = self._opened_by_central(name)
            case _ if opened is None:
                opened = self._store.open(name, code or "")
            case _:
                pass
        assert opened is not None
        answers = tuple(answer_shown(kept) for kept in self._store.answers(name))
        return SheetShown(sheet_id=name, sheet=self._with_names(opened), answers=answers)

    def _opened_by_central(self, name: str) -> Sheet:
        self._fetcher.fetch()
        opened = self._store.opened(name)
        if opened is None:
            raise RoundError("Central does not give the code of this round yet.", do="Try again shortly.")
        return opened

    def _with_names(self, sheet: Sheet) -> Sheet:
        """Fill in surnames that central does not know, of patients who are known on this device."""
        checks = []
        for check in sheet.checks:
            try:
                known = "" if check.surname else self._people.by_id(check.person_id).surname
            except UnknownPersonError:
                known = ""
            checks.append(check.model_copy(update={"surname": known}) if known else check)
        return sheet.model_copy(update={"checks": tuple(checks)})

    def check(self, name: str, check_id: str) -> tuple[Sheet, Check]:
        """Return a check that is open here, with its sheet.

        Raises:
            UnknownCheckError: there is none.
        """
        sheet = self._store.opened(name)
        found = None if sheet is None else next((c for c in sheet.checks if c.check_id == check_id), None)
        if sheet is None or found is None:
            raise UnknownCheckError(
                "No such check is open on this device.",
                why="An answer belongs to a drawn patient.",
                do="Open the round first.",
            )
        return sheet, found
