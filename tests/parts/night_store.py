"""A store and imports for nights, filled without a broker: what devices told goes into the tables."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from parts import stores
from parts.audit_tables import few_rules
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.nightly.manifest import Manifest
from renzheng.central.settings import Settings, make_settings
from renzheng.central.store import audits, schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.contracts import tables
from renzheng.contracts.ids import new_id

CHINA = dt.timezone(dt.timedelta(hours=8))
FIRST = dt.date(2026, 3, 2)
CODES = {"HD": "haemodialysis", "BED": "bed_day"}


def at(day: int, clock: str) -> dt.datetime:
    """Give a moment of a day of March 2026."""
    hour, minute = map(int, clock.split(":"))
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=CHINA)


def settings_in(folder: Path, **audit: Any) -> Settings:
    """Give a site's settings; its nights run the rules of verdicts and a single one of findings."""
    return make_settings({"data_dir": str(folder), "audit": {"rules_dir": rules_in(folder), **audit}})


def rules_in(folder: Path) -> str:
    """Lay a small pack into a site's folder, unless it lies there."""
    rules = folder / "few-rules"
    return str(rules if rules.exists() else few_rules(rules))


def open_store(settings: Settings) -> Database:
    database = Database(stores.lay(settings.database))
    database.migrate()
    return database


def kiosk(database: Database, device: str = "kiosk-1", institution: str = "H1") -> str:
    """Register a device; its log is empty."""
    register(database, LogWriter(device, institution))
    return device


def tell(database: Database, device: str, *rows: dict[str, Any]) -> None:
    """Add rows that a device told, as entries at the end of its log: attendance, or coverage with `state`."""
    devices = schema.devices
    with database.writing() as connection:
        known = sa.select(devices.c.head_sequence, devices.c.institution_id)
        head, institution = connection.execute(known.where(devices.c.device_id == device)).one()
        for row in rows:
            head += 1
            who = {"device_id": device, "sequence": head, "institution_id": institution}
            table = schema.coverage if "state" in row else schema.attendance
            if "buyer_id" in row:
                table = schema.counter_identifications
            if "machine_id" in row:
                table = schema.machine_runs
            connection.execute(sa.insert(table).values(who | row | _usual(table, row, device, head)))
        connection.execute(sa.update(devices).where(devices.c.device_id == device).values(head_sequence=head))


def _usual(table: sa.Table, row: dict[str, Any], device: str, sequence: int) -> dict[str, Any]:
    if table is schema.coverage:
        usual: dict[str, Any] = {"purpose": "dialysis", "cause": None, "received_at": row["to_at"]}
    elif "occurred_at" in row:
        usual = {
            "event_id": f"{device}-{sequence:04}",
            "event_type": "sign_in",
            "purpose": "dialysis",
            "received_at": row["occurred_at"],
            "outcome": "match",
            "pad": "bona_fide",
            "clock_trusted": 1,
        }
    if table is schema.counter_identifications:
        usual |= {
            "purpose": "pharmacy",
            "outcome": "manual",
            "pad": "not_shown",
            "method": "document",
            "source": "clerk",
            "relation": "child",
            "basis": "relative",
            "both_papers": 1,
            "holder_id": row["person_id"],
            "clerk_id": "2001",
            "purchase_id": f"purchase-{sequence:04}",
        }
        del usual["event_type"]
    if table is schema.machine_runs:
        usual = {"source": "device", "received_at": row["ended_at"]}
    both = {**usual, **row}
    return {name: to_us(value) if isinstance(value, dt.datetime) else value for name, value in both.items()}


def came(
    person: str, day: int, begin: str = "08:00", end: str = "12:00", **more: Any
) -> list[dict[str, Any]]:
    """Give a sign-in and a sign-out."""
    return [
        {"person_id": person, "occurred_at": at(day, begin), **more},
        {"person_id": person, "occurred_at": at(day, end), "event_type": "sign_out", **more},
    ]


def covered(day: int) -> dict[str, Any]:
    """Give a whole day in which the device was up."""
    return {"from_at": at(day, "00:00"), "to_at": at(day + 1, "00:00"), "state": "up"}


def line(person: str, day: int, code: str = "HD", clock: str = "10:00", **more: Any) -> dict[str, Any]:
    """Give a claim line."""
    return {
        "line_id": f"{person}-{code}-{day:02}",
        "institution_id": "H1",
        "visit_id": f"V-{person}",
        "person_id": person,
        "visit_type": "outpatient",
        "item_code": code,
        "item_name": "item",
        "service_time": at(day, clock),
        "quantity": Decimal(1),
        "amount": Decimal(400),
        **more,
    }


def speak(database: Database, settings: Settings, *days: dt.date) -> None:
    """Let a run speak for some days by the lake as it is, without auditing them."""
    lake = Manifest.read(settings.lake_dir)
    summary = {"lake_version": lake.version, "lake_id": lake.lake_id}
    for day in days:
        with database.writing() as connection:
            run_id = new_id()
            audits.begin(connection, run_id, day, day, folder="none", now_us=0)
            audits.publish(connection, run_id, day, day, summary=summary, now_us=0)


def bill(settings: Settings, *lines: dict[str, Any]) -> None:
    """Put claim lines among the imports, as an import does: by renaming a new file."""
    put(settings, "claim_lines", lines)
    put(settings, "item_catalogue", [{"item_code": c, "item_class": k} for c, k in CODES.items()])


def put(settings: Settings, name: str, rows: Any) -> None:
    """Replace one imported table, unless it is there already with the same rows."""
    folder = settings.tables_dir
    folder.mkdir(parents=True, exist_ok=True)
    made = pa.Table.from_pylist(list(rows), schema=tables.arrow_schema(tables.INPUT_TABLES[name]))
    path = folder / f"{name}.parquet"
    if path.exists() and pq.read_table(path).equals(made):
        return
    pq.write_table(made, folder / "fresh.parquet")
    (folder / "fresh.parquet").replace(path)
