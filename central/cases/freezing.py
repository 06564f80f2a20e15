"""The evidence of a doubt, frozen when it is confirmed: all that is needed to judge it without the service.

It holds the lines as billed, their verdicts, coverage and evidence rows, the signed log entries behind them
with their place in the device's chain, the rule's text, version and parameters, the run, and the newest
checkpoint. Its SHA-256 stands in every later step.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from renzheng.central.cases import records
from renzheng.central.cases.doubts import Doubt
from renzheng.central.nightly import evidence
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.rules.pack import Pack

VERDICTS, FINDINGS, RUNS = schema.verdicts, schema.findings, schema.audit_runs
ATTENDANCE, ENTRIES, CHECKPOINTS = schema.attendance, schema.log_entries, schema.checkpoints
CHECKPOINT = ("taken_at", "size", "root", "note")
MOST_LINES = 200
"""Of one doubt, with all that was known around each; the others with their verdict."""
Row = Mapping[str, Any]


def freeze(connection: sa.Connection, doubt: Doubt, pack: Pack, zone: ZoneInfo) -> bytes:
    """Write down the evidence of a doubt as its run had it.

    Args:
        connection: the store.
        doubt: drafted, with the run it comes from.
        pack: the rules, for the text.
        zone: the institution's, or the site's.
    """
    run = _row(connection, sa.select(RUNS).where(RUNS.c.run_id == doubt.run_id))
    folder = Path(run["folder"]) if run else None
    lines = [
        _line(connection, doubt, one.line_id, zone, folder if number < MOST_LINES else None)
        for number, one in enumerate(doubt.lines)
    ]
    finding = None
    if doubt.finding_id:
        query = sa.select(FINDINGS).where(
            FINDINGS.c.run_id == doubt.run_id, FINDINGS.c.finding_id == doubt.finding_id
        )
        finding = _row(connection, query)
    checkpoint = _row(
        connection, sa.select(CHECKPOINTS).order_by(CHECKPOINTS.c.checkpoint_id.desc()).limit(1)
    )
    frozen = {
        "doubt": doubt.doubt_id,
        "institution_id": doubt.institution_id,
        "lines": lines,
        "finding": _read(finding, "line_ids", "evidence", "parameters"),
        "rule": _rule(doubt, pack),
        "run": _read(run, "summary", without=("folder", "step", "steps_done", "steps_total", "problem")),
        "log": list(_log(connection, lines)),
        "checkpoint": checkpoint
        and {name: checkpoint[name] for name in ("taken_at", "size", "root", "note")},
    }
    return records.canonical(frozen)


def sha256(frozen: bytes) -> str:
    """Return the hash by which steps name frozen evidence."""
    return hashlib.sha256(frozen).hexdigest()


def fund_fen(frozen: bytes) -> int | None:
    """Return the fund's share of the lines; None when the bill of one does not say it."""
    total = 0
    for line in orjson.loads(frozen)["lines"]:
        share = ((line.get("around") or {}).get("line") or {}).get("fund_amount")
        if share is None:
            return None
        total += round(float(share) * 100)
    return total


def _line(
    connection: sa.Connection, doubt: Doubt, line_id: str, zone: ZoneInfo, folder: Path | None
) -> dict[str, Any]:
    query = sa.select(VERDICTS).where(
        VERDICTS.c.run_id == doubt.run_id,
        VERDICTS.c.institution_id == doubt.institution_id,
        VERDICTS.c.line_id == line_id,
    )
    verdict = _read(_row(connection, query), "evidence")
    around = None
    if folder is not None:
        around = evidence.read_line(folder, doubt.institution_id, line_id, zone)
    return {"line_id": line_id, "verdict": verdict, "around": around and asdict(around)}


def _rule(doubt: Doubt, pack: Pack) -> dict[str, Any]:
    rule = pack.rules.get(doubt.rule_id)
    same = rule is not None and rule.header.version == doubt.rule_version
    text = rule.text if rule is not None and same else None
    return {
        "rule_id": doubt.rule_id,
        "version": doubt.rule_version,
        "text": text,
        "sha256": hashlib.sha256(text.encode()).hexdigest() if text else None,
    }


def _log(connection: sa.Connection, lines: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Find the signed entries of the sign-ins and sign-outs around the lines."""
    told: set[tuple[str, int]] = set()
    for line in lines:
        for event in (line["around"] or {}).get("attendance", ()):
            place = _place(connection, event["event_id"], event["occurred_at"])
            if place is None or place in told:
                continue
            told.add(place)
            query = sa.select(ENTRIES).where(ENTRIES.c.device_id == place[0], ENTRIES.c.sequence == place[1])
            entry = _row(connection, query)
            if entry is not None:
                yield {
                    "event_id": event["event_id"],
                    "device_id": place[0],
                    "sequence": place[1],
                    "hash": entry["hash"],
                    "line": entry["line"].decode(),
                    "received_at": from_us(entry["received_at"]),
                }


def _place(connection: sa.Connection, event_id: str, at: datetime) -> tuple[str, int] | None:
    query = sa.select(ATTENDANCE.c.device_id, ATTENDANCE.c.sequence).where(
        ATTENDANCE.c.occurred_at == to_us(at), ATTENDANCE.c.event_id == event_id
    )
    row = connection.execute(query).first()
    return (row.device_id, row.sequence) if row else None


def _row(connection: sa.Connection, query: sa.Select[Any]) -> Row | None:
    found = connection.execute(query).mappings().first()
    return {str(name): value for name, value in found.items()} if found is not None else None


def _read(row: Row | None, *documents: str, without: Sequence[str] = ()) -> dict[str, Any] | None:
    """Open the JSON columns of a row."""
    if row is None:
        return None
    opened = {name: orjson.loads(row[name]) if row[name] else None for name in documents}
    return {name: value for name, value in {**row, **opened}.items() if name not in without}
