"""A console over one audit of given tables, as a night would have left it, without devices or broker."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from parts import stores
from parts.listed import Console

from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.main import make_signing_key
from renzheng.central.nightly import results
from renzheng.central.settings import make_settings
from renzheng.central.store import audits
from renzheng.central.store.database import Database
from renzheng.contracts.ids import new_id

ZONE = ZoneInfo("Asia/Shanghai")


@contextlib.contextmanager
def audited_console(
    folder: Path, run: Path, days: tuple[dt.date, dt.date], **told: object
) -> Iterator[Console]:
    """Audit the tables in `run/tables`, put what is found into a new store, and serve its pages."""
    settings = make_settings({"data_dir": str(folder), "port": 0, **told})
    make_signing_key(settings.key_file)
    stores.lay(settings.database)
    database = Database(settings.database)
    database.migrate()
    tables, run_id = run / "tables", new_id()
    result = run_audit(AuditRequest(tables, *days, run / "result"))
    zones = results.read_zones(tables, ZONE)
    with database.writing() as connection:
        audits.begin(connection, run_id, *days, folder=str(run), now_us=0)
        audits.add_institutions(connection, results.read_institutions(tables, ZONE))
        for rows in results.read_verdicts(run_id, result, tables, zones, ZONE):
            audits.add_verdicts(connection, rows)
        audits.add_ledger(connection, results.read_ledger(run_id, result))
        for rows in results.read_findings(run_id, result, tables, days, ZONE):
            audits.add_findings(connection, rows)
        summary = {**result.summary, "lake_version": 1, "lake_id": "none"}
        audits.publish(connection, run_id, *days, summary=summary, now_us=1)
    console = Console(settings, database)
    console.server.start()
    try:
        yield console
    finally:
        console.server.stop()
        database.close()
