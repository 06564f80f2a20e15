"""How long what is kept, on which ground, and who may change it: the one table, and its nightly deletion.

What is deleted at central is deleted here; the rest names the part that does it, or why nothing does. Each
night's deletion leaves a certificate signed by central and chained to the one before: counts, tables and
cut-offs, nobody's data.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.privacy.holds import held_people
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts import keys

KIND = "application/vnd.renzheng.deletion-certificate.v1"
CERTIFICATES = schema.deletion_certificates


@dataclass(frozen=True, slots=True)
class Item:
    """A kind of data that is kept.

    Args:
        key: its name in the catalogues, where purpose and ground stand in words.
        tables: where it lies.
        days: how long it is kept; None until something else ends it.
        by: what deletes it: `night` here, another part of central, a device, or nobody.
        changed_by: the role that decides on the days.
        setting: where the days are set; None where they are fixed.
        floor: fewer days than this are not taken, as another duty asks for them.
    """

    key: str
    tables: Sequence[str]
    days: float | None
    by: str
    changed_by: str = "data_protection"
    setting: str | None = None
    floor: int = 0


def items(settings: Settings) -> Sequence[Item]:
    """Return the table as it is in force."""
    own = settings.retention
    return (
        Item("references", ("person_references",), None, "withdrawal", "person"),
        Item("crops", ("evidence",), 30, "device", setting="device.crop_days"),
        Item("ward_crops", ("evidence",), 7, "device", setting="ward.crop_days"),
        Item("device_log", ("entries",), 90, "device", "administrator", "device.entry_days"),
        Item("round_lists", ("sheets",), 30, "device", setting="bedside.sheet_days"),
        Item("log", ("log_entries",), None, "archive", "administrator", "archive.keep_years"),
        Item("attendance", ("attendance", "counter_identifications", "machine_runs", "spot_checks",
                            "undrawn_checks", "round_checks", "round_sheets", "inspectors"),
             None, "nobody", "law"),
        Item("claims", ("verdicts", "verdict_changes", "findings", "persons", "person_aliases"),
             None, "nobody", "law"),
        Item("cases", ("cases", "doubts", "doubt_evidence", "doubt_votes", "attachments", "rule_powers",
                       "patient_questions", "withheld_lines", "doubt_comments", "doubt_filters", "summonses"),
             None, "nobody", "law"),
        Item("stay_names", ("stays", "stay_events", "leaves"), own.stay_names_days, "night",
             setting="retention.stay_names_days", floor=30),
        Item("messages", ("stay_messages",), 30, "central"),
        Item("quarantine", ("quarantine",), 180, "central"),
        Item("consents", ("consents",), own.consents_days, "night",
             setting="retention.consents_days", floor=1095),
        Item("withdrawals", ("withdrawals", "privacy_orders"), own.withdrawals_days, "night",
             setting="retention.withdrawals_days", floor=1095),
        Item("requests", ("privacy_requests", "crop_requests"), own.withdrawals_days, "night",
             setting="retention.withdrawals_days", floor=1095),
        Item("accounts", ("accounts", "account_roles", "account_institutions", "account_tokens",
                          "account_codes", "account_totp", "account_recovery_codes", "account_passkeys",
                          "duties_done", "emergency_access"), None, "nobody", "administrator"),
        Item("sessions", ("account_sessions",), own.sessions_days, "night", "administrator",
             "retention.sessions_days", 1),
        Item("checks", ("checks", "advices", "answers"), own.checks_days, "night",
             setting="retention.checks_days", floor=30),
        Item("self_checks", (), 7, "central"),
        Item("access_log", ("access_log", "access_log_persons"), 1095, "access", "law"),
        Item("backups", ("backups",), own.backups_days, "person", "administrator",
             "retention.backups_days", 1),
    )  # fmt: skip


Delete = Callable[[sa.Connection, int, Mapping[str, int]], tuple[int, int]]
"""Deletes what is older than a cut-off; returns how many rows went and how many a hold keeps."""


def _stay_names(connection: sa.Connection, cut_off: int, held: Mapping[str, int]) -> tuple[int, int]:
    """Erase names and numbers of stays that ended; the stay itself is evidence of what was billed."""
    stays = schema.stays
    old = stays.c.discharged_at < cut_off
    named = (stays.c.surname != "") | (stays.c.masked_number != "")
    rows = connection.execute(
        sa.select(stays.c.institution_id, stays.c.visit_id, stays.c.person_id).where(old, named)
    ).all()
    gone = [row for row in rows if row.person_id not in held]
    erase_names(connection, [(row.institution_id, row.visit_id) for row in gone])
    return len(gone), len(rows) - len(gone)


def erase_names(connection: sa.Connection, visits: Iterable[tuple[str, str]]) -> None:
    """Erase names and numbers of stays (institution and visit), in the stays and in what was reported."""
    for institution_id, visit_id in visits:
        for table in (schema.stays, schema.stay_events):
            own = (table.c.institution_id == institution_id) & (table.c.visit_id == visit_id)
            connection.execute(sa.update(table).where(own).values(surname="", masked_number=""))


def _consents(connection: sa.Connection, cut_off: int, _held: Mapping[str, int]) -> tuple[int, int]:
    """Delete what was said to notices and holds no longer."""
    table = schema.consents
    ended = sa.func.coalesce(table.c.withdrawn_at, table.c.said_at, table.c.seen_at) < cut_off
    closed = table.c.given.is_(None) | (table.c.given == 0)
    return connection.execute(sa.delete(table).where(ended, closed)).rowcount, 0


def _withdrawals(connection: sa.Connection, cut_off: int, _held: Mapping[str, int]) -> tuple[int, int]:
    """Delete withdrawals that every device has answered."""
    table, orders = schema.withdrawals, schema.privacy_orders
    waits = sa.select(orders.c.subject_id).where(orders.c.answered_at.is_(None))
    query = sa.select(table.c.withdrawal_id).where(table.c.withdrawn_at < cut_off)
    old = connection.execute(query.where(table.c.withdrawal_id.not_in(waits))).scalars().all()
    connection.execute(sa.delete(orders).where(orders.c.subject_id.in_(old)))
    return connection.execute(sa.delete(table).where(table.c.withdrawal_id.in_(old))).rowcount, 0


def _requests(connection: sa.Connection, cut_off: int, held: Mapping[str, int]) -> tuple[int, int]:
    """Delete answered requests of persons, and requests for crops with their orders, but for held people."""
    rights, crops, orders = schema.privacy_requests, schema.crop_requests, schema.privacy_orders
    gone = connection.execute(sa.delete(rights).where(rights.c.answered_at < cut_off)).rowcount
    query = sa.select(crops.c.request_id, crops.c.person_id).where(crops.c.asked_at < cut_off)
    rows = connection.execute(query).all()
    old = [row.request_id for row in rows if row.person_id not in held]
    connection.execute(sa.delete(orders).where(orders.c.subject_id.in_(old)))
    connection.execute(sa.delete(crops).where(crops.c.request_id.in_(old)))
    return gone + len(old), len(rows) - len(old)


def _sessions(connection: sa.Connection, cut_off: int, _held: Mapping[str, int]) -> tuple[int, int]:
    table = schema.account_sessions
    return connection.execute(sa.delete(table).where(table.c.seen_at < cut_off)).rowcount, 0


NIGHTLY: Mapping[str, Delete] = {
    "stay_names": _stay_names,
    "consents": _consents,
    "withdrawals": _withdrawals,
    "requests": _requests,
    "sessions": _sessions,
}


Forget = Callable[[int], int]
"""Deletes what lies in another file and is older than a cut-off; returns how many rows went."""


def delete_due(
    connection: sa.Connection,
    settings: Settings,
    key: OKPKey,
    now: datetime,
    elsewhere: Mapping[str, Forget] | None = None,
) -> dict[str, Any]:
    """Delete what is due, and keep a signed certificate, in one transaction.

    Args:
        connection: a transaction that writes.
        settings: the days.
        key: signs the certificate.
        now: when it is.
        elsewhere: by item, what deletes it where it does not lie in the store.

    Returns:
        What the certificate says.
    """
    held, done = held_people(connection), []
    for item in items(settings):
        if item.by == "night" and item.days is not None:
            cut_off = now - timedelta(days=item.days)
            if item.key in NIGHTLY:
                deleted, kept = NIGHTLY[item.key](connection, to_us(cut_off), held)
            elif elsewhere and item.key in elsewhere:
                deleted, kept = elsewhere[item.key](to_us(cut_off)), 0
            else:
                continue
            done.append(
                {
                    "item": item.key, "tables": list(item.tables), "days": item.days,
                    "cut_off": cut_off.astimezone(UTC).isoformat(), "deleted": deleted, "held": kept,
                }
            )  # fmt: skip
    last = connection.execute(
        sa.select(CERTIFICATES.c.certificate).order_by(CERTIFICATES.c.number.desc()).limit(1)
    ).scalar()
    said: dict[str, Any] = {
        "version": 1, "at": now.astimezone(UTC).isoformat(), "items": done,
        "previous": None if last is None else hashlib.sha256(last.encode()).hexdigest(),
    }  # fmt: skip
    envelope = keys.sign(orjson.dumps(said), key, KIND).decode()
    connection.execute(sa.insert(CERTIFICATES).values(at=to_us(now), certificate=envelope))
    return said


def last_deletion(connection: sa.Connection) -> datetime | None:
    """Return when was deleted last."""
    at = connection.execute(sa.select(sa.func.max(CERTIFICATES.c.at))).scalar()
    return None if at is None else from_us(at)


def certificates(connection: sa.Connection, limit: int = 30) -> Sequence[Mapping[str, Any]]:
    """Read the latest certificates, with what each says."""
    query = sa.select(CERTIFICATES).order_by(CERTIFICATES.c.number.desc()).limit(limit)
    return [
        {**row, "said": orjson.loads(keys.decode(keys.split(row["certificate"].encode())[1]))}
        for row in connection.execute(query).mappings()
    ]


def overdue_backups(connection: sa.Connection, settings: Settings, now: datetime) -> Sequence[str]:
    """Name backups that are older than the table says and still lie where they were written."""
    table = schema.backups
    before = to_us(now - timedelta(days=settings.retention.backups_days))
    paths = connection.execute(sa.select(table.c.path).where(table.c.taken_at < before)).scalars()
    return [path for path in paths if Path(path).exists()]


_DATED: Mapping[str, str] = {
    "log": "log_entries.received_at", "attendance": "attendance.received_at",
    "stay_names": "stays.discharged_at", "messages": "stay_messages.received_at",
    "quarantine": "quarantine.last_received_at", "consents": "consents.said_at",
    "withdrawals": "withdrawals.withdrawn_at",
    "requests": "privacy_requests.asked_at", "sessions": "account_sessions.seen_at",
    "access_log": "access_log.at", "backups": "backups.taken_at",
}  # fmt: skip


def overview(connection: sa.Connection, settings: Settings) -> Sequence[Mapping[str, Any]]:
    """Return the table with what is kept at central now: how many rows, the oldest, and until when it is."""
    found = []
    for item in items(settings):
        count = oldest = until = None
        if item.key in _DATED:
            name, column = _DATED[item.key].split(".")
            table = schema.metadata.tables[name]
            query = sa.select(sa.func.count(), sa.func.min(table.c[column])).select_from(table)
            if item.key == "stay_names":
                query = query.where((table.c.surname != "") | (table.c.masked_number != ""))
            count, oldest = connection.execute(query).one()
        if oldest is not None and item.days is not None:
            until = from_us(oldest) + timedelta(days=item.days)
        found.append({"item": item, "count": count, "oldest": oldest, "until": until})
    return found
