"""Which crops stay as evidence in cases that are not decided, and which of them go as soon as they may."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from renzheng.contracts.ids import EventId
from renzheng.edge.device.store.database import Store


class CropHolds:
    """Central's holds in the device's store.

    Args:
        store: the device's database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, event_ids: Iterable[str]) -> None:
        """Take what central holds now, in place of what it held before."""
        with self._store.writing() as database:
            database.execute("DELETE FROM held_crops")
            for event_id in event_ids:
                database.execute("INSERT OR IGNORE INTO held_crops VALUES (?)", (event_id,))

    def kept(self) -> frozenset[EventId]:
        """The events whose crops stay whatever their age."""
        return frozenset(EventId(row["event_id"]) for row in self._store.rows("SELECT * FROM held_crops"))

    def let_go_later(self, event_ids: AbstractSet[EventId]) -> None:
        """Note held crops of a withdrawal: they go when nothing holds them any more."""
        with self._store.writing() as database:
            for event_id in event_ids:
                database.execute("INSERT OR IGNORE INTO due_crops VALUES (?)", (event_id,))

    def due(self, here: Sequence[EventId]) -> tuple[EventId, ...]:
        """Of the crops that are here, those that a withdrawal meant and that nothing holds any more."""
        rows = self._store.rows(
            "SELECT event_id FROM due_crops WHERE event_id NOT IN (SELECT event_id FROM held_crops)"
        )
        free = {row["event_id"] for row in rows}
        with self._store.writing() as database:
            for event_id in free - set(here):
                database.execute("DELETE FROM due_crops WHERE event_id = ?", (event_id,))
        return tuple(event_id for event_id in here if event_id in free)
