"""A gateway beside a stimulation machine, and the file that the machine's console writes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from parts.edge import make_settings

from renzheng.contracts.log import read_entry
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.machine.main import Gateway, build_gateway

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)  # 18:00 in Shanghai
HEADER = "machine,patient,begin,end\n"
COLUMNS = {"machine_id": "machine", "person_id": "patient", "started_at": "begin", "ended_at": "end"}


def make_gateway(folder: Path, **changed: Any) -> Gateway:
    """A gateway that has not begun; its turns are taken by hand."""
    machine = {"path": folder / "runs.csv", "columns": COLUMNS, **changed}
    device = {"device_id": "gateway-01", "institution_id": "H1", "purpose": "stimulation"}
    return build_gateway(make_settings(folder, device=device, machine=machine), clock=SteppedClock(NOW))


def row(number: int, person: str = "P1") -> str:
    """The line of one run of twenty minutes; another minute for each number."""
    begin = NOW + timedelta(hours=2, minutes=number)  # written in local time, eight hours on
    return f"M1,{person},{begin:%Y-%m-%d %H:%M:%S},{begin + timedelta(minutes=20):%Y-%m-%d %H:%M:%S}\n"


def runs_of(gateway: Gateway) -> list[dict[str, Any]]:
    """What was signed, oldest first."""
    every = [read_entry(line).event for line in gateway.log.lines(0, 100_000)]
    return [event["data"] for event in every if event["type"] == "renzheng.v1.machine.run"]


def refused_by(gateway: Gateway) -> list[str]:
    """Why lines were refused."""
    return [one["reason"] for one in gateway.store.rows("SELECT reason FROM machine_refusals ORDER BY rowid")]
