"""A fourth kind of device takes less than a hundred lines: what it needs is in edge/device and edge/look."""

import ast
import time
from pathlib import Path

import pytest
from parts import counter
from parts.counter import PharmacyCounter
from parts.edge import StandInEngine, jpeg_of, make_settings, stepped_clock

from renzheng.contracts.log import read_entry

MINE, OTHER, DARK = 120, 200, 0


@pytest.fixture
def pharmacy(tmp_path):
    settings = make_settings(tmp_path, coverage={"page_expected": False})
    device = PharmacyCounter(settings, stepped_clock(), StandInEngine())
    device.registration.enrol(
        "P1", surname="王某", card_number="62220000", photographs=[jpeg_of(MINE)], consented=True
    )
    device.start()
    yield device
    device.stop()


def filmed(shade):
    """A camera's frames, some a second."""
    while True:
        time.sleep(0.05)
        yield jpeg_of(shade)


@pytest.mark.parametrize(
    ("shade", "outcome"), [(MINE, "match"), (OTHER, "non_match"), (DARK, "not_acquired")]
)
def test_it_tells_a_patient_from_somebody_else(pharmacy, shade, outcome):
    assert pharmacy.check("P1", filmed(shade)) == outcome
    event = read_entry(pharmacy.log.lines(0, 100)[-1]).event
    assert event["type"].endswith("identity_check")
    assert (event["subject"], event["data"]["outcome"]) == ("P1", outcome)


def test_it_has_what_every_device_has(pharmacy):
    health = pharmacy.health()
    assert (health["state"], health["moving"]) == ("up", True)
    assert health["software"].endswith("(stand-in)")
    kinds = [read_entry(line).event["type"].rpartition(".")[2] for line in pharmacy.log.lines(0, 100)]
    assert kinds[-1] == "started"
    pharmacy.beat()


def test_it_is_short_and_knows_no_other_agent():
    source = Path(counter.__file__).read_text("utf-8")
    assert len(source.splitlines()) < 100
    imported = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.split(".")[2:3] in (["kiosk"], ["ward"], ["bedside"])]
