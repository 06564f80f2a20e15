"""At the door: signed by its own device or not answered; a whole withdrawal goes over the wire's own form."""

import asyncio
import base64

import pytest
from parts.asking import Asking
from parts.privacy import Office

from renzheng.central.privacy import withdrawals
from renzheng.central.site.calls import Callers
from renzheng.central.site.door import Counter, build_door
from renzheng.contracts.privacy import (
    PRIVACY_PATH,
    RESTORE_PATH,
    SHARES_PATH,
    RestoreAnswer,
    RestoreAsked,
    Shares,
    Waiting,
    open_order,
)
from renzheng.contracts.requests import sign_request


class Wire:
    """A device's signed calls, in the test's own process."""

    def __init__(self, office, app):
        self.office, self.app = office, app

    def call(self, kiosk, method, path, body=b"", *, key=None):
        header = sign_request(key or kiosk.key, method, path, body, self.office.now)
        return asyncio.run(Asking(self.app).ask(method, path, body, {"authorization": header}))


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    office = Office(tmp_path_factory.mktemp("door"))

    def clock():
        return office.now

    counter = Counter(lambda *_: None, lambda _: (), lambda _: (), office.privacy)
    app = build_door(None, Callers(office.database, clock), counter, clock)
    office.kiosk("kiosk-1", "H1")
    office.kiosk("kiosk-2", "H2")
    yield Wire(office, app)
    office.close()


def test_nothing_is_told_or_taken_unsigned(wire):
    kiosk = wire.office.kiosks["kiosk-1"]
    takes = [("POST", path) for path in (PRIVACY_PATH, SHARES_PATH, RESTORE_PATH)]
    for method, path in (("GET", PRIVACY_PATH), *takes):
        assert asyncio.run(Asking(wire.app).ask(method, path, b"{}")).status == 401
        if method == "POST":
            assert wire.call(kiosk, method, path, b"no json").status == 400


def test_a_withdrawal_over_the_wire(wire):
    office, kiosk, other = wire.office, wire.office.kiosks["kiosk-1"], wire.office.kiosks["kiosk-2"]
    half = {"P1": base64.b64encode(bytes(range(32))).decode()}
    body = Shares(shares=half).model_dump_json().encode()
    assert wire.call(kiosk, "POST", SHARES_PATH, body).status == 200
    asked = RestoreAsked(device_id="kiosk-1", people=("P1", "P2")).model_dump_json().encode()
    told = RestoreAnswer.model_validate_json(wire.call(kiosk, "POST", RESTORE_PATH, asked).body)
    assert (told.shares, told.withdrawn) == (half, {})
    assert wire.call(other, "POST", RESTORE_PATH, asked).status == 400, "another institution's device"
    with office.database.writing() as connection:
        withdrawals.begin(
            connection, withdrawals.asked_here(connection, "P1", "console", "chen", office.now), office.now
        )
    office.privacy.settle()
    told = RestoreAnswer.model_validate_json(wire.call(kiosk, "POST", RESTORE_PATH, asked).body)
    assert (told.shares, list(told.withdrawn)) == ({}, ["P1"])
    waiting = Waiting.model_validate_json(wire.call(kiosk, "GET", PRIVACY_PATH).body)
    (order,) = waiting.orders
    answer = kiosk.privacy.answer(open_order(order, office.key))
    assert wire.call(other, "POST", PRIVACY_PATH, answer).status == 400, "another device's certificate"
    assert wire.call(kiosk, "POST", PRIVACY_PATH, answer).status == 200
    assert Waiting.model_validate_json(wire.call(kiosk, "GET", PRIVACY_PATH).body).orders == ()
    assert len(Waiting.model_validate_json(wire.call(other, "GET", PRIVACY_PATH).body).orders) == 1
