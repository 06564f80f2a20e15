"""Signed calls, rosters and sealed sheets: what one side writes the other reads, and nothing else."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.contracts import keys, requests, rosters, rounds

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
KEY = keys.generate_key()
TARGET = "/device/v1/inpatients?day=2026-03-01"


def sheet() -> rounds.Sheet:
    check = rounds.Check(check_id="c1", visit_id="v1", person_id="p1", surname="王", ward="3", bed="12")
    return rounds.Sheet(
        round_id="r1",
        institution_id="H1",
        institution_name="县医院",
        drawn_at=NOW,
        due_at=NOW + timedelta(hours=1),
        closes_at=NOW + timedelta(hours=3),
        checks=(check,),
    )


def test_a_signed_call_is_known_by_its_key() -> None:
    header = requests.sign_request(KEY, "GET", TARGET, b"", NOW)
    assert requests.signer(header) == keys.key_id(KEY)
    said = requests.open_request(header, KEY, "GET", TARGET, b"", NOW + timedelta(minutes=4))
    assert said.target == TARGET


@pytest.mark.parametrize(
    ("method", "target", "body", "late"),
    [
        ("POST", TARGET, b"", 0),
        ("GET", "/device/v1/inpatients?day=2026-03-02", b"", 0),
        ("GET", TARGET, b"x", 0),
        ("GET", TARGET, b"", 6),
        ("GET", TARGET, b"", -6),
    ],
)
def test_a_signature_serves_its_own_call_only(method: str, target: str, body: bytes, late: int) -> None:
    header = requests.sign_request(KEY, "GET", TARGET, b"", NOW)
    with pytest.raises(requests.RequestError):
        requests.open_request(header, KEY, method, target, body, NOW + timedelta(minutes=late))


@pytest.mark.parametrize("header", [None, "", "Bearer x", "Renzheng ", "Renzheng a.b", "Renzheng ü.ü.ü"])
def test_what_is_not_signed_is_refused(header: str | None) -> None:
    with pytest.raises(requests.RequestError):
        requests.open_request(header or "", KEY, "GET", TARGET, b"", NOW)
    with pytest.raises(requests.RequestError):
        requests.signer(header)


def test_another_devices_key_does_not_open_it() -> None:
    header = requests.sign_request(keys.generate_key(), "GET", TARGET, b"", NOW)
    with pytest.raises(requests.RequestError, match="does not hold"):
        requests.open_request(header, KEY, "GET", TARGET, b"", NOW)


def test_a_sheet_opens_with_its_rounds_code_however_it_is_typed() -> None:
    code = rounds.new_opening_code()
    sealed = rounds.SealedSheet.model_validate_json(rounds.seal(sheet(), code).model_dump_json())
    assert rounds.unseal(sealed, code.lower().replace("-", " ").replace("0", "o")) == sheet()


@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_an_altered_sheet_does_not_open(at: int, bit: int) -> None:
    code = rounds.new_opening_code()
    sealed = rounds.seal(sheet(), code)
    text = bytearray(sealed.sealed)
    text[at % len(text)] ^= 1 << bit
    with pytest.raises(rounds.RoundError):
        rounds.unseal(sealed.model_copy(update={"sealed": bytes(text)}), code)


@pytest.mark.parametrize(
    "change",
    [{"round_id": "r2"}, {"institution_id": "H2"}, {"closes_at": NOW + timedelta(days=9)}, {"sealed": b""}],
)
def test_a_sheet_is_bound_to_its_round_and_moments(change: dict[str, object]) -> None:
    code = rounds.new_opening_code()
    with pytest.raises(rounds.RoundError):
        rounds.unseal(rounds.seal(sheet(), code).model_copy(update=change), code)


@pytest.mark.parametrize("code", ["", "AAAAA", "AAAAA-BBBBB-CCCCC-DDDDD"])
def test_another_code_opens_nothing(code: str) -> None:
    with pytest.raises(rounds.RoundError):
        rounds.unseal(rounds.seal(sheet(), rounds.new_opening_code()), code)


def test_a_leave_covers_until_the_return_else_until_it_was_due_else_for_good() -> None:
    hour = timedelta(hours=1)
    away = rosters.Away(kind="leave", left_at=NOW, recorded_at=NOW)
    assert away.covers(NOW)
    assert away.covers(NOW + 1000 * hour)
    assert not away.covers(NOW - hour)
    due = away.model_copy(update={"due_back_at": NOW + 2 * hour})
    assert due.covers(NOW + hour)
    assert not due.covers(NOW + 2 * hour)
    late = due.model_copy(update={"returned_at": NOW + 3 * hour})
    assert late.covers(NOW + 2.5 * hour)
    assert not late.covers(NOW + 3 * hour)


def test_a_roster_names_the_fields_at_fault_and_no_values() -> None:
    good = rosters.InpatientRoster(institution_id="H1", day=date(2026, 3, 1), made_at=NOW)
    assert rosters.read_roster(good.model_dump_json().encode()) == good
    with pytest.raises(rosters.RosterError) as raised:
        rosters.read_roster(b'{"institution_id": "secret", "day": "nonsense", "made_at": 1}')
    assert "day" in str(raised.value)
    assert "nonsense" not in str(raised.value)
