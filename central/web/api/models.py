"""What the API answers: one model a thing. Times are RFC 3339 in UTC, money is yuan as decimal text."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, PlainSerializer

from renzheng.central.store import viewer
from renzheng.central.store.times import from_us
from renzheng.central.watch.problems import Problem as Wrong
from renzheng.contracts.money import yuan

PersonId = Annotated[str, PlainSerializer(viewer.shown, return_type=str)]
"""A person's number, or the handle that stands for it where the caller's roles do not need the number."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Device(_Answer):
    """A device: where it stands, how far its log is here, what it last said of itself."""

    device_id: str
    institution_id: str
    institution_name: str | None
    shard: str
    purpose: str
    label: str
    registered_at: datetime
    revoked_at: datetime | None
    head_sequence: int
    head_hash: str
    head_received_at: datetime | None
    state: str | None
    said_sequence: int | None
    waiting: int
    waiting_since: datetime | None
    software: str | None
    status_seconds: float | None
    halted: str | None
    certificate_until: datetime | None
    status_received_at: datetime | None
    clock_offset_ms: int | None
    clock_trusted: bool | None
    open_alarms: int


class Alarm(_Answer):
    """Something that should not have happened, counted while it goes on."""

    alarm_id: int
    device_id: str
    problem: str
    detail: str
    sequence: int | None
    first_at: datetime
    last_at: datetime
    times: int
    resolved_at: datetime | None


class Quarantined(_Answer):
    """A message that was not taken, without its bytes."""

    quarantine_id: int
    topic: str
    device_id: str | None
    problem: str
    detail: str
    sequence: int | None
    sha256: str
    bytes: int
    first_received_at: datetime
    last_received_at: datetime
    times: int


class Verdict(_Answer):
    """The answer to one billed line."""

    line_id: str
    run_id: str
    service_day: date
    institution_id: str
    institution_name: str | None
    person_id: PersonId
    item_code: str
    item_name: str
    service_at: datetime
    quantity: str
    amount_yuan: str
    at_stake_yuan: str
    verdict: str
    reason: str
    coverage_ratio: float | None
    evidence: list[str]
    rule_id: str
    rule_version: str


class Finding(_Answer):
    """What a rule found beyond single lines."""

    finding_id: str
    run_id: str
    service_day: date
    rule_id: str
    rule_version: str
    severity: str
    verdict: str
    institution_id: str
    institution_name: str | None
    person_id: PersonId | None
    line_ids: list[str]
    amount_yuan: str
    from_at: datetime | None
    to_at: datetime | None
    evidence: list[str]
    explanation_zh: str
    explanation_en: str
    parameters: dict[str, Any]


class Run(_Answer):
    """An audit run and how far it is."""

    run_id: str
    from_day: date
    to_day: date
    state: str
    step: str
    steps_done: int
    steps_total: int
    started_at: datetime
    finished_at: datetime | None
    problem: str | None
    summary: dict[str, Any] | None


class Total(_Answer):
    """Lines and money of a day with one verdict and reason."""

    verdict: str
    reason: str
    lines: int
    amount_yuan: str


class LineEvidence(_Answer):
    """What the run knew around a line, row by row in the canonical columns."""

    verdict: Verdict
    item_class: str
    attendance: list[dict[str, Any]]
    machine_sessions: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    spot_checks: list[dict[str, Any]]
    leaves: list[dict[str, Any]]
    stays: list[dict[str, Any]]
    prescription: dict[str, Any] | None
    days: list[dict[str, Any]]


class Problem(_Answer):
    """Something that is wrong now."""

    kind: str
    severity: str
    subject: str
    since: datetime
    detail: str


class Problems(_Answer):
    """What is wrong now."""

    problems: list[Problem]


class Health(_Answer):
    """Whether the service can do its work: `ok`, or `failing` with what is wrong."""

    state: str
    problems: list[Problem]
    devices: int
    open_alarms: dict[str, int]
    quarantined: dict[str, int]


class Devices(_Answer):
    """Every device."""

    devices: list[Device]


class Alarms(_Answer):
    """The latest alarms, open ones first."""

    alarms: list[Alarm]


class QuarantinePage(_Answer):
    """A stretch of the quarantine."""

    total: int
    quarantined: list[Quarantined]


class OwnLine(_Answer):
    """The answer to one line billed under the doctor's own number."""

    line_id: str
    service_day: date
    institution_id: str
    person_id: PersonId
    item_code: str
    item_name: str
    amount_yuan: str
    verdict: str
    reason: str
    rule_id: str


class OwnLines(_Answer):
    """A stretch of a doctor's own lines."""

    total: int
    lines: list[OwnLine]


class VerdictPage(_Answer):
    """A stretch of a list of verdicts."""

    total: int
    verdicts: list[Verdict]


class FindingPage(_Answer):
    """A stretch of a list of findings."""

    total: int
    findings: list[Finding]


class Day(_Answer):
    """A service day: which run speaks for it, and its totals."""

    service_day: date
    run_id: str
    totals: list[Total]


class Days(_Answer):
    """Service days that have verdicts, newest first."""

    days: list[date]


class Runs(_Answer):
    """The latest runs, newest first."""

    runs: list[Run]


Row = Mapping[str, Any]
MOMENTS = (
    "registered_at",
    "revoked_at",
    "head_received_at",
    "waiting_since",
    "status_received_at",
    "certificate_until",
    "first_at",
    "last_at",
    "resolved_at",
    "first_received_at",
    "last_received_at",
    "service_at",
    "from_at",
    "to_at",
    "started_at",
    "finished_at",
)
DOCUMENTS = ("evidence", "line_ids", "parameters", "summary")


def plain(row: Row) -> dict[str, Any]:
    """Turn a row of the store into what the models take."""
    value = dict(row)
    for name in MOMENTS:
        if value.get(name) is not None:
            value[name] = from_us(value[name])
    for name in DOCUMENTS:
        if isinstance(value.get(name), str):
            value[name] = orjson.loads(value[name])
    for name in ("amount", "at_stake", "fund"):
        if value.get(f"{name}_fen") is not None:
            value[f"{name}_yuan"] = yuan(value.pop(f"{name}_fen"))
    return value


def problem(one: Wrong) -> Problem:
    """Turn a problem into its answer."""
    return Problem(
        kind=one.kind,
        severity=one.severity,
        subject=one.subject,
        since=from_us(one.since_us),
        detail=one.detail,
    )


def device(row: Row) -> Device:
    """Turn a device's row into its answer."""
    value = plain(row)
    trusted = value["clock_trusted"]
    waiting = max((value["said_sequence"] or 0) - value["head_sequence"], 0)
    return Device(
        **{**value, "waiting": waiting, "clock_trusted": None if trusted is None else bool(trusted)}
    )
