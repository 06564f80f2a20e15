"""What commands of central share: the store that a configuration names, and who acts from a shell."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renzheng.central.settings import Settings
    from renzheng.central.store.database import Database

SHELL = "command line"
"""Who acts in the access log where it was done from a shell: whoever may read central's store."""


def open_store(config: Path) -> "tuple[Settings, Database]":
    """Read a configuration and open its store, brought up to date.

    Raises:
        SettingsError: the configuration cannot be used.
        StoreError: the store cannot be opened.
    """
    from renzheng.central.settings import read_settings  # noqa: PLC0415 - loaded only by commands that need it
    from renzheng.central.store.database import Database  # noqa: PLC0415 - as above

    settings = read_settings(config)
    database = Database(settings.database, connections=0)
    database.migrate()
    return settings, database
