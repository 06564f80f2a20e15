"""The console's pages of rounds: what was promised, how far the answers are, what was published.

Of a round that is not open the pages know no more than its commitment says.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from joserfc.jwk import OKPKey

from renzheng.central.access.roles import Permission
from renzheng.central.draw.answers import RateCategory, SettledCheck
from renzheng.central.draw.delivery import opening_code
from renzheng.central.draw.documents import units_of
from renzheng.central.draw.export import read_settled
from renzheng.central.draw.reading import count_rounds, read_round, read_rounds
from renzheng.central.draw.rounds import Rounds
from renzheng.central.draw.verifying import Holds, verify_round
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.store.times import to_us
from renzheng.central.web.console.pages import ROWS_A_PAGE, PageNumber, Times, page_addresses, render
from renzheng.central.web.guard import needs
from renzheng.contracts import keys

JSON = "application/json"
OPENED = ("open", "published")


def build_router(database: Database, settings: Settings, clock: Callable[[], datetime]) -> APIRouter:
    """Build the pages over a store; looking at them also settles what has become due."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    zone = ZoneInfo(settings.timezone)

    def signing_key() -> OKPKey:
        return keys.load_private_key(settings.key_file.read_bytes())

    def settle() -> None:
        Rounds(database, signing_key(), settings.checkpoints_dir).settle(clock())

    @router.get("/rounds")
    @needs(Permission.ROUNDS)
    def show_rounds(request: Request, page: PageNumber = 1) -> Response:
        settle()
        with database.reading() as connection:
            total = count_rounds(connection)
            rows = read_rounds(connection, ROWS_A_PAGE, (page - 1) * ROWS_A_PAGE)
        pages = page_addresses(request, page, total)
        return render(request, "rounds.html", rounds=rows, total=total, pages=pages, when=Times(zone))

    @router.get("/rounds/{round_id}")
    @needs(Permission.ROUNDS)
    def show_round(request: Request, round_id: str) -> Response:
        settle()
        with database.reading() as connection:
            row = read_round(connection, round_id)
            if row is None:
                raise HTTPException(404)
            opened = row["state"] in OPENED
            found = read_settled(connection, to_us(clock()), round_id=round_id) if opened else []
            code = opening_code(connection, round_id, clock(), signing_key())
        viewer.note_persons(one.check.person_id for one in found)
        checks = sorted(found, key=lambda one: (one.check.institution_id, one.check.ward, one.check.visit_id))
        frame = orjson.loads(row["frame"])
        units = units_of(frame)
        return render(
            request,
            "round.html",
            round=row,
            devices=frame.get("devices"),
            holders=_holders(row),
            commitment=orjson.loads(row["commitment"]),
            candidates=sum(len(unit.candidates) for unit in units),
            units=len(units),
            checks=checks,
            code=code,
            groups=_grouped(checks),
            counts=Counter(one.standing for one in checks),
            standing=RateCategory,
            holds=_holds(row, signing_key()),
            when=Times(zone),
        )

    @router.get("/rounds/{round_id}/commitment.json")
    @needs(Permission.ROUNDS)
    def send_commitment(round_id: str) -> Response:
        with database.reading() as connection:
            row = read_round(connection, round_id)
        if row is None:
            raise HTTPException(404)
        told = {
            "commitment": orjson.loads(row["commitment"]),
            "commitment_sha256": row["commitment_sha256"],
            "signature": row["signed"],
        }
        return _file(
            orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS),
            f"draw-{row['number']}.json",
        )

    @router.get("/rounds/{round_id}/published.json")
    @needs(Permission.ROUNDS)
    def send_published(round_id: str) -> Response:
        settle()
        with database.reading() as connection:
            row = read_round(connection, round_id)
        if row is None or row["published"] is None:
            raise HTTPException(404)
        told = orjson.loads(row["published"])
        return _file(
            orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS),
            f"round-{row['number']}.json",
        )

    return router


def _file(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content + b"\n", media_type=JSON, headers=headers)


def _grouped(checks: Sequence[SettledCheck]) -> Sequence[Mapping[str, Any]]:
    """Count the checks of each ward by how they stand."""
    groups: dict[tuple[str, str, str], Counter[RateCategory]] = {}
    for one in checks:
        key = (one.check.institution_id, one.check.ward, one.check.purpose)
        groups.setdefault(key, Counter())[one.standing] += 1
    return [
        {"institution_id": institution, "ward": ward, "purpose": purpose, "counts": counts}
        for (institution, ward, purpose), counts in sorted(groups.items())
    ]


def _holders(row: Mapping[str, Any]) -> Sequence[str]:
    """Read which devices held the sheets, once the round is published."""
    return () if row["published"] is None else orjson.loads(row["published"]).get("holders", ())


def _holds(row: Mapping[str, Any], key: OKPKey) -> bool | None:
    """Verify a published round as any outsider would; None while it is not published."""
    if row["published"] is None:
        return None
    found = verify_round(orjson.loads(row["published"]), kept_sha256=row["commitment_sha256"], key=key)
    return isinstance(found, Holds)
