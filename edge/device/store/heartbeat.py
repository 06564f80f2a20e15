"""The durable heartbeat: the open coverage stretch as it was at the last beat, and the alarms raised."""

from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from renzheng.contracts.events import CoverageState
from renzheng.edge.device.coverage import CoverageStatus, OpenStretch
from renzheng.edge.device.store.database import Also, Store


@dataclass(frozen=True, slots=True)
class LastBeat:
    """What the last run left behind."""

    open_stretch: OpenStretch
    stopped: bool


def keep(open_: OpenStretch, *, stopped: bool = False) -> Also:
    """Prepare the writing of a beat."""

    def write(database: Database) -> None:
        database.execute(
            "INSERT OR REPLACE INTO heartbeat VALUES (1, ?, ?, ?, ?, ?)",
            (
                open_.since.isoformat(),
                open_.last_beat.isoformat(),
                open_.standing.state.value,
                open_.standing.cause,
                int(stopped),
            ),
        )

    return write


def last(store: Store) -> LastBeat | None:
    """Read the last beat; None on a device that never ran."""
    row = store.row("SELECT * FROM heartbeat")
    if row is None:
        return None
    standing = CoverageStatus(CoverageState(row["state"]), row["cause"])
    since, last_beat = (datetime.fromisoformat(row[name]) for name in ("since", "last_beat"))
    return LastBeat(OpenStretch(since, last_beat, standing), bool(row["stopped"]))


def raise_alarm(store: Store, kind: str, sequence: int | None, at: datetime) -> None:
    """Keep an alarm for whoever looks after the device."""
    with store.writing() as database:
        database.execute(
            "INSERT INTO alarms (kind, sequence, raised_at) VALUES (?, ?, ?)",
            (kind, sequence, at.isoformat()),
        )


def alarms(store: Store) -> list[dict[str, str | int | None]]:
    """Read the alarms, newest first."""
    return store.rows("SELECT kind, sequence, raised_at FROM alarms ORDER BY alarm_id DESC LIMIT 100")
