"""Who may sign in on a device by what was entered on it alone: forgotten when the device was set back.

Numbers, passkeys and codes of inspectors are in no backup, so that what was taken away does not come back
with one. A copy of the whole data folder holds them all the same. That it was put back shows by central's
word: it holds more of the log, or another entry, than the device. From then on nobody is known here until
entered anew.
"""

from sqlite_utils import Database

SET_BACK = frozenset({"ahead", "fork"})
"""Alarms that show it (`sender.Alarm`)."""
_TABLES = ("bedside_inspectors", "bedside_passkeys", "bedside_passkey_codes")


def shows_set_back(alarm: str) -> bool:
    """Say whether an alarm of the link shows that the device was set back to an older copy."""
    return alarm.partition(":")[0] in SET_BACK


def forget(database: Database) -> int:
    """Forget them all, in a writing transaction; return how many rows there were. A kiosk has none."""
    known = set(database.table_names())
    gone = 0
    for table in _TABLES:
        if table in known:
            gone += database.execute(f"DELETE FROM {table}").rowcount  # noqa: S608 - our own names
    return gone
