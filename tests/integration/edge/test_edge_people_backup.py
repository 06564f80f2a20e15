"""Whom a device knows outlives its disk; who has taken a consent back stays forgotten."""

import base64
import shutil

import pytest
from parts.edge import DAY, StandInEngine, jpeg_of, make_settings, stepped_clock

from renzheng.contracts.privacy import RestoreAnswer
from renzheng.contracts.sealing import SealError
from renzheng.edge.device.people_backup import PeopleBackupError, restore, take
from renzheng.edge.errors import FolderInUseError
from renzheng.edge.kiosk.main import build_agent

WORDS, MINE, OTHER = "six random words of a list", 120, 200


def make_agent(folder):
    return build_agent(make_settings(folder), clock=stepped_clock(), engine=StandInEngine())


def enrol(agent, person, face):
    agent.registration.enrol(
        person, surname="王某", card_number=f"62220000{person}", photographs=[jpeg_of(face)], consented=True
    )


@pytest.fixture
def kept(tmp_path):
    """A backup of a device with two people, a witness and an e-credential; and the device."""
    agent = make_agent(tmp_path / "old")
    enrol(agent, "P1", MINE)
    enrol(agent, "P2", OTHER)
    agent.people.put_witness("1001", "2468")
    agent.people.put_credential("P1", "a code")
    out = tmp_path / "people.sealed"
    assert take(agent.settings.device, out, WORDS, DAY) == 2
    yield agent, out
    agent.store.close()


def central_of(agent):
    """Answer as central does that has the halves of this device's keys."""
    shares = {who: base64.b64encode(half).decode() for who, half in agent.people.shares().items()}
    return lambda _asked: RestoreAnswer(shares=shares, withdrawn={})


def model_of(agent):
    return agent.store.row("SELECT model_id FROM person_references")["model_id"]


def test_people_come_back_under_the_new_disks_own_key(kept, tmp_path):
    old, out = kept
    for words in ("62220000P1", "王某", "a code"):  # long enough not to be in what is sealed by chance
        assert words.encode() not in out.read_bytes()
    assert out.stat().st_mode & 0o077 == 0
    before = old.people.references("P1", model_of(old))
    new = make_agent(tmp_path / "new")
    with pytest.raises(SealError):
        restore(new.settings.device, out, "six other words of a list")
    central = central_of(old)
    done = restore(new.settings.device, out, WORDS, central)
    assert (done.people, done.references, done.refused) == (2, 2, 0)
    (after,) = new.people.references("P1", model_of(new))
    assert (after.values == before[0].values).all()
    assert new.people.witness("1001", "2468") == "1001"
    assert new.people.by_credential("a code").person_id == "P1"
    assert new.people.by_card("62220000P2").person_id == "P2"
    assert restore(new.settings.device, out, WORDS, central).references == 0  # twice does no harm
    assert new.log.head().sequence == 0
    new.store.close()


def test_who_took_the_consent_back_stays_forgotten(kept):
    old, out = kept
    central = central_of(old)
    old.withdraw_consent("P1")
    done = restore(old.settings.device, out, WORDS, central)
    assert (done.references, done.refused) == (0, 1)
    assert old.people.references("P1", model_of(old)) == []
    assert not old.people.consented(
        "P1", *old.store.row("SELECT notice, notice_version FROM consents").values()
    )


def test_nothing_is_restored_under_a_running_agent_or_elsewhere_or_over_a_file(kept, tmp_path):
    old, out = kept
    with pytest.raises(PeopleBackupError, match="cannot be written"):
        take(old.settings.device, out, WORDS, DAY)
    elsewhere = old.settings.device.model_copy(update={"institution_id": "H2"})
    with pytest.raises(PeopleBackupError, match="institution"):
        restore(elsewhere, out, WORDS)
    shutil.copy(out, tmp_path / "cut")
    (tmp_path / "cut").write_bytes(out.read_bytes()[:-1])
    with pytest.raises(SealError):
        restore(old.settings.device, tmp_path / "cut", WORDS)
    running = make_agent(tmp_path / "running")
    running.start()
    try:
        with pytest.raises(FolderInUseError):
            restore(running.settings.device, out, WORDS)
    finally:
        running.stop()
