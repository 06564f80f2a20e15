"""What the kiosk makes of liveness: profiles, records, devices without hardware, the page's calls."""

import pytest
from parts.edge import make_settings
from pydantic import ValidationError

from renzheng.contracts.events import AttendanceData, Outcome, Pad
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People, template_key
from renzheng.edge.errors import UnknownPersonError
from renzheng.edge.kiosk.screen import CameraCall, PaintedCall, challenge_of
from renzheng.edge.kiosk.virtual import virtual_video_devices
from renzheng.models.liveness.challenge import EVERY_ABILITY, Ability, Plan
from renzheng.models.liveness.light import Colour
from renzheng.models.liveness.pose import Challenge


@pytest.fixture
def people(tmp_path):
    store = Store(tmp_path / "device.sqlite")
    yield People(store, template_key(tmp_path / "template.key"))
    store.close()


def test_a_patient_can_do_everything_until_a_nurse_says_otherwise(people):
    people.put_patient("P1", surname="王", card_number="62221111")
    assert people.abilities("P1") == EVERY_ABILITY
    people.put_abilities("P1", frozenset({Ability.NOD}))
    assert people.abilities("P1") == {Ability.NOD}
    people.put_abilities("P1", frozenset())
    assert people.abilities("P1") == frozenset()
    with pytest.raises(UnknownPersonError):
        people.put_abilities("P2", frozenset())


def test_a_device_without_hardware_is_named_and_a_camera_is_not(tmp_path):
    devices, found = tmp_path / "devices", tmp_path / "class"
    found.mkdir()
    for name, place in {"video0": "pci0000/usb1/video4linux", "video9": "virtual/video4linux"}.items():
        folder = devices / place / name
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"Camera of {name}\n", encoding="utf-8")
        (found / name).symlink_to(folder)
    assert virtual_video_devices(found) == ("Camera of video9",)
    assert virtual_video_devices(tmp_path / "none") == ()


def test_the_page_is_told_the_plan_and_nothing_where_nothing_may_be_asked():
    plan = Plan("n", Challenge.NOD, (Colour.MINT, Colour.SKY))
    told = challenge_of(plan)
    assert (told.nonce, told.movement, told.colours, told.step_ms) == (
        "n",
        "nod",
        ("#78e196", "#87b9ff"),
        400,
    )
    assert challenge_of(Plan("n")) is None
    assert challenge_of(None) is None


def test_what_the_page_says_is_bounded():
    with pytest.raises(ValidationError):
        PaintedCall(nonce="n", step=64)
    with pytest.raises(ValidationError):
        CameraCall(state="up", label="x" * 201)


def test_an_event_may_name_the_signals_and_an_old_one_does_not():
    fields = {
        "institution_id": "H1",
        "clock": {"trusted": True, "boot_id": "b", "monotonic_ms": 1},
        "purpose": "dialysis",
        "outcome": Outcome.NOT_ACQUIRED,
        "pad": Pad.NOT_SHOWN,
        "reason": "liveness_not_shown",
    }
    assert AttendanceData.model_validate(fields).pad_signals is None
    named = AttendanceData.model_validate({**fields, "pad_signals": ["virtual_camera:-1.8"]})
    assert AttendanceData.model_validate_json(named.model_dump_json()) == named


def test_a_site_may_choose_to_note_what_it_does_not_refuse(tmp_path):
    assert make_settings(tmp_path, kiosk={"unshown_liveness": "refuse"}).kiosk.unshown_liveness == "refuse"
    with pytest.raises(ValidationError):
        make_settings(tmp_path, kiosk={"unshown_liveness": "ignore"})
