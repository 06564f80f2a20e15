"""The demo's report: what was expected beside what came out, as JSON for machines and HTML for people."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, select_autoescape

from renzheng.deploy.demo import patience, story


@dataclass(frozen=True, slots=True)
class Played:
    """How one scene went.

    Args:
        event: the event that it left on the device's log, as JSON; None for scenes that leave none.
        usable_face_to_green_ms: measured in the browser; None without a green screen or without a browser.
        received_at: when central stored the event, by the day's clock.
    """

    scene: story.Scene
    event: Mapping[str, Any] | None = None
    usable_face_to_green_ms: float | None = None
    received_at: datetime | None = None

    @property
    def outcome(self) -> str | None:
        """The recorded outcome."""
        return None if self.event is None else str(self.event["data"]["outcome"])

    @property
    def right(self) -> bool:
        """Whether the recorded outcome is the expected one."""
        return self.outcome == self.scene.expected


@dataclass(frozen=True, slots=True)
class Day:
    """Everything the report tells of.

    Args:
        lines: the audit's answer by the bill's serial number; a line without an answer is absent.
        events: central's stored events by id, for the evidence.
        claims: the importer's summary; `audit`: the audit's; both as JSON.
        line_ids: the line id by serial number.
        doubts: those that were played to their ends.
        failure: what cut the play short; empty where nothing did.
    """

    played: Sequence[Played]
    lines: Mapping[str, Mapping[str, Any]]
    line_ids: Mapping[str, str]
    events: Mapping[str, Mapping[str, Any]]
    claims: Mapping[str, Any]
    audit: Mapping[str, Any]
    doubts: Sequence[Mapping[str, Any]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


def build(day: Day) -> dict[str, Any]:
    """Put the report together; `ok`: every outcome, verdict and end of a doubt is the expected one."""
    people = [_person(patient, day) for patient in story.PATIENTS]
    lines = [_line(line, day) for line in story.LINES]
    scenes = [_scene(played) for played in day.played]
    return {
        "day": story.DAY.isoformat(),
        "ok": not day.failure and all(item["right"] for item in [*scenes, *lines, *day.doubts]),
        "failure": day.failure,
        "excuse": patience.excuse(),
        "usable_face_to_green_ms": _spread(
            [p.usable_face_to_green_ms for p in day.played if p.usable_face_to_green_ms is not None]
        ),
        "people": people,
        "scenes": scenes,
        "lines": lines,
        "doubts": day.doubts,
        "claims": day.claims,
        "audit": day.audit,
        "seconds": day.seconds,
    }


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"count": 0, "median": None, "longest": None}
    return {"count": len(values), "median": round(statistics.median(values)), "longest": round(max(values))}


def _scene(played: Played) -> dict[str, Any]:
    scene, event = played.scene, played.event
    data: Mapping[str, Any] = {} if event is None else event["data"]
    kept = ("pad", "comparison_score", "threshold", "false_match_rate", "witness_id", "reason", "decision_ms")
    return {
        "at": scene.when.isoformat(),
        "institution_id": scene.clinic.institution_id,
        "deed": scene.deed.value,
        "zh": scene.zh,
        "en": scene.en,
        "person_id": scene.patient.person_id if scene.patient else None,
        "face": scene.face,
        "event_id": event["id"] if event else None,
        "event_type": event["type"].removeprefix("renzheng.v1.") if event else None,
        "outcome": played.outcome,
        "expected": scene.expected,
        "right": played.right,
        "usable_face_to_green_ms": played.usable_face_to_green_ms,
        "received_at": played.received_at.isoformat() if played.received_at else None,
        "late_minutes": _late_minutes(played),
        **{key: data[key] for key in kept if key in data},
    }


def _late_minutes(played: Played) -> float | None:
    if played.received_at is None:
        return None
    return round((played.received_at - played.scene.when).total_seconds() / 60, 1)


def _person(patient: story.Patient, day: Day) -> dict[str, Any]:
    return {
        "person_id": patient.person_id,
        "surname": patient.surname,
        "institution_id": patient.clinic.institution_id,
        "enrolled": patient.portrait is not None,
        "sign_ins": [_scene(played) for played in day.played if played.scene.patient is patient],
    }


def _line(line: story.BilledLine, day: Day) -> dict[str, Any]:
    answer = day.lines.get(line.serial)
    verdict = answer["verdict"] if answer else None
    reason = answer["reason"] if answer else None
    return {
        "serial": line.serial,
        "line_id": day.line_ids[line.serial],
        "institution_id": line.clinic.institution_id,
        "person_id": line.patient.person_id,
        "surname": line.patient.surname,
        "service_time": line.when.isoformat(),
        "item_name": line.item_name,
        "quantity": line.quantity,
        "amount": line.amount,
        "zh": line.why_zh,
        "en": line.why_en,
        "verdict": verdict,
        "reason": reason,
        "coverage_ratio": answer["coverage_ratio"] if answer else None,
        "rule_id": answer["rule_id"] if answer else None,
        "rule_version": answer["rule_version"] if answer else None,
        "evidence": [_evidence(key, day) for key in (answer["evidence"] if answer else [])],
        "expected": {"verdict": line.verdict, "reason": line.reason},
        "right": (verdict, reason) == (line.verdict, line.reason),
    }


def _evidence(key: str, day: Day) -> dict[str, Any]:
    event = day.events.get(key)
    if event is None:
        return {"id": key}
    data = event["data"]
    return {
        "id": key,
        "type": event["type"].removeprefix("renzheng.v1."),
        "time": event["time"],
        "outcome": data.get("outcome"),
        "pad": data.get("pad"),
    }


def write(report: Mapping[str, Any], folder: Path, words: Mapping[str, Mapping[str, str]]) -> None:
    """Write ``report.json`` and ``report.html``.

    Args:
        report: what `build` made.
        folder: where to write; made when it is not there.
        words: the console's catalogues by language, for the names of verdicts, reasons and outcomes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, indent=1, default=str)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clock"] = lambda value: _local(value).strftime("%H:%M")
    template = environment.from_string(
        files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    html = template.render(report=report, zh=words["zh"], en=words["en"], clinics=_clinics())
    (folder / "report.html").write_text(html, encoding="utf-8")


def _clinics() -> dict[str, str]:
    return {clinic.institution_id: clinic.name for clinic in story.CLINICS}


def _local(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(story.ZONE)
