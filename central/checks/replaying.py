"""A day's checks through the audit: whether both name the same points, check by check."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from renzheng.central.audit.readback import read_findings
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.asked import CheckAsked, as_read
from renzheng.central.checks.evaluator import Evaluator
from renzheng.central.checks.keeping import Kept
from renzheng.contracts.tables import (
    CLAIM_LINES,
    DIAGNOSES,
    INSTITUTIONS,
    ITEM_CATALOGUE,
    PERSONS,
    Table,
    arrow_schema,
)
from renzheng.rules.knowledge.evaluating import Knowledge
from renzheng.rules.knowledge.facts import DAY_US, EPOCH, Line, Situation, situation
from renzheng.rules.knowledge.kinds import pair
from renzheng.rules.knowledge.points import Kind, Point
from renzheng.rules.knowledge.tables import with_points
from renzheng.rules.pack import Pack

RULES = (
    "knowledge-pair", "knowledge-frequency", "knowledge-period", "sex-limited-item", "age-limited-item",
    "knowledge-condition",
)  # fmt: skip
"""Rules of the audit that read knowledge points."""
Named = tuple[str, str]
"""A point's id and version."""
AUDIT_ZONE = ZoneInfo("Asia/Shanghai")
"""Of institutions that the audit's tables do not name; lines have their wall clock in it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A point that only one of both names for a check.

    Args:
        check_id: the check.
        point, version: the point.
        named_by: `check` or `audit`.
        cause: `inputs` where a check made now agrees with the audit (history or knowledge changed since),
            else `kinds`: the evaluator and the audit disagree.
    """

    check_id: str
    point: str
    version: str
    named_by: str
    cause: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay gave: how many checks, and every difference."""

    checks: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class World:
    """What checks are made of.

    Args:
        evaluator: over the history.
        knowledge: in force.
        pack: the audit's rules, as they hold in the region.
        zone: of institutions that name none.
        today: the day of the replay.
    """

    evaluator: Evaluator
    knowledge: Knowledge
    pack: Pack
    zone: ZoneInfo
    today: dt.date


def replay(kept: Sequence[Kept], world: World, folder: Path) -> Replayed:
    """Put checks through the audit, each as a person of its own.

    Points of which the audit reads none, or reads a stricter one about the same items, are not compared.

    Args:
        kept: the checks.
        world: what they were made of.
        folder: an empty one, for tables and findings.
    """
    judged = _judged(world)
    names = {one.check_id: f"C{number}" for number, one in enumerate(kept)}  # ids of persons are in capitals
    seen = {names[one.check_id]: _situation(one, world) for one in kept}
    audited = _audited(seen, world, folder)
    differences: list[Difference] = []
    for one in kept:
        now = seen[names[one.check_id]]
        told = {named for named in one.advised if named in judged and _is_known(judged[named], now)}
        found = {
            named
            for named, ids in audited.get(names[one.check_id], {}).items()
            if named in judged and _is_known(judged[named], now) and _concerns(judged[named], ids, now)
        }
        if told != found:
            hits = world.knowledge.evaluate(now, one.stage).hits
            again = {(hit.point.id, hit.point.version) for hit in hits}
            differences += _differences(one, told, found, again)
    return Replayed(len(kept), tuple(differences))


def _judged(world: World) -> dict[Named, Point]:
    """Return the points that the audit reads."""
    held = with_points(world.pack, world.knowledge.points).knowledge.values()
    read = {(row["point"], row["point_version"]) for rows in held for row in rows if row.get("point")}
    every = {(one.id, one.version): one for one in world.knowledge.points}
    return {named: every[named] for named in read if named in every}


def _is_known(point: Point, now: Situation) -> bool:
    """Return whether a check said what a point asks; the audit's lines have no blank for a kind of visit."""
    return point.kind is not Kind.VISIT or now.encounter.visit_type is not None


def _differences(one: Kept, told: set[Named], found: set[Named], now: set[Named]) -> Iterator[Difference]:
    for named in sorted(told ^ found):
        cause = "inputs" if (named in now) == (named in found) else "kinds"
        yield Difference(one.check_id, *named, "check" if named in told else "audit", cause)


def _situation(one: Kept, world: World) -> Situation:
    place = world.evaluator.history.place(one.institution_id)
    zone = ZoneInfo(place.timezone) if place.timezone else world.zone
    asked = CheckAsked.model_validate_json(one.asked)
    read = as_read(asked, world.knowledge.codes, zone, place.level, world.today)
    return world.evaluator.situation(world.knowledge, world.evaluator.completed(read)[0])


def _concerns(point: Point, line_ids: set[str], now: Situation) -> bool:
    """Return whether lines that the audit names concern what was at hand, itself or as a main item."""
    lines = [line for found in now.by_code.values() for line in found]
    if any(line.at_hand and _name(line) in line_ids for line in lines):
        return True
    if point.kind is not Kind.PAIR:
        return False
    mains = [line for line in lines if line.at_hand and line.code == point.items[0]]
    subs = [line for line in lines if _name(line) in line_ids]
    return bool(pair(point, situation(now.patient, now.encounter, mains, subs)))


def _name(line: Line) -> str:
    return f"{line.institution_id}/{line.id}"


def _audited(seen: Mapping[str, Situation], world: World, folder: Path) -> dict[str, dict[Named, set[str]]]:
    """Return the lines that the audit names, by check and point."""
    every = [(name, line) for name, now in seen.items() for found in now.by_code.values() for line in found]
    if not every:
        return {}
    tables = folder / "tables"
    tables.mkdir(parents=True)
    _write(tables, CLAIM_LINES, [_row(name, line, seen[name]) for name, line in every])
    places = sorted({(name, line.institution_id) for name, line in every})
    _write(tables, INSTITUTIONS, [_institution(name, place, seen[name]) for name, place in places])
    _write(tables, DIAGNOSES, [row for name, now in seen.items() for row in _diagnoses(name, now)])
    _write(tables, PERSONS, [_person(name, now) for name, now in seen.items()])
    codes = sorted({line.code for _, line in every})
    _write(tables, ITEM_CATALOGUE, [{"item_code": code, "item_class": "other"} for code in codes])
    first, last = (pick(line.day for _, line in every) for pick in (min, max))
    days = EPOCH + dt.timedelta(days=first), EPOCH + dt.timedelta(days=last)
    run_audit(AuditRequest(tables, *days, folder / "out", only=RULES, points=world.knowledge.points))
    found: dict[str, dict[Named, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in read_findings(folder / "out"):
        named = str(one.parameters.get("point")), str(one.parameters.get("point_version"))
        own = f"{one.person_id}/"
        found[str(one.person_id)][named] |= {name.removeprefix(own) for name in one.line_ids}
    return found


def _institution(name: str, place: str, now: Situation) -> dict[str, Any]:
    """Write an institution as one check knows it: each check has institutions of its own."""
    level = now.encounter.level if place == now.encounter.institution_id else None
    told = {"name": place, "region_code": "-", "timezone": AUDIT_ZONE.key}
    return {"institution_id": f"{name}/{place}", **told, "level": None if level is None else str(level)}


def _diagnoses(name: str, now: Situation) -> Iterator[dict[str, Any]]:
    own = {
        "institution_id": f"{name}/{now.encounter.institution_id}",
        "visit_id": now.encounter.visit_id or "-",
        "person_id": name,
    }
    for code in dict.fromkeys(now.encounter.diagnoses):
        yield {**own, "diagnosis_code": code}


def _row(name: str, line: Line, now: Situation) -> dict[str, Any]:
    wall = dt.datetime.combine(EPOCH + dt.timedelta(days=line.day), dt.time(), AUDIT_ZONE)
    return {
        "line_id": f"{name}/{_name(line)}",
        "institution_id": f"{name}/{line.institution_id}",
        "visit_id": line.visit_id or "-",
        "person_id": name,
        "visit_type": now.encounter.visit_type or "outpatient",
        "item_code": line.code,
        "service_time": wall + dt.timedelta(microseconds=line.at_us % DAY_US),
        "quantity": Decimal(line.quantity_e4).scaleb(-4),
        "amount": Decimal(line.amount_fen).scaleb(-2),
    }


def _person(name: str, now: Situation) -> dict[str, Any]:
    born = now.patient.birth_day
    birth_date = None if born is None else EPOCH + dt.timedelta(days=born)
    return {"person_id": name, "sex": now.patient.sex or "U", "birth_date": birth_date}


def _write(folder: Path, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    filled = [{column.name: row.get(column.name) for column in table.columns} for row in rows]
    pq.write_table(pa.Table.from_pylist(filled, arrow_schema(table)), folder / f"{table.name}.parquet")
