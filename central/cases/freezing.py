"""The evidence of a doubt, frozen when it is confirmed: all that is needed to judge it without the service.

It holds the lines as billed, their verdicts, coverage and evidence rows, what each verdict rests on so that
it can be computed again, the signed log entries behind them with what shows their signatures, chains and
checkpoints, the rule's text, version and parameters, the run, and the newest checkpoint. Its SHA-256 stands
in every later step.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from renzheng.central.audit.oracle.running import values_on
from renzheng.central.cases import frozen_log, judging, records
from renzheng.central.cases.doubts import Doubt
from renzheng.central.nightly import evidence
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.rules.pack import LINE_RULES, Pack

VERDICTS, FINDINGS, RUNS = schema.verdicts, schema.findings, schema.audit_runs
ATTENDANCE, ENTRIES, CHECKPOINTS = schema.attendance, schema.log_entries, schema.checkpoints
MOST_LINES = 200
"""Of one doubt, with all that was known around each; the others with their verdict."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frozen:
    """Frozen evidence, and the batches of devices that it names."""

    evidence: bytes
    log: frozen_log.Gathered


def freeze(connection: sa.Connection, doubt: Doubt, pack: Pack, zone: ZoneInfo) -> Frozen:
    """Write down the evidence of a doubt as its run had it.

    Args:
        connection: the store.
        doubt: drafted, with the run it comes from.
        pack: the rules, for the text.
        zone: the institution's, or the site's.
    """
    run = _row(connection, sa.select(RUNS).where(RUNS.c.run_id == doubt.run_id))
    folder = Path(run["folder"]) if run else None
    judge = _Judge(run, pack)
    lines = [
        _line(connection, doubt, one.line_id, zone, folder if number < MOST_LINES else None, judge)
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
    entries = list(_log(connection, lines))
    gathered = frozen_log.gather(connection, [(one["device_id"], one["sequence"]) for one in entries])
    frozen = {
        "doubt": doubt.doubt_id,
        "institution_id": doubt.institution_id,
        "lines": lines,
        "finding": _read(finding, "line_ids", "evidence", "parameters"),
        "rule": _rule(pack, doubt.rule_id, doubt.rule_version),
        "line_rules": judge.rules(lines, doubt.rule_id),
        "run": _read(run, "summary", without=("folder", "step", "steps_done", "steps_total", "problem")),
        "log": entries,
        **gathered.documents,
        "checkpoint": checkpoint
        and {name: checkpoint[name] for name in ("taken_at", "size", "root", "note")},
    }
    return Frozen(records.canonical(frozen), gathered)


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


class _Judge:
    """Writes down what a line's verdict rests on, by the rules and the region of its run.

    Args:
        run: the run's row.
        pack: the rules as they are now; a rule that has changed since cannot be applied again.
    """

    def __init__(self, run: Row | None, pack: Pack) -> None:
        summary = orjson.loads(run["summary"]) if run and run["summary"] else {}
        self._region: str | None = summary.get("region")
        self._pack = pack

    def document(self, verdict: Row | None, folder: Path, line_id: str, zone: ZoneInfo) -> Row | None:
        """Return the rows and parameters by which a line is judged again; None when they are not there."""
        if verdict is None or not self._is_same(verdict) or not set(LINE_RULES) <= set(self._pack.rules):
            return None
        case = evidence.read_case_of(folder, verdict["institution_id"], line_id, zone)
        if case is None:
            return None
        values = partial(values_on, self._region, self._pack)
        return judging.frozen_case(case, values)

    def _is_same(self, verdict: Row) -> bool:
        rule = self._pack.rules.get(verdict["rule_id"])
        return rule is not None and rule.header.version == verdict["rule_version"]

    def rules(self, lines: Sequence[Row], besides: str) -> list[dict[str, Any]]:
        """Return the rules by which the lines were judged, where they are not the doubt's own."""
        verdicts = [one["verdict"] for one in lines if one["verdict"]]
        named = {(one["rule_id"], one["rule_version"]) for one in verdicts if one["rule_id"] != besides}
        return [_rule(self._pack, rule_id, version) for rule_id, version in sorted(named)]


def _line(  # noqa: PLR0917 - which line, as it was known where
    connection: sa.Connection,
    doubt: Doubt,
    line_id: str,
    zone: ZoneInfo,
    folder: Path | None,
    judge: _Judge,
) -> dict[str, Any]:
    query = sa.select(VERDICTS).where(
        VERDICTS.c.run_id == doubt.run_id,
        VERDICTS.c.institution_id == doubt.institution_id,
        VERDICTS.c.line_id == line_id,
    )
    verdict = _read(_row(connection, query), "evidence")
    around = judged = None
    if folder is not None:
        around = evidence.read_line(folder, doubt.institution_id, line_id, zone)
        judged = judge.document(verdict, folder, line_id, zone)
    return {"line_id": line_id, "verdict": verdict, "around": around and asdict(around), "judged": judged}


def _rule(pack: Pack, rule_id: str, version: str) -> dict[str, Any]:
    rule = pack.rules.get(rule_id)
    same = rule is not None and rule.header.version == version
    text = rule.text if rule is not None and same else None
    return {
        "rule_id": rule_id,
        "version": version,
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
