"""Central's store as the migrations make it: made once a process, then copied, which is quicker."""

import atexit
import shutil
import sqlite3
import tempfile
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from renzheng.central.store.database import Database


@cache
def migrated_file() -> Path:
    """Make the file that is copied."""
    folder = Path(tempfile.mkdtemp(prefix="renzheng-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "central.sqlite"
    store = Database(f"sqlite:///{path}")
    store.migrate()
    store.close()
    whole = sqlite3.connect(path)
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    return path


def lay(url: str) -> str:
    """Lay the migrated store where a SQLite address says, unless something lies there; return the address."""
    path = sa.make_url(url).database
    if url.startswith("sqlite") and path and not Path(path).exists():
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy(migrated_file(), path)
    return url
