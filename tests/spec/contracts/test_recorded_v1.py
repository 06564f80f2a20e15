"""Version 1 of every message, as recorded when it was fixed: it must be read for ever, byte for byte."""

from pathlib import Path
from typing import get_args

import orjson
import pytest

from renzheng.contracts import keys, log, messages
from renzheng.contracts.errors import InputError
from renzheng.contracts.events import Event, parse_event

RECORDED = Path(__file__).parent / "recorded" / "v1"
EVENTS = sorted((RECORDED / "events").glob("*.json"))
DEVICE = "kiosk-01"


@pytest.fixture
def device_key():
    return keys.load_public_key((RECORDED / "device-key.public.pem").read_bytes())


@pytest.fixture
def lines():
    return (RECORDED / "log.ndjson").read_bytes().splitlines()


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_read_and_written_back_to_the_same_bytes(path):
    recorded = path.read_bytes().rstrip(b"\n")
    assert parse_event(recorded).to_json() == recorded


def test_every_type_of_event_is_recorded():
    written = {orjson.loads(path.read_bytes())["type"] for path in EVENTS}
    assert written == {model.model_fields["type"].default for model in get_args(Event)}


def test_the_log_holds_from_its_genesis(lines):
    heads = [head for _, head in log.follow(log.genesis(DEVICE), lines)]
    assert [head.sequence for head in heads] == list(range(1, len(lines) + 1))


def test_the_log_is_bound_to_its_device(lines):
    with pytest.raises(log.BrokenChainError) as refused:
        list(log.follow(log.genesis("kiosk-02"), lines))
    assert (refused.value.problem, refused.value.sequence) == ("altered", 1)


def test_the_batch_opens_with_the_device_key(device_key, lines):
    batch = log.open_batch((RECORDED / "batch.jws").read_bytes(), device_key)
    assert (batch.device_id, list(batch.lines)) == (DEVICE, lines)
    assert batch.key_id == keys.key_id(device_key)


def test_the_acknowledgement_opens_with_centrals_key_and_names_the_head(lines):
    central = keys.load_public_key((RECORDED / "central-key.public.pem").read_bytes())
    ack = messages.open_ack((RECORDED / "ack.jws").read_bytes(), central)
    *_, (_, head) = log.follow(log.genesis(DEVICE), lines)
    assert (ack.upto, ack.head_hash, ack.problem) == (head.sequence, head.hash, None)


def test_the_status_is_read_and_written_back():
    recorded = (RECORDED / "status.json").read_bytes().rstrip(b"\n")
    assert messages.parse_status(recorded).to_json() == recorded


def recorded_rotation():
    return log.read_entry((RECORDED / "rotation.ndjson").read_bytes().rstrip(b"\n"))


def rotation_key(which):
    return keys.load_public_key((RECORDED / f"rotation-{which}-key.public.pem").read_bytes())


def test_the_change_of_key_follows_the_log_and_both_keys_signed_it(lines):
    *_, (_, head) = log.follow(log.genesis(DEVICE), lines)
    entry = recorded_rotation()
    assert (entry.previous, log.is_rotation(entry)) == (head.hash, True)
    new = log.open_rotation(DEVICE, entry, rotation_key("old"))
    assert keys.key_id(new) == keys.key_id(rotation_key("new"))


@pytest.mark.parametrize("broken", ["device", "old key", "place", "new key"])
def test_a_change_of_key_counts_for_one_device_place_and_pair_of_keys_only(broken):
    entry, old, device = recorded_rotation(), rotation_key("old"), DEVICE
    if broken == "device":
        device = "kiosk-02"
    if broken == "old key":
        old = rotation_key("new")
    if broken == "place":
        entry = log.Entry(entry.sequence, "0" * 64, entry.line, entry.event)
    if broken == "new key":
        data = entry.event["data"] | {"new_key": keys.public_pem(keys.generate_key())}
        entry = log.Entry(entry.sequence, entry.previous, entry.line, entry.event | {"data": data})
    with pytest.raises(InputError):
        log.open_rotation(device, entry, old)
