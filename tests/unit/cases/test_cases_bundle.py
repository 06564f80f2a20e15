"""A case's file: the same bytes for the same case, and every altered byte refused by name."""

import datetime as dt
import zipfile

import pytest
from parts.cases import Desk, a_doubt

from renzheng.central.cases import acts, bundle, freezing, journal, records
from renzheng.central.cases.errors import BundleError
from renzheng.contracts import keys

FROZEN = b'{"lines":[],"log":[]}'
NOW = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def key():
    return keys.generate_key()


@pytest.fixture(scope="module")
def packed(key):
    """A case in which one doubt was confirmed and then withdrawn."""
    desk = Desk(a_doubt(1))
    kept, previous = [], journal.NOTHING

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
    hashed = freezing.sha256(FROZEN)
    after = desk.do("auditor", "confirm", evidence=hashed)
    write("confirm", "auditor", doubt_id="D1", more={"evidence_sha256": hashed}, after=journal.outcome(after))
    after = desk.do("auditor", "withdraw", evidence=hashed, reason="后来的记录支持")
    body = {"reason": "后来的记录支持"}
    write("withdraw", "auditor", doubt_id="D1", body=body, after=journal.outcome(after))
    assert after.state is acts.State.WITHDRAWN
    return desk.case, list(desk.doubts.values()), kept, {"D1": FROZEN}


def test_a_bundle_is_checked_without_the_service_and_is_the_same_each_time(packed, key, tmp_path):
    made = bundle.write(*packed, [key])
    assert made == bundle.write(*packed, [key])
    path = tmp_path / "case.zip"
    path.write_bytes(made)
    found = bundle.verify(path, [key])
    assert (found.entries, found.evidence, found.pinned) == (3, 1, True)
    assert not bundle.verify(path).pinned
    with pytest.raises(BundleError, match="not signed by central"):
        bundle.verify(path, [keys.generate_key()])


@pytest.mark.parametrize(
    "name", ["case.json", "journal.json", "evidence/D1.json", "central.json", "manifest.json"]
)
def test_each_file_that_was_altered_is_named(packed, key, tmp_path, name):
    path, other = tmp_path / "case.zip", tmp_path / "other.zip"
    path.write_bytes(bundle.write(*packed, [key]))
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(other, "w") as written:
        for one in read.namelist():
            content = read.read(one)
            written.writestr(one, content[:-1] + bytes([content[-1] ^ 1]) if one == name else content)
    with pytest.raises(BundleError, match=name):
        bundle.verify(other, [key])


def test_what_was_added_and_what_is_no_bundle_is_refused(packed, key, tmp_path):
    path = tmp_path / "case.zip"
    path.write_bytes(bundle.write(*packed, [key]))
    with zipfile.ZipFile(path, "a") as written:
        written.writestr("evidence/D2.json", "{}")
    with pytest.raises(BundleError, match=r"evidence/D2\.json"):
        bundle.verify(path, [key])
    path.write_bytes(b"PK")
    with pytest.raises(BundleError, match="no bundle"):
        bundle.verify(path)
