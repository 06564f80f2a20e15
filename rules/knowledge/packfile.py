"""A pack: points in one file that is signed as a whole, for the bureau, hospitals and devices alike.

The first line is a head, each further line a point, the last one the signature; all are JSON. A pack that has
no signature, or one of a key that is not known, is watched only, whatever it says.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from joserfc.jwk import OKPKey

from renzheng.common.files import write_whole
from renzheng.contracts.ids import KeyId
from renzheng.rules import signing
from renzheng.rules.errors import RulePackError, UnsignedPackError
from renzheng.rules.knowledge.points import Point, as_row, from_row

FORMAT = "renzheng-knowledge/1"
SUBJECT = "knowledge"
SUFFIX = ".knowledge"
MOST_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class KnowledgePack:
    """Points, and what was decided about them.

    Args:
        points: in the order of their ids, each edition of a point by its first day.
        approvals: who put what in force, oldest first.
        notes: place and text of rows of the files that hold no knowledge.
        codes: a region's own item codes, each with the national one that it stands for.
        signature: the envelope of the last line; None without one.
        body: the bytes that are signed.
    """

    points: tuple[Point, ...] = ()
    approvals: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)
    signature: bytes | None = None
    body: bytes = b""

    def signer(self, known: Sequence[OKPKey]) -> KeyId:
        """Return the key that signed it.

        Raises:
            UnsignedPackError: none of the known ones did.
        """
        try:
            return signing.signer(SUBJECT, {SUBJECT: self.body}, self.signature or b"", known)
        except ValueError as error:
            raise UnsignedPackError(
                f"The knowledge pack is not signed by a known key: {error}.",
                why="Without a signature nobody can tell whether two people have approved what it says.",
                do="Fetch it again, or approve it: renzheng knowledge approve",
            ) from error

    def in_force(self, day: dt.date) -> tuple[Point, ...]:
        """Return the points that hold on a service day."""
        return tuple(point for point in self.points if point.holds_on(day))


def write_pack(pack: KnowledgePack, path: Path, key: OKPKey | None = None) -> None:
    """Write a pack; without a key it is not signed."""
    body = _body(pack)
    signature = signing.sign(SUBJECT, {SUBJECT: body}, key) if key is not None else None
    last = orjson.dumps({"signature": signature.decode() if signature else None}) + b"\n"
    write_whole(path, body + last)


def _body(pack: KnowledgePack) -> bytes:
    points = sorted(pack.points, key=lambda one: (one.id, one.valid_from or dt.date.min, one.version))
    head = {
        "format": FORMAT,
        "points": len(points),
        "approvals": list(pack.approvals),
        "notes": [list(one) for one in pack.notes],
        "codes": dict(pack.codes),
    }
    return b"\n".join(orjson.dumps(row) for row in (head, *map(as_row, points))) + b"\n"


def read_pack(path: Path) -> KnowledgePack:
    """Read a pack; whether its signature holds is asked of `signer`.

    Raises:
        RulePackError: it cannot be read, or is no pack.
    """
    try:
        return _parsed(_content(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RulePackError(
            f"{path} cannot be read as a knowledge pack: {error}.",
            why="Knowledge that is not understood must not advise anybody.",
            do="Make one with: renzheng knowledge import FILE.xlsx --out PACK",
        ) from error


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    return path.read_bytes()


def _parsed(content: bytes) -> KnowledgePack:
    body, last = _split(content)
    head, *rows = body.splitlines()
    told = orjson.loads(head)
    if not isinstance(told, dict) or told.get("format") != FORMAT or told["points"] != len(rows):
        raise ValueError("its first line is not the head of a knowledge pack, or points are missing")
    signature = orjson.loads(last)["signature"]
    return KnowledgePack(
        points=tuple(from_row(orjson.loads(row)) for row in rows),
        approvals=tuple(told["approvals"]),
        notes=tuple((str(place), str(text)) for place, text in told["notes"]),
        codes={str(own): str(national) for own, national in told["codes"].items()},
        signature=str(signature).encode() if signature else None,
        body=body,
    )


def _split(content: bytes) -> tuple[bytes, bytes]:
    at = content.rstrip(b"\n").rfind(b"\n")
    if at < 0:
        raise ValueError("it is cut short")
    return content[: at + 1], content[at + 1 :]


def merged(pack: KnowledgePack, new: Iterable[Point], day: dt.date) -> KnowledgePack:
    """Put a new edition into a pack.

    What the edition says again stays as it is, with its power. What it says otherwise begins on `day`; what
    it no longer has ends the day before. Nothing is removed.

    Args:
        pack: as it is.
        new: the points of whole files.
        day: first service day of the new edition.
    """
    arriving = {one.id: one for one in new}
    editions = {_edition(one) for one in arriving.values()}
    kept: list[Point] = []
    for old in pack.points:
        again = arriving.get(old.id)
        if old.valid_to is not None or (again is None and _edition(old) not in editions):
            kept.append(old)
        elif again is not None and again.version == old.version:
            kept.append(
                replace(old, source=again.source, words=again.words, name=again.name, problem=again.problem)
            )
            del arriving[old.id]
        elif again is not None and old.valid_from == day:
            continue  # the same day's correction
        else:
            kept.append(old.withdrawn(day - dt.timedelta(days=1)))
    ids = {one.id for one in kept}
    added = [replace(one, valid_from=day) if one.id in ids else one for one in arriving.values()]
    return replace(pack, points=(*kept, *added), signature=None, body=b"")


def with_notes(pack: KnowledgePack, notes: Iterable[tuple[str, str]]) -> KnowledgePack:
    """Keep notes that the pack does not have yet."""
    return replace(pack, notes=tuple(dict.fromkeys((*pack.notes, *notes))))


def _edition(point: Point) -> tuple[str, ...]:
    """Return what is published together: drugs or items of one kind in one batch; else one file."""
    if not point.batch:
        return ("", point.source.partition(":")[0], point.region)
    drugs = bool(point.items) and point.items[0][:1] in {"X", "Z", "T"}
    return (point.batch, point.kind.value, "drug" if drugs else "item", point.region)
