"""The devices' log behind frozen evidence: gathered from a store, checked without it."""

import copy

import orjson
import pytest

from renzheng.central.cases import frozen_log, reading, records
from renzheng.central.cases.checking_log import LogOfADoubt
from renzheng.central.cases.errors import BundleError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.verify.publish import take_checkpoint
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now
from renzheng.contracts.log import read_entry

KEY = keys.generate_key()


@pytest.fixture
def shown(database, writer, tmp_path):
    """Evidence with entries 5 and 120 of a device under the second of three checkpoints."""
    writer.many(250)
    batches = writer.batches()
    take = Ingest(database, KEY, utc_now).take
    topic = f"renzheng/v1/s1/{writer.device_id}/up/log"
    for part in (batches[:1], batches[1:2], batches[2:]):
        take([Message(topic, one) for one in part])
        take_checkpoint(database, "site", KEY, tmp_path, utc_now())
    with database.writing() as connection:
        gathered = frozen_log.gather(connection, [(writer.device_id, 5), (writer.device_id, 120)])
        frozen_log.keep(connection, gathered)
        frozen_log.keep(connection, gathered)
    lines = [
        line
        for batch in batches
        for line in keys.decode(keys.split(batch)[1]).split(b"\n")
        if read_entry(line).sequence in {5, 120}
    ]
    log = [
        {"device_id": writer.device_id, "sequence": read_entry(line).sequence, "hash": read_entry(line).hash,
         "line": line.decode()}
        for line in lines
    ]  # fmt: skip
    return orjson.loads(records.canonical({"log": log, **gathered.documents}))


def check(database, evidence, *, reader=None, by=KEY):
    with database.reading() as connection:
        proofs = reading.proofs_of(connection, {"D": records.canonical(evidence)}, reader)
    return LogOfADoubt(
        "evidence/D.json", evidence, proofs.batches, proofs.paths, reader or "H1", [by]
    ).check()


def test_entries_are_shown_by_signature_chain_and_checkpoint(database, shown):
    found = check(database, shown)
    assert (found.entries, found.signed, found.covered, found.left_out) == (2, 2, 2, 0)
    assert [one["checkpoint"]["size"] for one in shown["covered"]] == sorted(
        one["checkpoint"]["size"] for one in shown["covered"]
    )
    other = check(database, shown, reader="H9")
    assert (other.signed, other.covered, other.left_out) == (0, 0, 2)


def test_another_key_another_entry_or_a_hole_is_refused(database, shown):
    with pytest.raises(BundleError, match="not signed by central"):
        check(database, shown, by=keys.generate_key())
    holed = copy.deepcopy(shown)
    del holed["batches"][0]
    with pytest.raises(BundleError, match="does not lead"):
        check(database, holed)
    moved = copy.deepcopy(shown)
    moved["log"][0]["sequence"] = 6
    with pytest.raises(BundleError, match="not what was signed"):
        check(database, moved)
