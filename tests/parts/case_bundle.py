"""One case as a file, with a judged line, a device's log under a checkpoint, and central's keys."""

import datetime as dt
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import orjson
from parts.cases import Desk, a_doubt

from renzheng.central.audit.oracle import Shared
from renzheng.central.audit.oracle.running import values_on
from renzheng.central.cases import bundle, freezing, journal, judging, records
from renzheng.central.nightly.line_case import LineCase
from renzheng.central.verify.checkpoint import Checkpoint, Leaf, path_to, root_of, sign_note
from renzheng.contracts import keys, log
from renzheng.contracts.tables import INPUT_TABLES
from renzheng.rules.pack import load_pack

NOW = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
ZONE = ZoneInfo("Asia/Shanghai")
DAY = dt.date(2026, 3, 4)


def _row(table, **values):
    return {**dict.fromkeys(INPUT_TABLES[table].by_name), **values}


def a_line_case():
    """A dialysis line of which nobody was seen while the devices were up: contradicted."""
    at = dt.datetime(2026, 3, 4, 2, tzinfo=dt.UTC)
    line = _row(
        "claim_lines", line_id="L1", institution_id="H1", visit_id="V1", person_id="P1", item_code="X",
        visit_type="inpatient", item_name="x", service_time=at, quantity=Decimal(1), amount=Decimal("400.00"),
    )  # fmt: skip
    tables = {
        "claim_lines": [line],
        "institutions": [_row("institutions", institution_id="H1", name="县医院", region_code="371121")],
        "item_catalogue": [_row("item_catalogue", item_code="X", item_class="haemodialysis")],
        "coverage": [
            _row(
                "coverage", institution_id="H1", device_id="K1", purpose="dialysis", state="up",
                from_at=at - dt.timedelta(days=40), to_at=at + dt.timedelta(days=6),
            )
        ],
        "stays": [
            _row("stays", institution_id="H1", visit_id="V9", person_id="P9",
                 admitted_at=at - dt.timedelta(days=9), discharged_at=at - dt.timedelta(days=7))
        ],
    }  # fmt: skip
    return LineCase(line, "haemodialysis", DAY, ZONE, tables, Shared({"H1": []}))


def _log_of(device_id, key, events):
    """Three batches of two entries each; return entries, envelopes."""
    entries, head = [], log.genesis(device_id)
    for number in range(events):
        event = {
            "type": "renzheng.v1.attendance.sign_in",
            "subject": f"P{number}",
            "data": {"number": number},
        }
        entries.append(log.append(head, orjson.dumps(event)))
        head = log.Head(entries[-1].sequence, entries[-1].hash)
    batches = [
        (
            entries[first].sequence,
            log.sign_batch(device_id, [one.line for one in entries[first : first + 2]], key),
        )
        for first in range(0, events, 2)
    ]
    return entries, batches, head


def evidence_of(device_key, central, *, institution="H1"):
    """Frozen evidence with one entry of a device, and what shows it."""
    entries, batches, head = _log_of("K1", device_key, 6)
    leaves = [Leaf("K0", log.Head(1, "0" * 64)), Leaf("K1", head), Leaf("K2", log.Head(7, "2" * 64))]
    hashes = [one.hash() for one in leaves]
    note = sign_note(Checkpoint("site", 3, root_of(hashes)), central)
    shown = entries[2]
    named = [
        {
            "sha256": freezing.sha256(envelope), "device_id": "K1", "institution_id": institution,
            "first": first, "last": first + 1, "key_id": keys.key_id(device_key), "received_at": NOW,
        }
        for first, envelope in batches[1:]
    ]  # fmt: skip
    judged = judging.frozen_case(a_line_case(), partial(values_on, None, load_pack()))
    verdict = {"verdict": "contradicted", "reason": "no_session"}
    document = {
        "lines": [{"line_id": "L1", "verdict": verdict, "around": None, "judged": judged}],
        "log": [
            {"event_id": "E", "device_id": "K1", "sequence": 3, "hash": shown.hash,
             "line": shown.line.decode(), "received_at": NOW}
        ],
        "batches": named,
        "keys": [
            {"device_id": "K1", "key_id": keys.key_id(device_key), "public_pem": keys.public_pem(device_key),
             "valid_from": NOW, "revoked_at": None, "from_sequence": 1, "until_sequence": None}
        ],
        "covered": [
            {"device_id": "K1", "from": 3, "head": 6, "hash": head.hash, "index": 1,
             "checkpoint": {"taken_at": NOW, "size": 3, "note": note}}
        ],
    }  # fmt: skip
    proofs = bundle.Proofs(
        {freezing.sha256(envelope): envelope for _, envelope in batches[1:]}, {(3, 1): path_to(hashes, 1)}
    )
    return document, proofs


def pack(key, document, proofs):
    """Pack a case in which one doubt with this evidence was confirmed and then withdrawn."""
    desk = Desk(a_doubt(1))
    kept, previous, frozen = [], journal.NOTHING, records.canonical(document)

    def write(act, who, *, doubt_id="", body=None, more=None, after):
        nonlocal previous
        actor = desk.people[who]
        entry = journal.Entry(
            len(kept) + 1, NOW, actor, act, doubt_id, body or {}, more or {}, after, previous
        )
        kept.append(journal.keep("C1", entry, key))
        previous = kept[-1].hash

    drafted = {
        "case": records.plain(desk.case),
        "doubts": [records.plain(one) for one in desk.doubts.values()],
    }
    write("draft", "auditor", more=drafted, after=journal.outcome(desk.case))
    hashed = freezing.sha256(frozen)
    after = desk.do("auditor", "confirm", evidence=hashed)
    write("confirm", "auditor", doubt_id="D1", more={"evidence_sha256": hashed}, after=journal.outcome(after))
    after = desk.do("auditor", "withdraw", evidence=hashed, reason="后来的记录支持")
    body = {"reason": "后来的记录支持"}
    write("withdraw", "auditor", doubt_id="D1", body=body, after=journal.outcome(after))
    return bundle.write(desk.case, list(desk.doubts.values()), kept, {"D1": frozen}, [key], proofs)
