"""Brings a store to this software's version; apart from `Database`, as hardly a start needs Alembic."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from renzheng.central.errors import StoreError

MIGRATIONS = Path(__file__).parent


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that a store lacks, in the caller's transaction.

    Raises:
        StoreError: it was written by a newer version.
    """
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"The store is of version {found}, which this software does not know.",
            why="A newer version has written it.",
            do="Install that version, or restore the backup made before it.",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
