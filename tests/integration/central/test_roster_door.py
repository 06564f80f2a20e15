"""What devices fetch at the door: over real TLS, signed, each its own."""

import contextlib
import datetime as dt
import json
import ssl
import urllib.error
import urllib.request

import pytest
from cryptography import x509
from parts.central import running_central
from parts.devices import LogWriter

from renzheng.central.draw.sealing import wrap_code
from renzheng.central.site.authority import Authority
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices, schema
from renzheng.central.store.devices import Device, Institution
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.requests import (
    DATE_HEADER,
    FRESH,
    INPATIENTS_PATH,
    OPENINGS_PATH,
    ROUNDS_PATH,
    sign_request,
)
from renzheng.contracts.rosters import InpatientRoster
from renzheng.contracts.rounds import Check, Opening, SealedSheet, Sheet, new_opening_code, seal, unseal
from renzheng.edge.device.bulk import Bulk, door_address
from renzheng.edge.device.link.renewal import RETRY_SECONDS, Renewal

pytestmark = pytest.mark.mosquitto
CODE = new_opening_code()


class Door:
    """The door as a device sees it."""

    def __init__(self, central, folder):
        self.central = central
        self.trust = ssl.create_default_context(cafile=folder / "site" / "ca.pem")

    def get(self, target, key=None, *, header=None, at=None):
        asked = urllib.request.Request(self.central.door_url + target)
        if key is not None:
            header = sign_request(key, "GET", target, b"", at or utc_now())
        if header is not None:
            asked.add_header("Authorization", header)
        try:
            with urllib.request.urlopen(asked, context=self.trust) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers


def put_stay(central, institution_id, visit_id, **values):
    now = utc_now()
    row = {
        "person_id": f"P-{visit_id}", "admitted_at": to_us(now - dt.timedelta(days=2)), "ward": "W1",
        "bed": "3", "surname": "张", "masked_number": "…1234", **values,
    }  # fmt: skip
    with central.database.writing() as connection:
        connection.execute(
            schema.stays.insert().values(institution_id=institution_id, visit_id=visit_id, **row)
        )


def put_round(central, round_id, device_id, *, due_in, closes_in):
    """Put a drawn round with one sheet into the store, as the draw does."""
    now = utc_now()
    due_at, closes_at = now + dt.timedelta(minutes=due_in), now + dt.timedelta(minutes=closes_in)
    check = Check(check_id=f"{round_id}-1", visit_id="V1", person_id="P-V1", ward="W1")
    sheet = Sheet(
        round_id=round_id, institution_id="H1", institution_name="x", drawn_at=now - dt.timedelta(days=1),
        due_at=due_at, closes_at=closes_at, checks=(check,),
    )  # fmt: skip
    wrapped = wrap_code(CODE, round_id, keys.load_private_key(central.settings.key_file.read_bytes()))
    times = {"committed_at": 0, "known_at": 1, "due_at": to_us(due_at), "closes_at": to_us(closes_at)}
    texts = dict.fromkeys(
        ("commitment", "commitment_sha256", "signed", "frame", "people", "salt", "assigned"), "{}"
    )
    with central.database.writing() as connection:
        number = connection.execute(schema.rounds.select()).all()
        connection.execute(
            schema.rounds.insert().values(
                round_id=round_id, number=len(number) + 1, state="drawn", sealed_share=b"",
                wrapped_code=wrapped, **times, **texts,
            )
        )  # fmt: skip
        connection.execute(
            schema.round_sheets.insert().values(
                round_id=round_id, label="sheet-1", device_id=device_id,
                sheet=seal(sheet, CODE).model_dump_json(),
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from parts.mosquitto import Mosquitto  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("door")
    (folder / "broker").mkdir()
    make_site(folder / "central" / "site", "test", ["127.0.0.1"], utc_now())
    told = {"site": {"listen_host": "127.0.0.1", "listen_port": 0}}
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        central = stack.enter_context(running_central(folder / "central", broker.port, **told))
        door = Door(central, folder / "central")
        door.writers = {}
        for device_id, institution_id in (("ward-1", "H1"), ("ward-2", "H2"), ("tablet-1", "bureau:371121")):
            central.register_institution(Institution(institution_id, institution_id, "371121"))
            writer = LogWriter(device_id, institution_id)
            device = Device(device_id, institution_id, "s1", Purpose.INPATIENT)
            central.register_device(device, writer.public_key)
            door.writers[device_id] = writer.key
        put_stay(central, "H1", "V1")
        put_stay(central, "H1", "V2", discharged_at=to_us(utc_now() - dt.timedelta(minutes=1)))
        put_stay(central, "H2", "V3")
        put_round(central, "R-due", "tablet-1", due_in=-5, closes_in=60)
        put_round(central, "R-later", "tablet-1", due_in=30, closes_in=60)
        put_round(central, "R-closed", "tablet-1", due_in=-60, closes_in=-1)
        put_round(central, "R-other", "ward-1", due_in=-5, closes_in=60)
        yield door


def today():
    return utc_now().astimezone(dt.timezone(dt.timedelta(hours=8))).date()


def test_a_ward_gets_the_roster_of_its_own_institution_and_of_no_other(site):
    for device_id, institution_id, visit in (("ward-1", "H1", "V1"), ("ward-2", "H2", "V3")):
        status, body, headers = site.get(f"{INPATIENTS_PATH}?day={today()}", site.writers[device_id])
        roster = InpatientRoster.model_validate_json(body)
        assert (status, roster.institution_id) == (200, institution_id)
        assert [patient.visit_id for patient in roster.patients] == [visit]
        assert abs(dt.datetime.fromisoformat(headers[DATE_HEADER]) - utc_now()) < dt.timedelta(minutes=1)


def test_an_inspector_has_no_roster_but_the_rounds_addressed_to_the_device(site):
    key = site.writers["tablet-1"]
    roster = InpatientRoster.model_validate_json(site.get(f"{INPATIENTS_PATH}?day={today()}", key)[1])
    assert roster.patients == ()
    sheets = [SealedSheet.model_validate(one) for one in json.loads(site.get(ROUNDS_PATH, key)[1])]
    assert [sheet.round_id for sheet in sheets] == ["R-due", "R-later"]
    openings = [Opening.model_validate(one) for one in json.loads(site.get(OPENINGS_PATH, key)[1])]
    assert [opening.round_id for opening in openings] == ["R-due"]
    assert unseal(sheets[0], openings[0].code).checks[0].visit_id == "V1"


@pytest.mark.parametrize("target", [f"{INPATIENTS_PATH}?day=2026-03-02", ROUNDS_PATH, OPENINGS_PATH])
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer x", "Renzheng x.y.z", sign_request(keys.generate_key(), "GET", "/x", b"", utc_now())],
)
def test_who_is_not_known_gets_nothing_but_the_time(site, target, header):
    status, body, headers = site.get(target, header=header)
    assert status == 401
    assert dt.datetime.fromisoformat(headers[DATE_HEADER]).tzinfo
    assert b"V1" not in body


def test_a_call_is_good_once_for_one_target_and_for_five_minutes(site):
    key, target = site.writers["ward-1"], ROUNDS_PATH
    header = sign_request(key, "GET", target, b"", utc_now())
    assert site.get(target, header=header)[0] == 200
    assert site.get(target, header=header)[0] == 401
    for_another = sign_request(key, "GET", f"{INPATIENTS_PATH}?day={today()}", b"", utc_now())
    assert site.get(f"{INPATIENTS_PATH}?day=2026-01-01", header=for_another)[0] == 401
    for away in (-1, 1):
        stale = utc_now() + away * (FRESH + dt.timedelta(seconds=20))
        assert site.get(target, key, at=stale)[0] == 401
        assert site.get(target, key, at=utc_now() + away * (FRESH - dt.timedelta(seconds=20)))[0] == 200


@pytest.mark.parametrize("query", ["", "?day=", "?day=yesterday", "?day=2026-02-30"])
def test_a_day_that_is_none(site, query):
    assert site.get(INPATIENTS_PATH + query, site.writers["ward-1"])[0] == 400


def test_a_device_that_is_put_out_is_refused_at_once(site):
    writer = LogWriter("ward-3", "H1")
    site.central.register_device(Device("ward-3", "H1", "s1", Purpose.INPATIENT), writer.public_key)
    assert site.get(ROUNDS_PATH, writer.key)[0] == 200
    site.central.revoke_device("ward-3")
    assert site.get(ROUNDS_PATH, writer.key)[0] == 401


def test_a_key_that_another_has_followed_opens_the_door_no_more(site):
    writer, newer = LogWriter("ward-4", "H1"), keys.generate_key()
    site.central.register_device(Device("ward-4", "H1", "s1", Purpose.INPATIENT), writer.public_key)
    with site.central.database.writing() as connection:
        devices.replace_key(connection, "ward-4", keys.load_public_key(keys.public_pem(newer)), utc_now())
    assert site.get(ROUNDS_PATH, writer.key)[0] == 401
    assert site.get(ROUNDS_PATH, newer)[0] == 200


def test_the_door_s_log_names_devices_and_nobody_else(site, caplog):
    with caplog.at_level("INFO", logger="renzheng.central.site"):
        site.get(f"{INPATIENTS_PATH}?day={today()}", site.writers["ward-1"])
    assert "ward-1" in caplog.text
    assert "P-V1" not in caplog.text
    assert "张" not in caplog.text


def ending_pair(folder, site):
    """A device's certificate of two years ago, which ends in thirty days."""
    authority = Authority.load(site.central.settings.site_dir)
    pair = authority.issue_client("ward-1", utc_now() - dt.timedelta(days=700))
    (folder / "tls.key.pem").write_bytes(pair.key)
    (folder / "tls.certificate.pem").write_bytes(pair.certificate)
    return folder / "tls.certificate.pem", folder / "tls.key.pem"


def renewal(folder, site, *, key=None):
    certificate, private = ending_pair(folder, site)
    bulk = Bulk(*door_address(site.central.door_url), context=site.trust, key=lambda: key, wall=utc_now)
    return Renewal(bulk, certificate, private, wall=utc_now), certificate, private


def loads(certificate, private):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificate, private)  # refuses a pair that does not belong together
    return x509.load_pem_x509_certificate(certificate.read_bytes())


def test_a_device_renews_its_certificate_by_a_signed_call(site, tmp_path):
    own, certificate, private = renewal(tmp_path, site, key=site.writers["ward-1"])
    assert own.look() is None
    held = loads(certificate, private)
    assert held.not_valid_after_utc - utc_now() > dt.timedelta(days=700)
    assert held.subject.rfc4514_string() == "CN=ward-1", "the name is central's to give"
    with site.central.database.reading() as connection:
        issued = connection.execute(schema.device_certificates.select()).all()
    assert [row.device_id for row in issued if row.serial == f"{held.serial_number:x}"] == ["ward-1"]
    before = certificate.read_bytes()
    assert own.look() is None
    assert certificate.read_bytes() == before, "it is not asked for again"


def test_a_stranger_gets_no_certificate_and_what_is_in_use_stays(site, tmp_path):
    own, certificate, private = renewal(tmp_path, site, key=keys.generate_key())
    before = certificate.read_bytes()
    assert own.look() == RETRY_SECONDS
    assert certificate.read_bytes() == before
    loads(certificate, private)


@pytest.mark.parametrize("cut", ["before the certificate", "before the key moved", "after the key moved"])
def test_a_renewal_that_a_crash_cut_short_is_finished_or_begun_anew(site, tmp_path, cut):
    own, certificate, private = renewal(tmp_path, site, key=site.writers["ward-1"])
    pair = Authority.load(site.central.settings.site_dir).issue_client("ward-1", utc_now())
    key_next, certificate_next = (path.with_name(f"{path.name}.next") for path in (private, certificate))
    if cut == "after the key moved":
        private.write_bytes(pair.key)
    else:
        key_next.write_bytes(pair.key)
    if cut != "before the certificate":
        certificate_next.write_bytes(pair.certificate)
    own.look()
    held = loads(certificate, private)
    assert held.not_valid_after_utc - utc_now() > dt.timedelta(days=700)
    assert not key_next.exists()
    assert not certificate_next.exists()
