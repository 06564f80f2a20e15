"""A round's way through central: committed to, drawn and sealed, open from its hour on, published at its end.

commit      frame frozen, shares promised, commitment signed and published; the sample cannot be known
seal        both officers and the public value give the seed; sheets are sealed, nobody sees the sample
settle      when due: the checks become known here; when closed: the whole round is published
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.access import separation
from renzheng.central.draw.documents import (
    COMMITMENT_KIND,
    NO_COMMITMENT,
    SYSTEM,
    Commitment,
    PublishedRound,
    canonical,
    digest,
    make_seed,
    read_document,
    share_digest,
    units_of,
)
from renzheng.central.draw.frame import FrozenFrame, Person, Wanted, as_text, freeze
from renzheng.central.draw.public_values import check_value, source_of
from renzheng.central.draw.sampling import Drawn, draw
from renzheng.central.draw.sealing import (
    SHARE_BYTES,
    Officer,
    make_officer,
    open_round,
    open_share,
    seal_round,
    seal_share,
    unwrap_code,
    wrap_code,
)
from renzheng.central.draw.sheets import Sealing, make_sheets
from renzheng.central.draw.verifying import sample_rows
from renzheng.central.errors import DrawError
from renzheng.central.ingest import spot_check_answers
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.times import from_us, to_us
from renzheng.common.files import write_whole
from renzheng.contracts import keys
from renzheng.contracts.ids import is_bureau, new_id
from renzheng.contracts.rounds import new_opening_code

ROUNDS, SHEETS, CHECKS = schema.rounds, schema.round_sheets, schema.round_checks
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What an officer asks for.

    Args:
        assigned: institution to the device that is to carry its checks; these institutions are drawn from.
        wards: how many wards (or groups of running sessions) are drawn.
        per_ward: how many people in each.
        public_value: which value will be mixed in, as everybody can read it.
        known_at: from when on that value can be known.
        due_at: from when the checks may be opened.
        closes_at: until when an answer counts.
    """

    wanted: Wanted
    assigned: Mapping[str, str]
    wards: int
    per_ward: int
    public_value: str
    known_at: datetime
    due_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """An officer's name, and what the officer typed."""

    name: str
    text: str

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, …)"


@dataclass(frozen=True, slots=True)
class Committed:
    """A round that has been committed to, and the file that says so."""

    round_id: str
    number: int
    sha256: str
    file: Path
    candidates: int


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What came of a draw: shares and seed, the sample, who is left out of the sheets, who holds them."""

    public_value: str
    seed: bytes
    shares: Sequence[bytes]
    drawn_at: datetime
    sample: list[Drawn]
    left_out: Sequence[str]
    holders: Sequence[str]


class Rounds:
    """Takes rounds through their stages.

    Args:
        database: the store.
        key: central's signing key.
        folder: where commitments and rounds are published, beside the checkpoints.
    """

    def __init__(self, database: Database, key: OKPKey, folder: Path) -> None:
        self._database = database
        self._key = key
        self._folder = folder

    def commit(self, plan: Plan, typed: tuple[Secret, Secret], now: datetime) -> Committed:
        """Freeze the frame, promise the seed, and publish the commitment.

        Raises:
            DrawError: the moments are not in order, the officers are one person, a secret is too short, a
                device cannot carry the checks, or there is nobody to draw from.
        """
        now = now.astimezone(UTC).replace(microsecond=0)
        _check_plan(plan, typed, now)
        round_id = new_id()
        officers = _officers(typed, round_id)
        share, salt = secrets.token_bytes(SHARE_BYTES), secrets.token_bytes(SALT_BYTES)
        with self._database.writing() as connection:
            _check_devices(connection, plan)
            _check_holders(plan.wanted.devices, plan.assigned)
            frame = freeze(connection, round_id, salt, plan.wanted, now)
            number, previous = _last(connection)
            commitment = {
                "version": 1,
                "round_id": round_id,
                "number": number + 1,
                "previous": previous,
                "committed_at": as_text(now),
                "frame_sha256": digest(frame.document),
                "salt_sha256": hashlib.sha256(salt).hexdigest(),
                "system_share_sha256": share_digest(round_id, SYSTEM, share),
                "officers": [_promise(round_id, officer) for officer in officers],
                "public_value": {"description": plan.public_value, "known_at": as_text(plan.known_at)},
                "sample": {"wards": plan.wards, "per_ward": plan.per_ward},
                "due_at": as_text(plan.due_at),
                "closes_at": as_text(plan.closes_at),
                "weighting": plan.wanted.weighting.told(),
            }
            read_document(canonical(commitment), Commitment)
            signed = keys.sign(canonical(commitment), self._key, COMMITMENT_KIND).decode()
            row = _row(plan, commitment, signed, frame, salt)
            sealed = seal_share(share, officers, round_id)
            connection.execute(sa.insert(ROUNDS).values(**row, sealed_share=sealed))
            _keep_duties(connection, round_id, "commit", officers, now)
        path = self._publish(
            f"draw-{number + 1}.json",
            {"commitment": commitment, "commitment_sha256": digest(commitment), "signature": signed},
        )
        return Committed(round_id, number + 1, digest(commitment), path, len(frame.people))

    def seal(self, round_id: str, public_value: str, typed: tuple[Secret, Secret], now: datetime) -> int:
        """Draw the sample with the public value and seal it, unseen; return how many sheets there are.

        Raises:
            DrawError: there is no such round to draw, the value cannot be known yet, the round is past due,
                or a secret is not the one of the commitment.
        """
        now = now.astimezone(UTC).replace(microsecond=0)
        public_value = _one_line(public_value)
        officers = _officers(typed, round_id)
        with self._database.writing() as connection:
            row = _find(connection, round_id, "committed")
            _check_moment(row, now)
            commitment = orjson.loads(row["commitment"])
            _check_promises(commitment, officers)
            _keep_duties(connection, round_id, "seal", officers, now)
            check_value(commitment["public_value"]["description"], public_value)
            share = open_share(bytes(row["sealed_share"]), officers, round_id)
            shares = [share, *(officer.share for officer in officers)]
            seed = make_seed(round_id, shares, public_value)
            frame, size = orjson.loads(row["frame"]), commitment["sample"]
            assigned = orjson.loads(row["assigned"])
            _check_holders(frame.get("devices", 1), assigned)
            drawn = draw(seed, units_of(frame), size["wards"], size["per_ward"])
            people = {ref: Person(*told) for ref, told in orjson.loads(row["people"]).items()}
            code = new_opening_code()
            due_at, closes_at = from_us(row["due_at"]), from_us(row["closes_at"])
            sealing = Sealing(round_id, now, due_at, closes_at, code, assigned)
            made = make_sheets(connection, sealing, [people[one.ref] for one in drawn])
            for sheet in made.sheets:
                device_id = assigned[sheet.institution_id]
                connection.execute(
                    sa.insert(SHEETS).values(
                        round_id=round_id, label=sheet.label, device_id=device_id, sheet=sheet.sealed
                    )
                )
            left_out = [one.ref for one in drawn if people[one.ref] in made.left_out]
            holders = sorted({assigned[sheet.institution_id] for sheet in made.sheets})
            document = _document(row, _Drawing(public_value, seed, shares, now, drawn, left_out, holders))
            within = orjson.dumps({"round": document, "checks": made.checks})
            values = {
                "state": "drawn",
                "drawn_at": to_us(now),
                "wrapped_code": wrap_code(code, round_id, self._key),
                "sealed_round": seal_round(within, code, round_id),
            }
            connection.execute(sa.update(ROUNDS).where(ROUNDS.c.round_id == round_id).values(values))
            return len(made.sheets)

    def settle(self, now: datetime) -> Sequence[Path]:
        """Do what has become due: open rounds, publish closed ones, let lapse what was never drawn.

        Returns:
            The files published.
        """
        now_us = to_us(now)
        with self._database.reading() as connection:
            waiting = connection.execute(_due(now_us)).first()
        if waiting is None:
            return ()
        published: list[tuple[str, Mapping[str, Any]]] = []
        with self._database.writing() as connection:
            waits = _due(now_us).with_for_update()  # console and night may come at the same moment
            for row in [dict(found) for found in connection.execute(waits).mappings()]:
                values: dict[str, Any] = {"state": "lapsed"}
                if row["state"] != "committed":
                    within = self._unseal(row)
                    if row["state"] == "drawn":
                        assigned = orjson.loads(row["assigned"])
                        checks = [
                            {**one, "device_id": assigned.get(one["institution_id"])}
                            for one in within["checks"]
                        ]
                        connection.execute(sa.insert(CHECKS), checks)
                        spot_check_answers.adopt(connection, {one["check_id"] for one in checks}, now_us)
                        values = {"state": "open"}
                    if row["closes_at"] <= now_us:
                        text = orjson.dumps(within["round"]).decode()
                        values = {"state": "published", "published_at": now_us, "published": text}
                        published.append((f"round-{row['number']}.json", within["round"]))
                connection.execute(
                    sa.update(ROUNDS).where(ROUNDS.c.round_id == row["round_id"]).values(values)
                )
        return [self._publish(name, document) for name, document in published]

    def publish_again(self) -> Sequence[Path]:
        """Write the published files that are not there; a process may have ended between store and file."""
        query = sa.select(ROUNDS).order_by(ROUNDS.c.number)
        missing: list[tuple[str, Mapping[str, Any]]] = []
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                told = {"commitment": orjson.loads(row["commitment"])}
                told |= {"commitment_sha256": row["commitment_sha256"], "signature": row["signed"]}
                files = [(f"draw-{row['number']}.json", told)]
                if row["published"] is not None:
                    files.append((f"round-{row['number']}.json", orjson.loads(row["published"])))
                missing += [(name, value) for name, value in files if not (self._folder / name).exists()]
        return [self._publish(name, document) for name, document in missing]

    def _unseal(self, row: Mapping[str, Any]) -> dict[str, Any]:
        code = unwrap_code(bytes(row["wrapped_code"]), row["round_id"], self._key)
        within = orjson.loads(open_round(bytes(row["sealed_round"]), code, row["round_id"]))
        read_document(orjson.dumps(within["round"]), PublishedRound)
        return dict(within)

    def _publish(self, name: str, document: Mapping[str, Any]) -> Path:
        path = self._folder / name
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        write_whole(path, content + b"\n")
        return path


def _due(now_us: int) -> sa.Select[Any]:
    waits_for_due = ROUNDS.c.state.in_(("committed", "drawn")) & (ROUNDS.c.due_at <= now_us)
    waits_for_close = (ROUNDS.c.state == "open") & (ROUNDS.c.closes_at <= now_us)
    return sa.select(ROUNDS).where(waits_for_due | waits_for_close).order_by(ROUNDS.c.number)


def _last(connection: sa.Connection) -> tuple[int, str]:
    query = sa.select(ROUNDS.c.number, ROUNDS.c.commitment_sha256).order_by(ROUNDS.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.number, row.commitment_sha256) if row else (0, NO_COMMITMENT)


def _promise(round_id: str, officer: Officer) -> dict[str, str]:
    return {"name": officer.name, "share_sha256": share_digest(round_id, officer.name, officer.share)}


def _row(
    plan: Plan, commitment: Mapping[str, Any], signed: str, frame: FrozenFrame, salt: bytes
) -> dict[str, Any]:
    told = {
        ref: [one.institution_id, one.ward, one.purpose, one.visit_id, one.person_id]
        for ref, one in frame.people.items()
    }
    return {
        "round_id": commitment["round_id"],
        "number": commitment["number"],
        "state": "committed",
        "committed_at": _moment_us(commitment["committed_at"]),
        "known_at": _moment_us(commitment["public_value"]["known_at"]),
        "due_at": _moment_us(commitment["due_at"]),
        "closes_at": _moment_us(commitment["closes_at"]),
        "commitment": canonical(commitment).decode(),
        "commitment_sha256": digest(commitment),
        "signed": signed,
        "frame": canonical(frame.document).decode(),
        "people": orjson.dumps(told).decode(),
        "salt": base64.b64encode(salt).decode(),
        "assigned": orjson.dumps(dict(plan.assigned)).decode(),
    }


def _document(row: Mapping[str, Any], drawing: _Drawing) -> dict[str, Any]:
    frame = orjson.loads(row["frame"])
    document = {
        "version": frame["version"],
        "commitment": orjson.loads(row["commitment"]),
        "commitment_sha256": row["commitment_sha256"],
        "signature": row["signed"],
        "frame": frame,
        "shares": {
            "system": drawing.shares[0].hex(),
            "officers": [share.hex() for share in drawing.shares[1:]],
        },
        "public_value": drawing.public_value,
        "seed": drawing.seed.hex(),
        "drawn_at": as_text(drawing.drawn_at),
        "sample": sample_rows(drawing.sample),
        "left_out": list(drawing.left_out),
    }
    if frame["version"] > 1:
        document["holders"] = list(drawing.holders)
    return {**document, "sha256": digest(document)}


def _moment_us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def _officers(typed: tuple[Secret, Secret], round_id: str) -> tuple[Officer, Officer]:
    first, second = (make_officer(secret.name, secret.text, round_id) for secret in typed)
    return first, second


def _keep_duties(
    connection: sa.Connection, round_id: str, duty: str, officers: tuple[Officer, Officer], now: datetime
) -> None:
    """Keep who drew a round, so that no answer of theirs in it counts (`export`)."""
    for officer in officers:
        separation.do(connection, ("round", round_id), duty, officer.name, now)


def _one_line(text: str) -> str:
    plain = " ".join(text.split())
    if not plain or not plain.isprintable():
        raise DrawError(
            "That is no public value.", do="Type it as the commitment's description says, on one line."
        )
    return plain


def _find(connection: sa.Connection, round_id: str, state: str) -> Mapping[str, Any]:
    row = connection.execute(sa.select(ROUNDS).where(ROUNDS.c.round_id == round_id)).mappings().first()
    if row is None:
        raise DrawError(f"There is no round {round_id!r}.", do="See: renzheng central draw list")
    if row["state"] != state:
        raise DrawError(
            f"The round {round_id} is {row['state']}, not {state}.",
            why="A round is drawn once; drawing again would let somebody choose among samples.",
            do="Commit to a new round.",
        )
    return dict(row)


def _check_moment(row: Mapping[str, Any], now: datetime) -> None:
    if to_us(now) < row["known_at"]:
        raise DrawError(
            f"The public value cannot be known before {as_text(from_us(row['known_at']))}.",
            why="Whoever knew it earlier could have chosen the sample.",
            do="Come back then.",
        )
    if to_us(now) >= row["due_at"]:
        raise DrawError(
            f"The round was due at {as_text(from_us(row['due_at']))}, and was not drawn in time.",
            do="Commit to a new round; this one stays in the record as lapsed.",
        )


def _check_promises(commitment: Mapping[str, Any], officers: tuple[Officer, Officer]) -> None:
    found = [_promise(commitment["round_id"], officer) for officer in officers]
    if found != commitment["officers"]:
        raise DrawError(
            "A name or a secret is not the one of the commitment.",
            why="Only the shares promised before the public value was known may make the seed.",
            do="Type both again, in the order of the commitment.",
        )


def _check_plan(plan: Plan, typed: tuple[Secret, Secret], now: datetime) -> None:
    if typed[0].name == typed[1].name or typed[0].text == typed[1].text:
        raise DrawError(
            "A round takes two officers, each with a name and a secret of their own.",
            why="One person alone could learn the sample before it is due.",
        )
    if not now < plan.known_at < plan.due_at < plan.closes_at:
        raise DrawError(
            "Now, the public value, the hour when it is due and the close are not in this order.",
            why="A value known already, or only after the checks are open, makes nothing unpredictable.",
            do="Name a value that will be known after now and before the round is due.",
        )
    source_of(plan.public_value)
    unassigned = sorted(set(plan.wanted.institutions) - set(plan.assigned))
    if unassigned:
        raise DrawError(f"No device is assigned to {', '.join(unassigned[:5])}.", do="Name one by --device.")


def _check_holders(most: int, assigned: Mapping[str, str]) -> None:
    """See that the sheets go to no more devices than the frame says in public."""
    holders = set(assigned.values())
    if len(holders) > most:
        raise DrawError(
            f"The sheets would go to {len(holders)} devices, and the round's frame says {most}.",
            why="Each further device can give a list away, and everybody may count them.",
            do=f"Name fewer devices, or commit to a round that says so: --devices {len(holders)}.",
        )


def _check_devices(connection: sa.Connection, plan: Plan) -> None:
    """See that each device is in use, and a bureau's or the institution's own."""
    table = schema.devices
    query = sa.select(table.c.device_id, table.c.institution_id).where(table.c.revoked_at.is_(None))
    stands_at = {row.device_id: row.institution_id for row in connection.execute(query)}
    for institution_id, device_id in sorted(plan.assigned.items()):
        place = stands_at.get(device_id)
        if place is None:
            raise DrawError(f"There is no device {device_id!r} in use.", do="See: renzheng central devices")
        if place != institution_id and not is_bureau(place):
            raise DrawError(
                f"The device {device_id!r} stands at {place}, and cannot carry checks of {institution_id}.",
                why="One hospital would read the list of another.",
                do="Take a device that is registered at the bureau.",
            )
