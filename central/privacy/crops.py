"""One crop for one doubt or finding: asked for, allowed by a second person, released, shown once.

The device seals the crop to the bureau's key (HPKE, RFC 9180), bound to request, event and device. It lies in
a file that is in no backup, is opened once for the one who asked, and is deleted then or when its time is up.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from renzheng.central.access import separation
from renzheng.central.privacy import orders
from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.privacy.holds import UNDECIDED
from renzheng.central.settings import Settings
from renzheng.central.store import schema, viewer
from renzheng.central.store.times import to_us
from renzheng.common.files import write_new, write_whole
from renzheng.contracts.ids import new_id
from renzheng.contracts.privacy import CROP_SUITE, Release, crop_info

TABLE, ORDERS = schema.crop_requests, schema.privacy_orders
ANSWER_WITHIN = timedelta(days=7)
"""An offline device may answer so much later; afterwards it refuses."""
WITHDRAWN = "withdrawn"
Subject = Literal["doubt", "finding"]


class CropStore:
    """The bureau's key, and the sealed crops that wait to be shown.

    Args:
        settings: where both lie.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder: Path = settings.crops_dir
        self._key_file: Path = settings.crops_key_file

    def _key(self) -> X25519PrivateKey:
        if not self._key_file.exists():
            made = X25519PrivateKey.generate().private_bytes_raw()
            self._key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_new(self._key_file, made)
        return X25519PrivateKey.from_private_bytes(self._key_file.read_bytes())

    def public_key(self) -> str:
        """Return the key to which crops are sealed (raw, base64)."""
        return base64.b64encode(self._key().public_key().public_bytes_raw()).decode()

    def put(self, request_id: str, sealed: bytes) -> None:
        """Keep a sealed crop until it is shown."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._folder / request_id, sealed)

    def open(self, row: Mapping[str, Any]) -> bytes:
        """Open the crop of a request and delete what was kept of it; JPEG.

        Raises:
            RequestRefusedError: it is gone, or not of this request.
        """
        path = self._folder / row["request_id"]
        try:
            sealed = path.read_bytes()
            info = crop_info(row["request_id"], row["event_id"], row["device_id"])
            crop = CROP_SUITE.decrypt(sealed, self._key(), info)
        except (FileNotFoundError, InvalidTag, ValueError):
            crop = b""
        self.delete(row["request_id"])
        if not crop.startswith(b"\xff\xd8\xff"):
            raise RequestRefusedError(
                "What the device released is not this crop.",
                why="It was sealed to another key, for another request, or is no picture.",
                do="Ask anew, and let the administrator look at the device.",
            )
        return crop

    def delete(self, request_id: str) -> None:
        """Delete a crop; nothing happens when there is none."""
        (self._folder / request_id).unlink(missing_ok=True)


def ask(
    connection: sa.Connection, settings: Settings, asked: Mapping[str, str], by: str, now: datetime
) -> str:
    """Ask for one crop; return the request's id.

    Args:
        connection: a writing transaction.
        settings: whether a second person allows it.
        asked: `subject` (doubt or finding), `subject_id`, `event_id` and `purpose`.
        by: the account.
        now: when.

    Raises:
        RequestRefusedError: there is no such event, it is not of the subject's person, or has no purpose.
    """
    events, purpose = schema.attendance, asked.get("purpose", "").strip()
    query = sa.select(events).where(events.c.event_id == asked.get("event_id", ""))
    event = connection.execute(query).mappings().first()
    subject, subject_id = asked.get("subject", ""), asked.get("subject_id", "")
    if event is None or not purpose or event["person_id"] not in _people(connection, subject, subject_id):
        raise RequestRefusedError(
            "This crop cannot be asked for.",
            why="A request names one event of the person whom a doubt or finding is about, and its purpose.",
            do="Take the event's id from the evidence of the doubt or finding.",
        )
    request_id = new_id()
    values = {
        "request_id": request_id, "subject": subject, "subject_id": subject_id, "purpose": purpose,
        "event_id": event["event_id"], "device_id": event["device_id"], "person_id": event["person_id"],
        "institution_id": event["institution_id"], "asked_by": by, "asked_at": to_us(now),
    }  # fmt: skip
    connection.execute(sa.insert(TABLE).values(values))
    separation.do(connection, ("crop", request_id), "ask", by, now)
    if not settings.crops.second_person:
        _issue(connection, settings, values, None, now)
    return request_id


def allow(connection: sa.Connection, settings: Settings, request_id: str, by: str, now: datetime) -> str:
    """Allow a request, as another person than the one who asked; return whose crop it is.

    Raises:
        RequestRefusedError: there is no such request, or it is decided already.
        DutyError: it is the one who asked.
    """
    row = find(connection, request_id)
    if row is None or _is_decided(row):
        raise _decided()
    separation.do(connection, ("crop", request_id), "allow", by, now)
    _issue(connection, settings, row, by, now)
    return str(row["person_id"])


def refuse(connection: sa.Connection, request_id: str, by: str, now: datetime) -> str:
    """Refuse a request; return whose crop it is.

    Raises:
        RequestRefusedError: there is no such request, or it is decided already.
    """
    row = find(connection, request_id)
    if row is None or _is_decided(row):
        raise _decided()
    values = {"refused_at": to_us(now), "allowed_by": by}
    connection.execute(sa.update(TABLE).where(TABLE.c.request_id == request_id).values(**values))
    return str(row["person_id"])


def _is_decided(row: Mapping[str, Any]) -> bool:
    return any(row[name] is not None for name in ("allowed_at", "refused_at", "outcome"))


def _decided() -> RequestRefusedError:
    return RequestRefusedError("This request is not open.", do="See the list of requests.")


def _issue(
    connection: sa.Connection, settings: Settings, row: Mapping[str, Any], by: str | None, now: datetime
) -> None:
    act = Release(
        request_id=row["request_id"],
        person_id=row["person_id"],
        event_id=row["event_id"],
        purpose=row["purpose"],
        recipient_key=CropStore(settings).public_key(),
        asked_by=row["asked_by"],
        allowed_by=by,
        second_person=settings.crops.second_person,
        until=now + ANSWER_WITHIN,
    )
    orders.issue(connection, {row["device_id"]: act}, (row["request_id"], row["person_id"]), now)
    values = {"allowed_at": to_us(now), "allowed_by": by}
    connection.execute(sa.update(TABLE).where(TABLE.c.request_id == row["request_id"]).values(**values))


def take(connection: sa.Connection, request_id: str, outcome: str, now: datetime) -> None:
    """Note what the device answered."""
    values = {"answered_at": to_us(now), "outcome": outcome}
    open_one = (TABLE.c.request_id == request_id) & TABLE.c.answered_at.is_(None)
    connection.execute(sa.update(TABLE).where(open_one).values(**values))


def begin_showing(
    connection: sa.Connection, settings: Settings, request_id: str, by: str, now: datetime
) -> Mapping[str, Any]:
    """Use up the one showing of a crop; whoever then fails to show it must ask anew.

    Raises:
        RequestRefusedError: it is somebody else's request, is not here, was shown, or its time is over.
    """
    row = find(connection, request_id)
    since = to_us(now - timedelta(hours=settings.crops.show_within_hours))
    ready = (
        (TABLE.c.request_id == request_id)
        & (TABLE.c.asked_by == by)
        & (TABLE.c.outcome == "released")
        & TABLE.c.shown_at.is_(None)
        & TABLE.c.deleted_at.is_(None)
        & (TABLE.c.answered_at > since)
    )
    values = {"shown_at": to_us(now), "deleted_at": to_us(now)}
    if row is None or connection.execute(sa.update(TABLE).where(ready).values(**values)).rowcount != 1:
        raise RequestRefusedError(
            "This crop is not shown.",
            why="It is shown once, to the one who asked for it, within its time.",
            do="Ask anew if it is needed again.",
        )
    return row


def expired(connection: sa.Connection, settings: Settings, now: datetime) -> list[str]:
    """Name those that nobody has looked at in time, and those whose person has withdrawn."""
    before = to_us(now - timedelta(hours=settings.crops.show_within_hours))
    old = (TABLE.c.outcome == "released") & (TABLE.c.answered_at <= before)
    gone = (old | (TABLE.c.outcome == WITHDRAWN)) & TABLE.c.deleted_at.is_(None)
    return list(connection.execute(sa.select(TABLE.c.request_id).where(gone)).scalars())


def withdraw(connection: sa.Connection, person_id: str, now: datetime) -> None:
    """End every request for a crop of somebody who has withdrawn, but for what an undecided doubt rests on.

    What waits at central is not shown any more and deleted at the next turn; a device is not asked any more.
    """
    undecided = sa.select(schema.doubts.c.doubt_id).where(UNDECIDED, schema.doubts.c.person_id == person_id)
    ended = (
        (TABLE.c.person_id == person_id)
        & TABLE.c.refused_at.is_(None)
        & TABLE.c.deleted_at.is_(None)
        & (TABLE.c.outcome.is_(None) | (TABLE.c.outcome == "released"))
        & ~((TABLE.c.subject == "doubt") & TABLE.c.subject_id.in_(undecided))
    )
    requests = connection.execute(sa.select(TABLE.c.request_id).where(ended)).scalars().all()
    values = {"answered_at": to_us(now), "outcome": WITHDRAWN}
    same = TABLE.c.request_id.in_(requests)
    connection.execute(sa.update(TABLE).where(same).values(**values))
    waits = ORDERS.c.subject_id.in_(requests) & ORDERS.c.answered_at.is_(None)
    connection.execute(sa.update(ORDERS).where(waits).values(**values))


def note_deleted(connection: sa.Connection, request_ids: Sequence[str], now: datetime) -> None:
    """Note crops as deleted."""
    same = TABLE.c.request_id.in_(request_ids)
    connection.execute(sa.update(TABLE).where(same).values(deleted_at=to_us(now)))


def find(connection: sa.Connection, request_id: str) -> Mapping[str, Any] | None:
    """Read one request."""
    row = connection.execute(sa.select(TABLE).where(TABLE.c.request_id == request_id)).mappings().first()
    return None if row is None else dict(row)


def listed(connection: sa.Connection, limit: int) -> Sequence[Mapping[str, Any]]:
    """Read requests that the viewer may see, the latest first."""
    query = sa.select(TABLE).where(viewer.may_see(TABLE.c.institution_id)).order_by(TABLE.c.asked_at.desc())
    rows = connection.execute(query.limit(limit)).mappings()
    return [{**row, "state": _state(dict(row))} for row in rows]


def _state(row: Mapping[str, Any]) -> str:
    if row["refused_at"] is not None:
        return "refused"
    if row["allowed_at"] is None and row["answered_at"] is None:
        return "asked"
    if row["answered_at"] is None:
        return "waiting"
    if row["outcome"] != "released":
        return str(row["outcome"])
    if row["shown_at"] is not None:
        return "shown"
    return "ready" if row["deleted_at"] is None else "expired"


def _people(connection: sa.Connection, subject: str, subject_id: str) -> set[str]:
    """Name the people whom a doubt or a finding is about."""
    if subject == "doubt":
        table, key = schema.doubts, schema.doubts.c.doubt_id
    elif subject == "finding":
        table, key = schema.findings, schema.findings.c.finding_id
    else:
        return set()
    rows = connection.execute(sa.select(table.c.person_id).where(key == subject_id)).scalars()
    return {person for person in rows if person}


def watermarked(crop: bytes, row: Mapping[str, Any], viewer_name: str, at: str) -> str:
    """Lay who looks, when and why over a crop, many times, as one SVG that asks nobody for anything.

    Args:
        crop: JPEG.
        row: the request.
        viewer_name: who looks.
        at: when, in the site's time.
    """
    told = html.escape(f"{viewer_name}  {at}  {row['request_id'][:13]}", quote=False)
    lines = "".join(f'<text x="-40" y="{y}">{told}   {told}   {told}</text>' for y in range(-200, 900, 46))
    picture = base64.b64encode(crop).decode()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600" role="img">'
        f"<title>{told}</title>"
        f'<image href="data:image/jpeg;base64,{picture}" width="600" height="600"/>'
        '<g transform="rotate(-24 300 300)" font-size="17" font-family="sans-serif" fill="#fff" '
        f'fill-opacity=".55" stroke="#000" stroke-opacity=".35" stroke-width=".5">{lines}</g></svg>'
    )
