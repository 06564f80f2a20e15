"""Files that institutions hand in: known by their content, hashed, and read by whoever may see their case."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa

from renzheng.central.access.roles import Role
from renzheng.central.cases.errors import BodyError, NotFoundError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.reading import DOUBTS, is_of_a_hospital, seen_by
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.contracts.ids import new_id

TABLE = schema.attachments
MOST_BYTES = 20_000_000
KINDS: Mapping[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}
"""What may be handed in, known by how it begins."""
_ZIP = b"PK\x03\x04"
_OFFICE = "application/vnd.openxmlformats-officedocument"
PACKED: Mapping[str, str] = {
    "word/document.xml": f"{_OFFICE}.wordprocessingml.document",
    "xl/workbook.xml": f"{_OFFICE}.spreadsheetml.sheet",
}
"""DOCX and XLSX are ZIP files, known by a part that each has."""
MOST_UNPACKED = 200_000_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that was handed in.

    Args:
        attachment_id: its id.
        kind: its media type, as its content shows.
        sha256: of its content.
        size: in bytes.
    """

    attachment_id: str
    kind: str
    sha256: str
    size: int


def kind_of(content: bytes) -> str:
    """Return a file's media type.

    Raises:
        BodyError: it is too large, or none that is taken.
    """
    if len(content) > MOST_BYTES:
        raise BodyError(
            f"The file is larger than {MOST_BYTES // 1_000_000} MB.",
            do="Hand it in as several, or scan it in fewer dots.",
        )
    kind = next((kind for kind, begins in KINDS.items() if content.startswith(begins)), None)
    if content.startswith(_ZIP):
        kind = _kind_of_zip(content)
    if kind is None:
        raise BodyError(
            "The file is none of PDF, PNG, JPEG, TIFF, DOCX or XLSX.",
            why="What a file is, is seen from its content, not from its name.",
        )
    return kind


def _kind_of_zip(content: bytes) -> str | None:
    """Return the kind of an Office document; None of any other ZIP, of one with macros, and of a bomb."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            parts = {one.filename: one.file_size for one in packed.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    if sum(parts.values()) > MOST_UNPACKED or any(name.endswith("vbaProject.bin") for name in parts):
        return None
    return next((kind for part, kind in PACKED.items() if part in parts), None)


def keep(
    connection: sa.Connection, actor: Actor, content: bytes, now: datetime, institution_id: str | None = None
) -> Attachment:
    """Keep a file of an institution, the actor's own when none is named.

    Raises:
        BodyError: it is too large, or none that is taken.
    """
    kept = Attachment(new_id(), kind_of(content), hashlib.sha256(content).hexdigest(), len(content))
    values = {
        "attachment_id": kept.attachment_id,
        "account_id": actor.account,
        "institution_id": institution_id or next(iter(sorted(actor.institutions)), None),
        "added_at": to_us(now),
        "kind": kept.kind,
        "sha256": kept.sha256,
        "content": content,
    }
    connection.execute(sa.insert(TABLE).values(values))
    return kept


def read(connection: sa.Connection, actor: Actor, attachment_id: str) -> tuple[str, bytes]:
    """Read a file's media type and content.

    Raises:
        NotFoundError: there is none, or it is not this actor's to see.
    """
    row = connection.execute(sa.select(TABLE).where(TABLE.c.attachment_id == attachment_id)).first()
    if row is None or not _sees(connection, actor, row):
        raise NotFoundError("There is no such attachment.")
    return row.kind, row.content


def _sees(connection: sa.Connection, actor: Actor, row: sa.Row[tuple[object, ...]]) -> bool:
    if not is_of_a_hospital(actor):
        return True
    if row.institution_id not in actor.institutions:
        return False
    if Role.HOSPITAL_OFFICE in actor.roles or row.account_id == actor.account:
        return True
    records = connection.execute(sa.select(DOUBTS.c.record).where(*seen_by(actor, DOUBTS))).scalars()
    return any(row.attachment_id in orjson.loads(record)["attachments"] for record in records)
