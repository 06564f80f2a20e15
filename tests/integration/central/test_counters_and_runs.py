"""A counter's purchases and a gateway's runs, from their signed logs into the store, and checked there."""

from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from parts.central import register
from parts.devices import LogWriter

from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.store import schema
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.projections import check_projections
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now

RECORDED = Path(__file__).parents[2] / "spec" / "contracts" / "recorded" / "v1" / "events"


def told(database, device_id, purpose, *names):
    """Let a device registered for a purpose hand over recorded events as its own."""
    writer = LogWriter(device_id, "H1")
    register(database, writer)
    with database.writing() as connection:
        mine = schema.devices.c.device_id == device_id
        connection.execute(sa.update(schema.devices).where(mine).values(purpose=purpose))
    for name in names:
        event = orjson.loads((RECORDED / f"{name}.json").read_bytes())
        event["source"] = f"urn:renzheng:device:{device_id}"
        event["data"]["institution_id"] = "H1"
        writer.append_json(orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
    topic = f"renzheng/v1/s1/{device_id}/up/log"
    messages = [Message(topic, batch) for batch in writer.batches()]
    Ingest(database, keys.generate_key(), utc_now).take(messages)


def rows(database, table):
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_purchases_and_runs_reach_the_store_and_agree_with_their_logs(database):
    told(database, "counter-1", "pharmacy", "attendance.counter", "attendance.counter.terminal")
    told(database, "gateway-1", "stimulation", "machine.run")
    bought = rows(database, schema.counter_identifications)
    assert [(row["outcome"], row["source"], row["both_papers"]) for row in bought] == [
        ("match", "counter", 1),
        ("manual", "nhsa_terminal", 1),
    ]
    assert {row["relation"] for row in bought} == {"child"}
    (run,) = rows(database, schema.machine_runs)
    assert (run["machine_id"], run["source"], run["serial_number"]) == ("TMS-1", "device", "SN-77")
    checked = list(check_projections(database))
    assert len(checked) == 2
    assert all(isinstance(one, LogVerified) for one in checked)


@pytest.mark.parametrize(
    ("purpose", "name"),
    [("dialysis", "attendance.counter"), ("outpatient", "attendance.counter"), ("inpatient", "machine.run")],
)
def test_from_a_device_for_something_else_they_are_kept_as_foreign_and_make_no_row(database, purpose, name):
    told(database, "other-1", purpose, name)
    assert rows(database, schema.counter_identifications) == rows(database, schema.machine_runs) == []
    (flaw,) = (row["flaw"] for row in rows(database, schema.log_entries))
    assert flaw.startswith("foreign_event")
