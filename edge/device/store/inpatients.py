"""Today's inpatients on this device: one roster at a time, replaced whole, the last good one kept."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from renzheng.contracts.rosters import InpatientRoster, RosterError, read_roster
from renzheng.edge.device.store.database import Store


class Inpatients:
    """The roster of inpatients in the device's store.

    Args:
        store: the device's database.
        institution_id: whose patients they must be.
    """

    def __init__(self, store: Store, institution_id: str) -> None:
        self._store = store
        self._institution_id = institution_id

    def put(self, roster: InpatientRoster, now: datetime) -> None:
        """Take a roster in the place of the one before, in one transaction.

        Raises:
            RosterError: it is another institution's, or older than the one that is kept.
        """
        if roster.institution_id != self._institution_id:
            raise RosterError(
                f"The roster is of {roster.institution_id}, this device stands at {self._institution_id}.",
                why="Cameras look for nobody but this institution's own inpatients.",
                do="Fetch or write the roster of this institution.",
            )
        with self._store.writing() as database:
            kept = self.latest()
            if kept is not None and roster.made_at < kept.made_at:
                raise RosterError(
                    f"The roster was made at {roster.made_at:%Y-%m-%d %H:%M}, before the one that is kept.",
                    why="Who was discharged since would be looked for again.",
                    do="Make it anew; the list used so far stays.",
                )
            database.execute(
                "INSERT OR REPLACE INTO inpatient_roster VALUES (1, ?, ?, ?, ?)",
                (
                    roster.day.isoformat(),
                    roster.made_at.isoformat(),
                    now.isoformat(),
                    orjson.dumps(roster.model_dump(mode="json")),
                ),
            )

    def latest(self) -> InpatientRoster | None:
        """The roster that is kept, of whatever day; None when there never was one."""
        row = self._store.row("SELECT content FROM inpatient_roster")
        return None if row is None else read_roster(row["content"])

    def kept_at(self) -> datetime | None:
        """When the roster that is kept came to this device."""
        row = self._store.row("SELECT kept_at FROM inpatient_roster")
        return None if row is None else datetime.fromisoformat(row["kept_at"])

    def in_force(self, now: datetime, zone: ZoneInfo, longest: timedelta) -> InpatientRoster | None:
        """The roster to look by: today's, else the last good one until it has served for `longest`.

        Args:
            now: aware.
            zone: the institution's, whose midnight begins a day.
            longest: counted from the beginning of the roster's own day.
        """
        roster = self.latest()
        if roster is None:
            return None
        began = datetime(roster.day.year, roster.day.month, roster.day.day, tzinfo=zone)
        return roster if timedelta(0) <= now - began < max(longest, timedelta(days=1)) else None


def read_roster_file(path: Path) -> InpatientRoster:
    """Read a roster that came as a file.

    Raises:
        RosterError: it cannot be read, or is none.
    """
    try:
        return read_roster(path.read_bytes())
    except OSError as error:
        raise RosterError(
            f"{path} cannot be read: {error.strerror}.", do="Give the path of a roster's JSON file."
        ) from None
