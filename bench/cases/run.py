"""Times lists of doubts through the pages and the API, and the steps of one large case, in this process."""

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from renzheng.bench.pages.store import Size, fill
from renzheng.bench.pages.timing import Timing, time_page
from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.web.api.cases import MOST_DOUBTS
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import utc_now

DOUBTS, EVIDENCE = schema.doubts, schema.doubt_evidence
MONTH = "2026-03"
LISTS = {
    "doubts": "/doubts?state=drafted",
    "doubts, last page": "/doubts?state=drafted&page=200",
    "doubts, by amount": "/doubts?sort=amount",
    "doubts, by day": "/doubts?sort=day",
    "doubts, by person": "/doubts?sort=person",
    "doubts, certain ones": "/doubts?certainty=high",
    "doubts, of a doctor": "/doubts?doctor=D0007",
    "institutions": "/doubts?group=institution",
    "persons": "/doubts?group=person",
    "doctors": "/doubts?group=doctor",
    "kinds": "/doubts?group=shape",
    "cases": f"/cases?month={MONTH}",
    "ledger": "/ledger",
    "API, doubts": "/api/v1/doubts?limit=100",
    "API, cases": "/api/v1/cases",
    "API, ledger": "/api/v1/ledger",
}


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Args:
        doubts: drafted.
        draft_seconds: for all of them.
        confirmed: of the largest case.
        confirm_ms: of each, in steps on many.
        evidence_kilobytes: of each, frozen.
        issue_seconds: for the case with all of them.
        issue_processor_seconds: the part of it in which this process worked.
        receive_seconds: for the same case.
        lists: what each list takes.
    """

    doubts: int
    draft_seconds: float
    confirmed: int
    confirm_ms: float
    evidence_kilobytes: float
    issue_seconds: float
    issue_processor_seconds: float
    receive_seconds: float
    lists: Sequence[Timing]


def run(
    lines: int, institutions: int, times: int, told: Callable[[str], object], database_url: str | None = None
) -> Costs:
    """Fill a store with a month, draft it, ask for its lists, then confirm and issue its largest case.

    Args:
        lines: audited in the month.
        institutions: of so many.
        times: how often each list is asked for, after once that is not counted.
        told: hears how far it is.
        database_url: an empty PostgreSQL; a SQLite file of its own when None.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings({"data_dir": folder, "port": 0, "database_url": database_url or ""})
        make_signing_key(settings.key_file)
        database = Database(settings.database)
        database.migrate()
        fill(
            database, settings.runs_dir, Size(lines, 1, institutions), lambda month: told(f"filling {month}")
        )
        server = WebServer(build_app(database, settings, utc_now, Metrics()), "127.0.0.1", 0)
        server.start()
        try:
            return _measure(_Bureau(server.url, database), times, told)
        finally:
            server.stop()
            database.close()


class _Bureau:
    """An auditor, and an institution's office, who work through the API.

    Args:
        url: of the server.
        database: where their accounts are made.
    """

    def __init__(self, url: str, database: Database) -> None:
        self.url, self.database = url, database
        now = utc_now()
        with database.writing() as connection:
            accounts.add(connection, New("auditor", frozenset({Role.AUDITOR})), "bench", now)
            self.token = accounts.give_token(connection, "auditor", now)

    def office(self, institution_id: str) -> str:
        """Return the token of an institution's office."""
        now, new = utc_now(), New("office", frozenset({Role.HOSPITAL_OFFICE}), frozenset({institution_id}))
        with self.database.writing() as connection:
            accounts.add(connection, new, "bench", now)
            return accounts.give_token(connection, "office", now)

    def post(self, path: str, body: Mapping[str, Any], token: str = "") -> tuple[Any, float, float]:
        """Do a step; return the answer, and the seconds that it took, in all and of this process."""
        asked = urllib.request.Request(f"{self.url}/api/v1{path}", json.dumps(body).encode())  # noqa: S310
        asked.add_header("Authorization", f"Bearer {token or self.token}")
        asked.add_header("Content-Type", "application/json")
        begin, worked = time.perf_counter(), time.process_time()
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - our own server
            found = json.loads(answer.read())
        return found, time.perf_counter() - begin, time.process_time() - worked


def _measure(bureau: _Bureau, times: int, told: Callable[[str], object]) -> Costs:
    told("drafting")
    _, draft_seconds, _ = bureau.post("/cases/draft", {"month": MONTH})
    told("asking for lists")
    lists = [time_page(name, bureau.url + path, times, bureau.token) for name, path in LISTS.items()]
    with bureau.database.reading() as connection:
        doubts = connection.execute(sa.select(sa.func.count()).select_from(DOUBTS)).scalar_one()
        largest = sa.select(DOUBTS.c.case_id, DOUBTS.c.institution_id).group_by(
            DOUBTS.c.case_id, DOUBTS.c.institution_id
        )
        case_id, place = connection.execute(largest.order_by(sa.func.count().desc()).limit(1)).one()
        query = sa.select(DOUBTS.c.doubt_id, DOUBTS.c.version).where(DOUBTS.c.case_id == case_id)
        wanted = {row.doubt_id: row.version for row in connection.execute(query)}
    told(f"confirming {len(wanted)} doubts of one case")
    ids, confirming = list(wanted), 0.0
    for first in range(0, len(ids), MOST_DOUBTS):
        some = {one: wanted[one] for one in ids[first : first + MOST_DOUBTS]}
        confirming += bureau.post("/doubts/confirm", {"doubts": some})[1]
    with bureau.database.reading() as connection:
        size = connection.execute(sa.select(sa.func.avg(sa.func.length(EVIDENCE.c.evidence)))).scalar_one()
    told("issuing it")
    _, issue, issue_worked = bureau.post(f"/cases/{case_id}/issue", {})
    _, receive, _ = bureau.post(f"/cases/{case_id}/receive", {}, bureau.office(place))
    return Costs(
        doubts=doubts,
        draft_seconds=draft_seconds,
        confirmed=len(wanted),
        confirm_ms=confirming * 1000 / len(wanted),
        evidence_kilobytes=float(size) / 1000,
        issue_seconds=issue,
        issue_processor_seconds=issue_worked,
        receive_seconds=receive,
        lists=lists,
    )
